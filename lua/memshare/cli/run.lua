---memshare run FILE.lua [ARGUMENT...]
---
---The script finds the module `memshare` without any path, and modules in its own directory.
---SIGINT and SIGTERM end its memshare.run(), so it leaves its shares as when it ends by itself;
---elsewhere they raise an error at the line it is at.
local core = require "memshare.core"
local output = require "memshare.cli.output"

local M = { summary = "Run a Lua script that uses memshare." }

function M.describe(parser)
  parser:argument("file", "The script."):convert(function(file)
    if file == "-h" or file == "--help" then
      print(parser:get_help())
      os.exit(0)
    elseif file:sub(1, 1) == "-" and file ~= "-" then
      return nil, ("options of memshare stand before run: memshare %s run FILE.lua"):format(file)
    end
    return file
  end)
  parser:argument("arguments", "Handed to the script, as `...` and in `arg`."):args "*"
  -- Whatever follows FILE belongs to the script, options included.
  parser:handle_options(false)
end

local function traceback(problem)
  -- Down to the script's own first line.
  local trace = debug.traceback(tostring(problem), 2)
  return (trace:gsub("\n%s*%[C%]: in function 'xpcall'.*$", ""))
end

function M.run(args)
  local script <const> = args.file
  local chunk, problem = loadfile(script)
  if not chunk then output.fail(problem) end
  local folder = script:match "^(.*)/[^/]*$" or "."
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(folder, folder, package.path)
  arg = { [0] = script, table.unpack(args.arguments) } -- luacheck: globals arg
  core.catch_signals()
  local ok, trace = xpcall(chunk, traceback, table.unpack(args.arguments))
  if ok then return 0 end
  local signal = core.caught_signal()
  if signal then output.fail("interrupted by " .. signal) end
  output.fail(trace)
end

return M
