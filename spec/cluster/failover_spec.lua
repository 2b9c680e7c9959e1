local cluster = require "spec.support.cluster"
local process = require "spec.support.process"

-- ---------------------------------------------------------------- journals

-- Reads what a peer wrote down about its receipts: states by number, and the last number.
local function read_journal(path)
  local states = {}
  local file <close> = assert(io.open(path))
  for state, number in file:read "a":gmatch "(%a+) (%d+)\n" do states[tonumber(number)] = state end
  return states
end

-- Checks one writer's journal against the document: what was accepted is there, what was rejected
-- is not, nothing is there twice or out of order, and counter and list agree.
local function check(who, states, document)
  local present, last = {}, 0
  for _, number in ipairs(document.log[who] or {}) do
    assert(number > last, ("%s: %d after %d"):format(who, number, last))
    present[number], last = true, number
  end
  local accepted = 0
  for number, state in pairs(states) do
    if state == "accepted" then
      accepted = accepted + 1
      assert(present[number], ("%s: accepted patch %d is lost"):format(who, number))
    elseif state == "rejected" then
      assert(not present[number], ("%s: rejected patch %d is there"):format(who, number))
    end
  end
  assert.equal(#(document.log[who] or {}), document.count[who] or 0, who)
  return accepted
end

-- A cluster whose peers all write and keep journals, each under a name of its own.
local function writers(peers)
  local self = { names = {} }
  function self.begin(peer)
    local who = "w" .. peer.number
    self.names[#self.names + 1] = who
    peer:eval("writer = journal(...)", who, self.path(who))
  end
  function self.path(who) return ("%s/%s.journal"):format(peers.directory, who) end
  function self.stop()
    peers:each "writer.stopped = true"
    for _, peer in ipairs(peers) do peer:await "writer.pending() == 0" end
  end
  -- All documents are equal and all journals are kept; returns how many patches were accepted.
  function self.check()
    peers:settle()
    local document = peers[1]:eval "return memshare.copy(data)"
    local accepted = 0
    for _, who in ipairs(self.names) do
      accepted = accepted + check(who, read_journal(self.path(who)), document)
    end
    return accepted
  end
  return self
end

local DEFAULTS <const> = { count = {}, log = {} }

describe("when the host is killed #cluster", function()
  it("another peer takes over and the writes go on", function()
    local peers <close> = cluster.start { count = 3, defaults = { round = 0 } }
    local old = peers:host()
    old:kill "SIGKILL"
    peers[1]:eval "assert(share:set('round', 1):wait(10))"
    peers[2]:await "data.round == 1"
    assert.not_equal(old.number, peers:host().number)
    peers:settle()
  end)

  it("20 times in a row under three writers, nothing accepted is lost or applied twice", function()
    local peers <close> = cluster.start { count = 4, defaults = DEFAULTS }
    local journals = writers(peers)
    for _, peer in ipairs(peers) do journals.begin(peer) end
    for _ = 1, 20 do
      local host = peers:host()
      -- Writes are under way in every survivor when the host goes.
      for _, peer in ipairs(peers) do
        peer:eval "base = share:status().accepted"
        peer:await "share:status().accepted >= base + 20"
      end
      host:kill "SIGKILL"
      journals.begin(peers:add())
    end
    journals.stop()
    assert.truthy(journals.check() >= 20 * 4 * 20)
  end)

  it("together with another writer, what both were promised is there", function()
    local peers <close> = cluster.start { count = 4, defaults = DEFAULTS }
    local journals = writers(peers)
    for _, peer in ipairs(peers) do journals.begin(peer) end
    local host, clients = peers:host(), peers:clients()
    for _, peer in ipairs(peers) do peer:await "share:status().accepted >= 50" end
    host:kill "SIGKILL"
    clients[1]:kill "SIGKILL"
    journals.stop()
    assert.truthy(journals.check() >= 4 * 50)
  end)

  it("the survivor carries on alone", function()
    local peers <close> = cluster.start { count = 2, defaults = DEFAULTS }
    local journals = writers(peers)
    for _, peer in ipairs(peers) do journals.begin(peer) end
    for _, peer in ipairs(peers) do peer:await "share:status().accepted >= 50" end
    peers:host():kill "SIGKILL"
    peers[1]:eval "base = share:status().accepted"
    peers[1]:await "share:status().accepted >= base + 50"
    journals.stop()
    assert.truthy(journals.check() >= 150)
  end)

  it("the others hear who is host now", function()
    local peers <close> = cluster.start { count = 3 }
    local host, clients = peers:host(), peers:clients()
    for _, peer in ipairs(clients) do
      peer:eval [[
        first_host = share:status().host
        share:on_status(function(status) heard_host = status.host end)]]
    end
    host:kill "SIGKILL"
    for _, peer in ipairs(clients) do
      peer:await "heard_host and heard_host ~= first_host and heard_host == share:status().host"
    end
    assert.equal(peers:host().id, peers[1]:eval "return heard_host")
  end)
end)

describe("when a writer is killed #cluster", function()
  it("right after its receipts, its patches are kept", function()
    local peers <close> = cluster.start { count = 3, defaults = DEFAULTS }
    local writer = peers:clients()[1]
    writer:eval [[
      for n = 1, 200 do data.log[n] = n end
      assert(share:flush(10))]]
    writer:kill "SIGKILL"
    peers:settle()
    assert.equal(200, peers[1]:eval "return #data.log")
  end)

  it("together with the host right after its receipts, its patches are kept", function()
    local peers <close> = cluster.start { count = 3, defaults = DEFAULTS }
    local host, clients = peers:host(), peers:clients()
    clients[1]:eval [[
      for n = 1, 200 do data.log[n] = n end
      assert(share:flush(10))]]
    host.process:kill "SIGKILL"
    clients[1]:kill "SIGKILL"
    host:kill "SIGKILL"
    peers:settle()
    assert.equal(200, peers[1]:eval "return #data.log")
  end)
end)

describe("when the host stops in good order #cluster", function()
  it("it hands over, with all its patches settled", function()
    local peers <close> = cluster.start { count = 4, defaults = DEFAULTS }
    local journals = writers(peers)
    for _, peer in ipairs(peers) do journals.begin(peer) end
    for _ = 1, 2 do
      local host = peers:host()
      for _, peer in ipairs(peers) do
        peer:eval "base = share:status().accepted"
        peer:await "share:status().accepted >= base + 20"
      end
      local pending = host:eval [[
        writer.stopped = true
        assert(leave())
        writer.note()
        return writer.pending()]]
      assert.equal(0, pending)
      host:leave()
    end
    journals.stop()
    assert.truthy(journals.check() >= 2 * 4 * 20)
  end)

  it("the last one takes the share and its files along", function()
    local peers <close> = cluster.start { count = 2 }
    peers[1]:leave()
    peers[1]:leave()
    assert.same({}, peers:files "^world%.")
  end)
end)

describe("a process that #cluster", function()
  it("computes without polling goes on hosting", function()
    local peers <close> = cluster.start { count = 3, defaults = { n = 0 } }
    local host, clients = peers:host(), peers:clients()
    local flag = peers.directory .. "/enough"
    local spin = host:start([[
      local began, path = os.clock(), ...
      repeat
        local file = io.open(path)
        if file then file:close() end
      until file or os.clock() - began > 10
      return os.clock() - began]], flag)
    for n = 1, 50 do
      clients[1]:eval("assert(share:set('n', ...):wait(5))", n)
    end
    clients[2]:await "data.n == 50"
    assert.is_false(spin:arrived())
    local file = assert(io.open(flag, "w"))
    file:close()
    spin:wait()
    peers:settle()
  end)

  it("is stopped does not hold up the others and catches up when it goes on", function()
    local peers <close> = cluster.start { count = 3, defaults = { list = {} } }
    local sleeper, writer = peers:clients()[1], peers:clients()[2]
    sleeper:kill "SIGSTOP"
    writer:eval [[
      for n = 1, 2000 do data.list[n] = ("x"):rep(1000) end
      assert(share:flush(10))]]
    assert.equal(2000, peers:host():eval "return #data.list")
    sleeper:kill "SIGCONT"
    sleeper:await "#data.list == 2000"
    peers:settle()
  end)

  it("dies while it joins harms nobody", function()
    local peers <close> = cluster.start { count = 2, defaults = { keys = {} } }
    peers[1]:eval "for n = 1, 5000 do data.keys['k' .. n] = n end assert(share:flush(10))"
    for _ = 1, 5 do
      local joiner = peers:spawn()
      joiner:start_open()
      process.turn(5)
      joiner:kill "SIGKILL"
    end
    peers[2]:eval "assert(share:set('alive', true):wait(10))"
    peers:settle()
  end)
end)
