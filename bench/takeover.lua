-- From kill -9 of the host to the first accepted write of the survivors, of which there are three.
local uv = require "luv"
local cluster = require "spec.support.cluster"

local PREPARE <const> = [[
  term = share:stats().term
  share:on_status(function() end) -- a change of status ends a poll]]

local SURVIVE <const> = [[
  local hrtime = require "luv".hrtime
  while share:stats().term == term do share:poll(1) end
  local heard = hrtime()
  assert(share:set("survivor." .. share.id, term):wait(10))
  return heard, hrtime()]]

return function(report, where, scale)
  local peers <close> = cluster.start { count = 4 }
  local first, all = {}, {}
  for kill = 1, scale.kills do
    local host, survivors = peers:host(), peers:clients()
    local answers = {}
    for i, peer in ipairs(survivors) do
      peer:eval(PREPARE)
      answers[i] = peer:start(SURVIVE)
    end
    local began = uv.hrtime()
    host:kill "SIGKILL"
    local earliest, latest = math.huge, 0
    for _, answer in ipairs(answers) do
      local _, accepted = answer:wait()
      earliest, latest = math.min(earliest, accepted), math.max(latest, accepted)
    end
    first[kill], all[kill] = (earliest - began) / 1e6, (latest - began) / 1e6
    peers:add()
  end
  table.sort(first)
  table.sort(all)
  local middle = scale.kills // 2 + 1
  report:add(where, "takeover, kill -9 to the first accepted write, median", first[middle], "ms",
    "takeover.p50")
  report:add(where, "takeover, kill -9 to writes of all survivors, median", all[middle], "ms",
    "takeover.p50")
  report:add(where, "takeover, the slowest of " .. scale.kills, all[#all], "ms")
end
