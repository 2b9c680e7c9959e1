---memshare watch NAME [PATTERN]
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local text = require "memshare.cli.text"
local writers = require "memshare.cli.writers"

local M = { summary = "Print each change as it happens, until Ctrl-C." }

local VALUE_BYTES <const> = 60

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("pattern", "A path; * stands for one key, ** for any number. Default: **")
    :args "?"
end

local function describe_change(new, old, path, change, writer)
  local tail = output.paint("dim", ("  [%s, version %d]"):format(writer, change.version or 0))
  if old == nil then
    return output.paint("green", ("+ %s  %s"):format(path, text.brief(new, VALUE_BYTES))) .. tail
  elseif new == nil then
    return output.paint("red", ("- %s  %s"):format(path, text.brief(old, VALUE_BYTES))) .. tail
  end
  return ("~ %s  %s -> %s"):format(path, output.paint("red", text.brief(old, VALUE_BYTES)),
    output.paint("green", text.brief(new, VALUE_BYTES))) .. tail
end

function M.run(args)
  local share <close> = session.open(args.name, args)
  local writer = writers.of(share)
  local function report(new, old, path, change)
    if args.json then
      output.json {
        path = path, new = new, old = old, kind = change.kind,
        origin = change.origin, version = change.version, time = change.time,
      }
    else
      output.line(describe_change(new, old, path, change, writer(change.origin)))
    end
    output.flush()
  end
  session.follow(share, function(guard)
    session.try(share.on, share, args.pattern or "**", guard(report))
  end)
  return 0
end

return M
