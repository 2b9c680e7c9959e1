-- One way (one_way.lua) between host and client and from client to client, and writes of a client
-- that waits for the receipt of each.
local cluster = require "spec.support.cluster"
local one_way = require "bench.one_way"

local function start(where, count)
  return cluster.start {
    count = count, defaults = { keys = { ping = 0 } },
    before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
end

local function measure(report, where, scale, name, from, to, limit)
  local peers <close> = start(where, math.max(from, to))
  local curve = one_way.measure(peers, from, to, scale.round_trips)
  report:add(where, "latency " .. name .. ", median", one_way.quantile(curve, 0.5), "us",
    limit .. ".p50")
  report:add(where, "latency " .. name .. ", 99th percentile", one_way.quantile(curve, 0.99), "us",
    limit .. ".p99")
  report:curve("latency, " .. where, name, curve)
end

local HOST <const> = [[
  local over = false
  share:on("over", function(new) over = new end)
  while not over do share:poll(1) end]]

local AWAIT <const> = [[
  local total = ...
  local hrtime = require "luv".hrtime
  local began = hrtime()
  for n = 1, total do assert(share:set("keys.ping", n):wait(5)) end
  local took = hrtime() - began
  data.over = true
  assert(share:flush(5))
  return took]]

-- A request and its answer over a socket are two hops.
local function measure_awaited(report, where, scale)
  local peers <close> = start(where, 2)
  local hosting = peers[1]:start(HOST)
  local took = peers[2]:start(AWAIT, scale.round_trips):wait(90000)
  hosting:wait()
  local hop = report.raw[where .. " hop.p50"]
  report:add(where, "writes of a client, each awaited", scale.round_trips / took * 1e9, "1/s",
    1e6 / (2 * hop), "factor at most 1.43 (0.7 of the rate)")
end

return function(report, where, scale)
  measure(report, where, scale, "host to client", 1, 2, "hop")
  measure(report, where, scale, "client to host", 2, 1, "hop")
  measure(report, where, scale, "client to client", 2, 3, "star")
  measure_awaited(report, where, scale)
  for _, name in ipairs { "hop", "star" } do
    local curve = {}
    for i, part in ipairs(one_way.SHARES) do
      local us = report.raw[("%s %s.p%s"):format(where, name, ("%g"):format(part * 100))]
      curve[i] = { us, part }
    end
    report:curve("latency, " .. where, name == "hop" and "raw, one hop" or "raw, two hops", curve)
  end
end
