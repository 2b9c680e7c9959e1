-- What a stopped reader costs the others. Two clients write as fast as they can, first without a
-- third one, then while a third one is stopped: SIGSTOP, as by a debugger. The rounds take turns.
-- Then it is resumed, and the time counts until it sees what all others see.
local uv = require "luv"
local cluster = require "spec.support.cluster"
local process = require "spec.support.process"

local VALUE_BYTES <const> = 8192

-- Bytes until the last one of this writer is decided; returns seconds.
local WRITE <const> = [[
  local who, bytes, size = ...
  local hrtime = require "luv".hrtime
  local values = {}
  for n = 1, 8 do values[n] = tostring(n):rep(size) end
  local began = hrtime()
  for n = 1, bytes // size do
    share:set({ who, "key" .. n % 64 }, values[n % 8 + 1])
    if n % 256 == 0 then assert(share:flush(60)) end
  end
  assert(share:flush(60))
  return (hrtime() - began) / 1e9]]

-- The memory of a process that no file backs, in MB: what it allocated.
local function allocated(peer)
  local file <close> = assert(io.open(("/proc/%d/status"):format(peer.pid)))
  return tonumber(file:read "a":match "RssAnon:%s*(%d+)") / 1024
end

-- Both write `bytes` each. Returns MB per second and the most memory the host was seen with.
local function write(peers, bytes)
  local began = uv.hrtime()
  local writing = {}
  for n = 1, 2 do
    writing[n] = peers[n + 1]:start(WRITE, "writer" .. n, bytes, VALUE_BYTES)
  end
  local peak = 0
  while not (writing[1]:arrived() and writing[2]:arrived()) do
    process.turn(20)
    peak = math.max(peak, allocated(peers[1]))
    assert(uv.hrtime() - began < 120e9, "the writers do not come to an end")
  end
  for n = 1, 2 do writing[n]:wait() end
  return 2 * bytes / (uv.hrtime() - began) * 1e3, peak
end

local function median(list)
  table.sort(list)
  return list[#list // 2 + 1]
end

return function(report, where, scale)
  local peers <close> = cluster.start { count = 3 }
  write(peers, scale.isolation_bytes // 8)
  local alone, beside, level, usual, peak = {}, {}, {}, 0, 0
  local memory
  for round = 1, scale.isolation_rounds do
    alone[round], memory = write(peers, scale.isolation_bytes // 2)
    usual = math.max(usual, memory)
    local reader = peers:add()
    peers:settle()
    reader:kill "SIGSTOP"
    beside[round], memory = write(peers, scale.isolation_bytes // 2)
    peak = math.max(peak, memory)
    local resumed = uv.hrtime()
    reader:kill "SIGCONT"
    local version = peers[1]:eval "return share:version()"
    reader:await(("share:version() >= %d"):format(version))
    level[round] = (uv.hrtime() - resumed) / 1e6
    peers:settle()
    reader:leave()
  end
  local rate, undisturbed = median(beside), median(alone)
  report:add(where, "isolation, two writers with a stopped reader", rate, "MB/s", undisturbed,
    "factor at most 1.25")
  report:add(where, "isolation, most memory of the host", peak, "MB", usual, "34 MB above raw")
  report:add(where, "isolation, until the resumed reader is level", median(level), "ms")
end
