-- Witnesses (witness.lua) of one share to whom everything happens that can happen to processes:
-- killed, sent away, stopped and resumed, one by one or together, while others join. The same seed
-- draws the same actions; when they strike differs from run to run.
local uv = require "luv"
local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"
local process = require "spec.support.process"
local witness = require "spec.support.witness"

local M = {}

local PEERS <const> = 6
local RUNNING_MIN <const> = 2 -- peers that are neither stopped nor killed by an action
local WATCHER_ONE_IN <const> = 4

-- How long something lasts is up to the seed; nothing is expected to have happened by then.
local function pause(ms) process.wait(function() return false end, ms) end

-- ---------------------------------------------------------------- the group

local Group = {}
Group.__index = Group

-- Who says so just now; there may be none.
local function host_of(peers)
  for _, peer in ipairs(peers) do
    if peer:eval "return share:is_host()" then return peer end
  end
end

-- A peer of the share becomes a witness.
function Group:enlist(peer)
  local who = peer.number
  local path = ("%s/%d.journal"):format(self.journals, who)
  self.paths[who] = path
  assert(io.open(path, "w")):close()
  local watches = who > 1 and math.random(WATCHER_ONE_IN) == 1
  peer.watches = watches
  peer:eval([[
    local who, path, seed, watches = ...
    writer = require("spec.support.witness").begin(who, path, seed, watches)]],
    who, path, self.seed, watches)
  return peer
end

