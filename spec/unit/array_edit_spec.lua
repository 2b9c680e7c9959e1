local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised = alone.raised

describe("memshare.insert", function()
  it("inserts at a position and at the end, and gives the receipt", function()
    local here <close> = alone.open { list = { "b" }, empty = {} }
    local list = here.data.list
    assert.is_truthy(memshare.insert(list, 1, "a"):wait())
    assert.is_truthy(memshare.insert(list, "d"):wait())
    assert.is_truthy(memshare.insert(list, 3, "c"):wait())
    assert.is_truthy(memshare.insert(list, 5, "e"):wait())
    assert.is_truthy(memshare.insert(list, nil, "f"):wait())
    assert.is_truthy(memshare.insert(list, 7.0, { x = {} }):wait())
    assert.same({ "a", "b", "c", "d", "e", "f", { x = {} } }, memshare.copy(list))
    memshare.insert(here.data.empty, 1, "x")
    assert.same({ "x" }, memshare.copy(here.data.empty))
    assert.equal("array", memshare.type(here.data.empty))
  end)

  it("is one patch", function()
    local here <close> = alone.open { list = { 1, 2, 3 } }
    local before = here.share:stats().submitted
    memshare.insert(here.data.list, 1, 0)
    assert.equal(before + 1, here.share:stats().submitted)
  end)

  it("keeps a value that looks like an operator's operand", function()
    local here <close> = alone.open { list = { 1 } }
    local list = here.data.list
    memshare.insert(list, 1, { ["$each"] = { 1, 2 }, ["$position"] = 0 })
    memshare.insert(list, { ["$each"] = { 1, 2 } })
    assert.same({ { ["$each"] = { 1, 2 }, ["$position"] = 0 }, 1, { ["$each"] = { 1, 2 } } },
      memshare.copy(list))
  end)

  it("refuses positions outside of 1 to n + 1, and values that cannot be shared", function()
    local here <close> = alone.open { list = { 1, 2 } }
    local list = here.data.list
    for _, position in ipairs { 0, -1, 4, math.mininteger, math.maxinteger } do
      local expected = ": list has 2 elements: %d is outside of 1 to 3 (EARGUMENT)"
      local message = raised(function() memshare.insert(list, position, 9) end)
      assert.equal(expected:format(position), message:match "insert(:.*)$")
    end
    assert.matches("an integer as position expected, got string %(EARGUMENT%)$",
      raised(function() memshare.insert(list, "1", 9) end))
    assert.matches("an integer as position", raised(function() memshare.insert(list, 1.5, 9) end))
    assert.matches("insert: a value expected, got nil %(EARGUMENT%)$",
      raised(function() memshare.insert(list, 1, nil) end))
    assert.matches("a value expected", raised(function() memshare.insert(list) end))
    assert.matches("list%.f: function cannot be shared %(EARGUMENT%)$",
      raised(function() memshare.insert(list, 1, { f = print }) end))
    assert.matches("list: .*memshare%.copy%(proxy%)",
      raised(function() memshare.insert(list, 1, list) end))
    assert.same({ 1, 2 }, memshare.copy(list))
  end)
end)

