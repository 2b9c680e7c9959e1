---memshare patch NAME UPDATE [--where QUERY] [--array-filters FILTERS]
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local text = require "memshare.cli.text"

local M = { summary = "Apply an update in MongoDB's language, whole or not at all." }

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("update", [[JSON such as {"$inc": {"round": 1}}; - reads it from stdin.]])
  parser:option("--where", [[Only where the document meets this query: {"stock": {"$gt": 0}}.]])
    :argname "<query>"
  parser:option("--array-filters",
    [[For which elements $[x] stands in a path: [{"x.hp": {"$lt": 5}}].]])
    :argname "<filters>"
end

-- The JSON that an argument holds, or the end with a usage error that names it.
local function read(text_of, name)
  local value, problem = text.parse_json(text_of)
  if problem then output.fail(name .. " is no JSON: " .. problem, 2) end
  if type(value) ~= "table" then output.fail(name .. " is no JSON object or array", 2) end
  return value
end

function M.run(args)
  local update = read(args.update == "-" and io.read "a" or args.update, "UPDATE")
  local options = {
    where = args.where and read(args.where, "--where"),
    array_filters = args.array_filters and read(args.array_filters, "--array-filters"),
  }
  local share <close> = session.open(args.name, args)
  local version = session.settle(session.try(share.patch, share, update, options), args)
  if args.json then
    output.json { version = version }
  else
    output.line(("accepted as version %d"):format(version))
  end
  return 0
end

return M
