---What the sub-commands that write have in common: --where and --wait, and telling how it ended.
local memshare = require "memshare"
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local text = require "memshare.cli.text"

local M = {}

---The options of all that write.
function M.describe(parser)
  parser:option("--where", [[Only where the document meets this query: {"stock": {"$gt": 0}}.]])
    :argname "<query>"
  parser:flag("--wait", "Until the query of --where is met, as long as --timeout says.")
end

---The JSON object or array that an argument holds; a usage error that names it where it is none.
---@param text_of string
---@param name string
---@return table
function M.read(text_of, name)
  local value, problem = text.parse_json(text_of)
  if problem then output.fail(name .. " is no JSON: " .. problem, 2) end
  if type(value) ~= "table" then output.fail(name .. " is no JSON object or array", 2) end
  return value
end

-- Until something in the document changes, or it is late.
local function await_change(share, seconds)
  local changed = false
  local _ <close> = memshare.after(seconds, function() changed = true end)
  local _ <close> = share:on_patch(function() changed = true end)
  while not changed do share:poll(seconds) end
end

---Apply an update, with what the options say; returns the version, or ends the command.
---@param share table
---@param update table
---@param args table where, wait, timeout, array_filters
---@return integer version
function M.apply(share, update, args)
  if args.wait and not args.where then output.fail("--wait: needs --where", 2) end
  local options = {
    where = args.where and M.read(args.where, "--where"),
    array_filters = args.array_filters and M.read(args.array_filters, "--array-filters"),
  }
  local is_late = false
  local _ <close> = memshare.after(args.timeout, function() is_late = true end)
  while true do
    local receipt = session.try(share.patch, share, update, options)
    local version, message, code = receipt:wait(args.timeout)
    if version then return version end
    if code ~= "ECONDITION" or not args.wait or is_late then
      output.fail(("%s (%s)"):format(message, code))
    end
    await_change(share, 0.2)
  end
end

---Apply an update and say so.
---@param args table name and the options
---@param update table
---@param said fun(share: table, version: integer): string the line for people
---@return integer status
function M.run(args, update, said)
  local share <close> = session.open(args.name, args)
  local version = M.apply(share, update, args)
  if args.json then
    output.json { version = version }
  else
    output.line(said(share, version))
  end
  return 0
end

return M
