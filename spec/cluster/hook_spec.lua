local cluster = require "spec.support.cluster"

-- Calls are kept as { new, old, path, fields of the change }.
local LISTEN <const> = [[
  heard = {}
  local path, options = ...
  share:on(path, function(new, old, where, change)
    heard[#heard + 1] = {
      new = memshare.copy(new), old = memshare.copy(old), path = where, kind = change.kind,
      origin = change.origin, is_local = change.is_local, version = change.version,
      time = change.time,
    }
  end, options)]]

describe("a hook #cluster", function()
  it("names the writer, the version and the time of another peer's change", function()
    local peers <close> = cluster.start { count = 2, defaults = { x = 0 } }
    local host, client = peers:host(), peers:clients()[1]
    client:eval(LISTEN, "x")
    host:eval "assert(share:set('x', 1):wait(5))"
    assert.is_true(client:await "#heard == 1")
    local heard = client:eval "return heard[1]"
    assert.equal(1, heard.new)
    assert.equal(0, heard.old)
    assert.equal("set", heard.kind)
    assert.is_false(heard.is_local)
    assert.equal(host:eval "return share.id", heard.origin)
    assert.equal(client:eval "return share:version()", heard.version)
    assert.is_true(math.abs(heard.time - os.time()) < 60)
  end)

  it("hears patches one by one and in order, or whole polls when it coalesces", function()
    local peers <close> = cluster.start { count = 2, defaults = { x = 0 } }
    local host, client = peers:host(), peers:clients()[1]
    client:eval [[
      each, whole = {}, {}
      share:on("x", function(new) each[#each + 1] = new end)
      share:on("x", function(new, old) whole[#whole + 1] = { old, new } end, { coalesce = true })]]
    client:kill "SIGSTOP"
    host:eval "for x = 1, 200 do data.x = x end assert(share:flush(5))"
    client:kill "SIGCONT"
    assert.is_true(client:await "each[#each] == 200")
    local each, whole = client:eval "return each, whole"
    assert.equal(200, #each)
    for x = 1, 200 do assert.equal(x, each[x]) end
    assert.equal(0, whole[1][1])
    assert.equal(200, whole[#whole][2])
    for i = 2, #whole do assert.equal(whole[i - 1][2], whole[i][1]) end
    assert.is_true(#whole < 200)
  end)

  it("hears of patches together once more than 4,096 wait for its process", function()
    local peers <close> = cluster.start { count = 2, defaults = { x = 0 } }
    local host, client = peers:host(), peers:clients()[1]
    local flag = peers.directory .. "/ready"
    local hearing = client:start([[
      local heard, entries = {}, share:stats().entries
      share:on("x", function(new, old) heard[#heard + 1] = { old, new } end)
      assert(io.open(..., "w")):close()
      local uv = require "luv"
      local deadline = uv.hrtime() + 15e9
      repeat -- no poll
        assert(uv.hrtime() < deadline, "the patches did not come")
      until share:stats().entries >= entries + 6000
      local seen = data.x
      assert(share:sync(10))
      return seen, heard, data.x]], flag)
    host:eval([[
      local uv = require "luv"
      local deadline = uv.hrtime() + 15e9
      repeat
        assert(uv.hrtime() < deadline, "nobody listens")
        uv.sleep(1)
      until uv.fs_stat((...))
      for x = 1, 6000 do data.x = x end
      assert(share:flush(10))]], flag)
    local seen, heard, last = hearing:wait()
    assert.equal(0, seen)
    assert.equal(6000, last)
    assert.is_true(#heard > 4000 and #heard < 4200, #heard)
    assert.same({ 0, 1 }, heard[1])
    for i = 2, #heard do assert.equal(heard[i - 1][2], heard[i][1]) end
    assert.equal(6000, heard[#heard][2])
  end)

  it("hears of a write that lost, and what stands instead, as a rollback", function()
    local peers <close> = cluster.start {
      count = 3, options = { host_timeout = 60 }, defaults = { x = 0 },
    }
    local host, clients = peers:host(), peers:clients()
    local slow, fast = clients[1], clients[2]
    slow:eval(LISTEN, "x")
    slow:eval "share:on_reject(function() end)"
    -- The older write waits in its process behind more bytes than the host's socket takes.
    host:kill "SIGSTOP"
    slow:eval [[
      data.ballast = ("x"):rep(8 << 20)
      older = share:set("x", "older")]]
    slow:kill "SIGSTOP"
    fast:eval "newer = share:set('x', 'newer')"
    host:kill "SIGCONT"
    assert.truthy(fast:eval "return newer:wait(10)")
    slow:kill "SIGCONT"
    assert.is_nil((slow:eval "return older:wait(10)"))
    assert.is_true(slow:await "#heard == 2")
    local first, second = slow:eval "return heard[1], heard[2]"
    assert.same({ 0, "older", "set", true },
      { first.old, first.new, first.kind, first.is_local })
    assert.same({ "older", "newer", "rollback" }, { second.old, second.new, second.kind })
  end)
end)

describe("a task #cluster", function()
  it("waits for other processes, in luv's loop, and goes on in order", function()
    local peers <close> = cluster.start { count = 3, defaults = { turn = 0, seen = {} } }
    -- Each waits for its turn, which the one before it gives.
    for number = 1, 3 do
      peers[number]:eval([[
        local number = ...
        memshare.go(function()
          for turn = number, 30, 3 do
            assert(share:wait_for("turn", function(now) return now == turn - 1 end, 20))
            assert(share:push("seen", turn):wait(20))
            assert(share:set("turn", turn):wait(20))
          end
          assert(share:sync(20))
          finished = true
        end)]], number)
    end
    for number = 1, 3 do assert.is_true(peers[number]:await "finished") end
    peers:settle()
    local expected = {}
    for turn = 1, 30 do expected[turn] = turn end
    for _, seen in ipairs(peers:each "return memshare.copy(data.seen)") do
      assert.same(expected, seen)
    end
  end)

  it("hears of a host that is gone as everybody else does", function()
    local peers <close> = cluster.start { count = 3, defaults = { n = 0 } }
    local host, client = peers:host(), peers:clients()[1]
    client:eval [[
      versions = {}
      memshare.go(function()
        for n = 1, 200 do
          versions[n] = assert(share:inc("n"):wait(20))
          if n == 20 then data.half = true end
        end
      end)]]
    assert.is_true(peers:clients()[2]:await "data.half")
    host:kill "SIGKILL"
    assert.is_true(client:await "#versions == 200")
    assert.equal(200, client:eval "return data.n")
  end)
end)
