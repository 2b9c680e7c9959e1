-- soak.lua [SECONDS] [SEED]: writers that are killed, stalled, sent away and replaced at random,
-- until time is up; every few seconds all replicas are compared and all promises checked.
local root <const> = (arg[0]:match "^(.*)/[^/]*$" or ".") .. "/../.."
package.path = root .. "/?.lua;" .. package.path

local uv = require "luv"
local cluster = require "spec.support.cluster"
local journals = require "spec.support.journals"
local process = require "spec.support.process"

local PEERS <const>, ROUND_SECONDS <const> = 5, 5
local seconds <const> = tonumber(arg[1]) or 60
local seed <const> = tonumber(arg[2]) or os.time()
math.randomseed(seed)
print(("soak: %d seconds, seed %d"):format(seconds, seed))

local counts <const> = { kill = 0, ["kill two"] = 0, leave = 0, stall = 0, ["nothing"] = 0 }

local function any(peers) return peers[math.random(#peers)] end

local actions <const> = {
  ["kill"] = function(peers) any(peers):kill "SIGKILL" end,
  ["kill two"] = function(peers)
    any(peers):kill "SIGKILL"
    any(peers):kill "SIGKILL"
  end,
  ["leave"] = function(peers)
    local peer = any(peers)
    peer:eval "writer.stopped = true"
    peer:await "writer.pending() == 0"
    peer:leave()
  end,
  ["stall"] = function(peers)
    local peer = any(peers)
    peer:kill "SIGSTOP"
    process.wait(function() return false end, math.random(200))
    peer:kill "SIGCONT"
  end,
  ["nothing"] = function() process.wait(function() return false end, math.random(100)) end,
}
local names <const> = { "kill", "kill", "kill two", "leave", "stall", "stall", "nothing" }

-- One group from its beginning to a check at the end; returns how many patches were accepted.
local function round(ends)
  local peers <close> = cluster.start { count = PEERS, defaults = journals.DEFAULTS }
  local ok, result = xpcall(function()
    local writers = journals.new(peers)
    for _, peer in ipairs(peers) do writers.begin(peer) end
    while uv.hrtime() < ends do
      local name = names[math.random(#names)]
      counts[name] = counts[name] + 1
      actions[name](peers)
      while #peers < PEERS do writers.begin(peers:add()) end
      writers.await_accepted(math.random(20))
    end
    writers.stop()
    return writers.check()
  end, debug.traceback)
  if not ok then
    io.stderr:write(peers:logs(), "\n")
    error(result, 0)
  end
  return result
end

local ends <const> = uv.hrtime() + seconds * 1e9
local accepted, rounds = 0, 0
while uv.hrtime() < ends do
  accepted = accepted + round(math.min(ends, uv.hrtime() + ROUND_SECONDS * 1e9))
  rounds = rounds + 1
end
local done = {}
for name, count in pairs(counts) do done[#done + 1] = count .. " x " .. name end
table.sort(done)
print(("%d rounds, %d patches accepted and kept; %s"):format(rounds, accepted,
  table.concat(done, ", ")))
