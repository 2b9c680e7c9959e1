-- The benchmark: prints a table and writes bench/results/latest.json.
--
--   bench/run [--quick] [--peers] [PART ...]
--
--   --quick   fewer repetitions: under a minute instead of about ten
--   --peers   afterwards run ../shared/peers/run, which measures other ways to share (minutes)
--   PART      latency, throughput, takeover, locks, ...: only these (see PARTS)
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
  round_trips = 20000, assignments = 200000, joins = 5, kills = 100, accesses = 2000000,
  raw_round_trips = 20000, raw_frames = 2000000, raw_kills = 50, update_rounds = 41,
  busy_rounds = 5, busy_seconds = 2, crowd_joins = 3, crowd_keys = 1000000, isolation_rounds = 3,
  isolation_bytes = 1 << 30, sets = 10000000, opens = 10000,
}
local QUICK <const> = {
  round_trips = 2000, assignments = 20000, joins = 1, kills = 20, accesses = 200000,
  raw_round_trips = 2000, raw_frames = 500000, raw_kills = 10, update_rounds = 5,
  busy_rounds = 1, busy_seconds = 1, crowd_joins = 1, crowd_keys = 100000, isolation_rounds = 1,
  isolation_bytes = 64 << 20, sets = 200000, opens = 300,
}

-- What is measured, in order, and where.
local BOTH <const> = { "one core", "free" }
local PARTS <const> = {
  { "latency", BOTH }, { "throughput", BOTH }, { "busy", { "free" } }, { "takeover", { "free" } },
  { "locks", { "free" } }, { "calls", BOTH },
  { "join", { "free" } }, { "crowd", { "free" } }, { "isolation", { "free" } },
  { "endurance", { "free" } }, { "access", { "one core" } }, { "hooks", { "one core" } },
  { "updates", BOTH }, { "scaling", BOTH }, { "poll", { "one core" } },
}

local options <const>, chosen <const> = {}, {}
local function usage()
  io.stderr:write("usage: bench/run [--quick] [--peers] [PART ...]\n")
  os.exit(2)
end
for _, option in ipairs(arg) do
  local known = option == "--quick" or option == "--peers"
  for _, part in ipairs(PARTS) do
    if option == part[1] then known, chosen[option], chosen[1] = true, true, true end
  end
  if not known then usage() end
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
    takeover = scale.raw_kills } do
    local out = run_at(where, raw.path, what, ("%d"):format(count))
    for name, value in out:gmatch "(%S+) (%S+) %S+\n" do
      report:limit(where, name, tonumber(value))
    end
  end
end

local began <const> = uv.hrtime()
reports.print_head()
for _, where in ipairs(BOTH) do measure_raw(where) end
for _, part in ipairs(PARTS) do
  for _, where in ipairs(chosen[1] and not chosen[part[1]] and {} or part[2]) do
    require("bench." .. part[1])(report, where, scale, function(name, ...)
      return run_at(where, build .. "/bench/" .. name, ...)
    end)
  end
end

local results <const> = root .. "/bench/results"
uv.fs_mkdir(results, tonumber("755", 8))
report:draw(results)
local seconds <const> = (uv.hrtime() - began) / 1e9
report:save(results .. "/latest.json", { quick = options["--quick"] or false, seconds = seconds })
print(("\n%.0f seconds; figures: bench/results/latest.json, plots beside it"):format(seconds))

if options["--peers"] then
  local peers = root .. "/../shared/peers/run"
  if uv.fs_access(peers, "X") then
    os.execute(("REPS=1 TRIALS=2 '%s'"):format(peers))
  else
    print("no " .. peers .. " here")
  end
end
