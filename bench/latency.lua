-- One way from a Lua assignment to a Lua callback in another process. The value is the time of its
-- assignment; the reader subtracts and answers, so that one message is under way at a time. All
-- processes wait in memshare's own poll.
local cluster = require "spec.support.cluster"

local LISTEN <const> = [[
  local hrtime = require "luv".hrtime
  samples, n = {}, 0
  share:on("ping", function(sent)
    n = n + 1
    samples[n] = hrtime() - sent
    data.pong = n
  end)]]

local READ <const> = [[
  local total = ...
  while n < total do share:poll(1) end
  share:flush(5)
  table.sort(samples)
  return samples[total // 2 + 1] / 1000, samples[total * 99 // 100 + 1] / 1000]]

local WRITE <const> = [[
  local total = ...
  local hrtime, answered = require "luv".hrtime, 0
  share:on("pong", function(n) answered = n end)
  for n = 1, total do
    data.ping = hrtime()
    while answered < n do share:poll(1) end
  end
  data.over = true
  assert(share:flush(5))]]

local HOST <const> = [[
  local over = false
  share:on("over", function(new) over = new end)
  while not over do share:poll(1) end]]

-- `from` and `to` are numbers of peers; the first is host.
local function measure(report, where, scale, name, from, to, limit)
  local peers <close> = cluster.start {
    count = math.max(from, to), before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
  peers[to]:eval(LISTEN)
  local reading = peers[to]:start(READ, scale.round_trips)
  local hosting = from ~= 1 and to ~= 1 and peers[1]:start(HOST)
  peers[from]:start(WRITE, scale.round_trips):wait(90000)
  local p50, p99 = reading:wait()
  if hosting then hosting:wait() end
  report:add(where, "latency " .. name .. ", median", p50, "us", limit .. ".p50")
  report:add(where, "latency " .. name .. ", 99th percentile", p99, "us", limit .. ".p99")
end

return function(report, where, scale)
  measure(report, where, scale, "host to client", 1, 2, "hop")
  measure(report, where, scale, "client to host", 2, 1, "hop")
  measure(report, where, scale, "client to client", 2, 3, "star")
end
