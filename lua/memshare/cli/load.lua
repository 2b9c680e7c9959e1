---memshare load NAME FILE.json
---
---A document that fits one patch arrives whole or not at all. A larger one goes in pieces, each a
---patch of its own, so readers see it grow.
local memshare = require "memshare"
local core = require "memshare.core"
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"
local text = require "memshare.cli.text"

local M = { summary = "Replace the document by a JSON file." }

-- Far below the limit of one patch: the host goes on deciding for others in between.
local PIECE_BYTES <const> = 1024 * 1024
-- Patches on their way at once: enough to keep the host busy, not enough to fill its queues.
local WINDOW <const> = 4

function M.describe(parser)
  parser:argument("name", "The share.")
  parser:argument("file", "A JSON file with an object; - reads stdin.")
  parser:flag("--serve", "Stay as a peer that may host, until Ctrl-C; founds the share if need be.")
end

local function read_file(path)
  if path == "-" then return io.read "a" end
  local file <close>, message = io.open(path, "rb")
  if not file then output.fail("cannot open " .. message) end
  local content, problem = file:read "a"
  if not content then output.fail(("cannot read %s: %s"):format(path, problem)) end
  return content
end

local function read_document(path)
  local document, problem = text.parse_json(read_file(path))
  if problem then output.fail(("%s: %s"):format(path, problem)) end
  local kind = memshare.type(document)
  if kind ~= "object" and kind ~= "empty" then
    output.fail(("%s: a document is an object, this is %s"):format(path, kind))
  end
  return document
end

-- About the bytes of a value on the wire, from above.
local function weigh(value)
  if type(value) == "string" then return #value + 5 end
  if type(value) ~= "table" then return 9 end
  local bytes = 5
  for key, item in pairs(value) do
    bytes = bytes + weigh(item) + (type(key) == "string" and #key + 5 or 0)
  end
  return bytes
end

local function joined(path, key)
  local longer = table.move(path, 1, #path, 1, {})
  longer[#longer + 1] = key
  return longer
end

local function empty_like(container)
  return memshare.type(container) == "array" and memshare.array {} or memshare.object {}
end

-- Calls emit(bytes, write) for every step that builds `value` at `path`, parents first. A step is
-- small unless a single scalar is not.
local function split(path, value, bytes, emit)
  if bytes <= PIECE_BYTES or type(value) ~= "table" then
    emit(bytes, function(share) share:set(path, value) end)
  elseif memshare.type(value) == "array" then
    emit(16, function(share) share:set(path, empty_like(value)) end)
    for index, item in ipairs(value) do
      local weight = weigh(item)
      if weight <= PIECE_BYTES or type(item) ~= "table" then
        emit(weight, function(share) share:push(path, item) end)
      else
        emit(16, function(share)
          share:push(path, empty_like(item))
        end)
        for key, inner in pairs(item) do
          split(joined(joined(path, index), key), inner, weigh(inner), emit)
        end
      end
    end
  else
    if #path > 0 then emit(16, function(share) share:set(path, empty_like(value)) end) end
    for key, item in pairs(value) do split(joined(path, key), item, weigh(item), emit) end
  end
end

-- One batch at a time; waits for the oldest when WINDOW patches are on their way.
local function load_in_pieces(share, document, total, args)
  session.settle(session.try(share.replace, share, memshare.object {}), args)
  local steps, bytes, sent = {}, 0, 0
  local receipts, first = {}, 1
  local function send()
    receipts[#receipts + 1] = session.try(share.batch, share, function()
      for _, step in ipairs(steps) do step(share) end
    end)
    if #receipts - first >= WINDOW then
      session.settle(receipts[first], args)
      receipts[first], first = false, first + 1
    end
    sent = sent + bytes
    steps, bytes = {}, 0
    output.progress(("loading %s: %3d %% of %s"):format(args.name,
      math.min(100, sent * 100 // total), text.size(total)))
  end
  split({}, document, total, function(weight, step)
    if bytes + weight > PIECE_BYTES and #steps > 0 then send() end
    steps[#steps + 1], bytes = step, bytes + weight
  end)
  if #steps > 0 then send() end
  local version
  for index = first, #receipts do version = session.settle(receipts[index], args) end
  output.progress()
  return version
end

function M.run(args)
  local document = read_document(args.file)
  local total = weigh(document)
  local share <close> = session.open(args.name, args, {
    can_host = args.serve or false, must_exist = not args.serve,
  })
  local version
  if total <= PIECE_BYTES then
    version = session.settle(session.try(share.replace, share, document), args)
  else
    version = load_in_pieces(share, document, total, args)
  end
  local count = memshare.count(share.data)
  if args.json then
    output.json { version = version, keys = count }
  else
    output.line(("loaded %s into %s: %d %s at the top, version %d"):format(args.file, args.name,
      count, count == 1 and "key" or "keys", version))
  end
  if args.serve then
    output.flush()
    if not args.json then output.note(("serving %s; Ctrl-C ends it"):format(args.name)) end
    core.catch_signals()
    memshare.run()
  end
  return 0
end

return M
