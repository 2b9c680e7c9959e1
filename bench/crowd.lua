-- A joiner comes to a document of many keys (1,000,000; fewer with --quick) while two clients write
-- to random keys of it. Two witnesses watch the host: a client that asks it one question after the
-- other, and the host's own script, which drives one turn of the loop after the other and looks at
-- the clock. How long its thread ran is what the host's own work took; the rest is waiting for a
-- core, which many processes want.
local cluster = require "spec.support.cluster"

local BATCH <const> = 50000 -- keys in a patch
local LONG <const> = { timeout = 120 }

local FILL <const> = [[
  local keys, batch = ...
  for first = 0, keys - 1, batch do
    local set = {}
    for n = first, math.min(first + batch, keys) - 1 do set[("k%06d"):format(n)] = n end
    assert(share:patch({ ["$set"] = set }):wait(60))
  end]]

-- Every second key belongs to this writer, whose count goes up in the same patch. Returns how many
-- patches were accepted.
local WRITE <const> = [[
  local keys, who = ...
  over = false
  share:on("over", function(new) over = new end)
  local before, written = share:stats().accepted, 0
  while not over do
    for _ = 1, 16 do
      written = written + 1
      local key = math.random(0, keys // 2 - 1) * 2 + who - 1
      share:patch {
        ["$set"] = { [("k%06d"):format(key)] = -written },
        ["$inc"] = { ["count." .. who] = 1 },
      }
    end
    share:poll(0.001)
    if written % 1024 == 0 then assert(share:flush(60)) end
  end
  assert(share:flush(60))
  return share:stats().accepted - before]]

-- The longest time between two answers, in milliseconds, and how many there were.
local ASK <const> = [[
  local hrtime = require "luv".hrtime
  local longest, answers, last = 0, 0, hrtime()
  asking = true
  share:on("over", function(new) asking = not new end)
  while asking do
    assert(share:sync(60))
    local now = hrtime()
    longest, answers, last = math.max(longest, now - last), answers + 1, now
  end
  return longest / 1e6, answers]]

-- The longest turn: by the clock, and how long its thread ran in it; the clock of the process would
-- count the stand-in too.
local HOST <const> = [[
  local hrtime = require "luv".hrtime
  local counts <close> = assert(io.open "/proc/thread-self/schedstat")
  local function ran()
    counts:seek "set"
    return counts:read "n"
  end
  counts:setvbuf "no"
  local longest, work, turns = 0, 0, 0
  while not data.over do
    local wall, before = hrtime(), ran()
    share:poll(0)
    turns = turns + 1
    work = math.max(work, ran() - before)
    longest = math.max(longest, hrtime() - wall)
  end
  return longest / 1e6, work / 1e6, turns]]

local JOIN <const> = [[
  local name, options = ...
  local hrtime = require "luv".hrtime
  local began = hrtime()
  open(name, nil, options)
  return (hrtime() - began) / 1e6]]

-- Equal for equal documents. JSON of all keys would be more than a pipe should carry.
local DIGEST <const> = [[
  assert(share:sync(60))
  local sum, keys = 0, 0
  for key, value in pairs(data) do
    if type(value) == "number" then
      keys, sum = keys + 1, sum ~ (tonumber(key:sub(2)) * 0x9E3779B97F4A7C15 + value) * 0xD6E8FEB8
    end
  end
  return ("%d keys, %x"):format(keys, sum)]]

-- One join; `watch` is code that runs in the host or in the asking client meanwhile.
local function join(peers, keys, watcher, watch)
  peers[1]:eval "share:set('over', false)"
  peers:each "assert(share:sync(60))"
  local writing = {}
  for n = 1, 2 do writing[n] = peers[n + 1]:start(WRITE, keys, n) end
  local watching = watcher:start(watch)
  local joiner = peers:spawn()
  local ms = joiner:start(JOIN, peers.name, LONG):wait(120000)
  joiner:eval "assert(share:set('over', true):wait(60))"
  local counts = {}
  for n = 1, 2 do counts[n] = writing[n]:wait(60000) end
  local results = table.pack(watching:wait(60000))
  return joiner, ms, counts, table.unpack(results)
end

-- Nothing is missed: both counts are whole, and all that is written stands where it stands.
local function check(peers, joiner, counts)
  for n = 1, 2 do
    local found = joiner:eval("return data.count[tostring(...)] or data.count[...]", n)
    assert(found == counts[n], ("%d patches of writer %d were accepted, the joiner sees %s"):format(
      counts[n], n, tostring(found)))
  end
  local mine = joiner:start(DIGEST):wait(60000)
  local host = peers[1]:start(DIGEST):wait(60000)
  assert(mine == host, ("joiner: %s; host: %s"):format(mine, host))
end

local function median(list)
  table.sort(list)
  return list[#list // 2 + 1]
end

return function(report, where, scale)
  local peers <close> = cluster.start { count = 4, options = LONG }
  peers[1]:start(FILL, scale.crowd_keys, BATCH):wait(120000)
  local times, gaps, turns, works, entries = {}, {}, {}, {}, 0
  for n = 1, scale.crowd_joins do
    for _, watcher in ipairs { peers[4], peers[1] } do
      peers[1]:eval "share:set('count', {})"
      local watch = watcher == peers[1] and HOST or ASK
      local joiner, ms, counts, longest, work = join(peers, scale.crowd_keys, watcher, watch)
      times[#times + 1] = ms
      entries = entries + counts[1] + counts[2]
      if watcher == peers[1] then
        turns[n], works[n] = longest, work
      else
        gaps[n] = longest
      end
      check(peers, joiner, counts)
      joiner:leave()
    end
  end
  local function add(name, value, unit, goal) report:add(where, name, value, unit, nil, goal) end
  add(("join with %d keys, two clients write"):format(scale.crowd_keys), median(times), "ms")
  add("join, patches decided meanwhile, all checked", entries / (2 * scale.crowd_joins), "")
  add("join, longest pause between answers of the host", median(gaps), "ms", "below 5 ms")
  add("join, longest turn of the host, clock", median(turns), "ms", "below 5 ms")
  add("join, longest turn of the host, its thread ran", median(works), "ms", "below 5 ms")
end
