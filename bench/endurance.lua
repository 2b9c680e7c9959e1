-- What is left behind: by one key set again and again, and by a share opened and closed again and
-- again. Memory is what a process allocated; the mapped log, a file of 67 MB, is not counted.
local cluster = require "spec.support.cluster"
local process = require "spec.support.process"

local SEEN <const> = [[
  function resident()
    collectgarbage()
    collectgarbage()
    local file <close> = io.open "/proc/self/status"
    return tonumber(file:read "a":match "RssAnon:%s*(%d+)") / 1024
  end
  function descriptors()
    local uv, count = require "luv", 0
    local request = uv.fs_scandir "/proc/self/fd"
    while uv.fs_scandir_next(request) do count = count + 1 end
    return count
  end]]

local SET <const> = [[
  for n = 1, ... do
    data.key = n
    if n % 10000 == 0 then assert(share:flush(60)) end
  end
  assert(share:flush(60))]]

-- Another share than that of the cluster, hosted by this process, or joined.
local OPEN <const> = [[
  local name, count = ...
  for _ = 1, count do assert(memshare.open(name, { n = 0 }):close(10)) end
  return resident(), descriptors()]]

-- The host's tail of recent entries is full before the first one joins.
local HOST <const> = [[
  local name, sets = ...
  host = assert(memshare.open(name, { n = 0 }))
  for n = 1, sets do
    host.data.n = n
    if n % 10000 == 0 then host:poll(0) end
  end]]

local REST_MS <const> = 200 -- the host has let go of the last one's link by then
local SETS_BEFORE <const> = 100000 -- the tails of recent entries are full then
local WAIT_MS <const> = 1200000

local function measure_sets(report, where, scale)
  local peers <close> = cluster.start { count = 2 }
  peers:each(SEEN)
  peers[2]:start(SET, SETS_BEFORE):wait(WAIT_MS)
  peers:settle()
  local before = peers:each "return resident()"
  peers[2]:start(SET, scale.sets):wait(WAIT_MS)
  peers:settle()
  local after = peers:each "return resident()"
  local label = ("one key set %d times, growth of "):format(scale.sets)
  report:add(where, label .. "the host", after[1] - before[1], "MB", nil, "a few MB")
  report:add(where, label .. "the client", after[2] - before[2], "MB", nil, "a few MB")
end

local function look(peer)
  process.turn(REST_MS)
  return peer:eval "return { resident(), descriptors() }"
end

local function measure_opens(report, where, scale)
  local peers <close> = cluster.start { count = 2 }
  peers:each(SEEN)
  peers[1]:eval(HOST, "joined", SETS_BEFORE)
  for _, name in ipairs { "founded", "joined" } do
    local opener = peers[2]
    local memory, files = opener:start(OPEN, name, scale.opens // 5):wait(WAIT_MS)
    local host = look(peers[1])
    local memory_after, files_after = opener:start(OPEN, name, scale.opens):wait(WAIT_MS)
    local host_after = look(peers[1])
    local label = ("share %s and closed %d times, "):format(name, scale.opens)
    report:add(where, label .. "memory", memory_after - memory, "MB", nil, "none")
    report:add(where, label .. "descriptors", files_after - files, "", nil, "none")
    if name == "joined" then
      report:add(where, label .. "host's memory", host_after[1] - host[1], "MB", nil, "none")
      report:add(where, label .. "host's descriptors", host_after[2] - host[2], "", nil, "none")
    end
  end
end

return function(report, where, scale)
  measure_sets(report, where, scale)
  measure_opens(report, where, scale)
end
