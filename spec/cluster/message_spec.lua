local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"
local uv = require "luv"

-- Evaluated by a peer: hears events and changes into one list.
local LISTEN <const> = [[
  heard = {}
  share:on_event("tick", function(n) heard[#heard + 1] = "tick " .. n end)
  share:on_event("note", function(text) heard[#heard + 1] = text end)
  share:on("n", function(n, _, _, change)
    if not change.is_local then heard[#heard + 1] = "n " .. n end
  end)]]

local function heard_of(peer, least)
  return eventually(function()
    local heard = peer:eval "share:poll(0) return heard"
    assert.is_true(#heard >= least)
    return heard
  end, { within_ms = 20000 })
end

describe("an event #cluster", function()
  it("comes once to each peer, in one order with patches", function()
    local peers <close> = cluster.start { count = 4 }
    for i = 1, 3 do peers[i]:eval(LISTEN) end
    peers[4]:eval [[
      for n = 1, 100 do
        share:emit("tick", n)
        data.n = n
      end
      assert(share:flush(10))]]
    for i = 1, 3 do
      local heard = heard_of(peers[i], 200)
      assert.equal(200, #heard)
      for n = 1, 100 do
        assert.equal("tick " .. n, heard[2 * n - 1])
        assert.equal("n " .. n, heard[2 * n])
      end
    end
  end)

  it("comes in the same order to all, also while the host is killed", function()
    local peers <close> = cluster.start { count = 4 }
    for i = 1, 4 do peers[i]:eval(LISTEN) end
    local host, first, second, third = table.unpack(peers)
    local writing = {}
    for i, peer in ipairs { first, second } do
      writing[i] = peer:start([[
        local who = ...
        for n = 1, 300 do
          share:emit("note", who .. n)
          if n % 10 == 0 then share:poll(0.001) end
        end
        return share:flush(20)]], i .. ":")
    end
    eventually(function() assert.is_true(#host:eval "share:poll(0) return heard" > 20) end)
    host:kill "SIGKILL"
    for _, answer in ipairs(writing) do assert.is_true(answer:wait()) end
    local told = heard_of(first, 600)
    for _, peer in ipairs { first, second, third } do
      assert.same(told, heard_of(peer, 600))
    end
    local seen, last = {}, { ["1"] = 0, ["2"] = 0 }
    for _, text in ipairs(told) do
      assert.is_nil(seen[text])
      seen[text] = true
      local who, n = text:match "(%d):(%d+)"
      assert.equal(last[who] + 1, tonumber(n))
      last[who] = tonumber(n)
    end
  end)

  it("is kept for a peer that does not poll", function()
    local peers <close> = cluster.start { count = 2 }
    peers[2]:eval [[
      heard = {}
      share:on_event("tick", function(n) heard[#heard + 1] = n end)]]
    local sleeping = peers[2]:start "local t = os.clock() while os.clock() - t < 1 do end"
    peers[1]:eval [[
      for n = 1, 6000 do -- more than there is mail
        share:emit("tick", n)
        data.n = n
        if n % 100 == 0 then share:flush(10) end
      end]]
    sleeping:wait()
    local heard = heard_of(peers[2], 6000)
    assert.equal(6000, #heard)
    for i, n in ipairs(heard) do assert.equal(i, n) end
    assert.equal(0, peers[2]:eval "return share:stats().events_lost")
  end)
end)

describe("a call #cluster", function()
  local HANDLE <const> = [[
    calls = 0
    share:handle("who", function(args)
      calls = calls + 1
      return { id = share.id, args = args }
    end)
    assert(share:flush(10))]]
  local function who(peer, to)
    return peer:eval([[
      local answer, _, code = share:call("who", { 7 }, { to = ..., timeout = 10 })
      return answer and answer.id or code]], to)
  end

  it("is answered by the peer that was asked, whoever is host", function()
    local peers <close> = cluster.start { count = 3 }
    local ids = {}
    for i = 1, 3 do
      peers[i]:eval(HANDLE)
      ids[i] = peers[i]:eval "return share.id"
    end
    for from = 1, 3 do
      peers[from]:eval "assert(share:sync(10))"
      for to = 1, 3 do assert.equal(ids[to], who(peers[from], ids[to])) end
      assert.equal(ids[1], who(peers[from], "host"))
    end
    local host, second, third = table.unpack(peers)
    local seen = {}
    for _ = 1, 3 do seen[who(third, "any")] = true end
    for i = 1, 3 do assert.is_true(seen[ids[i]]) end
    host:kill "SIGKILL"
    assert.is_true(third:eval "return share:set('x', 1):wait(10) ~= nil") -- there is a new one
    assert.equal(ids[2], who(third, ids[2]))
    assert.equal("ENOENT", who(second, ids[1]))
    for _ = 1, 4 do assert.not_equal(ids[1], who(second, "any")) end
  end)

  it("fails when the process that was asked is killed, and when it is stopped", function()
    local peers <close> = cluster.start { count = 3, options = { host_timeout = 0.5 } }
    local id = peers[2]:eval [[
      share:handle("never", function(_, call) kept = call:defer() came = true end)
      assert(share:flush(10))
      return share.id]]
    local caller, callee = peers[3], peers[2]
    local answer = caller:start([[
      return select(3, share:call("never", nil, { to = ..., timeout = math.huge }))]], id)
    eventually(function() assert.is_true(callee:eval "return came") end)
    callee:kill "SIGKILL"
    assert.equal("ENOHOST", answer:wait())
    assert.equal("ENOENT", caller:eval("return select(3, share:call('never', nil, { to = ... }))",
      id))
    peers[1]:eval(HANDLE)
    local host = peers[1]:eval "return share.id"
    peers[1]:kill "SIGSTOP"
    assert.equal("ETIMEDOUT", caller:eval([[
      return select(3, share:call("who", nil, { to = ..., timeout = 0.1 }))]], host))
    peers[1]:kill "SIGCONT"
    eventually(function() assert.equal(host, who(caller, host)) end, { within_ms = 20000 })
  end)

  it("fails when its caller had to join anew", function()
    local peers <close> = cluster.start { count = 3 }
    local host, callee, caller = table.unpack(peers)
    host:eval [[
      logged = ""
      memshare.log = function(_, line) logged = logged .. line .. "\n" end]]
    local id = callee:eval [[
      share:handle("never", function(_, call) kept = call:defer() came = true end)
      assert(share:flush(10))
      return share.id]]
    local before = caller:eval "return share.id"
    local answer = caller:start([[
      return select(3, share:call("never", nil, { to = ..., timeout = math.huge }))]], id)
    eventually(function() assert.is_true(callee:eval "share:poll(0) return came") end)
    -- Its lock is in a file that the next host has never seen, so that takes it for dead.
    caller:kill "SIGSTOP"
    assert(uv.fs_unlink(peers.directory .. "/world.group"))
    host:await "logged:find 'made anew'"
    local latecomer = peers:add()
    callee:kill "SIGSTOP" -- so that it is the latecomer who takes over
    host:kill "SIGKILL"
    latecomer:await "#share:peers() == 2"
    callee:kill "SIGCONT"
    caller:kill "SIGCONT"
    assert.equal("ENOHOST", answer:wait())
    assert.not_equal(before, caller:eval "return share.id")
    assert.equal(id, callee:eval "return share.id")
  end)
end)
