-- docs/protocol.md as its spec sees it: examples in fenced blocks, and tables.
--
--   value    a line each: bytes, type, notation
--   message  name and notation, then bytes
--   frame    the same with the length of the frame in front
--   group    id and term, then the bytes that a group file begins with
--   update   `! ` an update document, perhaps `where ` and `filters `, `= ` its wire form, bytes
--   lua      `! ` what a peer does, `= ` and bytes as above
--
-- A blank line stands between two examples of a block; a notation goes on in indented lines.
local M = {}

M.PATH = "docs/protocol.md"

local FIRST_LINES <const> = {
  message = { { "name", "^([A-Z_]+) " }, { "notation", "^[A-Z_]+ (.+)$" } },
  group = { { "notation", "^(%[.+)$" } },
  update = {
    { "update", "^! (.+)$" }, { "where", "^where (.+)$" }, { "filters", "^filters (.+)$" },
    { "notation", "^= (.+)$" },
  },
}
FIRST_LINES.frame = FIRST_LINES.message
FIRST_LINES.lua = FIRST_LINES.update

local function is_hex(line)
  return line:find "^%x%x" and not line:gsub("^%x%x", ""):gsub(" %x%x", ""):find "."
end

local function from_hex(text)
  local function to_char(pair) return string.char(tonumber(pair, 16)) end
  return (text:gsub("%s", ""):gsub("%x%x", to_char))
end

local function read_values(example, lines)
  for i, line in ipairs(lines) do
    local hex, kind, notation = line:match "^(%x[%x ]-)%s%s+(%a+) (.+)$"
    assert(hex and is_hex(hex), "no value: " .. line)
    example[i] = {
      line = example.line + i - 1, bytes = from_hex(hex), name = kind, notation = notation,
    }
  end
  return table.unpack(example)
end

local function read_example(kind, first, lines)
  local example = { kind = kind, line = first }
  if kind == "value" then return read_values(example, lines) end
  local hex, last = {}, nil
  for _, line in ipairs(lines) do
    local known = is_hex(line)
    if known then
      hex[#hex + 1] = line
    elseif line:find "^ " and last then
      known = true
      example[last] = example[last] .. line:gsub("^%s+", " ")
    else
      for _, part in ipairs(FIRST_LINES[kind]) do
        local name, found = part[1], line:match(part[2])
        if found then known, last, example[name] = true, name, found end
      end
    end
    assert(known, ("line %d: not part of an example: %s"):format(first, line))
  end
  example.bytes = from_hex(table.concat(hex, " "))
  assert(example.notation and example.bytes ~= "", ("line %d: half an example"):format(first))
  return example
end

local function add_block(page, kind, first, lines)
  if kind ~= "value" and not FIRST_LINES[kind] then
    error(("line %d: nothing checks examples in ```%s"):format(first, kind))
  end
  local from = 1
  for i = 1, #lines + 1 do
    if i > #lines or lines[i] == "" then
      local part = table.move(lines, from, i - 1, 1, {})
      for _, example in ipairs { read_example(kind, first + from - 1, part) } do
        example.kind, example.section = kind, page.section
        page.examples[#page.examples + 1] = example
      end
      from = i + 1
    end
  end
end

local function add_row(page, line)
  local row = {}
  for cell in line:gmatch "|([^|]+)" do row[#row + 1] = cell:match "^%s*(.-)%s*$" end
  if page.rows and row[1]:find "^%-+$" then return end
  if not page.rows then
    page.rows = {}
    page.tables[page.section .. ": " .. row[1]] = page.rows
  else
    page.rows[#page.rows + 1] = row
  end
end

---Examples in order, tables by "section: head of the first column", and what is no example.
function M.read()
  local file <close> = assert(io.open(M.PATH, "rb"))
  local page = { examples = {}, tables = {}, text = {}, section = "" }
  local number, block, kind, first = 0, nil, nil, nil
  for line in file:lines() do
    number = number + 1
    if block and line == "```" then
      add_block(page, kind, first, block)
      block = nil
    elseif block then
      block[#block + 1] = line
    elseif line:find "^```" then
      block, kind, first = {}, line:sub(4), number + 1
    else
      page.section = line:match "^#+ (.+)$" or page.section
      if line:find "^|" then add_row(page, line) else page.rows = nil end
      page.text[#page.text + 1] = line
    end
  end
  assert(not block, "a block without end")
  return page
end

return M
