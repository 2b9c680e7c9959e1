---memshare set NAME PATH VALUE [--where QUERY] [--wait]
local change = require "memshare.cli.change"
local text = require "memshare.cli.text"

local M = { summary = "Set the value at a path; parents that are missing are made." }

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("path", "Keys joined by dots, array indexes from 0: players.alice.hp")
  parser:argument("value", "JSON; what is no JSON is taken as a plain string.")
  change.describe(parser)
end

function M.run(args)
  local value = text.parse(args.value)
  return change.run(args, { ["$set"] = { [args.path] = value } }, function(_, version)
    return ("%s = %s  (version %d)"):format(args.path, text.brief(value, 60), version)
  end)
end

return M
