-- Peers of one share as real processes (peer.lua), in a directory of their own.
--
--   local peers <close> = cluster.start { count = 3, defaults = { round = 0 } }
--   peers[1]:eval("data.round = ...", 1)
--   peers:host():kill "SIGKILL"
--
-- Closing asks every peer to leave, kills what does not, and removes the directory. A peer that
-- ended by itself, or badly, fails the spec. A failure shows the logs of the peers.
local cjson = require "cjson"
local uv = require "luv"
local process = require "spec.support.process"
local literal = require "spec.support.literal"

local ANSWER_MS <const> = 20000
local LEAVE_MS <const> = 5000

local M = {}

-- ------------------------------------------------------------------ peers

---@class support.Peer
---@field process support.Process
---@field pid integer
---@field number integer
---@field id any its share's peer id
local Peer = {}
Peer.__index = Peer

---An answer that is under way.
local Answer = {}
Answer.__index = Answer

function Answer:arrived() return self.reply ~= nil end

---Wait for the results of the command; what it raised is raised here.
function Answer:wait(within_ms)
  local peer = self.peer
  process.wait(function() return self.reply or peer.process.exited end, within_ms or ANSWER_MS)
  local reply = self.reply
  if not reply then
    local why = peer.process.exited and peer.process:describe_end() or "does not answer"
    error(("peer %d %s; asked: %s"):format(peer.number, why, self.code), 2)
  end
  if not reply.ok then error(("peer %d: %s"):format(peer.number, reply.error), 2) end
  local values = literal.read(reply.values)
  return table.unpack(values, 1, values.n)
end

local function spawn(cluster, number)
  local self = setmetatable({ number = number, cluster = cluster, waiting = {}, asked = 0 }, Peer)
  self.process = process.spawn(nil, { package.searchpath("spec.support.peer", package.path) }, {
    env = { MEMSHARE_DIR = cluster.directory, XDG_RUNTIME_DIR = false },
    before = cluster.before,
    on_line = function(line)
      local reply = cjson.decode(line)
      local answer = self.waiting[reply.id]
      self.waiting[reply.id] = nil
      answer.reply = reply
    end,
  })
  self.pid = self.process.pid
  return self
end

local function request(self, code, await, ...)
  self.asked = self.asked + 1
  local answer = setmetatable({ peer = self, code = code }, Answer)
  self.waiting[self.asked] = answer
  local args = literal.write { n = select("#", ...), ... }
  local message = { id = self.asked, code = code, args = args, await = await }
  self.process:write(cjson.encode(message) .. "\n")
  return answer
end

---Run Lua in the peer, `...` being the arguments; do not wait.
function Peer:start(code, ...) return request(self, code, nil, ...) end

---Run Lua in the peer and return what it returns.
function Peer:eval(code, ...) return self:start(code, ...):wait() end

---Open the share of the cluster; does not wait.
function Peer:start_open(changes)
  local cluster = self.cluster
  local options = {}
  for key, value in pairs(cluster.options) do options[key] = value end
  for key, value in pairs(changes or {}) do options[key] = value end
  return self:start("return open(...)", cluster.name, cluster.defaults, options)
end

function Peer:open(changes)
  self.id = self:start_open(changes):wait()
  return self
end

---Send a signal. SIGKILL returns once the process is gone.
function Peer:kill(signal)
  self.process:kill(signal)
  if signal == "SIGKILL" then
    self.process:wait_exit(10000)
    self.cluster:forget(self)
  end
end

---Leave in good order; returns once the process is gone.
function Peer:leave()
  self.process.expected = true
  self.process:close_stdin()
  if not self.process:wait_exit(LEAVE_MS) then
    error(("peer %d does not leave"):format(self.number), 2)
  end
  self.cluster:forget(self)
end

---The whole document as text, equal for equal documents.
function Peer:text() return self:eval "return text()" end

---Wait until `condition`, a Lua expression, holds in the peer, which polls meanwhile.
function Peer:await(condition, ...)
  return request(self, "return " .. condition, true, ...):wait()
end

-- ---------------------------------------------------------------- cluster

local Cluster = {}
Cluster.__index = Cluster

