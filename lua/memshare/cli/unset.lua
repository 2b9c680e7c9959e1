---memshare unset NAME PATH [--where QUERY] [--wait]
local change = require "memshare.cli.change"

local M = { summary = "Remove what is at a path." }

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("path", "Keys joined by dots, array indexes from 0: players.alice.hp")
  change.describe(parser)
end

function M.run(args)
  return change.run(args, { ["$unset"] = { [args.path] = true } }, function(_, version)
    return ("%s is gone  (version %d)"):format(args.path, version)
  end)
end

return M