describe("memshare.remove", function()
  it("gives the element and the receipt", function()
    local here <close> = alone.open { list = { "a", { x = { 1 } }, "c", memshare.null } }
    local list = here.data.list
    local removed, receipt = memshare.remove(list)
    assert.equal(memshare.null, removed)
    assert.is_truthy(receipt:wait())
    removed, receipt = memshare.remove(list, 2)
    assert.same({ x = { 1 } }, removed)
    assert.equal("object", memshare.type(removed))
    removed.x = nil
    assert.is_truthy(receipt:wait())
    assert.equal("a", (memshare.remove(list, 1)))
    assert.equal("c", (memshare.remove(list, 1.0)))
    assert.equal(0, #list)
    assert.equal("array", memshare.type(list))
  end)

  it("gives nil alone when the list is empty", function()
    local here <close> = alone.open { empty = {}, list = memshare.array {} }
    for _, list in ipairs { here.data.empty, here.data.list } do
      assert.equal(1, select("#", memshare.remove(list)))
      assert.is_nil(memshare.remove(list))
      assert.equal(1, select("#", memshare.remove(list, 1)))
      assert.matches("has 0 elements", raised(function() memshare.remove(list, 2) end))
    end
    assert.equal(0, here.share:stats().submitted)
  end)

  it("refuses positions outside of 1 to n", function()
    local here <close> = alone.open { list = { 1, 2 } }
    local list = here.data.list
    for _, position in ipairs { 0, -1, 3, math.maxinteger } do
      assert.matches("remove: list has 2 elements: %-?%d+ is outside of 1 to 2 %(EARGUMENT%)$",
        raised(function() memshare.remove(list, position) end))
    end
    assert.matches("an integer as position expected, got string",
      raised(function() memshare.remove(list, "1") end))
    assert.same({ 1, 2 }, memshare.copy(list))
  end)

  it("takes every element of a long list once", function()
    local numbers = {}
    for i = 1, 300 do numbers[i] = i end
    local here <close> = alone.open { list = numbers }
    local list, seen = here.data.list, {}
    local seed = 1
    while #list > 0 do
      seed = seed * 48271 % 2147483647
      local number = memshare.remove(list, 1 + seed % #list)
      assert.is_nil(seen[number])
      seen[number] = true
    end
    assert.equal(300, #seen)
  end)

  it("is not confused by finalizers that change the list", function()
    local here <close> = alone.open { list = {} }
    local list = here.data.list
    for i = 1, 200 do memshare.insert(list, "e" .. i) end
    local count, removed = 0, {}
    local function litter()
      setmetatable({}, { __gc = function()
        if count == 0 then return end
        count = count - 1
        removed[#removed + 1] = table.pack(memshare.remove(list, 1))[1]
      end })
    end
    collectgarbage "stop"
    count = 20
    for _ = 1, 40 do litter() end
    collectgarbage "restart"
    local old = collectgarbage("generational")
    while #list > 100 do removed[#removed + 1] = (memshare.remove(list, 1)) litter() end
    collectgarbage(old)
    count = 0
    for _, element in ipairs(memshare.copy(list)) do removed[#removed + 1] = element end
    local seen = {}
    for _, element in ipairs(removed) do
      assert.is_nil(seen[element], element)
      seen[element] = true
    end
    assert.equal(200, #removed)
  end)
end)

describe("edits of lists", function()
  it("take proxies of lists only", function()
    local here <close> = alone.open { list = { { 1 } }, o = { x = 1 } }
    local data = here.data
    for name, edit in pairs {
      insert = function(list) return memshare.insert(list, 1) end,
      remove = function(list) return memshare.remove(list) end,
    } do
      assert.matches(name .. ": proxy of a list expected; table%." .. name
        .. " changes a plain table %(EARGUMENT%)$", raised(function() edit {} end))
      assert.matches(name .. ": proxy of a list expected, got nil %(EARGUMENT%)$",
        raised(function() edit() end))
      assert.matches(name .. ": the document is an object, not a list %(EARGUMENT%)$",
        raised(function() edit(data) end))
      local result, message, code = edit(data.o)
      assert.is_nil(result)
      assert.equal("o holds object, not a list", message)
      assert.equal("ETYPE", code)
    end
    local copy
    here.share:on("list", function(_, old) copy = old end)
    data.list = nil
    alone.wait(function() return copy end)
    assert.matches("insert: a read%-only copy cannot be changed %(EARGUMENT%)$",
      raised(function() memshare.insert(copy, 1) end))
  end)

  it("say when the list is gone, and do not bring it back", function()
    local here <close> = alone.open { list = { 1 } }
    local list = here.data.list
    here.data.list = nil
    for _, edit in ipairs {
      function() return memshare.insert(list, 1) end,
      function() return memshare.remove(list) end,
    } do
      local result, message, code = edit()
      assert.is_nil(result)
      assert.equal("list: nothing is there any more", message)
      assert.equal("EPATH", code)
    end
    assert.is_nil(here.data.list)
  end)

  it("join the open batch and give its receipt", function()
    local here <close> = alone.open { list = { 1, 2, 3 } }
    local list, before = here.data.list, here.share:stats().submitted
    local inserted, removed, element
    local receipt = here.share:batch(function()
      inserted = memshare.insert(list, 1, 0)
      element, removed = memshare.remove(list, 2)
      list[#list] = nil
      assert.equal("pending", removed.state)
    end)
    assert.equal(receipt, inserted)
    assert.equal(receipt, removed)
    assert.equal(1, element)
    assert.is_truthy(receipt:wait())
    assert.same({ 0, 2 }, memshare.copy(list))
    assert.equal(before + 1, here.share:stats().submitted)
  end)

  it("raise once the share is closed", function()
    local here <close> = alone.open { list = { 1 } }
    local list = here.data.list
    here.share:close()
    assert.matches("%(ECLOSED%)$", raised(function() memshare.insert(list, 1) end))
    assert.matches("%(ECLOSED%)$", raised(function() memshare.remove(list) end))
  end)

  it("tell hooks of what moved", function()
    local here <close> = alone.open { list = { "a", "b" } }
    local heard = {}
    here.share:on("list.*", function(new, old, path) heard[path] = { old, new } end)
    memshare.insert(here.data.list, 1, "z")
    alone.wait(function() return heard["list.2"] end)
    assert.same({ "a", "z" }, heard["list.0"])
    assert.same({ nil, "b" }, heard["list.2"])
    heard = {}
    memshare.remove(here.data.list, 1)
    alone.wait(function() return heard["list.2"] end)
    assert.same({ "b", nil }, heard["list.2"])
  end)
end)
