---memshare patch NAME UPDATE
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local text = require "memshare.cli.text"

local M = { summary = "Apply an update in MongoDB's language, whole or not at all." }

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("update", [[JSON such as {"$inc": {"round": 1}}; - reads it from stdin.]])
end

function M.run(args)
  local source = args.update == "-" and io.read "a" or args.update
  local update, problem = text.parse_json(source)
  if problem then output.fail("UPDATE is no JSON: " .. problem, 2) end
  local share <close> = session.open(args.name, args)
  local version = session.settle(session.try(share.patch, share, update), args)
  if args.json then
    output.json { version = version }
  else
    output.line(("accepted as version %d"):format(version))
  end
  return 0
end

return M
