-- Calls: a question to another process and its answer, each through the host; next to twice the
-- hops of raw sockets. And what a rule, or a schema, costs the host for each patch.
local cluster = require "spec.support.cluster"

local ANSWER <const> = [[
  local over = false
  share:handle("echo", function(n) return n end)
  share:on("over", function(new) over = new end)
  assert(share:flush(10))
  data.ready = true
  while not over do share:poll(1) end]]
local HOST <const> = [[
  local over = false
  share:on("over", function(new) over = new end)
  while not over do share:poll(1) end]]
local ASK <const> = [[
  local to, total = ...
  local hrtime = require "luv".hrtime
  assert(share:wait_for("ready", nil, 10))
  local times = {}
  for n = 1, total do
    local began = hrtime()
    assert(share:call("echo", n, { to = to, timeout = 10 }) == n)
    times[n] = (hrtime() - began) / 1e3
  end
  data.over = true
  share:flush(10)
  table.sort(times)
  return { times[total // 2 + 1], times[math.ceil(total * 0.99)] }]]

local function before(where)
  return where == "one core" and { "taskset", "-c", "0" } or nil
end

local function measure_calls(report, where, scale, name, count, limit)
  local peers <close> = cluster.start { count = count, before = before(where) }
  local answering = peers[count == 2 and 1 or 2]
  local id = answering:eval "return share.id"
  local waiting = { answering:start(ANSWER) }
  if count == 3 then waiting[2] = peers[1]:start(HOST) end
  local found = peers[count]:start(ASK, id, scale.round_trips // 4):wait(90000)
  for _, answer in ipairs(waiting) do answer:wait() end
  local raw = report.raw[where .. " " .. limit .. ".p50"]
  report:add(where, "call " .. name .. ", round trip, median", found[1], "us", 2 * raw)
  report:add(where, "call " .. name .. ", round trip, 99th percentile", found[2], "us")
end

local WRITE <const> = [[
  local total = ...
  local hrtime = require "luv".hrtime
  local began = hrtime()
  for n = 1, total do data.n = n end
  assert(share:flush(60))
  return (hrtime() - began) / total / 1e3]]
local RULES <const> = [[
  rule("n", function(new) return math.type(new) == "integer", "no integer" end)]]

-- The host writes, so that the rules are all that is added.
local function measure_rules(report, where, scale)
  local peers <close> = cluster.start { count = 1, before = before(where) }
  local total <const> = scale.assignments // 4
  local plain = peers[1]:eval(WRITE, total)
  local function add(name, code, ...)
    peers[1]:eval(code, ...)
    local took = peers[1]:eval(WRITE, total)
    report:add(where, "a write of the host with " .. name, took, "us", plain)
  end
  report:add(where, "a write of the host", plain, "us")
  add("a schema", "assert(share:schema({ n = { type = 'integer', min = 0 } }):wait(5))")
  peers[1]:eval "assert(share:schema(nil):wait(5))"
  add("a rule in Lua", "assert(share:rules(...):wait(5))", RULES)
end

return function(report, where, scale)
  measure_calls(report, where, scale, "of the host", 2, "hop")
  measure_calls(report, where, scale, "of a client", 3, "star")
  measure_rules(report, where, scale)
end
