---memshare dump NAME
local memshare = require "memshare"
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"

local M = { summary = "Print the whole document as JSON that `load` reads back unchanged." }

function M.describe(parser)
  parser:argument("name", "The share.")
end

function M.run(args)
  local share <close> = session.open(args.name, args)
  output.line(memshare.to_json(share.data, { pretty = not args.json, lossless = true }))
  return 0
end

return M
