-- soak.lua [SECONDS] [SEED]: groups under fire (chaos.lua) until time is up. First 100 hosts are
-- killed in a row, then rounds in which everything happens at random, each with a seed of its own
-- that is printed. A failure ends it.
local root <const> = (arg[0]:match "^(.*)/[^/]*$" or ".") .. "/../.."
package.path = root .. "/?.lua;" .. package.path

local uv = require "luv"
local chaos = require "spec.support.chaos"

local KILLS <const>, KILL_SECONDS <const>, ROUND_SECONDS <const> = 100, 600, 20
local seconds <const> = tonumber(arg[1]) or 60
local seed <const> = tonumber(arg[2]) or os.time()
io.stdout:setvbuf "line"
print(("soak: %d seconds, seed %d"):format(seconds, seed))

local ends <const> = uv.hrtime() + seconds * 1e9
local kills <const> = chaos.kill_hosts(seed, KILLS, KILL_SECONDS)
print("hosts killed in a row: " .. chaos.describe(kills))

local sum, rounds = {}, 0
while uv.hrtime() < ends do
  rounds = rounds + 1
  local left <const> = (ends - uv.hrtime()) / 1e9
  local tally <const> = chaos.run(seed + rounds, math.min(ROUND_SECONDS, left))
  print(("round %d, seed %d: %s"):format(rounds, seed + rounds, chaos.describe(tally)))
  for name, count in pairs(tally) do sum[name] = (sum[name] or 0) + count end
end
print(("%d rounds: %s"):format(rounds, chaos.describe(sum)))
