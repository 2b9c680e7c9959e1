-- One way from a Lua assignment to a Lua callback in another process. The value is the time of its
-- assignment; the reader subtracts and answers, so that one message is under way at a time. All
-- processes wait in memshare's own poll.
local LISTEN <const> = [[
  local hrtime = require "luv".hrtime
  samples, n = {}, 0
  share:on("keys.ping", function(sent)
    n = n + 1
    samples[n] = hrtime() - sent
    data.keys.pong = n
  end)]]

local READ <const> = [[
  local total, shares = ...
  while n < total do share:poll(1) end
  share:flush(5)
  table.sort(samples)
  local curve = {}
  for i, part in ipairs(shares) do
    curve[i] = { samples[math.min(total, math.floor(total * part) + 1)] / 1000, part }
  end
  return curve]]

local WRITE <const> = [[
  local total = ...
  local hrtime, answered = require "luv".hrtime, 0
  share:on("keys.pong", function(n) answered = n end)
  for n = 1, total do
    data.keys.ping = hrtime()
    while answered < n do share:poll(1) end
  end
  data.over = true
  assert(share:flush(5))]]

local HOST <const> = [[
  local over = false
  share:on("over", function(new) over = new end)
  while not over do share:poll(1) end]]

local M = {}

-- What share of the messages came within the time: of these the curve has the times.
M.SHARES = { 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999 }

---Messages between two peers of a cluster whose document has an object `keys`; the first is host.
---@param from integer
---@param to integer
---@return number[][] curve pairs of microseconds and the share of messages that took no longer
function M.measure(peers, from, to, round_trips)
  peers[to]:eval(LISTEN)
  local reading = peers[to]:start(READ, round_trips, M.SHARES)
  local hosting = from ~= 1 and to ~= 1 and peers[1]:start(HOST)
  peers[from]:start(WRITE, round_trips):wait(90000)
  local curve = reading:wait()
  if hosting then hosting:wait() end
  return curve
end

---The time within which that share of the messages came.
function M.quantile(curve, part)
  for _, point in ipairs(curve) do
    if point[2] == part then return point[1] end
  end
end

return M
