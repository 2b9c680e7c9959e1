local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"

-- Evaluated by a peer: takes the lock and keeps it in a global.
local HOLD <const> = [[
  lease = assert(share:lock((...), { timeout = 10 }))
  return lease.fence]]

local function awaits(peer, name)
  peer:eval([[
    local name = ...
    lease, waiting = nil, true
    memshare.go(function()
      lease = assert(share:lock(name))
      waiting = false
    end)]], name)
end

local function fence_of(peer) return peer:eval "return lease and lease.fence" end

describe("a lock #cluster", function()
  it("is held by one peer, and goes to those who wait in their order", function()
    local peers <close> = cluster.start { count = 4 }
    local fence = peers[2]:eval(HOLD, "door")
    assert.is_true(fence > 0)
    for i = 1, 4 do
      if i ~= 2 then
        awaits(peers[i], "door")
        peers[i]:eval "assert(share:flush(10))"
      end
    end
    local last, order = fence, { 2, 1, 3, 4 }
    for place = 1, 3 do
      for behind = place + 1, 4 do assert.is_nil(fence_of(peers[order[behind]])) end
      peers[order[place]]:eval "assert(lease:release())"
      local next_fence = eventually(function()
        return assert(fence_of(peers[order[place + 1]]))
      end)
      assert.is_true(next_fence > last)
      last = next_fence
    end
  end)

  it("is refused at once by try_lock while somebody holds it", function()
    local peers <close> = cluster.start { count = 3 }
    peers[2]:eval(HOLD, "door")
    for _, i in ipairs { 1, 3 } do
      peers[i]:eval "assert(share:sync(10))"
      assert.same({ false, "EBUSY" }, peers[i]:eval [[
        local lease, _, code = share:try_lock "door"
        return { lease ~= nil, code }]])
    end
    peers[2]:eval "lease:release() assert(share:flush(10))"
    peers[3]:eval "assert(share:sync(10))"
    assert.is_true(peers[3]:eval [[
      local lease <close> = assert(share:try_lock "door")
      return lease:is_held()]])
  end)

  it("is given back at the end of its block, also by an error", function()
    local peers <close> = cluster.start()
    peers[2]:eval [[
      pcall(function() local lease <close> = assert(share:lock "door") error "x" end)]]
    peers[2]:eval "assert(share:flush(10))"
    assert.is_true(peers[1]:eval(HOLD, "door") > 0)
  end)

  it("goes to the next one when its holder is killed, whoever is host", function()
    for victim = 1, 2 do -- the host, a client
      local peers <close> = cluster.start { count = 3 }
      local fence = peers[victim]:eval(HOLD, "door")
      awaits(peers[3], "door")
      peers[3]:eval "assert(share:flush(10))"
      local third = peers[3]
      peers[victim]:kill "SIGKILL"
      local taken = eventually(function() return assert(fence_of(third)) end)
      assert.is_true(taken > fence)
    end
  end)

  it("is lost by a holder that is stopped, and its next write is refused", function()
    for stopped = 1, 2 do -- the host, a client
      local peers <close> = cluster.start { count = 3, options = { host_timeout = 0.5 } }
      local fence = peers[stopped]:eval(HOLD, "door")
      peers[stopped]:eval "data.owner = 'first' assert(share:flush(10))"
      awaits(peers[3], "door")
      peers[3]:eval "assert(share:flush(10))"
      -- It writes as soon as it goes on, before it has polled.
      local late = peers[stopped]:start [[
        local hrtime = require "luv".hrtime
        data.spinning = true
        local last, now, deadline = hrtime(), hrtime(), hrtime() + 60e9
        while now - last < 0.4e9 do
          last, now = now, hrtime()
          assert(now < deadline, "nobody stopped this process")
        end
        local version, _, code = share:set("owner", "late"):wait(10)
        return { version or code, lease:is_held() }]]
      eventually(function() assert.is_true(peers[3]:eval "share:poll(0) return data.spinning") end)
      peers[stopped]:kill "SIGSTOP"
      local taken = eventually(function() return assert(fence_of(peers[3])) end,
        { within_ms = 20000 })
      assert.is_true(taken > fence)
      peers[3]:eval "data.owner = 'second' assert(share:flush(10))"
      peers[stopped]:kill "SIGCONT"
      assert.same({ "EDENIED", false }, late:wait())
      assert.equal("second", peers[3]:eval "assert(share:sync(10)) return data.owner")
      assert.equal("second", peers[stopped]:eval "assert(share:sync(10)) return data.owner")
    end
  end)

  it("gives up waiting when the time is up, and is out of the queue then", function()
    local peers <close> = cluster.start { count = 3 }
    peers[2]:eval(HOLD, "door")
    assert.same({ false, "ETIMEDOUT" }, peers[3]:eval [[
      local lease, _, code = share:lock("door", { timeout = 0.05 })
      return { lease ~= nil, code }]])
    peers[2]:eval "lease:release()"
    assert.is_true(peers[1]:eval(HOLD, "door") > 0)
  end)

  it("raises for what is no name, in batches and in callbacks", function()
    local peers <close> = cluster.start()
    local function raised(code)
      return peers[2]:eval("return select(2, pcall(function() " .. code .. " end))")
    end
    assert.matches("EARGUMENT", raised "share:lock({})")
    assert.matches("EARGUMENT", raised "share:lock ''")
    assert.matches("EARGUMENT", raised "share:lock('x', { timeout = 'long' })")
    assert.matches("EBUSY", raised "share:batch(function() share:lock 'x' end)")
    assert.matches("ELIMIT", raised "share:lock(('x'):rep(5000))")
  end)
end)

