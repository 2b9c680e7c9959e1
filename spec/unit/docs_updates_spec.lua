-- docs/updates.md is true: each of its examples runs, and what stands before `-->` gives what
-- stands behind it.
local alone = require "spec.support.alone"
local literal = require "spec.support.literal"
local memshare = require "memshare"

local PAGE <const> = "docs/updates.md"

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- The lines of each block of Lua, and the line of the page before the first.
local function read_blocks(page)
  local blocks, block, number = {}, nil, 0
  for line in page:gmatch "([^\n]*)\n" do
    number = number + 1
    if line == "```lua" then
      block = { line = number }
    elseif line == "```" and block then
      blocks[#blocks + 1] = block
      block = nil
    elseif block then
      block[#block + 1] = line
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

-- The block as a program that calls check(line, expected, ...) where the page has `-->`.
local function to_program(block)
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

-- Values as text that tells integers from floats.
local function show(values)
  local out = {}
  for i = 1, values.n do out[i] = literal.write(values[i]) end
  return table.concat(out, ", ")
end

-- What a block sees: everything, with its shares in a directory of their own.
local function environment(options, check)
  local module = setmetatable({
    open = function(name, defaults) return memshare.open(name, defaults, options) end,
  }, { __index = memshare })
  return setmetatable({ memshare = module, check = check }, { __index = _G })
end

local function run_block(block)
  local here <close> = alone.directory_only()
  local count = 0
  local env
  local function check(line, expected, ...)
    count = count + 1
    local wanted = assert(load("return " .. expected, "=expected", "t", env))
    local where = ("%s:%d: "):format(PAGE, line)
    assert.equal(where .. show(table.pack(wanted())), where .. show(table.pack(...)))
  end
  env = environment(here.options, check)
  local name = ("=%s:%d"):format(PAGE, block.line)
  assert(load(to_program(block), name, "t", env))()
  return count
end

-- The names that a source of the library gives its operators.
local function names_in(path, pattern)
  local names = {}
  for name in read_file(path):gmatch(pattern) do names[name] = true end
  assert(next(names), path)
  return names
end

describe("docs/updates.md", function()
  local page = read_file(PAGE)
  local blocks = read_blocks(page)

  for _, block in ipairs(blocks) do
    it(("shows what comes out: the example in line %d"):format(block.line), function()
      assert(run_block(block) > 0, "nothing is shown")
    end)
  end

  it("has an example of every operator of updates", function()
    local code = {}
    for _, block in ipairs(blocks) do code[#code + 1] = table.concat(block, "\n") end
    local examples = table.concat(code, "\n")
    for name in pairs(names_in("runtime/src/operator.c", '%.name = "(%$%a+)"')) do
      assert(examples:find(('["%s"]'):format(name), 1, true), name)
    end
    for _, name in ipairs { "$each", "$position", "$slice", "$sort" } do
      assert(examples:find(('["%s"]'):format(name), 1, true), name)
    end
  end)

  it("names every condition of queries", function()
    for _, path in ipairs { "runtime/src/query_operator.c", "runtime/src/query_parse.c" } do
      local names = names_in(path, '"(%$%a+)"')
      assert(next(names), path)
      for name in pairs(names) do assert(page:find("`" .. name .. "`", 1, true), name) end
    end
  end)

  it("names every operator value", function()
    for name in pairs(names_in("c/operator.c", '{"([%a_]+)", module_')) do
      assert(page:find("memshare." .. name, 1, true), name)
    end
  end)
end)
