-- A program that speaks raw bytes to the host's socket, with as much MessagePack as that takes.
local uv = require "luv"
local process = require "spec.support.process"

local M = {}

local Stranger = {}
Stranger.__index = Stranger

function Stranger:send(bytes) self.pipe:write(bytes, function() end) end

---Send once most of what was sent before is on its way, or the link is at its end.
---@return boolean sent false: the host took nothing in for ten seconds
function Stranger:send_when_taken(bytes)
  local taken = process.wait(function()
    return self.ended or self.pipe:get_write_queue_size() < #bytes
  end, 10000)
  if taken and not self.ended then self:send(bytes) end
  return taken
end

---@return boolean cut the host has ended the link
function Stranger:wait_cut()
  return process.wait(function() return self.ended end, 10000)
end

---Read what comes; a stranger that does not is a reader that does not read.
function Stranger:listen()
  self.pipe:read_start(function(_, chunk)
    if chunk then self.received = self.received .. chunk else self.ended = true end
  end)
end

function Stranger:close()
  if self.pipe:is_closing() then return end
  self.pipe:close()
  process.turn(1)
end

Stranger.__close = Stranger.close

---Connect to the one socket in the directory of `peers`.
---@param peers support.Cluster
---@param deaf boolean?
function M.dial(peers, deaf)
  local sockets = peers:files "%.sock$"
  assert(#sockets == 1, "not one socket")
  local self = setmetatable({ received = "", pipe = uv.new_pipe(false) }, Stranger)
  local connected, failure = false, nil
  self.pipe:connect(peers.directory .. "/" .. sockets[1], function(problem)
    connected, failure = true, problem
  end)
  process.wait(function() return connected end, 5000)
  assert(not failure, failure)
  if not deaf then self:listen() end
  return self
end

function M.frame(bytes) return (">s4"):pack(bytes) end

function M.uint(number) return (">B I8"):pack(0xcf, number) end

function M.str(text) return (">B s1"):pack(0xd9, text) end

function M.array(...)
  assert(select("#", ...) < 16)
  return string.char(0x90 | select("#", ...)) .. table.concat({ ... })
end

---@param fields table protocol, group, peer; known, complete, version
function M.greeting(fields)
  local function flag(value) return value and "\xc3" or "\xc2" end
  local member = M.array(M.uint(4711), M.uint(0), M.str "intruder", flag(fields.readonly), "\xc3",
    flag(false))
  return M.array(M.uint(1), M.uint(fields.protocol or 2), M.uint(fields.group),
    M.uint(fields.peer), flag(fields.known), flag(fields.complete), M.uint(fields.version or 0),
    M.uint(0), member)
end

-- Whether every thread of a process stands still.
local function has_stopped(pid)
  for task in uv.fs_scandir_next, assert(uv.fs_scandir(("/proc/%d/task"):format(pid))) do
    local file <close> = assert(io.open(("/proc/%d/task/%s/stat"):format(pid, task)))
    if not file:read "a":find "%) T " then return false end
  end
  return true
end

---Greet under the id of `peer`, whose process is stopped so that it does not come back at once.
---@param changes table? of the greeting
function M.impersonate(peers, peer, changes, deaf)
  local host = peers:host()
  local group, version = host:eval "return select(2, share:status()).group, share:version()"
  local fields = {
    group = tonumber(group, 16), peer = tonumber(peer.id, 16), known = true, complete = true,
    version = version,
  }
  for name, value in pairs(changes or {}) do fields[name] = value end
  peer:kill "SIGSTOP"
  -- A signal takes its time: a peer that still runs would greet anew through another link.
  assert(process.wait(function() return has_stopped(peer.process.pid) end, 10000), "it still runs")
  local self = M.dial(peers, deaf)
  self:send(M.frame(M.greeting(fields)))
  return self
end

---A patch of one operation, `[code, path, operand]`.
---@param fields table number, base, timestamp; operation
function M.patch(fields)
  return M.array(M.uint(5), M.uint(fields.number), M.uint(fields.base or 1),
    M.uint(fields.timestamp or 1), M.uint(0), M.array(M.array(fields.operation)))
end

---Codes of operators on the wire.
M.SET, M.INC = 1, 3

function M.operation(code, key, operand)
  return M.array(M.uint(code), M.array(M.str(key)), operand)
end

return M
