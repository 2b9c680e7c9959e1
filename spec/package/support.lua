-- Shell commands of the package specs, in directories of their own.
local process = require "spec.support.process"

local M = {}

-- A compiler under load, not a hang.
local COMMAND_MS <const> = 240000

M.root = os.getenv "PWD"
M.build = os.getenv "MEMSHARE_BUILD" or M.root .. "/build"

function M.write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

function M.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

---Run a shell command; what it prints is the result. Raises, with all of that, when it fails.
---@param directory string where it runs
---@param line string
---@param env table?
---@return string
function M.sh(directory, line, env)
  local aside = process.directory()
  local log = aside .. "/log"
  local child <close> = process.spawn("/bin/sh", { "-c", ("{ %s\n} >'%s' 2>&1"):format(line, log) },
    { cwd = directory, env = env })
  child:close_stdin()
  local ended = child:wait_exit(COMMAND_MS)
  local out = M.read(log)
  process.remove_directory(aside)
  if not ended or child.code ~= 0 then
    error(("%s: %s\n%s"):format(line, child:describe_end(), out), 2)
  end
  return out
end

return M
