local cluster = require "spec.support.cluster"
local process = require "spec.support.process"
local stranger = require "spec.support.stranger"

local MB <const> = 1 << 20
-- What is pushed through the share; MEMSHARE_PUSH_MB makes it more.
local PUSH_MB <const> = tonumber(os.getenv "MEMSHARE_PUSH_MB") or 120
-- A host keeps a bounded tail, and a bounded queue of two maximal frames for a reader that stopped.
-- A sanitizer keeps what was freed besides.
local GROWTH_MAX <const> = (process.is_sanitized() and 800 or 80) * MB

describe("a reader that is stopped while others push much through the share #cluster", function()
  it("costs the host bounded memory, holds up nobody, and recovers by a snapshot", function()
    local peers <close> = cluster.start { count = 4, defaults = { blob = {}, done = {} } }
    local host, clients = peers:host(), peers:clients()
    local reader = clients[1]
    host:eval "logged = '' memshare.log = function(_, line) logged = logged .. line end"
    reader:kill "SIGSTOP"
    local before = process.memory(host.pid)
    local writers = { clients[2], clients[3] }
    local answers = {}
    for i, peer in ipairs(writers) do
      answers[i] = peer:start([[
        local who, megabytes = ...
        for n = 1, megabytes do
          local text = string.char(97 + n % 26):rep(1 << 20)
          assert(share:set({ "blob", who }, text):wait(60))
        end
        data.done[who] = true
        assert(share:flush(60))]], "w" .. i, PUSH_MB // #writers)
    end
    local most = 0
    for _, answer in ipairs(answers) do
      while not answer:arrived() do
        most = math.max(most, process.memory(host.pid))
        process.turn(20)
      end
      answer:wait()
    end
    local growth = math.max(most, process.memory(host.pid)) - before
    assert.truthy(growth < GROWTH_MAX, ("the host grew by %d MB"):format(growth // MB))
    host:await "logged:find 'reads too slowly'"
    reader:kill "SIGCONT"
    reader:await "data.done.w1 and data.done.w2"
    -- The one it joined with, and this one.
    assert.equal(2, reader:eval "return share:stats().snapshots")
    peers:settle()
  end)
end)

describe("a queue of own patches that is full #cluster", function()
  it("makes an assignment wait, then raise EBUSY, and a method return it", function()
    local peers <close> = cluster.start {
      count = 2, defaults = { list = {} },
      options = { host_timeout = 60, max_queue = 50, write_timeout = 0.1 },
    }
    local host, client = peers:host(), peers:clients()[1]
    host:kill "SIGSTOP"
    local message, waited = client:eval [[
      local uv = require "luv"
      for n = 1, 50 do data.list[n] = n end
      local began = uv.hrtime()
      local ok, message = pcall(function() data.list[51] = 51 end)
      local waited = (uv.hrtime() - began) / 1e9
      if ok then message = "written" end
      return message, waited]]
    assert.matches("%(EBUSY%)$", message)
    assert.is_truthy(waited >= 0.1, "it did not wait")
    local receipt, text, code = client:eval "return share:push('list', 51)"
    assert.is_nil(receipt)
    assert.equal("EBUSY", code, text)
    assert.equal(50, client:eval "return #data.list") -- nothing of it shows
    host:kill "SIGCONT"
    client:eval "data.list[51] = 51" -- waits as long as it may, and there is room
    peers:settle()
    assert.equal(51, host:eval "return #data.list")
  end)

  it("is waited for no longer than there is no room", function()
    local peers <close> = cluster.start {
      count = 2, defaults = { list = {} }, options = { max_queue = 10, write_timeout = 20 },
    }
    peers:clients()[1]:eval "for n = 1, 5000 do data.list[n] = n end"
    peers:settle()
    assert.equal(5000, peers:host():eval "return #data.list")
  end)
end)

describe("a peer that reads only #cluster", function()
  it("is refused writes, sees those of others, and may host", function()
    local peers <close> = cluster.start { count = 1, defaults = { n = 0 } }
    local reader = peers:add { readonly = true }
    for _, write in ipairs { "data.n = 1", "share:inc 'n'" } do
      local ok, message = reader:eval("return pcall(load(...))", write)
      assert.is_false(ok)
      assert.matches("%(EREADONLY%)$", message)
    end
    assert.equal(0, reader:eval "return data.n")
    peers[1]:eval "assert(share:inc('n'):wait(10))"
    reader:await "data.n == 1"
    local writer = peers:add()
    writer:kill "SIGSTOP" -- so that it is the reader who takes over
    peers[1]:kill "SIGKILL"
    reader:await "share:is_host()"
    writer:kill "SIGCONT"
    writer:eval "assert(share:inc('n'):wait(10))"
    reader:await "data.n == 2"
    assert.is_false((reader:eval "return pcall(function() data.n = 9 end)"))
    peers:settle()
  end)

  it("is refused by the host, too, when it writes all the same", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0 } }
    local reader, other = peers:add { readonly = true }, peers:clients()[1]
    local intruder <close> = stranger.impersonate(peers, reader)
    intruder:send(stranger.frame(stranger.patch {
      number = 1, operation = stranger.operation(stranger.INC, "n", "\1"),
    }))
    -- The refusal comes back as an entry that names the reason.
    assert.is_true(process.wait(function() return intruder.received:find "EREADONLY"
      or intruder.received:find "read%-only" end, 10000))
    assert.equal(0, other:eval "assert(share:sync(10)) return data.n")
    reader:kill "SIGKILL"
    intruder:close()
    peers:settle()
  end)
end)
