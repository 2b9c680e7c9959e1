-- Latency (one_way.lua) and assignments (stream.lua) from host to client in documents of 100 and of
-- very many keys: the raw figure of the second is the first.
local cluster = require "spec.support.cluster"
local one_way = require "bench.one_way"
local stream = require "bench.stream"

local BATCH <const> = 50000
local FILL <const> = [[
  local keys, batch = ...
  for first = 0, keys - 1, batch do
    local set = {}
    for n = first, math.min(first + batch, keys) - 1 do set[("keys.k%06d"):format(n)] = n end
    assert(share:patch({ ["$set"] = set }):wait(60))
  end
  assert(share:flush(60))]]

local function measure(where, scale, keys)
  local peers <close> = cluster.start {
    count = 2, defaults = { keys = {} },
    before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
  peers[1]:start(FILL, keys, BATCH):wait(120000)
  peers[2]:eval "assert(share:sync(60))"
  local curve = one_way.measure(peers, 1, 2, scale.round_trips // 2)
  local rate = stream.measure(peers[1], { peers[2] }, scale.assignments // 2)
  return one_way.quantile(curve, 0.5), rate
end

return function(report, where, scale)
  local us, rate = measure(where, scale, 100)
  local many_us, many_rate = measure(where, scale, scale.crowd_keys)
  local among = ("among %d keys (raw: 100)"):format(scale.crowd_keys)
  local goal <const> = "factor at most 1.25 (0.8 of it)"
  report:add(where, "latency host to client, " .. among, many_us, "us", us, goal)
  report:add(where, "assignments, " .. among, many_rate, "1/s", rate, goal)
end