---One more process, not opened yet.
function Cluster:spawn()
  self.spawned = self.spawned + 1
  local peer = spawn(self, self.spawned)
  self.all[#self.all + 1] = peer
  self[#self + 1] = peer
  return peer
end

---One more peer of the share.
function Cluster:add(changes) return self:spawn():open(changes) end

---The processes that are in it drop to those not killed and not gone.
function Cluster:forget(peer)
  for i = #self, 1, -1 do
    if self[i] == peer then table.remove(self, i) end
  end
end

---The peer that orders patches now; waits until exactly one says so.
---@return support.Peer
function Cluster:host()
  local found
  local deadline = uv.hrtime() + 10e9
  repeat
    local hosts = {}
    for _, peer in ipairs(self) do
      if not peer.process.stopped and peer:eval "return share:is_host()" then
        hosts[#hosts + 1] = peer
      end
    end
    if #hosts == 1 then found = hosts[1] end
    if #hosts ~= 1 and uv.hrtime() > deadline then
      error(("%d of %d peers say they are host"):format(#hosts, #self), 2)
    end
  until found
  return found
end

---Those that are not the host, in order.
function Cluster:clients()
  local host, clients = self:host(), {}
  for _, peer in ipairs(self) do
    if peer ~= host then clients[#clients + 1] = peer end
  end
  return clients
end

---Run Lua in every peer at once; returns the first result of each.
function Cluster:each(code, ...)
  local answers, results = {}, {}
  for i, peer in ipairs(self) do answers[i] = peer:start(code, ...) end
  for i, answer in ipairs(answers) do results[i] = answer:wait() end
  return results
end

---Every peer sees all that is committed, and all documents are equal: returns their text.
function Cluster:settle()
  self:each "assert(share:flush(10))"
  self:each "assert(share:sync(10))"
  local texts = self:each "return text()"
  for i = 2, #texts do
    if texts[i] ~= texts[1] then
      error(("peers %d and %d differ:\n%.2000s\n%.2000s"):format(self[1].number, self[i].number,
        texts[1], texts[i]), 2)
    end
  end
  return texts[1]
end

---Names of files in the directory that match.
function Cluster:files(pattern)
  local found = {}
  for name in process.files(self.directory) do
    if name:find(pattern) then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

function Cluster:logs()
  local lines = {}
  for _, peer in ipairs(self.all) do
    lines[#lines + 1] = ("peer %d (pid %d, id %s) %s"):format(peer.number, peer.pid,
      tostring(peer.id), peer.process:describe_end())
    if peer.process.log ~= "" then lines[#lines + 1] = peer.process.log end
  end
  return table.concat(lines, "\n")
end

local function ended_badly(child)
  return not child.expected and not child.asked or child.signal == 0 and child.code ~= 0
end

-- Ends everything; returns the numbers of those that ended badly.
local function reap(self)
  for _, peer in ipairs(self.all) do
    local child = peer.process
    child.asked = not child.exited
    if child.stopped then child:kill "SIGKILL" end
    child:close_stdin()
  end
  process.wait(function()
    for _, peer in ipairs(self.all) do
      if not peer.process.exited then return false end
    end
    return true
  end, LEAVE_MS)
  local bad = {}
  for _, peer in ipairs(self.all) do
    if not peer.process.exited or ended_badly(peer.process) then bad[#bad + 1] = peer.number end
    peer.process:close()
  end
  return bad
end

function Cluster:close()
  if self.closed then return end
  self.closed = true
  self.bad = reap(self)
  process.remove_directory(self.directory)
end

-- An error that is on its way already says more than what became of the peers.
function Cluster:__close(failure)
  self:close()
  if failure == nil and #self.bad > 0 then
    error(("peers %s ended badly"):format(table.concat(self.bad, ", ")), 2)
  end
end

-- busted hides from `__close` whether the spec failed, so its events tell. The logs shown are those
-- of the cluster started last.
local latest
if package.loaded.busted then
  local function show()
    if latest then io.stderr:write("\n", latest:logs(), "\n") end
  end
  local busted = require "busted"
  busted.subscribe({ "failure", "it" }, show)
  busted.subscribe({ "error", "it" }, show)
  busted.subscribe({ "test", "start" }, function() latest = nil end)
end

---Start `count` peers (2) of the share `name` ("world") and open them, one before all others.
---@param options { count: integer?, name: string?, defaults: table?, options: table?,
---  open: boolean?, before: string[]? }?
function M.start(options)
  options = options or {}
  local self = setmetatable({
    name = options.name or "world",
    defaults = options.defaults,
    options = options.options or {},
    before = options.before,
    directory = process.directory(),
    spawned = 0,
    all = {},
  }, Cluster)
  latest = self
  local ok, failure = pcall(function()
    for _ = 1, options.count or 2 do self:spawn() end
    if options.open == false then return end
    self[1]:open()
    local answers = {}
    for i = 2, #self do answers[i] = self[i]:start_open() end
    for i = 2, #self do self[i].id = answers[i]:wait() end
  end)
  if not ok then
    self:close()
    if not package.loaded.busted then failure = failure .. "\n" .. self:logs() end
    error(failure, 2)
  end
  return self
end

return M
