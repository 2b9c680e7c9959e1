-- From kill -9 of the host to the first accepted write of the survivors, of which there are three,
-- and until each of them has a write accepted; again and again in one group.
local uv = require "luv"
local cluster = require "spec.support.cluster"

local PREPARE <const> = [[
  term = share:stats().term
  share:on_status(function() end) -- a change of status ends a poll]]

-- Who has written goes on polling, as programs do, until all have.
local SURVIVE <const> = [[
  local survivors = ...
  local hrtime = require "luv".hrtime
  local key = "after" .. term
  while share:stats().term == term do share:poll(1) end
  assert(share:set({ key, share.id }, true):wait(10))
  local accepted = hrtime()
  while memshare.count(data[key]) < survivors do share:poll(1) end
  return accepted]]

-- Kills the host; returns the milliseconds to the first and to the last accepted write.
local function kill_host(peers)
  local host, survivors = peers:host(), peers:clients()
  local answers = {}
  for i, peer in ipairs(survivors) do
    peer:eval(PREPARE)
    answers[i] = peer:start(SURVIVE, #survivors)
  end
  local began = uv.hrtime()
  host:kill "SIGKILL"
  local earliest, latest = math.huge, 0
  for _, answer in ipairs(answers) do
    local accepted = answer:wait()
    earliest, latest = math.min(earliest, accepted), math.max(latest, accepted)
  end
  return (earliest - began) / 1e6, (latest - began) / 1e6
end

return function(report, where, scale)
  local peers <close> = cluster.start { count = 4 }
  local first, all = {}, {}
  for kill = 1, scale.kills do
    first[kill], all[kill] = kill_host(peers)
    peers:add()
  end
  table.sort(first)
  table.sort(all)
  local middle = scale.kills // 2 + 1
  local function add(name, value, limit, goal)
    report:add(where, "takeover, " .. name, value, "ms", limit, goal)
  end
  add("kill -9 to the first accepted write, median", first[middle], "takeover.first",
    "factor at most 10")
  add("kill -9 to writes of all survivors, median", all[middle], "takeover.all",
    "factor at most 10")
  add(("first accepted write, slowest of %d"):format(#first), first[#first], "takeover.max",
    "below 50 ms")
  add(("writes of all survivors, slowest of %d"):format(#all), all[#all], "takeover.max",
    "below 50 ms")
end
