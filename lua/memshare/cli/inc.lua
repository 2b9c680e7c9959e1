---memshare inc NAME PATH [BY] [--where QUERY] [--wait]
local change = require "memshare.cli.change"
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local text = require "memshare.cli.text"

local M = { summary = "Add to the number at a path, 0 where nothing is." }

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("path", "Keys joined by dots, array indexes from 0: players.alice.hp")
  parser:argument("by", "A number, also a negative one. Default: 1"):args "?"
  change.describe(parser)
end

function M.run(args)
  local by = text.parse(args.by or "1")
  if type(by) ~= "number" then
    output.fail(("BY: a number expected, got '%s'"):format(args.by), 2)
  end
  return change.run(args, { ["$inc"] = { [args.path] = by } }, function(share, version)
    local value = session.try(share.get, share, args.path)
    return ("%s = %s  (version %d)"):format(args.path, text.brief(value, 60), version)
  end)
end

return M
