local core = require "memshare.core"
local memshare = require "memshare"

-- The annotations, which are Lua as well.
local function annotations()
  local init = assert(package.searchpath("memshare", package.path))
  return dofile((init:gsub("init%.lua$", "library/core.lua")))
end

-- The text of the annotations.
local function text_of_annotations()
  local init = assert(package.searchpath("memshare", package.path))
  local file <close> = assert(io.open((init:gsub("init%.lua$", "library/core.lua"))))
  return file:read "a"
end

-- The fields of a class, as the annotations have them.
local function fields_of(class)
  local block = text_of_annotations():match("\n%-%-%-@class memshare%." .. class .. "\n(.-)\n\n")
  local fields = {}
  for name in assert(block, class):gmatch "%-%-%-@field ([%w_]+)" do fields[name] = true end
  assert(next(fields), class)
  return fields
end

-- What an unknown option or a list of options in the sources says there is.
local function options_in(path, list)
  local file <close> = assert(io.open(path))
  local block = file:read "a":match("msl_option " .. list .. "%[%] = {(.-)\n};")
  local names = {}
  for name in assert(block, list):gmatch '{"([%w_]+)"' do names[name] = true end
  return names
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

  it("name the methods of subscriptions and timers", function()
    local registry = debug.getregistry()
    for class, type_name in pairs {
      Subscription = "memshare.subscription", Timer = "memshare.timer",
    } do
      local methods = registry[type_name].__index
      assert.same(sorted_keys(methods), sorted_keys(fields_of(class)))
    end
  end)

  it("name every option, and no other", function()
    for class, place in pairs {
      OpenOptions = { "c/share.c", "open_options" },
      SetOptions = { "c/write.c", "set_option_list" },
      CallOptions = { "c/message.c", "call_option_list" },
      OnOptions = { "c/sub.c", "on_option_list" },
      TransactionOptions = { "c/transaction.c", "option_list" },
    } do
      assert.same(sorted_keys(options_in(table.unpack(place))), sorted_keys(fields_of(class)))
    end
  end)

  it("give each function as many arguments as its header has", function()
    local parameters, count = {}, 0
    for line in text_of_annotations():gmatch "([^\n]*)\n" do
      local name = line:match "^%-%-%-@param ([%w_.]+)"
      local header = line:match "^function [%w_.:]+%((.*)%) end$"
      if name then
        parameters[#parameters + 1] = name
      elseif header then
        assert.equal(header, table.concat(parameters, ", "), line)
        parameters, count = {}, count + 1
      elseif not line:find "^%-%-%-" then
        parameters = {}
      end
    end
    assert.is_true(count > 50)
  end)

  it("have a description for each function", function()
    local described = false
    for line in text_of_annotations():gmatch "([^\n]*)\n" do
      if line:find "^function" then assert(described, line) end
      described = line:find "^%-%-%-" and (described or not line:find "^%-%-%-@") or false
    end
  end)
end)

describe("the module", function()
  it("sets no globals", function()
    assert.is_nil(rawget(_G, "memshare"))
  end)

  it("passes on all that the core exports, but what is for the command", function()
    local inside = { add_method = true, attach = true, catch_signals = true, caught_signal = true,
      release_signals = true, version = true }
    for name, value in pairs(core) do
      if not inside[name] then assert.equal(value, memshare[name], name) end
    end
    assert.is_function(memshare.on_error)
    assert.is_function(memshare.log)
  end)

  it("names its version", function()
    assert.equal("memshare " .. core.version, memshare._VERSION)
  end)
end)
