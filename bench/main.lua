-- The benchmark: prints a table and writes bench/results/latest.json.
--
--   bench/run [--quick] [--peers]
--
--   --quick   fewer repetitions: under 40 seconds instead of 3 minutes
--   --peers   afterwards run ../shared/peers/run, which measures other ways to share (minutes)
--
-- Latencies and rates are taken twice. `one core`: all processes pinned to one core, which compares
-- software. `free`: the scheduler places them, and waking another core may cost more than all the
-- software. `raw` is what the kernel alone allows (raw.c), measured in the same run; `factor` says
-- how far away that is.
local root <const> = (arg[0]:match "^(.*)/[^/]*$" or ".") .. "/.."
local build <const> = os.getenv "MEMSHARE_BUILD" or root .. "/build"
package.path = root .. "/?.lua;" .. package.path

local uv = require "luv"
local process = require "spec.support.process"

local FULL <const> = {
  round_trips = 20000, assignments = 200000, joins = 5, kills = 20, accesses = 2000000,
  raw_round_trips = 20000, raw_frames = 2000000, update_rounds = 41,
}
local QUICK <const> = {
  round_trips = 2000, assignments = 20000, joins = 1, kills = 5, accesses = 200000,
  raw_round_trips = 2000, raw_frames = 500000, update_rounds = 5,
}

local options <const> = {}
for _, option in ipairs(arg) do
  if option ~= "--quick" and option ~= "--peers" then
    io.stderr:write("usage: bench/run [--quick] [--peers]\n")
    os.exit(2)
  end
  options[option] = true
end
local scale <const> = options["--quick"] and QUICK or FULL

-- Runs a program to its end and returns what it printed.
local function run(program, ...)
  local child <close> = process.spawn(program, { ... })
  if not child:wait_exit(120000) or child.code ~= 0 then
    error(("%s %s\n%s"):format(program, child:describe_end(), child.log), 0)
  end
  return child.out
end

local directory <const> = process.directory()
local raw <close> = setmetatable({ path = directory .. "/raw" }, { __close = function()
  process.remove_directory(directory)
end })
run("cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", raw.path, root .. "/bench/raw.c")

local reports <const> = require "bench.report"
local report <const> = reports.new()

-- On the core that everything is pinned to, or wherever the scheduler places it.
local function run_at(where, program, ...)
  if where == "one core" then return run("taskset", "-c", "0", program, ...) end
  return run(program, ...)
end

local function measure_raw(where)
  for what, count in pairs { latency = scale.raw_round_trips, rate = scale.raw_frames,
    takeover = 20 } do
    local out = run_at(where, raw.path, what, ("%d"):format(count))
    for name, value in out:gmatch "(%S+) (%S+) %S+\n" do
      report:limit(where, name, tonumber(value))
    end
  end
end

local began <const> = uv.hrtime()
reports.print_head()
for _, where in ipairs { "one core", "free" } do
  measure_raw(where)
  require "bench.latency"(report, where, scale)
  require "bench.throughput"(report, where, scale)
end
require "bench.takeover"(report, "free", scale)
require "bench.join"(report, "free", scale)
require "bench.access"(report, "one core", scale)
for _, where in ipairs { "one core", "free" } do
  require "bench.updates"(report, where, scale, function(...)
    return run_at(where, build .. "/bench/bench_updates", ...)
  end)
end

local results <const> = root .. "/bench/results"
uv.fs_mkdir(results, tonumber("755", 8))
local seconds <const> = (uv.hrtime() - began) / 1e9
report:save(results .. "/latest.json", { quick = options["--quick"] or false, seconds = seconds })
print(("\n%.0f seconds; the figures are in bench/results/latest.json"):format(seconds))

if options["--peers"] then
  local peers = root .. "/../shared/peers/run"
  if uv.fs_access(peers, "X") then
    os.execute(("REPS=1 TRIALS=2 '%s'"):format(peers))
  else
    print("no " .. peers .. " here")
  end
end
