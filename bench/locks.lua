-- From kill -9 of the holder of a lock, or from its giving it back, until the next one holds it. A
-- holder is a client, or the host, which is replaced meanwhile.
local uv = require "luv"
local cluster = require "spec.support.cluster"

local HOLD <const> = [[lease = assert(share:lock("door", { timeout = 10 })) return true]]
local ASK <const> = [[
  next_lease = nil
  memshare.go(function() next_lease = assert(share:lock "door") end)
  share:flush(10)]]
local WAIT <const> = [[
  while not next_lease do share:poll(1) end
  local now = require "luv".hrtime()
  next_lease:release()
  share:flush(10)
  return now]]

-- Milliseconds until the lock has gone from `holder` to `heir`.
local function hand_over(holder, heir, leave)
  holder:eval(HOLD)
  heir:eval(ASK)
  local answer = heir:start(WAIT)
  local began = leave(holder)
  return (answer:wait() - began) / 1e6
end

local function kill(holder)
  local began = uv.hrtime()
  holder:kill "SIGKILL"
  return began
end

local function release(holder)
  return holder:eval [[
    local now = require "luv".hrtime()
    lease:release()
    share:flush(10)
    return now]]
end

local function series(count, one)
  local times = {}
  for i = 1, count do times[i] = one() end
  table.sort(times)
  return times[count // 2 + 1], times[count]
end

return function(report, where, scale)
  local peers <close> = cluster.start { count = 3 }
  local function add(name, middle, most)
    report:add(where, ("lock, %s, median"):format(name), middle, "ms", "takeover.first")
    report:add(where, ("lock, %s, slowest of %d"):format(name, scale.kills), most, "ms")
  end
  add("given back", series(scale.kills, function()
    local clients = peers:clients()
    return hand_over(clients[1], clients[2], release)
  end))
  add("kill -9 of a client that holds it", series(scale.kills, function()
    local clients = peers:clients()
    local time = hand_over(clients[1], clients[2], kill)
    peers:add()
    return time
  end))
  add("kill -9 of the host that holds it", series(scale.kills, function()
    local time = hand_over(peers:host(), peers:clients()[1], kill)
    peers:add()
    return time
  end))
end
