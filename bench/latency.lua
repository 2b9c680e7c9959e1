-- One way from a Lua assignment to a Lua callback in another process. The value is the time of its
-- assignment; the reader subtracts and answers, so that one message is under way at a time.
local cluster = require "spec.support.cluster"

local READ <const> = [[
  local total = ...
  local hrtime, samples, n = require "luv".hrtime, {}, 0
  local ping <close> = share:on("ping", function(sent)
    n = n + 1
    samples[n] = hrtime() - sent
    data.pong = n
  end)
  while n < total do share:poll(1) end
  share:flush(5)
  table.sort(samples)
  return samples[total // 2 + 1] / 1000, samples[total * 99 // 100 + 1] / 1000]]

local WRITE <const> = [[
  local total = ...
  local hrtime, answered = require "luv".hrtime, 0
  local pong <close> = share:on("pong", function(n) answered = n end)
  for n = 1, total do
    data.ping = hrtime()
    while answered < n do share:poll(1) end
  end]]

return function(report, where, scale)
  local peers <close> = cluster.start {
    count = 3, before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
  local host, a, b = peers[1], peers[2], peers[3]
  assert(peers:host() == host)
  for _, case in ipairs {
    { "host to client", host, a, "hop" },
    { "client to host", a, host, "hop" },
    { "client to client", a, b, "star" },
  } do
    local name, from, to, limit = table.unpack(case)
    local reading = to:start(READ, scale.round_trips)
    from:eval(WRITE, scale.round_trips)
    local p50, p99 = reading:wait()
    report:add(where, "latency " .. name .. ", median", p50, "us", limit .. ".p50")
    report:add(where, "latency " .. name .. ", 99th percentile", p99, "us", limit .. ".p99")
    peers:each "share:replace {}; share:flush(5)"
    peers:settle()
  end
end
