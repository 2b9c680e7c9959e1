-- Pages of the documentation whose examples run: in a block of Lua, what stands before `-->` gives
-- what stands behind it.
local literal = require "spec.support.literal"
local memshare = require "memshare"

local M = {}

-- The options of a block, with those of the spec.
local function join(given, options)
  local all = {}
  for _, source in ipairs { given or {}, options } do
    for name, value in pairs(source) do all[name] = value end
  end
  return all
end

---All of a file.
---@return string
function M.read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

---The lines of each block of Lua, the line of the page before the first, and its chapter.
function M.read_blocks(page)
  local blocks, block, number, chapter = {}, nil, 0, nil
  for line in page:gmatch "([^\n]*)\n" do
    number = number + 1
    if line == "```lua" then
      block = { line = number, chapter = chapter }
    elseif line == "```" and block then
      blocks[#blocks + 1] = block
      block = nil
    elseif block then
      block[#block + 1] = line
    else
      chapter = line:match "^## (.+)" or chapter
    end
  end
  return blocks
end

-- Splits lines of code where the last expression begins: what stands before it is whole statements.
local function split_expression(lines)
  for first = #lines, 1, -1 do
    local head = table.concat(lines, "\n", 1, first - 1)
    local tail = table.concat(lines, "\n", first)
    if load("return " .. tail) and load(head) and not tail:find "^%s*$" then return head, tail end
  end
  error("no expression before -->: " .. lines[#lines])
end

---A block as a program that calls check(line, expected, ...) where the page has `-->`.
function M.to_program(block)
  local program, pending = {}, {}
  for i, line in ipairs(block) do
    local code, expected = line:match "^(.-)%s*%-%->%s*(.+)$"
    if not expected then
      pending[#pending + 1] = line
    else
      if code ~= "" then pending[#pending + 1] = code end
      local head, tail = split_expression(pending)
      program[#program + 1] = head
      program[#program + 1] = ("check(%d, %q, %s\n)"):format(block.line + i, expected, tail)
      pending = {}
    end
  end
  program[#program + 1] = table.concat(pending, "\n")
  return table.concat(program, "\n")
end

---Values as text that tells integers from floats. Proxies are what they show.
---@param values table as table.pack gives it
function M.show(values)
  local out = {}
  for i = 1, values.n do
    local value = values[i]
    if type(value) == "table" and getmetatable(value) then value = memshare.copy(value) end
    out[i] = literal.write(value)
  end
  return table.concat(out, ", ")
end

---What a block sees: everything, with its shares in a directory of their own.
function M.environment(options, check)
  local module = setmetatable({
    open = function(name, defaults, more)
      return memshare.open(name, defaults, join(more, options))
    end,
    new = function(name, defaults, more)
      return memshare.new(name, defaults, join(more, options))
    end,
    list = function() return memshare.list(options) end,
  }, { __index = memshare, __newindex = memshare })
  return setmetatable({ memshare = module, check = check }, { __index = _G })
end

return M
