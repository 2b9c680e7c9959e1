---A share, opened for the length of one command: it never hosts, and it needs a share that lives.
local memshare = require "memshare"
local output = require "memshare.cli.output"

local M = {}

---@param dir string?
---@return string
function M.where(dir)
  return dir or os.getenv "MEMSHARE_DIR" or "the default directory"
end

---@param name string
---@param args table dir, timeout
---@param options table?
---@return table share close it
function M.open(name, args, options)
  local all = { dir = args.dir, timeout = args.timeout, can_host = false, must_exist = true }
  for key, value in pairs(options or {}) do all[key] = value end
  local opened, share, message, code = pcall(memshare.open, name, nil, all)
  if not opened then output.fail(tostring(share), 2) end -- a name or an option nobody can open
  if share then return share end
  if code == "ENOENT" then
    output.fail(("no share %q lives in %s: start a program that opens it, or see `memshare ls`")
      :format(name, M.where(args.dir)))
  elseif code == "ETIMEDOUT" then
    output.fail(("%s: nobody answered within %g s: look at `memshare ls`, or give --timeout")
      :format(name, args.timeout))
  end
  output.fail(("%s: %s (%s)"):format(name, message, code))
end

---Call into the API with what the user typed: what it raises becomes a message.
---@return any ... what fn returns
function M.try(fn, ...)
  local function finish(ok, ...)
    if ok then return ... end
    local problem = ...
    if type(problem) == "table" then error(problem, 0) end
    output.fail(tostring(problem))
  end
  return finish(pcall(fn, ...))
end

---Wait for what became of a write.
---@return integer version
function M.settle(receipt, args)
  local version, message, code = receipt:wait(args.timeout)
  if not version then output.fail(("%s (%s)"):format(message, code)) end
  return version
end

---Leave the share; patches nobody decided in time are a failure.
function M.close(share, args)
  local ok, message, code = share:close(args.timeout)
  if not ok then output.fail(("%s (%s)"):format(message, code)) end
end

return M
