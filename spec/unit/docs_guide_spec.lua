-- docs/guide.md and docs/coordination.md are true: each chapter is a program that runs, and shows
-- what comes out of it.
local alone = require "spec.support.alone"
local memshare = require "memshare"
local page_of = require "spec.support.page"

local PAGES <const> = { "docs/guide.md", "docs/coordination.md" }

-- The blocks of each chapter as one, which keeps its locals, and their lines.
local function read_chapters(page)
  local chapters, last = {}, nil
  for _, block in ipairs(page_of.read_blocks(page)) do
    if not last or last.name ~= block.chapter then
      last = { name = block.chapter, line = block.line }
      chapters[#chapters + 1] = last
    end
    while last.line + #last < block.line do last[#last + 1] = "" end
    for _, line in ipairs(block) do last[#last + 1] = line end
  end
  return chapters
end

local function run_chapter(path, chapter)
  local here <close> = alone.directory_only()
  local count = 0
  local env
  local function check(line, expected, ...)
    count = count + 1
    local where = ("%s:%d: "):format(path, line)
    local wanted = assert(load("return " .. expected, "=expected", "t", env))
    assert.equal(where .. page_of.show(table.pack(wanted())),
      where .. page_of.show(table.pack(...)))
  end
  env = page_of.environment(here.options, check)
  local modules = { memshare = env.memshare }
  env.require = function(name) return modules[name] or require(name) end
  assert(load(page_of.to_program(chapter), ("=%s:%d"):format(path, chapter.line), "t", env))()
  return count
end

local function has_code(chapter)
  for _, line in ipairs(chapter) do if line ~= "" then return true end end
end

for _, path in ipairs(PAGES) do
  describe(path, function()
    local on_error = memshare.on_error
    after_each(function() memshare.on_error = on_error end)

    for _, chapter in ipairs(read_chapters(page_of.read_file(path))) do
      if has_code(chapter) then
        it(("shows what comes out: %s"):format(chapter.name), function()
          assert(run_chapter(path, chapter) > 0, "nothing is shown")
        end)
      end
    end
  end)
end

describe("the pages together", function()
  local page = page_of.read_file(PAGES[1]) .. page_of.read_file(PAGES[2])

  it("name every function of the module and every method of shares", function()
    local core = dofile(package.searchpath("memshare.library.core", package.path))
    local _, classes = dofile(package.searchpath("memshare.library.core", package.path))
    local inside = { add_method = true, attach = true, catch_signals = true, caught_signal = true,
      release_signals = true }
    for name in pairs(core) do
      if not inside[name] then assert(page:find("%f[%w_]" .. name .. "%f[^%w_]"), name) end
    end
    for name in pairs(classes.Share) do
      assert(page:find("%f[%w_]" .. name .. "%f[^%w_]"), "share:" .. name)
    end
  end)

  it("name every code of errors and every option of open", function()
    for name in page_of.read_file("runtime/include/memshare.h"):gmatch 'X%(MS_(E%u+),' do
      assert(page:find("`" .. name .. "`", 1, true), name)
    end
    for name in page_of.read_file("c/share.c"):gmatch '{"([%a_]+)", MSL_OPTION_' do
      assert(page:find("`" .. name .. "`", 1, true), name)
    end
  end)
end)
