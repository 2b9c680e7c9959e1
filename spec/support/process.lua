-- Child processes of a spec, a demo or a benchmark: spawned through luv, read and written through
-- pipes, ended without exception. The loop runs only inside `wait`.
local uv = require "luv"

local M = {}

---@class support.Process
---@field pid integer
---@field log string what it wrote to stderr
---@field exited boolean
---@field code integer? its exit status
---@field signal integer? what killed it, 0 for nothing
---@field expected boolean its end is no surprise
local Process = {}
Process.__index = Process

-- One timer for all waits: luv crashes when a closed handle is collected before its loop has run.
local timer = uv.new_timer()

-- A timer counts from the loop's time, which may be long past. It repeats, since `run "once"` fires
-- what is due, and would then sleep without end.
local function arm(ms, on_time)
  uv.update_time()
  timer:start(ms, ms, on_time)
end

-- Writing to a child that has died must not end this process.
local pipe_signal = uv.new_signal()
pipe_signal:start("sigpipe", function() end)
pipe_signal:unref()

---Run the loop until `done()` is true.
---@param done fun(): any
---@param within_ms integer
---@return boolean in_time
function M.wait(done, within_ms)
  if done() then return true end
  local late, held = false
  arm(within_ms, function() late = true end)
  repeat
    uv.run "once"
    held = done()
  until held or late
  timer:stop()
  return held and true or false
end

---Let the loop run until something happens, `ms` at most.
---@param ms integer
function M.turn(ms)
  arm(ms, function() end)
  uv.run "once"
  timer:stop()
end

-- The modules of this process are those of its children.
local function environment(changes)
  local env = uv.os_environ()
  env.LUA_PATH, env.LUA_CPATH = package.path, package.cpath
  for name, value in pairs(changes or {}) do env[name] = value end
  local list = {}
  for name, value in pairs(env) do
    if value then list[#list + 1] = name .. "=" .. value end
  end
  return list
end

---A function that takes chunks of bytes and passes on the lines in them.
---@param on_line fun(line: string)
---@return fun(chunk: string)
function M.splitter(on_line)
  local parts = {}
  return function(chunk)
    local from = 1
    local ends = chunk:find("\n", from, true)
    while ends do
      parts[#parts + 1] = chunk:sub(from, ends - 1)
      local line = table.concat(parts)
      parts = {}
      on_line(line)
      from = ends + 1
      ends = chunk:find("\n", from, true)
    end
    parts[#parts + 1] = chunk:sub(from)
  end
end

-- The kernel kills a child, even a stopped one, when this process dies: setpriv asks for that and
-- becomes the child. It is part of every Debian system; without it end of file on stdin has to do.
local SETPRIV <const> = "/usr/bin/setpriv"
local leash = uv.fs_access(SETPRIV, "X") and { SETPRIV, "--pdeathsig", "KILL" } or {}

---@param program string the interpreter of this process when nil
---@param args string[]
---@param options { env: table?, cwd: string?, on_line: fun(line: string)?, before: string[]? }?
---@return support.Process
function M.spawn(program, args, options)
  options = options or {}
  local command = { table.unpack(leash) }
  for _, word in ipairs(options.before or {}) do command[#command + 1] = word end
  command[#command + 1] = program or uv.exepath()
  table.move(args, 1, #args, #command + 1, command)

  local self = setmetatable({ log = "", out = "", exited = false, expected = false }, Process)
  self.stdin, self.stdout, self.stderr = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  local handle, pid = uv.spawn(command[1], {
    args = table.move(command, 2, #command, 1, {}),
    stdio = { self.stdin, self.stdout, self.stderr },
    env = environment(options.env),
    cwd = options.cwd,
  }, function(code, signal)
    self.exited, self.code, self.signal = true, code, signal
    self.handle:close()
  end)
  if not handle then error(("cannot start %s: %s"):format(command[1], pid), 2) end
  self.handle, self.pid = handle, math.tointeger(pid)
  local function keep(line) self.out = self.out .. line .. "\n" end
  local split = M.splitter(options.on_line or keep)
  self.stdout:read_start(function(_, chunk)
    if chunk then split(chunk) end
  end)
  self.stderr:read_start(function(_, chunk) self.log = self.log .. (chunk or "") end)
  return self
end

---Queue text for its stdin.
function Process:write(text)
  if not self.stdin:is_closing() then self.stdin:write(text) end
end

---End of file on its stdin.
function Process:close_stdin()
  if not self.stdin:is_closing() then self.stdin:close() end
end

---Send a signal, such as "SIGKILL". Nothing happens once it has exited.
function Process:kill(signal)
  if self.exited then return end
  if signal == "SIGKILL" or signal == "SIGTERM" or signal == "SIGINT" then self.expected = true end
  self.stopped = signal == "SIGSTOP" or self.stopped and signal ~= "SIGCONT"
  uv.process_kill(self.handle, signal:lower())
end

---@return boolean
function Process:wait_exit(within_ms)
  return M.wait(function() return self.exited end, within_ms)
end

---What its end was, for people.
function Process:describe_end()
  if not self.exited then return "runs" end
  if self.signal ~= 0 then return "was killed by signal " .. self.signal end
  return "exited with status " .. self.code
end

---End it whatever it does, and give back what it held.
function Process:close()
  self:close_stdin()
  self:kill "SIGKILL"
  self:wait_exit(10000)
  for _, pipe in ipairs { self.stdout, self.stderr } do
    if not pipe:is_closing() then pipe:close() end
  end
  uv.run "nowait" -- the close callbacks
end

Process.__close = Process.close

---Bytes of memory that a process has for itself; what it shares with others or with files is not
---counted.
---@param pid integer
---@return integer
function M.memory(pid)
  local file <close> = assert(io.open(("/proc/%d/status"):format(pid)))
  return math.tointeger(file:read "a":match "RssAnon:%s*(%d+) kB") * 1024
end

---How many descriptors a process has.
---@param pid integer
---@return integer
function M.descriptors(pid)
  local count = 0
  for _ in M.files(("/proc/%d/fd"):format(pid)) do count = count + 1 end
  return count
end

---Do processes started from here run under a sanitizer, which keeps freed memory for a while?
---@return boolean
function M.is_sanitized() return (os.getenv "LD_PRELOAD" or ""):find "san" ~= nil end

---A fresh directory that only this user may enter.
---@return string
function M.directory()
  local base = os.getenv "TMPDIR" or "/tmp"
  return assert(uv.fs_mkdtemp(base .. "/memshare-XXXXXX"))
end

---Remove a directory and the files in it.
function M.remove_directory(path)
  for name, kind in M.files(path) do
    if kind == "directory" then
      M.remove_directory(path .. "/" .. name)
    else
      uv.fs_unlink(path .. "/" .. name)
    end
  end
  uv.fs_rmdir(path)
end

---Walks the names, and their kinds, in a directory.
function M.files(path)
  local request = uv.fs_scandir(path)
  return function()
    if request then return uv.fs_scandir_next(request) end
  end
end

return M
