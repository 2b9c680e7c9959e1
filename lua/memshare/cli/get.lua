---memshare get NAME [PATH]
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local text = require "memshare.cli.text"

local M = { summary = "Print the value at a path, or the whole document." }

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("path", "Keys joined by dots, array indexes from 0: players.alice.hp"):args "?"
end

function M.run(args)
  local share <close> = session.open(args.name, args)
  local value = share.data
  if args.path then value = session.try(share.get, share, args.path) end
  if value == nil then
    output.fail(("%s: nothing at %s"):format(args.name, args.path))
  end
  if args.json then
    output.json(value)
  else
    output.line(text.show(value))
  end
  return 0
end

return M
