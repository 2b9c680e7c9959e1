-- What the script of the host does to the others: one way from client to client through it while
-- that script is idle, and while it is busy in three ways. A message leaves about every
-- millisecond, whether or not the one before has arrived, so that a pause of the host counts for
-- all it delays. The ways take turns, so that whatever else the machine does meets all of them.
local cluster = require "spec.support.cluster"
local process = require "spec.support.process"

local LISTEN <const> = [[
  local hrtime = require "luv".hrtime
  share:on("ping", function(sent) samples[#samples + 1] = hrtime() - sent end)
  share:on("over", function(new) over = new end)]]

local READ <const> = [[
  samples, over = {}, false
  while not over do share:poll(1) end
  table.sort(samples)
  local n = #samples
  return samples[n // 2 + 1] / 1000, samples[n * 99 // 100 + 1] / 1000]]

local WRITE <const> = [[
  local seconds = ...
  local hrtime = require "luv".hrtime
  local now = hrtime()
  local ends, due = now + seconds * 1e9, now
  data.over = false
  while now < ends do
    due = math.max(now, due) + 5e5 + math.random(1000000)
    repeat
      share:poll((due - now) / 1e9)
      now = hrtime()
    until now >= due
    data.ping = now
  end
  data.over = true
  assert(share:flush(5))]]

-- The garbage collector of the host has this to walk through.
local PREPARE <const> = [[
  hrtime = require "luv".hrtime
  heap = {}
  for n = 1, 500000 do heap[n] = { n, tostring(n) } end]]

-- What the host's script does for so many seconds.
local WAYS <const> = {
  { "is idle", [[
    local ends = hrtime() + ... * 1e9
    while hrtime() < ends do share:poll((ends - hrtime()) / 1e9) end]] },
  { "spins", [[
    local ends = hrtime() + ... * 1e9
    while hrtime() < ends do end]] },
  { "collects garbage", [[
    local ends = hrtime() + ... * 1e9
    while hrtime() < ends do collectgarbage() end]] },
  { "renders", [[
    local ends = hrtime() + ... * 1e9
    while hrtime() < ends do
      local frame = hrtime() + 50e6
      while hrtime() < frame do end
      share:poll(0)
    end]] },
}

local LEAD_MS <const> = 20 -- the script is at it before the first message

local function measure(peers, script, seconds)
  local reading = peers[3]:start(READ)
  local hosting = peers[1]:start(script, seconds + 0.1)
  process.turn(LEAD_MS)
  peers[2]:start(WRITE, seconds):wait(90000)
  local p50, p99 = reading:wait()
  hosting:wait(90000)
  return { p50 = p50, p99 = p99 }
end

-- The median over all rounds of a figure of the n-th way.
local function median(rounds, n, figure)
  local list = {}
  for i, round in ipairs(rounds) do list[i] = round[n][figure] end
  table.sort(list)
  return list[#list // 2 + 1]
end

return function(report, where, scale)
  local peers <close> = cluster.start { count = 3 }
  peers[1]:eval(PREPARE)
  peers[3]:eval(LISTEN)
  local term = peers[1]:eval "return share:stats().term"
  local rounds = {}
  for round = 1, scale.busy_rounds do
    rounds[round] = {}
    for n, way in ipairs(WAYS) do
      rounds[round][n] = measure(peers, way[2], scale.busy_seconds)
    end
  end
  for n, way in ipairs(WAYS) do
    local label = ("busy, the host's script %s, "):format(way[1])
    local idle50, idle99 = median(rounds, 1, "p50"), median(rounds, 1, "p99")
    report:add(where, label .. "median", median(rounds, n, "p50"), "us", n > 1 and idle50 or nil)
    report:add(where, label .. "99th percentile", median(rounds, n, "p99"), "us",
      n > 1 and idle99 or nil, n > 1 and "factor at most 2" or nil)
  end
  local takeovers = peers[2]:eval "return share:stats().term" - term
  report:add(where, "busy, changes of the host meanwhile", takeovers, "", nil, "none")
end
