---memshare peers NAME
local memshare = require "memshare"
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"

local M = { summary = "List the processes that take part in a share." }

function M.describe(parser)
  parser:argument("name", "The share.")
end

local function role(peer)
  if peer.is_host then return "host" end
  if peer.readonly then return "read-only" end
  return peer.can_host and "peer" or "guest"
end

function M.run(args)
  local share <close> = session.open(args.name, args)
  local peers = {}
  for _, peer in ipairs(share:peers()) do
    if not peer.is_self then peers[#peers + 1] = peer end
  end
  if args.json then
    for _, peer in ipairs(peers) do peer.is_self = nil end
    output.json(memshare.array(peers))
    return 0
  end
  local rows = {}
  for _, peer in ipairs(peers) do
    local since = os.date("%Y-%m-%d %H:%M:%S", math.floor(peer.since))
    rows[#rows + 1] = { peer.id, tostring(peer.pid), peer.program, role(peer), since }
  end
  output.table({ "ID", "PID", "PROGRAM", "ROLE", "SINCE" }, rows)
  return 0
end

return M
