-- The command as a user runs it: build/bin/memshare, or what MEMSHARE_COMMAND names, with the share
-- of a cluster.
local process = require "spec.support.process"

local M = {}

local RUN_MS <const> = 20000

M.program = os.getenv "MEMSHARE_COMMAND"
  or (os.getenv "MEMSHARE_BUILD" or os.getenv "PWD" .. "/build") .. "/bin/memshare"

---@return string
function M.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

function M.write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

---Start the command; `child.out` and `child.log` grow while it runs.
---@param directory string where the shares are
---@param args string[]
---@param options { env: table?, shell: string? }? shell: a line in which "$@" is the command
---@return support.Process
function M.start(directory, args, options)
  options = options or {}
  local env = { MEMSHARE_DIR = directory, XDG_RUNTIME_DIR = false, NO_COLOR = false }
  for name, value in pairs(options.env or {}) do env[name] = value end
  local line = { "-c", options.shell or [[exec "$@"]], "sh", M.program }
  return process.spawn("/bin/sh", table.move(args, 1, #args, #line + 1, line), { env = env })
end

---Run the command to its end.
---@param options { env: table?, shell: string?, input: string? }?
---@return { status: integer, out: string, err: string }
function M.run(directory, args, options)
  options = options or {}
  local files = process.directory()
  local shell = ("{ %s; } >'%s/out' 2>'%s/err'"):format(options.shell or [["$@"]], files, files)
  if options.input then
    M.write(files .. "/in", options.input)
    shell = shell .. (" <'%s/in'"):format(files)
  end
  local child <close> = M.start(directory, args, { env = options.env, shell = shell })
  if not child:wait_exit(RUN_MS) then
    error("the command does not end: memshare " .. table.concat(args, " "), 2)
  end
  local result = {
    status = child.signal == 0 and child.code or "killed by signal " .. child.signal,
    out = M.read(files .. "/out"),
    err = M.read(files .. "/err"),
  }
  process.remove_directory(files)
  return result
end

return M
