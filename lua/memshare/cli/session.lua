---A share, opened for the length of one command: it never hosts, and it needs a share that lives.
local memshare = require "memshare"
local core = require "memshare.core"
local output = require "memshare.cli.output"

local M = {}

---@param dir string?
---@return string
function M.where(dir)
  return dir or os.getenv "MEMSHARE_DIR" or "the default directory"
end

-- What the API raises begins with the line that called it, which is no news to whoever types.
local function plain(problem)
  return (tostring(problem):gsub("^[^\n]-:%d+: ", "", 1))
end

-- A share that cannot be opened is reported once, by the command.
local function open_quietly(...)
  local log = memshare.log
  memshare.log = function() end
  local opened, share, message, code = pcall(memshare.open, ...)
  memshare.log = log
  if not opened then output.fail(plain(share), 2) end -- a name or an option nobody can open
  return share, message, code
end

---@param name string
---@param args table dir, timeout
---@param options table?
---@return table share close it
function M.open(name, args, options)
  local all = { dir = args.dir, timeout = args.timeout, can_host = false, must_exist = true }
  for key, value in pairs(options or {}) do all[key] = value end
  local share, message, code = open_quietly(name, nil, all)
  if share then
    share:on_reject(function() end) -- the command itself tells what became of its writes
    return share
  end
  if code == "ENOENT" then
    output.fail(("no share %q lives in %s: start a program that opens it, or see `memshare ls`")
      :format(name, M.where(args.dir)))
  elseif code == "ETIMEDOUT" then
    output.fail(("%s: nobody answered within %g s: look at `memshare ls`, or give --timeout")
      :format(name, args.timeout))
  end
  output.fail(("%s: %s (%s)"):format(name, message, code))
end

---Call into the API with what the user typed: what it raises becomes a message, and so does a nil
---that comes with one.
---@return any result
function M.try(fn, ...)
  local ok, result, message, code = pcall(fn, ...)
  if not ok then
    if type(result) == "table" then error(result, 0) end
    output.fail(plain(result))
  end
  if result == nil and message then output.fail(("%s (%s)"):format(message, code)) end
  return result
end

---Wait for what became of a write.
---@return integer version
function M.settle(receipt, args)
  local version, message, code = receipt:wait(args.timeout)
  if not version then output.fail(("%s (%s)"):format(message, code)) end
  return version
end

---Run until a signal, or until somebody stops it. What a guarded callback raises ends it, too: it
---may be the end of the command.
---@param share table
---@param listen fun(guard: fun(fn: function): function) subscribes
function M.follow(share, listen)
  local failure
  listen(function(fn)
    return function(...)
      if failure then return end
      local ok, problem = pcall(fn, ...)
      if ok then return end
      failure = problem
      memshare.stop()
    end
  end)
  local hostless = false
  share:on_status(function(state)
    local waits = state == "waiting"
    if waits and not hostless then output.note "no host at the moment; waiting for one" end
    hostless = waits
  end)
  core.catch_signals()
  memshare.run()
  if failure then error(failure, 0) end
end

return M
