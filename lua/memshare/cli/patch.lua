---memshare patch NAME UPDATE [--where QUERY] [--wait] [--array-filters FILTERS]
local change = require "memshare.cli.change"

local M = { summary = "Apply an update in MongoDB's language, whole or not at all." }

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("update", [[JSON such as {"$inc": {"round": 1}}; - reads it from stdin.]])
  change.describe(parser)
  parser:option("--array-filters",
    [[For which elements $[x] stands in a path: [{"x.hp": {"$lt": 5}}].]])
    :argname "<filters>"
end

function M.run(args)
  local update = change.read(args.update == "-" and io.read "a" or args.update, "UPDATE")
  return change.run(args, update, function(_, version)
    return ("accepted as version %d"):format(version)
  end)
end

return M