describe("what is bound to a peer #cluster", function()
  it("goes exactly when the peer is gone, own place included", function()
    for victim = 1, 2 do
      local peers <close> = cluster.start { count = 3, defaults = { jobs = {} } }
      local id = peers[victim]:eval [[
        share.me.hp = 5
        data.jobs.mine = "x"
        assert(share:ephemeral "jobs.mine")
        assert(share:flush(10))
        return share.id]]
      peers[3]:eval "assert(share:sync(10))"
      assert.equal(5, peers[3]:eval("return share:get { '@peers', (...), 'hp' }", id))
      assert.equal("x", peers[3]:eval "return data.jobs.mine")
      peers[3]:eval [[
        gone = 0
        share:on("jobs.mine", function(new) if new == nil then gone = gone + 1 end end)]]
      local third = peers[3]
      peers[victim]:kill "SIGKILL"
      eventually(function() assert.is_nil(third:eval "share:poll(0) return data.jobs.mine") end)
      assert.is_nil(third:eval("return share:get { '@peers', (...) }", id))
      assert.equal(1, third:eval "share:poll(0) return gone")
      local ids = third:eval [[
        local ids = {}
        for _, peer in ipairs(share:peers()) do ids[peer.id] = true end
        return ids]]
      assert.is_nil(ids[id])
    end
  end)

  it("shows in share:peers(), and only its own peer may write there", function()
    local peers <close> = cluster.start()
    local id = peers[1]:eval "share.me.name = 'ada' assert(share:flush(10)) return share.id"
    peers[2]:eval "assert(share:sync(10))"
    assert.equal("ada", peers[2]:eval([[
      for _, peer in ipairs(share:peers()) do
        if peer.id == ... then return peer.me.name end
      end]], id))
    assert.equal("EDENIED", peers[2]:eval([[
      local receipt = share:set({ "@peers", (...), "name" }, "eve")
      return select(3, receipt:wait(10))]], id))
    assert.equal("ada", peers[1]:eval "return share.me.name")
  end)
end)

describe("a singleton #cluster", function()
  local RUN <const> = [[
    runs, single = 0, share:singleton("cron", function(lease)
      runs = runs + 1
      while true do memshare.sleep(0.005) data.beats = memshare.inc(1) end
    end)]]

  local function running(peers)
    local found = {}
    for i, peer in pairs(peers) do
      local is_peer = type(i) == "number"
      if is_peer and peer:eval "return single:is_running()" then found[#found + 1] = i end
    end
    return found
  end

  it("runs in one process, and in another one when that is killed", function()
    local peers <close> = cluster.start { count = 3, defaults = { beats = 0 } }
    for i = 1, 3 do peers[i]:eval(RUN) end
    local at = eventually(function()
      local found = running(peers)
      assert.equal(1, #found)
      return found[1]
    end)
    local rest = {}
    for i = 1, 3 do if i ~= at then rest[i] = peers[i] end end
    peers[at]:kill "SIGKILL"
    eventually(function()
      local found = running(rest)
      assert.equal(1, #found)
      assert.equal(1, rest[found[1]]:eval "return runs")
    end)
  end)

  it("goes on elsewhere when it is closed, and when its function returns", function()
    local peers <close> = cluster.start { count = 2, defaults = { done = {} } }
    peers[1]:eval [[
      single = share:singleton("once", function() data.done.first = true end)]]
    eventually(function() assert.is_true(peers[1]:eval "return data.done.first") end)
    peers[2]:eval(RUN)
    peers[2]:eval [[
      once = share:singleton("once", function() data.done.second = true end)]]
    eventually(function() assert.is_true(peers[2]:eval "return data.done.second") end)
    eventually(function() assert.is_true(peers[2]:eval "return single:is_running()") end)
    peers[1]:eval(RUN)
    peers[2]:eval "single:close()"
    eventually(function() assert.is_true(peers[1]:eval "return single:is_running()") end)
    assert.is_false(peers[2]:eval "return single:is_running()")
  end)
end)