function Group:running()
  local list = {}
  for _, peer in ipairs(self.peers) do
    if not peer.process.stopped then list[#list + 1] = peer end
  end
  return list
end

---A peer that runs, the host half of the time; nil when too few would be left without `count`.
function Group:pick(count)
  local running = self:running()
  if #running - (count or 1) < RUNNING_MIN then return nil end
  local host = math.random(2) == 1 and host_of(running)
  return host or running[math.random(#running)]
end

function Group:refill()
  while #self.peers < PEERS do self:enlist(self.peers:add()) end
end

-- Those that run and write.
function Group:writers()
  local list = self:running()
  for i = #list, 1, -1 do
    if list[i].watches then table.remove(list, i) end
  end
  return list
end

---All writers get decisions: whatever happened, the group goes on.
function Group:progress()
  local writers = self:writers()
  for _, peer in ipairs(writers) do peer:eval "decided_before = writer.first" end
  for _, peer in ipairs(writers) do peer:await "writer.first > decided_before" end
end

function Group:resume()
  for _, peer in ipairs(self.peers) do
    if peer.process.stopped then peer:kill "SIGCONT" end
  end
end

---Nobody writes for the moment, all is settled, all replicas are equal.
function Group:compare()
  self:resume()
  self.peers:each "writer:pause()"
  for _, peer in ipairs(self.peers) do peer:await "writer:undecided() == 0" end
  self.peers:settle()
end

---The last comparison, and the verdict over all journals.
function Group:judge()
  self:compare()
  local tally = witness.judge(self.paths, self.peers[1]:eval "return memshare.copy(data)")
  for name, count in pairs(self.counts) do tally[name] = count end
  return tally
end

function Group:close()
  self.peers:close()
  process.remove_directory(self.journals)
end

Group.__close = Group.close

---@param seed integer
---@param options table? of memshare.open
function M.start(seed, options)
  math.randomseed(seed)
  local self = setmetatable({ seed = seed, counts = {}, paths = {} }, Group)
  self.journals = process.directory()
  self.peers = cluster.start { count = PEERS, defaults = witness.DEFAULTS, options = options }
  for _, peer in ipairs(self.peers) do self:enlist(peer) end
  return self
end

-- ---------------------------------------------------------------- what happens to it

local actions = {}

function actions.kill(group)
  local victim = group:pick()
  if victim then victim:kill "SIGKILL" end
end

actions["kill two"] = function(group)
  local one, two = group:pick(2), group:pick(2)
  if not one then return end
  one.process:kill "SIGKILL" -- both are gone before either is waited for
  two:kill "SIGKILL"
  if one ~= two then one:kill "SIGKILL" end
end

function actions.leave(group)
  local peer = group:pick()
  if peer then peer:leave() end
end

actions["settle and leave"] = function(group)
  local peer = group:pick()
  if not peer then return end
  peer:eval "writer:pause()"
  peer:await "writer:undecided() == 0"
  peer:leave()
end

function actions.stall(group)
  local peer = group:pick()
  if not peer then return end
  peer:kill "SIGSTOP"
  pause(math.random(200))
  peer:kill "SIGCONT"
end

-- Stays stopped while other things happen.
function actions.hang(group)
  local peer = group:pick()
  if peer then peer:kill "SIGSTOP" end
end

function actions.resume(group) group:resume() end

actions["suspend all"] = function(group)
  local peers = group:running()
  for _, peer in ipairs(peers) do peer:kill "SIGSTOP" end
  pause(math.random(800))
  for _ = 1, #peers do table.remove(peers, math.random(#peers)):kill "SIGCONT" end
end

actions["join together"] = function(group)
  local joiners, answers = {}, {}
  for i = 1, 3 do joiners[i] = group.peers:spawn() end
  for i, peer in ipairs(joiners) do answers[i] = peer:start_open() end
  for i, peer in ipairs(joiners) do
    peer.id = answers[i]:wait()
    group:enlist(peer)
  end
end

actions["kill a joiner"] = function(group)
  local joiner = group.peers:spawn()
  joiner:start_open()
  pause(math.random(30))
  joiner:kill "SIGKILL"
end

-- Also while the host is hung or about to die; nobody joins, and so founds beside the group, before
-- the files are there again.
actions["remove files"] = function(group)
  local directory = group.peers.directory
  if math.random(3) == 1 then
    assert(uv.fs_unlink(directory .. "/world.group"))
  else
    -- At once, so that nothing that is made anew falls to the same removal.
    assert(uv.fs_rename(directory, directory .. "-gone"))
    process.remove_directory(directory .. "-gone")
  end
  if math.random(2) == 1 then
    pause(math.random(0, 100))
    actions.kill(group)
  end
  eventually(function()
    for _, kind in ipairs { "group", "log", "sock" } do
      assert(#group.peers:files("%." .. kind .. "$") > 0, kind .. ": not made anew")
    end
  end, { within_ms = 10000 })
end

local names <const> = {
  "kill", "kill", "kill", "kill two", "leave", "settle and leave", "stall", "stall", "hang", "hang",
  "resume", "resume", "suspend all", "join together", "kill a joiner", "remove files",
}

-- A group of more than twice its size loses members before it gets new ones.
local function draw(group)
  return #group.peers >= 2 * PEERS and "kill" or names[math.random(#names)]
end

local function with_logs(group, fn, ...)
  local results = table.pack(xpcall(fn, debug.traceback, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  io.stderr:write(group.peers:logs(), "\n")
  error(("seed %d: %s"):format(group.seed, results[2]), 0)
end

---Everything at random until time is up; returns what was looked at, and how often what was done.
---@param seed integer
---@param seconds number
---@return table<string, integer>
function M.run(seed, seconds)
  local group <close> = M.start(seed, { host_timeout = 0.5 })
  local ends = uv.hrtime() + seconds * 1e9
  return with_logs(group, function()
    while uv.hrtime() < ends do
      local name = draw(group)
      group.counts[name] = (group.counts[name] or 0) + 1
      actions[name](group)
      group:refill()
      group:progress()
    end
    return group:judge()
  end)
end

---One host after the other is killed, `count` of them or as many as fit into the time. After each
---all replicas are compared.
---@param seed integer
---@param count integer
---@param seconds number
---@return table<string, integer>
function M.kill_hosts(seed, count, seconds)
  local group <close> = M.start(seed)
  local ends = uv.hrtime() + seconds * 1e9
  local kills = 0
  return with_logs(group, function()
    while kills < count and uv.hrtime() < ends do
      local host = group.peers:host()
      local term = host:eval "return share:stats().term"
      group:progress()
      pause(math.random(10)) -- any moment of a patch on its way
      host:kill "SIGKILL"
      kills = kills + 1
      group:progress()
      group:compare()
      assert(group.peers[1]:eval "return share:stats().term" > term, "nobody has taken over")
      group.peers:each "writer:resume()"
      group:refill()
    end
    group.counts.kills = kills
    return group:judge()
  end)
end

---The tally as a line for people.
---@param tally table<string, integer>
---@return string
function M.describe(tally)
  local parts = {}
  for name, count in pairs(tally) do parts[#parts + 1] = ("%d %s"):format(count, name) end
  table.sort(parts, function(a, b) return a:match "%a.*" < b:match "%a.*" end)
  return table.concat(parts, ", ")
end

return M
