-- docs/updates.md is true: each of its examples runs, and what stands before `-->` gives what
-- stands behind it.
local alone = require "spec.support.alone"
local page_of = require "spec.support.page"

local PAGE <const> = "docs/updates.md"

local function run_block(block)
  local here <close> = alone.directory_only()
  local count = 0
  local env
  local function check(line, expected, ...)
    count = count + 1
    local wanted = assert(load("return " .. expected, "=expected", "t", env))
    local where = ("%s:%d: "):format(PAGE, line)
    assert.equal(where .. page_of.show(table.pack(wanted())),
      where .. page_of.show(table.pack(...)))
  end
  env = page_of.environment(here.options, check)
  local name = ("=%s:%d"):format(PAGE, block.line)
  assert(load(page_of.to_program(block), name, "t", env))()
  return count
end

-- The names that a source of the library gives its operators.
local function names_in(path, pattern)
  local names = {}
  for name in page_of.read_file(path):gmatch(pattern) do names[name] = true end
  assert(next(names), path)
  return names
end

describe("docs/updates.md", function()
  local page = page_of.read_file(PAGE)
  local blocks = page_of.read_blocks(page)

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
