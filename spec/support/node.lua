-- Peers in Node.js (examples/node, driven by node_peer.js) beside those of a cluster.
--
--   local visitor <close> = node.open(peers)
--   visitor:eval "return share.get('round')"
--
-- Declare them after the cluster, so that they are gone before its directory is.
local cjson = require "cjson"
local uv = require "luv"
local process = require "spec.support.process"

local ANSWER_MS <const> = 20000
local LEAVE_MS <const> = 5000
local PEER <const> = "examples/node"

local M = {}

-- The program in $PATH, nil when there is none.
local function find_program(name)
  for folder in os.getenv("PATH"):gmatch "[^:]+" do
    local path = folder .. "/" .. name
    if uv.fs_access(path, "X") then return path end
  end
end

M.program = find_program "node"

---What is missing to start one; nil: nothing.
---@type string?
M.missing = not M.program and "the program node is not installed"
  or not uv.fs_stat(PEER .. "/node_modules/@msgpack/msgpack")
    and "npm's @msgpack/msgpack is not there"
  or nil

---@class support.Visitor
---@field process support.Process
---@field id string its peer id
local Visitor = {}
Visitor.__index = Visitor

local Answer = {}
Answer.__index = Answer

function Answer:arrived() return self.reply ~= nil end

---The answer: a table, `ok` being whether it went well.
function Answer:take()
  process.wait(function() return self.reply or self.process.exited end, ANSWER_MS)
  if self.reply then return self.reply end
  error(("the Node.js peer %s; asked: %s\n%s"):format(self.process:describe_end(), self.code,
    self.process.log), 2)
end

---Wait for what it returns; what it raised is raised here.
function Answer:wait()
  local reply = self:take()
  if not reply.ok then
    error(("the Node.js peer: %s\n%s"):format(reply.error, self.process.log), 2)
  end
  if reply.value ~= cjson.null then return reply.value end
end

---Start a script in the directory of the cluster.
---@return support.Process
function M.run(peers, args, on_line)
  return process.spawn(M.program, args, {
    -- A sanitizer's library is for the others only.
    env = { MEMSHARE_DIR = peers.directory, XDG_RUNTIME_DIR = false, LD_PRELOAD = false },
    on_line = on_line,
  })
end

---Start a process; no share is opened yet.
function M.start(peers)
  local self = setmetatable({ waiting = {}, asked = 0, peers = peers }, Visitor)
  self.process = M.run(peers, { "spec/support/node_peer.js", PEER }, function(line)
    local reply = cjson.decode(line)
    local answer = self.waiting[reply.id]
    self.waiting[reply.id] = nil
    answer.reply = reply
  end)
  return self
end

---Start a process that joins the share of the cluster.
function M.open(peers)
  local self = M.start(peers)
  self.id = self:eval(("return open(%q)"):format(peers.name))
  return self
end

---Run the body of an asynchronous function in it; does not wait.
function Visitor:start(code)
  self.asked = self.asked + 1
  local answer = setmetatable({ process = self.process, code = code }, Answer)
  self.waiting[self.asked] = answer
  self.process:write(cjson.encode { id = self.asked, code = code } .. "\n")
  return answer
end

---Run it and return what it returns.
function Visitor:eval(code) return self:start(code):wait() end

---Wait until an expression is true in it.
function Visitor:await(condition) self:eval(("return until(() => %s)"):format(condition)) end

---Its document as the other peers write theirs.
function Visitor:text()
  return self.peers[1]:eval("return memshare.to_json((assert(memshare.from_json(...))))",
    self:eval "await share.sync(); return text()")
end

---All that is committed is seen by all, and all documents are equal.
function Visitor:settle()
  local text = self.peers:settle()
  local own = self:text()
  if own ~= text then
    error(("the Node.js peer differs:\n%.2000s\n%.2000s"):format(text, own), 2)
  end
  return text
end

---An expression for Lua peers: is it among the members?
function Visitor:listed()
  return ("(function() for _, peer in ipairs(share:peers()) do if peer.pid == %d then "
    .. "return true end end return false end)()"):format(self.process.pid)
end

---Leave in good order.
function Visitor:leave()
  self.process.expected = true
  self.process:close_stdin()
  if not self.process:wait_exit(LEAVE_MS) then error("the Node.js peer does not leave", 2) end
end

function Visitor:__close()
  local was_asked = not self.process.exited
  self.process:close_stdin()
  self.process:wait_exit(LEAVE_MS)
  local code = self.process.code
  self.process:close()
  if was_asked and not self.process.expected and code ~= 0 then
    error(("the Node.js peer ended badly:\n%s"):format(self.process.log), 2)
  end
end

return M
