local core = require "memshare.core"
local memshare = require "memshare"

-- The annotations, which are Lua as well.
local function annotations()
  local init = assert(package.searchpath("memshare", package.path))
  return dofile((init:gsub("init%.lua$", "library/core.lua")))
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

describe("the annotations", function()
  it("name what memshare.core exports", function()
    local exported, documented = {}, annotations()
    for name, value in pairs(core) do
      if type(value) == "function" then exported[name] = value end
    end
    assert.same(sorted_keys(exported), sorted_keys(documented))
  end)

  it("name the methods of shares and receipts", function()
    local _, classes = annotations()
    local registry = debug.getregistry()
    for class, type_name in pairs { Share = "memshare.share", Receipt = "memshare.receipt" } do
      local _, methods = debug.getupvalue(registry[type_name].__index, 1)
      assert.same(sorted_keys(methods), sorted_keys(classes[class]))
    end
  end)
end)

describe("the module", function()
  it("sets no globals", function()
    assert.is_nil(rawget(_G, "memshare"))
  end)

  it("names its version", function()
    assert.equal("memshare " .. core.version, memshare._VERSION)
  end)
end)
