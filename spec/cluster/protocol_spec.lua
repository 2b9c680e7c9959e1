-- docs/protocol.md is true: the C library reads and writes every example, peers write what the page
-- says they write, a real host holds the page's conversation, and its tables are those of the code.
-- The program protocol_examples answers for the library.
local uv = require "luv"
local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"
local process = require "spec.support.process"
local protocol_page = require "spec.support.protocol_page"
local stranger = require "spec.support.stranger"

local PROGRAM <const> = (os.getenv "MEMSHARE_BUILD" or os.getenv "PWD" .. "/build")
  .. "/runtime/protocol_examples"

local page <const> = protocol_page.read()

-- ------------------------------------------------------------------ the C library

local function to_hex(bytes)
  return (bytes:gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

-- Answers to lines, each a list of its parts. No shell between: none bears a sanitizer's runtime.
local function ask(lines)
  local answers = {}
  local program <close> = process.spawn(PROGRAM, {}, {
    env = { LD_PRELOAD = false },
    on_line = function(line)
      local parts = {}
      for part in line:gmatch "[^\t]+" do parts[#parts + 1] = part end
      answers[#answers + 1] = parts
    end,
  })
  program:write(table.concat(lines, "\n") .. "\n")
  program.stdin:shutdown()
  process.wait(function() return #answers == #lines end, 10000)
  assert(#answers == #lines, "not an answer for each line")
  assert(program:wait_exit(10000) and program.code == 0, program:describe_end())
  return answers
end

local function decode(kind, bytes) return table.unpack(ask { kind .. " " .. to_hex(bytes) }[1]) end

-- Names by number, or limits by name.
local function list(what)
  local found = {}
  for _, pair in ipairs(ask { "list " .. what }[1]) do
    local name, number = pair:match "^(.*)=(.*)$"
    found[name] = number
  end
  return found
end

-- ------------------------------------------------------------------ examples

local CHECKS = {}

-- These read it, and fail unless they would write it in the same bytes.
function CHECKS.value(example)
  assert.same({ example.name, example.notation }, { decode("value", example.bytes) })
end

function CHECKS.message(example)
  assert.same({ example.name, example.notation }, { decode("message", example.bytes) })
end

function CHECKS.frame(example)
  local message = (">s4"):unpack(example.bytes)
  assert.equal(example.bytes, stranger.frame(message))
  assert.same({ example.name, example.notation }, { decode("message", message) })
end

function CHECKS.group(example)
  assert.same({ "group", example.notation }, { decode("group", example.bytes) })
end

function CHECKS.update(example)
  local given = ("[%s, %s%s]"):format(example.update, example.filters or "null",
    example.where and ", " .. example.where or "")
  assert.same({ to_hex(example.bytes) }, ask({ "update " .. given })[1])
  assert.same({ "update", example.notation }, { decode("wire", example.bytes) })
end

-- What a peer writes is looked at below, all of it with one host.
function CHECKS.lua(example)
  assert.same({ "update", example.notation }, { decode("wire", example.bytes) })
end

describe("docs/protocol.md", function()
  for _, example in ipairs(page.examples) do
    it(("is exact: the %s in line %d"):format(example.kind, example.line), function()
      CHECKS[example.kind](example)
    end)
  end

  it("has no bytes outside of its examples", function()
    for _, line in ipairs(page.text) do
      assert.falsy(line:find "%f[%w]%x%x[ ,]+%x%x[ ,]+%x%x%f[%W]", line)
    end
  end)

  it("has an example of every message, with the fields of the table", function()
    local rows = assert(page.tables["Messages: number"])
    local numbers = {}
    for _, row in ipairs(rows) do
      numbers[row[2]] = row[1]
      local found
      for _, example in ipairs(page.examples) do
        if example.kind == "message" and example.name == row[2] then found = example end
      end
      assert.truthy(found, row[2])
      local _, fields = (row[4] or ""):gsub("[%w_]+", "")
      local _, optional = (row[4] or ""):gsub("%?", "")
      local count = found.bytes:byte() - 0x91
      assert.truthy(count <= fields and count >= fields - optional, row[2])
    end
    assert.same(list "messages", numbers)
  end)

  it("has every operation, and an example of each", function()
    local numbers, shown = {}, {}
    for _, example in ipairs(page.examples) do
      for code in example.notation:gmatch "%[(%d+), %[" do shown[code] = true end
    end
    for _, row in ipairs(assert(page.tables["Operations: code"])) do
      numbers[row[2]:gsub("`", "") .. row[1]] = row[1]
      assert.truthy(shown[row[1]], row[2])
    end
    local known = {}
    for name, number in pairs(list "operators") do
      -- `$push` has two codes
      known[name .. number] = number
      if name == "$push" then known["$push4"], known["$push17"] = "4", "17" end
    end
    assert.same(known, numbers)
  end)

  local function by_second_column(name)
    local found = {}
    for _, row in ipairs(assert(page.tables[name], name)) do
      found[row[2]:match "^[%w_]+"] = row[1]
    end
    return found
  end

  it("has every status", function()
    assert.same(list "statuses", by_second_column "Entries: number")
  end)

  it("has every reason of a refusal", function()
    assert.same(list "refusals", by_second_column "The greeting: code")
  end)

  it("has every kind of entry", function()
    assert.same(list "entries", by_second_column "Entries: kind")
  end)

  it("has the types that a guard may ask for", function()
    local text = {}
    for name, number in pairs(list "types") do text[#text + 1] = number .. " " .. name end
    table.sort(text)
    local found = false
    for _, row in ipairs(page.tables["Operations: code"]) do
      found = found or row[3] == "a type: " .. table.concat(text, ", ")
    end
    assert.is_true(found)
  end)

  it("has the limits of the code", function()
    local known, found = list "limits", {}
    local names <const> = {
      ["bytes of a frame"] = "frame bytes", ["bytes of an update"] = "patch bytes",
      ["values and keys of an update, containers and what they hold"] = "patch values",
      ["levels of a value, keys of a path"] = "levels", ["bytes of a key"] = "key bytes",
      ["conditions in a query"] = "conditions", ["paths in reads"] = "read paths",
      ["elements, keys and conditions that one patch may make the host look at"] = "steps",
      ["bytes of reads"] = "read bytes", ["members of a group"] = "members",
      ["links of a host"] = "links", ["bytes that wait for a slow reader"] = "queued bytes",
      ["timestamp ahead of the host's clock, ns"] = "skew ns", ["heartbeat, ns"] = "tick ns",
      ["rejected numbers kept for a member"] = "rejected kept",
    }
    for _, row in ipairs(assert(page.tables["Limits: what"])) do
      found[assert(names[row[1]], row[1])] = row[2]
    end
    local text = table.concat(page.text, " ")
    found["peer id"] = text:match "ids of members, 1 %.%.%. (%d+)"
    found.protocol = text:match "This is version (%d+)%."
    found["message bytes"] = ("%d"):format(text:match "is for people, at most (%d+) bytes" + 1)
    local _, meaning = table.unpack(page.tables["The rendezvous: offset"][4], 2)
    local bits = math.tointeger(meaning:match "counts the hosts: 1 %.%.%. 2%^(%d+) %- 1")
    found.term = ("%d"):format((1 << bits) - 1)
    assert.same(known, found)
  end)
end)

-- ------------------------------------------------------------------ a real host

-- What changes from group to group: the page's ids and those of the group at hand.
local function identities(host)
  local hello
  for _, example in ipairs(page.examples) do
    if example.section == "A conversation" and example.name == "HELLO" then hello = example end
    if example.section == "A conversation" and example.name == "WELCOME" then
      local group, other = example.notation:match "^%[2, %d+, (%d+), (%d+),"
      local id = tonumber(host.id, 16)
      local live = tonumber(host:eval "return select(2, share:status()).group", 16)
      return {
        { math.tointeger(group), live },
        { math.tointeger(other), id },
        { math.tointeger(hello.notation:match "^%[1, %d+, %d+, (%d+),"), id + 1 },
      }
    end
  end
end

-- The bytes of the page for the group at hand.
local function adopt(bytes, pairs_of_ids)
  for _, pair in ipairs(pairs_of_ids) do
    local from, to = stranger.uint(pair[1]), stranger.uint(pair[2])
    bytes = bytes:gsub(from:gsub("%W", "%%%0"), (to:gsub("%%", "%%%%")))
  end
  return bytes
end

-- The notation of what came, in terms of the page. Processes and the conflict index are their own.
local function adapt(notation, pairs_of_ids)
  for _, pair in ipairs(pairs_of_ids) do
    notation = notation:gsub("%f[%d]" .. ("%u"):format(pair[2]) .. "%f[%D]", ("%d"):format(pair[1]))
  end
  notation = notation:gsub('%[%d+, %d+, "[^"]*",', "[process,")
  notation = notation:gsub("^%[7, 0, h'%x*'%]", "[7, 0, index]")
  return (notation:gsub("^(%[6, %d+, %d+), %d+", "%1, length"))
end

-- The next message on the link.
local function receive(link)
  link.at = link.at or 1
  local message, after
  local function is_there()
    local left = #link.received - link.at + 1
    if left < 4 or left < 4 + (">I4"):unpack(link.received, link.at) then return false end
    message, after = (">s4"):unpack(link.received, link.at)
    return true
  end
  assert(process.wait(is_there, 10000), "no message came")
  link.at = after
  return message
end

local function section(name)
  local found = {}
  for _, example in ipairs(page.examples) do
    if example.section == name then found[#found + 1] = example end
  end
  return found
end

describe("a host and docs/protocol.md #cluster", function()
  local SENT <const> = { HELLO = true, PATCH = true, SYNC = true, BYE = true }

  it("hold the conversation of the page", function()
    local peers <close> = cluster.start { count = 1, defaults = { round = 3 } }
    local host = peers:host()
    local ids = identities(host)
    local link <close> = stranger.dial(peers)
    for _, example in ipairs(section "A conversation") do
      if SENT[example.name] then
        link:send(stranger.frame(adopt(example.bytes, ids)))
      else
        local name, notation = decode("message", receive(link))
        assert.same({ example.name, adapt(example.notation, {}) }, { name, adapt(notation, ids) })
      end
    end
    assert.is_true(link:wait_cut())
    host:await "#share:peers() == 1"
    assert.equal(4, host:eval "return data.round")
    peers:settle()
  end)

  -- The patch that was accepted as this version: its update as notation, and the message.
  local function receive_patch(link, version)
    local wanted = ("^%%[4, %d, 1, 1, %s(.*)%%]$"):format(version, ("%d+, "):rep(5))
    local message, update
    repeat
      message = receive(link)
      update = select(2, decode("message", message)):match(wanted)
    until update
    return update, message
  end

  it("write the updates of the page", function()
    local peers <close> = cluster.start { count = 1, defaults = { round = 3 } }
    local host = peers:host()
    local link <close> = stranger.dial(peers)
    link:send(stranger.frame(adopt(section "A conversation"[1].bytes, identities(host))))
    local checked = 0
    for _, example in ipairs(page.examples) do
      if example.kind == "lua" then
        host:eval [[
          share:replace {
            round = 3, new = {}, players = { alice = { hp = 1 } }, list = { { hp = 1 }, "b", "c" },
          }
          assert(share:flush(10))]]
        local version = host:eval(("%s assert(share:flush(10)) return share:version()"):format(
          example.update))
        local update, message = receive_patch(link, version)
        assert.equal(example.notation, update)
        assert.equal(example.bytes, message:sub(-#example.bytes))
        checked = checked + 1
      end
    end
    assert.truthy(checked > 0)
    link:send(stranger.frame(stranger.array(stranger.uint(11))))
    assert.is_true(link:wait_cut())
    peers:settle()
  end)

  it("keep a group file like that of the page", function()
    local peers <close> = cluster.start { count = 1, defaults = {} }
    local host = peers:host()
    local names = peers:files "%.group$"
    assert.equal(1, #names)
    local path = peers.directory .. "/" .. names[1]
    local function look()
      local file <close> = assert(io.open(path, "rb"))
      local bytes, found = file:read "a", { size = file:seek "end" }
      for _, row in ipairs(assert(page.tables["The rendezvous: offset"])) do
        found[row[2]] = ("<I8"):unpack(bytes, row[1] + 1)
      end
      return found
    end
    local found = look()
    local magic = page.tables["The rendezvous: offset"][1][3]:match "^`(%d+)`"
    assert.equal(magic, ("%d"):format(found.magic))
    assert.equal(host:eval "return select(2, share:status()).group", ("%x"):format(found.group))
    assert.equal(host:eval "return select(2, share:status()).term", found.term)
    assert.same({ 1, 0, 4096 }, { found.format, found.dead, found.size })
    eventually(function() assert.truthy(look().heartbeat > found.heartbeat) end)
    assert.equal(tonumber("600", 8), uv.fs_stat(path).mode & tonumber("7777", 8))
    local socket = names[1]:gsub("group$", ("%d.sock"):format(found.term))
    assert.same({ socket }, peers:files "%.sock$")
  end)
end)
