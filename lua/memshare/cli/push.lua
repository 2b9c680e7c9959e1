---memshare push NAME PATH VALUE... [--where QUERY] [--wait]
local memshare = require "memshare"
local change = require "memshare.cli.change"
local text = require "memshare.cli.text"

local M = { summary = "Append to the array at a path, which is made where nothing is." }

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("path", "Keys joined by dots, array indexes from 0: players.alice.tags")
  parser:argument("values", "JSON; what is no JSON is taken as a plain string."):args "+"
  change.describe(parser)
end

function M.run(args)
  local values = {}
  for i, value in ipairs(args.values) do values[i] = text.parse(value) end
  local update = { ["$push"] = { [args.path] = { ["$each"] = memshare.array(values) } } }
  return change.run(args, update, function(_, version)
    return ("%s has %d more  (version %d)"):format(args.path, #values, version)
  end)
end

return M
