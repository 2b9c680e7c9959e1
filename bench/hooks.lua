-- What hooks add to one change of an object with very many keys: assignment, poll and callback,
-- with the patterns that a script is likely to use. The raw figure is the same without any
-- subscription.
local cluster = require "spec.support.cluster"

local MEASURE <const> = [[
  local keys, rounds, patterns = ...
  local hrtime = require "luv".hrtime
  data.players = {}
  for first = 1, keys, 50000 do
    local set = {}
    for n = first, math.min(first + 49999, keys) do set["players.p" .. n] = n end
    assert(share:patch({ ["$set"] = set }):wait(60))
  end
  share:poll(0)
  local proxy, key = data.players, "p" .. keys // 2

  local function time(pattern, options)
    local calls = 0
    local sub = pattern and share:on(pattern, function() calls = calls + 1 end, options)
    local best = math.huge
    for _ = 1, 3 do
      local began = hrtime()
      for n = 1, rounds do
        proxy[key] = -n
        share:poll(0)
      end
      best = math.min(best, (hrtime() - began) / rounds)
      proxy[key] = keys
      assert(share:flush(30))
    end
    if sub then
      share:poll(0)
      sub:close()
      assert(calls >= 3 * rounds, calls)
    end
    return best / 1000
  end

  local results = { raw = time() }
  for i, pattern in ipairs(patterns) do
    results[i] = time((pattern:gsub("KEY", key)))
  end
  results.coalesce = time("players.*", { coalesce = true })
  return results]]

local PATTERNS <const> = { "players.KEY", "players.*", "players", "**" }

return function(report, where, scale)
  local peers <close> = cluster.start {
    count = 1, before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
  local results = peers[1]:eval(MEASURE, scale.crowd_keys, scale.assignments // 20, PATTERNS)
  local name <const> = ("a change among %d keys, heard by %%s"):format(scale.crowd_keys)
  for i, pattern in ipairs(PATTERNS) do
    report:add(where, name:format(pattern), results[i], "us", results.raw)
  end
  report:add(where, name:format "players.* (coalesce)", results.coalesce, "us", results.raw)
end
