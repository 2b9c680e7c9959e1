-- Reading and writing through a proxy next to a raw table, in a process that is its own host.
local cluster = require "spec.support.cluster"

local MEASURE <const> = [[
  local rounds = ...
  local hrtime = require "luv".hrtime
  local raw = { a = 1, deep = { deep = { a = 1 } }, list = {} }
  for n = 1, 1000 do raw.list[n] = n end
  assert(share:replace(raw):wait(5))

  local results = {}
  local function time(name, count, body)
    body(count // 10 + 1)
    local best = math.huge
    for _ = 1, 3 do
      local began = hrtime()
      body(count)
      best = math.min(best, (hrtime() - began) / count)
    end
    results[name] = best
  end
  local function both(name, count, body)
    time("raw " .. name, count, function(n) body(raw, n) end)
    time(name, count, function(n) body(data, n) end)
  end

  both("read a field", rounds, function(t, n)
    local sum = 0
    for _ = 1, n do sum = sum + t.a end
    return sum
  end)
  both("read a field three levels down", rounds, function(t, n)
    local sum = 0
    for _ = 1, n do sum = sum + t.deep.deep.a end
    return sum
  end)
  both("read an element of an array", rounds, function(t, n)
    local list, sum = t.list, 0
    for i = 1, n do sum = sum + list[i % 1000 + 1] end
    return sum
  end)
  both("visit an element with pairs", rounds, function(t, n)
    local list, sum = t.list, 0
    for _ = 1, n // 1000 + 1 do
      for _, value in pairs(list) do sum = sum + value end
    end
    return sum
  end)
  both("assign to a field", rounds // 10, function(t, n)
    for i = 1, n do
      t.a = i
      if i % 1000 == 0 then share:poll(0) end
    end
    share:flush(30)
  end)
  return results]]

local NAMES <const> = {
  "read a field", "read a field three levels down", "read an element of an array",
  "visit an element with pairs", "assign to a field",
}

return function(report, where, scale)
  local peers <close> = cluster.start {
    count = 1, before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
  local results = peers[1]:eval(MEASURE, scale.accesses)
  for _, name in ipairs(NAMES) do
    report:add(where, name .. ", proxy (raw: table)", results[name], "ns", results["raw " .. name])
  end
end
