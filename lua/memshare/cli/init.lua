---The command `memshare`: reads the arguments, runs one sub-command, gives its exit status.
---Status 0: done, 1: it failed, 2: the arguments were wrong.
local argparse = require "argparse"

local M = {}

local commands <const> = {
  "run", "exec", "ls", "get", "set", "unset", "inc", "push", "patch", "watch", "tail", "peers",
  "stats", "dump", "load", "doctor",
}

local TIMEOUT <const> = 5

local function seconds(text)
  local number = tonumber(text)
  if number and number >= 0 and number < math.huge then return number end
  return nil, ("--timeout: seconds expected, got '%s'"):format(text)
end

-- argparse would print and leave by itself, with status 1.
local function refuse(parser, message)
  error({ status = 2, message = ("%s\n%s"):format(message, parser:get_usage()) }, 0)
end

local function build(modules)
  local parser = argparse("memshare", "One live object, shared by the processes of one machine.")
  parser:command_target "command"
  parser:require_command(false)
  parser:help_max_width(90)
  parser:flag("--version", "Print the version and exit.")
  parser:flag("--json", "Print JSON for programs.")
  parser:option("--dir", "Where the shares are. Default: $MEMSHARE_DIR, then the user's own.")
  parser:option("--timeout", "Seconds to wait for a host. Default: 5")
    :convert(seconds):default(TIMEOUT)
  parser.error = refuse
  for _, name in ipairs(commands) do
    local command = parser:command(name)
    command:summary(modules[name].summary)
    command:description(modules[name].summary)
    modules[name].describe(command)
  end
  return parser
end

-- `set hp -5`: a number is no option. argparse takes what follows `--` as plain arguments, and the
-- value comes last.
local function shield_numbers(args)
  local plain, numbers = {}, {}
  for index, text in ipairs(args) do
    if text == "--" then return args end
    local is_number = index > 2 and text:match "^%-[%d.]" and tonumber(text)
    table.insert(is_number and numbers or plain, text)
  end
  if #numbers == 0 or plain[1] == "run" or plain[1] == "exec" then return args end
  plain[#plain + 1] = "--"
  return table.move(numbers, 1, #numbers, #plain + 1, plain)
end

local function dispatch(args)
  local modules = {}
  for _, name in ipairs(commands) do modules[name] = require("memshare.cli." .. name) end
  local output = require "memshare.cli.output"
  local parser = build(modules)
  local parsed = parser:parse(shield_numbers(args))
  local status = 0
  if parsed.version then
    output.line("memshare " .. require("memshare.core").version)
  elseif not parsed.command then
    refuse(parser, "a command is required")
  else
    status = modules[parsed.command].run(parsed)
  end
  output.flush()
  return status
end

local function explain(problem)
  if type(problem) == "table" and problem.status then return problem end
  return { status = 1, message = debug.traceback(tostring(problem), 2) }
end

---@param args string[] the arguments, without the program's name
---@return integer status
function M.main(args)
  local ok, result = xpcall(dispatch, explain, args)
  if ok then return result end
  if result.message then io.stderr:write("memshare: ", result.message, "\n") end
  return result.status
end

return M
