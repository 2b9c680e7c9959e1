---memshare ls
local memshare = require "memshare"
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"

local M = { summary = "List the shares of this user." }

function M.describe() end

function M.run(args)
  local listed, message, code = memshare.list { dir = args.dir }
  if not listed and code ~= "ENOENT" then output.fail(("%s (%s)"):format(message, code)) end
  local shares = listed or {}
  table.sort(shares, function(a, b) return a.name < b.name end)
  if args.json then
    output.json(memshare.array(shares))
    return 0
  end
  if #shares == 0 then
    output.note(("no share lives in %s"):format(session.where(args.dir)))
    return 0
  end
  local rows = {}
  for _, share in ipairs(shares) do
    rows[#rows + 1] = { share.name, share.alive and "alive" or "left over", tostring(share.term) }
  end
  output.table({ "NAME", "STATE", "TERM" }, rows)
  return 0
end

return M
