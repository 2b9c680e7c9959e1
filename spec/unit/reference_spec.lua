-- scripts/reference.lua turns the annotations into what LDoc reads, and loses nothing.
local process = require "spec.support.process"

local ANNOTATIONS <const> = "lua/memshare/library/core.lua"

local function translate()
  local child <close> = process.spawn(nil, { "scripts/reference.lua", ANNOTATIONS })
  assert(child:wait_exit(10000))
  assert(child.code == 0, child.log)
  return child.out
end

-- Each function's comment and header.
local function functions_in(text)
  local found, comment = {}, {}
  for line in text:gmatch "([^\n]*)\n" do
    if line:find "^%-%-" then
      comment[#comment + 1] = line
    else
      local name = line:match "^function ([%w_.:]+%(.*%)) end$"
      if name then found[name:gsub("^core", "memshare")] = comment end
      comment = {}
    end
  end
  return found
end

describe("the reference", function()
  local text = translate()
  local file = assert(io.open(ANNOTATIONS))
  local annotated = functions_in(file:read "a")
  local translated = functions_in(text)
  file:close()

  it("is a module of Lua", function()
    assert.is_function(load(text))
    assert.matches("^%-%-%- .-\n%-%- @module memshare\n", text)
  end)

  it("has every function with all its arguments and results", function()
    assert.is_truthy(next(annotated))
    for name, comment in pairs(annotated) do
      local other = assert(translated[name], name)
      local count = { param = 0, ["return"] = 0, tparam = 0, treturn = 0 }
      for _, list in ipairs { comment, other } do
        for _, line in ipairs(list) do
          local tag = line:match "^%-%-+%s*@(%a+)"
          if count[tag] then count[tag] = count[tag] + 1 end
        end
      end
      assert.equal(count.param, count.tparam, name)
      assert.equal(count["return"], count.treturn, name)
    end
    for name in pairs(translated) do assert(annotated[name], name) end
  end)

  it("says something of each of them", function()
    for name, comment in pairs(translated) do
      assert(comment[1]:find "^%-%-%- %S", name)
      local arguments = name:match "%((.*)%)"
      local listed = {}
      for _, line in ipairs(comment) do
        local argument = line:match "^%-%- @tparam%S* %S+ (%S+)"
        listed[#listed + 1] = argument
        assert(not line:find "memshare%.[A-Z]", line)
      end
      assert.equal(arguments, table.concat(listed, ", "), name)
    end
  end)

  it("has a table for each class with fields", function()
    for _, name in ipairs { "OpenOptions", "Change", "OnOptions", "Rejection", "Status", "Peer" } do
      assert.matches("%-%- @tfield.-\n%-%- @table " .. name .. "\n", text)
    end
  end)
end)
