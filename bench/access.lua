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
    local deep, sum = t.deep.deep, 0
    for _ = 1, n do sum = sum + deep.a end
    return sum
  end)
  both("read a field by its whole path", rounds, function(t, n)
    local sum = 0
    for _ = 1, n do sum = sum + t.deep.deep.a end
    return sum
  end)
  both("read one of 1,000 elements", rounds, function(t, n)
    local list, sum = t.list, 0
    for i = 1, n do sum = sum + list[i % 1000 + 1] end
    return sum
  end)
  both("visit one of 1,000 elements with pairs", rounds, function(t, n)
    local list, sum = t.list, 0
    for _ = 1, n // 1000 + 1 do
      for _, value in pairs(list) do sum = sum + value end
    end
    return sum
  end)
  share:flush(30)

  -- What the script waits for: the view changed and the patch queued. The flushes are not counted.
  local function assignments(name, t, key)
    local rows = {}
    for row = 1, rounds // 1000 do
      local began = hrtime()
      for i = 1, 400 do t[key] = i end
      rows[row] = (hrtime() - began) / 400
      share:flush(30)
    end
    table.sort(rows)
    results[name] = rows[#rows // 2 + 1]
  end
  assignments("raw assign to a field", raw, "a")
  assignments("assign to a field", data, "a")
  assignments("raw assign three levels down", raw.deep.deep, "a")
  assignments("assign three levels down", data.deep.deep, "a")
  both("assign, decided, polled", rounds // 10, function(t, n)
    for i = 1, n do
      t.a = i
      if i % 1000 == 0 then share:poll(0) end
    end
    share:flush(30)
  end)

  local big = {}
  for n = 1, 100000 do big["key" .. n] = n end
  raw.big = big
  assert(share:replace(raw):wait(30))
  both("visit one of 100,000 keys with pairs", 100000, function(t)
    local sum = 0
    for _, value in pairs(t.big) do sum = sum + value end
    return sum
  end)

  -- A full collection with 100,000 proxies, before and after all were read often enough.
  local rows, kept = {}, {}
  for n = 1, 100000 do rows[n] = { x = n } end
  data.rows = rows
  rows = nil
  for n, proxy in pairs(data.rows) do kept[n] = proxy end
  local function collect()
    collectgarbage()
    local best = math.huge
    for _ = 1, 5 do
      local began = hrtime()
      collectgarbage()
      best = math.min(best, hrtime() - began)
    end
    return best / 1e6
  end
  local before = collect()
  for _, proxy in ipairs(kept) do
    for _ = 1, 10 do local _ = proxy.x end
  end
  results["collect 100,000 proxies"], results["raw collect 100,000 proxies"] = collect(), before
  return results]]

-- Name, unit, goal.
local ROWS <const> = {
  { "read a field", "ns", "factor at most 2.86 (0.35 of the reads)" },
  { "read a field three levels down", "ns", "factor at most 2.86 (0.35 of the reads)" },
  { "read a field by its whole path", "ns" },
  { "read one of 1,000 elements", "ns" },
  { "visit one of 1,000 elements with pairs", "ns" },
  { "visit one of 100,000 keys with pairs", "ns", "factor at most 3.33 (0.3 of the keys)" },
  { "assign to a field", "ns", "at most 400 ns" },
  { "assign three levels down", "ns" },
  { "assign, decided, polled", "ns" },
  { "collect 100,000 proxies", "ms", "at most 3 ms more than raw" },
}

return function(report, where, scale)
  local peers <close> = cluster.start {
    count = 1, before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
  local results = peers[1]:eval(MEASURE, scale.accesses)
  for _, row in ipairs(ROWS) do
    local name, unit, goal = table.unpack(row)
    local label = name
      .. (unit == "ms" and " with caches (raw: without)"
      or ", proxy (raw: table)")
    report:add(where, label, results[name], unit, results["raw " .. name], goal)
  end
end
