---memshare tail NAME [--path PATTERN] [--peer PEER]
local memshare = require "memshare"
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local writers = require "memshare.cli.writers"

local M = { summary = "Print each patch as it is accepted, until Ctrl-C." }

local PATHS_SHOWN <const> = 8

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:option("--path", "Only patches that write there; * stands for one key, ** for any number.")
    :argname "<pattern>"
  parser:option("--peer", "Only those of this peer: its id, process id or program.")
    :argname "<peer>"
  parser:option("--count", "End after so many."):argname "<n>":convert(function(text)
    local count = math.tointeger(tonumber(text))
    if count and count > 0 then return count end
    return nil, ("--count: a positive number expected, got '%s'"):format(text)
  end)
end

local function keys_of(text)
  local keys = {}
  for key in (text .. "."):gmatch "(.-)%." do keys[#keys + 1] = key end
  return keys
end

-- Does a path lie at what a pattern names, below it, or hold it?
local function touches(pattern, path, i, k)
  i, k = i or 1, k or 1
  if i > #pattern or k > #path then return true end
  if pattern[i] == "**" then return true end
  return (pattern[i] == "*" or pattern[i] == path[k]) and touches(pattern, path, i + 1, k + 1)
end

local function is_about(patch, pattern)
  if not pattern or patch.merged then return true end
  for _, path in ipairs(patch.paths) do
    if path == "" or touches(pattern, keys_of(path)) then return true end
  end
  return false
end

local function is_by(peer, id, wanted)
  if not wanted or id == wanted then return true end
  return peer ~= nil and (peer.program == wanted or tostring(peer.pid) == wanted)
end

local function describe_paths(patch)
  if patch.merged then return "several patches, or the document as a whole" end
  local shown = table.move(patch.paths, 1, math.min(#patch.paths, PATHS_SHOWN), 1, {})
  for i, path in ipairs(shown) do shown[i] = path == "" and "the document" or path end
  if #patch.paths > PATHS_SHOWN then
    shown[#shown + 1] = ("and %d more"):format(#patch.paths - PATHS_SHOWN)
  end
  return #shown > 0 and table.concat(shown, ", ") or "no path"
end

function M.run(args)
  local share <close> = session.open(args.name, args)
  local name, find = writers.of(share)
  local pattern = args.path and keys_of(args.path)
  local left = args.count
  local function report(patch)
    if left == 0 then return end
    if not is_about(patch, pattern) or not is_by(find(patch.origin), patch.origin, args.peer) then
      return
    end
    if args.json then
      output.json(patch)
    else
      local at = patch.time and os.date("%H:%M:%S", math.floor(patch.time)) or "--------"
      output.line(("%d  %s  %s  %s"):format(patch.version, output.paint("dim", at),
        describe_paths(patch), output.paint("dim", ("[%s]"):format(name(patch.origin)))))
    end
    output.flush()
    left = left and left - 1
    if left == 0 then memshare.stop() end
  end
  session.follow(share, function(guard) share:on_patch(guard(report)) end)
  return 0
end

return M
