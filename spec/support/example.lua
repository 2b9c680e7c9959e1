-- Examples run as a user runs them, through the command of the build tree, in a directory of shares
-- of their own.
local process = require "spec.support.process"

local root <const> = assert(os.getenv "PWD", "PWD is not set")

local M = { build = os.getenv "MEMSHARE_BUILD" or root .. "/build" }

local Stage = {}
Stage.__index = Stage

---A place for examples to run in; closing it ends them.
function M.stage()
  return setmetatable({ directory = process.directory(), running = {} }, Stage)
end

---Start a program; `program` nil is the command memshare.
---@return support.Process
function Stage:start(program, ...)
  local child = process.spawn(program or M.build .. "/bin/memshare", { ... }, {
    env = {
      MEMSHARE_DIR = self.directory,
      XDG_RUNTIME_DIR = false,
      PATH = M.build .. "/bin:" .. os.getenv "PATH",
    },
    cwd = root,
  })
  self.running[#self.running + 1] = child
  return child
end

---Wait until it has printed `text`.
function M.wait_output(child, text, within_ms)
  process.wait(function() return child.exited or child.out:find(text, 1, true) end,
    within_ms or 10000)
  if not child.out:find(text, 1, true) then
    error(("it %s without printing %q\n%s\n%s"):format(child:describe_end(), text, child.out,
      child.log), 2)
  end
end

---Wait until it ends by itself, with status 0; returns what it printed.
function M.wait_end(child, within_ms)
  if not child:wait_exit(within_ms or 20000) or child.code ~= 0 or child.signal ~= 0 then
    error(("it %s\n%s\n%s"):format(child:describe_end(), child.out, child.log), 2)
  end
  return child.out
end

function Stage:__close()
  for _, child in ipairs(self.running) do child:close() end
  process.remove_directory(self.directory)
end

return M
