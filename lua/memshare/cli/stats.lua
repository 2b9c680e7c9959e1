---memshare stats NAME
local memshare = require "memshare"
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local text = require "memshare.cli.text"

local M = { summary = "Print a share's version, host and sizes." }

function M.describe(parser)
  parser:argument("name", "The share.")
end

function M.run(args)
  local share <close> = session.open(args.name, args)
  local _, info = share:status()
  local stats = share:stats()
  local host
  local count = 0
  for _, peer in ipairs(share:peers()) do
    if peer.is_host then host = peer end
    if not peer.is_self then count = count + 1 end
  end
  local report = {
    name = args.name,
    host = info.host,
    term = info.term,
    version = info.version,
    peers = count,
    keys = memshare.count(share.data),
    document_bytes = stats.document_bytes,
  }
  if args.json then
    output.json(report)
    return 0
  end
  output.line(("name      %s"):format(report.name))
  output.line(("host      %s"):format(host and ("%s (%s, process %d)")
    :format(host.id, host.program, host.pid) or "none at the moment"))
  output.line(("term      %d"):format(report.term))
  output.line(("version   %d"):format(report.version))
  output.line(("peers     %d"):format(report.peers))
  output.line(("keys      %d at the top"):format(report.keys))
  output.line(("document  %s"):format(text.size(report.document_bytes)))
  return 0
end

return M
