---memshare set NAME PATH VALUE
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local text = require "memshare.cli.text"

local M = { summary = "Set the value at a path; parents that are missing are made." }

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("path", "Keys joined by dots, array indexes from 0: players.alice.hp")
  parser:argument("value", "JSON; what is no JSON is taken as a plain string.")
end

function M.run(args)
  local value = text.parse(args.value)
  local share <close> = session.open(args.name, args)
  local version = session.settle(session.try(share.set, share, args.path, value), args)
  if args.json then
    output.json { version = version }
  else
    output.line(("%s = %s  (version %d)"):format(args.path, text.brief(value, 60), version))
  end
  return 0
end

return M
