local cluster = require "spec.support.cluster"
local journals = require "spec.support.journals"
local process = require "spec.support.process"

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

  it("together with another writer, what both were promised is there", function()
    local peers <close> = cluster.start { count = 4, defaults = journals.DEFAULTS }
    local writers = journals.new(peers)
    for _, peer in ipairs(peers) do writers.begin(peer) end
    local host, clients = peers:host(), peers:clients()
    writers.await_accepted(50)
    host:kill "SIGKILL"
    clients[1]:kill "SIGKILL"
    writers.stop()
    assert.truthy(writers.check() >= 4 * 50)
  end)

  it("the survivor carries on alone", function()
    local peers <close> = cluster.start { count = 2, defaults = journals.DEFAULTS }
    local writers = journals.new(peers)
    for _, peer in ipairs(peers) do writers.begin(peer) end
    writers.await_accepted(50)
    peers:host():kill "SIGKILL"
    writers.await_accepted(50)
    writers.stop()
    assert.truthy(writers.check() >= 150)
  end)

  it("the others hear who is host now", function()
    local peers <close> = cluster.start { count = 3 }
    local host, clients = peers:host(), peers:clients()
    for _, peer in ipairs(clients) do
      peer:eval [[
        first_host = select(2, share:status()).host
        share:on_status(function(_, info) heard_host = info.host end)]]
    end
    host:kill "SIGKILL"
    for _, peer in ipairs(clients) do
      peer:await "heard_host and heard_host ~= first_host"
    end
    assert.equal(peers:host().id, peers[1]:eval "return heard_host")
  end)
end)

describe("when a writer is killed #cluster", function()
  it("right after its receipts, its patches are kept", function()
    local peers <close> = cluster.start { count = 3, defaults = journals.DEFAULTS }
    local writer = peers:clients()[1]
    writer:eval [[
      for n = 1, 200 do data.log[n] = n end
      assert(share:flush(10))]]
    writer:kill "SIGKILL"
    peers:settle()
    assert.equal(200, peers[1]:eval "return #data.log")
  end)

  it("together with the host right after its receipts, its patches are kept", function()
    local peers <close> = cluster.start { count = 3, defaults = journals.DEFAULTS }
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
    local peers <close> = cluster.start { count = 4, defaults = journals.DEFAULTS }
    local writers = journals.new(peers)
    for _, peer in ipairs(peers) do writers.begin(peer) end
    for _ = 1, 2 do
      local host = peers:host()
      writers.await_accepted(20)
      local pending = host:eval [[
        writer.stopped = true
        assert(leave())
        writer.note()
        return writer.pending()]]
      assert.equal(0, pending)
      host:leave()
    end
    writers.stop()
    assert.truthy(writers.check() >= (4 + 3) * 20)
  end)

  it("the last one takes the share and its files along", function()
    local peers <close> = cluster.start { count = 2 }
    peers[1]:leave()
    peers[1]:eval "assert(share:sync(10))" -- it has taken over
    peers[1]:leave()
    assert.same({}, peers:files "^world%.")
  end)
end)

describe("when the host hangs #cluster", function()
  it("another peer takes over, and the old host steps down once it goes on", function()
    local peers <close> = cluster.start {
      count = 3, defaults = journals.DEFAULTS, options = { host_timeout = 1 },
    }
    local writers = journals.new(peers)
    for _, peer in ipairs(peers) do writers.begin(peer) end
    writers.await_accepted(20)
    local host, clients = peers:host(), peers:clients()
    for _, peer in ipairs(clients) do peer:eval "term = share:stats().term" end
    host:kill "SIGSTOP"
    for _, peer in ipairs(clients) do
      peer:await "share:stats().term > term"
      peer:eval "base = share:stats().accepted"
      peer:await "share:stats().accepted >= base + 50"
    end
    host:kill "SIGCONT"
    writers.await_accepted(50) -- of all three
    assert.not_equal(host, peers:host())
    writers.stop()
    assert.truthy(writers.check() >= 3 * 70 + 2 * 50)
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
