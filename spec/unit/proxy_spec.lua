local cjson = require "cjson"
local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised = alone.raised

describe("a proxy", function()
  it("reads and writes like a table", function()
    local here <close> = alone.open { round = 0, players = {} }
    local data = here.data
    assert.equal(0, data.round)
    data.round = 1
    assert.equal(1, data.round)
    data.players.alice = { hp = 100, tags = {} }
    assert.equal(100, data.players.alice.hp)
    data.players.alice.hp = nil
    assert.is_nil(data.players.alice.hp)
    assert.same({ round = 1, players = { alice = { tags = {} } } }, memshare.copy(data))
  end)

  it("keeps every type of value", function()
    local here <close> = alone.open()
    local data = here.data
    local values = { 1, 1.0, -0.5, math.maxinteger, "", "a\0\255", true, false, math.huge }
    for _, value in ipairs(values) do
      data.x = value
      assert.equal(value, data.x)
      assert.equal(math.type(value), math.type(data.x))
    end
    data.x = memshare.null
    assert.equal(cjson.null, data.x)
  end)

  it("is the same for the same path while it is alive", function()
    local here <close> = alone.open { a = { b = { c = {} } }, list = { {} }, o = { ["1001"] = {} } }
    local data = here.data
    assert.equal(data, here.share.data)
    assert.equal(data.a.b, data.a.b)
    local c = data.a.b.c
    collectgarbage()
    collectgarbage()
    assert.equal(c, here.share:get "a.b.c")
    assert.equal(c, here.share:get { "a", "b", "c" })
    assert.equal(data.list[1], here.share:get "list.0")
    assert.equal(data.o[1001], data.o["1001"])
    assert.not_equal(data.a, data.a.b)
  end)

  it("names a path, whatever lives there", function()
    local here <close> = alone.open { a = { x = 1 } }
    local a = here.data.a
    here.data.a = { y = 2 }
    assert.is_nil(a.x)
    assert.equal(2, a.y)
    here.data.a = nil
    assert.is_nil(a.y)
    here.data.a = 5
    assert.is_nil(a.y)
  end)

  it("reads nil for keys that cannot exist", function()
    local here <close> = alone.open { list = { 1 }, o = { x = 1 } }
    local data = here.data
    assert.is_nil(data[true])
    assert.is_nil(data[1.5])
    assert.is_nil(data.list[0])
    assert.is_nil(data.list[2])
    assert.is_nil(data.list.x)
    assert.equal(1, data.list[1.0])
  end)

  it("has one raw slot, so that raw readers do not see an empty table", function()
    local here <close> = alone.open { x = 1 }
    assert.equal("userdata", type((next(here.data))))
    assert.is_nil(next(here.data, (next(here.data))))
    assert.has_error(function() cjson.encode(here.data) end)
  end)

  it("has a locked metatable", function()
    local here <close> = alone.open()
    assert.equal("memshare.proxy", getmetatable(here.data))
    assert.has_error(function() setmetatable(here.data, {}) end)
  end)

  it("survives a foreign userdata in its slot", function()
    local here <close> = alone.open()
    local data = here.data
    local slot, place = next(data)
    rawset(data, slot, io.stdout)
    assert.matches("a proxy expected %(EARGUMENT%)$", raised(function() return data.x end))
    rawset(data, slot, place)
    assert.is_nil(data.x)
  end)

  it("shows its path", function()
    local here <close> = alone.open { a = { b = {} }, list = { {}, {} } }
    local data = here.data
    assert.equal("a.b", memshare.path(data.a.b))
    assert.equal("list.1", memshare.path(data.list[2]))
    assert.equal("", memshare.path(data))
    assert.equal("memshare alone: a.b", tostring(data.a.b))
    assert.matches("path: proxy expected", raised(function() memshare.path {} end))
  end)

  it("has any key string, also with dots, $ and NUL", function()
    local here <close> = alone.open()
    local data = here.data
    for i, key in ipairs { "", "a.b", "$set", "a\0b", "*" } do
      data[key] = i
      assert.equal(i, data[key])
    end
    assert.equal(2, here.share:get { "a.b" })
    assert.is_nil(here.share:get "a.b")
  end)

  it("makes strings of integer keys of an object", function()
    local here <close> = alone.open { players = { x = 1 } }
    local players = here.data.players
    players[1001] = { hp = 1 }
    players[-3] = 2
    players[7.0] = 3
    assert.equal(1, players["1001"].hp)
    assert.equal(2, players["-3"])
    assert.equal(3, players["7"])
  end)

  it("refuses boolean and float keys", function()
    local here <close> = alone.open { a = { x = 1 } }
    assert.matches("a: a key is a string or an integer, not a boolean %(EARGUMENT%)$",
      raised(function() here.data.a[true] = 1 end))
    assert.matches("not a float %(EARGUMENT%)$", raised(function() here.data.a[1.5] = 1 end))
  end)

  it("refuses values that cannot be shared, at the assigning line", function()
    local here <close> = alone.open { a = { x = 1 } }
    assert.matches("a%.x%.f: function cannot be shared %(EARGUMENT%)$",
      raised(function() here.data.a.x = { f = print } end))
    assert.matches("a%.y: userdata cannot be shared %(EARGUMENT%)$",
      raised(function() here.data.a.y = io.stdout end))
    assert.equal(1, here.data.a.x)
  end)

  it("refuses a proxy as a value, also nested, and names memshare.copy", function()
    local here <close> = alone.open { a = { x = 1 }, b = {} }
    local data = here.data
    assert.matches("b%.a: .*memshare%.copy%(proxy%) %(EARGUMENT%)$",
      raised(function() data.b.a = data.a end))
    assert.matches("b%.a%.0%.z: .*memshare%.copy",
      raised(function() data.b.a = { { z = data.a } } end))
    data.b.a = memshare.copy(data.a)
    assert.equal(1, data.b.a.x)
  end)

  it("refuses a patch of more than 16 MiB", function()
    local here <close> = alone.open { x = 1 }
    local message = raised(function() here.data.x = ("x"):rep(2 ^ 24) end)
    assert.matches("16777216.*%(ELIMIT%)$", message)
    assert.equal(1, here.data.x)
  end)

  it("refuses values deeper than 100 levels", function()
    local here <close> = alone.open()
    local deep = {}
    for _ = 1, 99 do deep = { deep } end
    assert.matches("%(ELIMIT%)$", raised(function() here.data.x = deep end))
    assert.is_nil(here.data.x)
  end)

  it("does not bring back a container that is gone", function()
    local here <close> = alone.open { players = { alice = { hp = 1 } } }
    local alice = here.data.players.alice
    here.data.players.alice = nil
    assert.matches("players%.alice: nothing is there any more %(EPATH%)$",
      raised(function() alice.hp = 5 end))
    assert.is_nil(here.data.players.alice)
    here.data.players.alice = 7
    assert.matches("players%.alice is no table any more but integer %(EPATH%)$",
      raised(function() alice.hp = 5 end))
  end)

  it("cannot be replaced through share.data", function()
    local here <close> = alone.open { x = 1 }
    assert.matches("share:replace%(document%) replaces it %(EARGUMENT%)$",
      raised(function() here.share.data = {} end))
    here.share:replace { y = 2 }
    assert.same({ y = 2 }, memshare.copy(here.data))
  end)

  it("walks objects with pairs", function()
    local here <close> = alone.open { a = 1, b = { c = 2 }, ["3"] = 3 }
    local found = {}
    for key, value in pairs(here.data) do found[key] = value end
    assert.equal(1, found.a)
    assert.equal(here.data.b, found.b)
    assert.equal(3, found["3"])
    assert.equal(3, memshare.count(here.data))
    assert.equal(3, memshare.count(found))
  end)

  it("walks one root, so that no change shows half-way", function()
    local here <close> = alone.open()
    for i = 1, 100 do here.data["k" .. i] = i end
    local count, sum = 0, 0
    for key, value in pairs(here.data) do
      count = count + 1
      sum = sum + value
      here.data[key] = nil
      here.data["n" .. count] = 1
    end
    assert.equal(100, count)
    assert.equal(5050, sum)
    assert.equal(100, memshare.count(here.data))
  end)

  it("walks nothing where nothing is", function()
    local here <close> = alone.open { a = {} }
    local a = here.data.a
    for _ in pairs(a) do error "an item" end
    here.data.a = nil
    for _ in pairs(a) do error "an item" end
    assert.equal(0, #a)
    assert.equal(0, memshare.count(a))
    assert.equal("nil", memshare.type(a))
    assert.is_nil(memshare.copy(a))
  end)

  it("has memshare.type and memshare.equal look at what it shows", function()
    local here <close> = alone.open { list = { 1 }, o = { x = 1 }, e = {} }
    local data = here.data
    assert.equal("array", memshare.type(data.list))
    assert.equal("object", memshare.type(data.o))
    assert.equal("empty", memshare.type(data.e))
    assert.is_true(memshare.equal(data.list, { 1 }))
    assert.is_false(memshare.equal(data.list, data.o))
    assert.equal('{"e":{},"list":[1],"o":{"x":1}}', memshare.to_json(data))
  end)
end)

describe("a list", function()
  it("appends at n + 1", function()
    local here <close> = alone.open { list = {} }
    local list = here.data.list
    list[1] = "a"
    list[#list + 1] = "b"
    table.insert(list, "c")
    table.insert(list, #list + 1, "d")
    assert.equal("array", memshare.type(list))
    assert.same({ "a", "b", "c", "d" }, memshare.copy(list))
    assert.equal(4, #list)
  end)

  it("is read by ipairs, pairs, table.unpack and table.concat", function()
    local here <close> = alone.open { list = { "a", "b", "c" } }
    local list = here.data.list
    local found = {}
    for i, value in ipairs(list) do found[i] = value end
    assert.same({ "a", "b", "c" }, found)
    found = {}
    for i, value in pairs(list) do found[i] = value end
    assert.same({ "a", "b", "c" }, found)
    assert.equal("a,b,c", table.concat(list, ","))
    assert.same({ "a", "b", "c" }, { table.unpack(list) })
    assert.same({ "a", "b", "c" }, table.move(list, 1, 3, 1, {}))
  end)

  it("is written by index", function()
    local here <close> = alone.open { list = { 1, 2, { x = 1 } } }
    local list = here.data.list
    list[2] = "two"
    list[3].x = 2
    list[1] = memshare.inc(10)
    assert.same({ 11, "two", { x = 2 } }, memshare.copy(list))
  end)

  it("refuses keys that are no index from 1 to n + 1", function()
    local here <close> = alone.open { list = { 1, 2 } }
    local list = here.data.list
    assert.matches("list has 2 elements: index 4 is outside of 1 to 3 %(EARGUMENT%)$",
      raised(function() list[4] = 1 end))
    assert.matches("index 0 ", raised(function() list[0] = 1 end))
    assert.matches("index %-1 ", raised(function() list[-1] = 1 end))
    assert.matches("list is an array: its keys are integers, not a string %(EARGUMENT%)$",
      raised(function() list.x = 1 end))
    assert.matches("not a float", raised(function() list[1.5] = 1 end))
    assert.matches("memshare%.inc beyond the end of a list %(EARGUMENT%)$",
      raised(function() list[3] = memshare.inc(1) end))
  end)

  it("loses its last element by nil, and no other", function()
    local here <close> = alone.open { list = { 1, 2, 3 }, empty = {} }
    local list = here.data.list
    list[#list] = nil
    assert.same({ 1, 2 }, memshare.copy(list))
    assert.matches("list: assigning nil cannot remove an element that is not the last; "
      .. "use memshare%.remove%(list, position%) %(EARGUMENT%)$",
      raised(function() list[1] = nil end))
    assert.matches("list: assigning nil", raised(function() list[3] = nil end))
    assert.same({ 1, 2 }, memshare.copy(list))
    list[2] = nil
    list[1] = nil
    assert.equal("array", memshare.type(list))
    assert.equal(0, #list)
  end)

  it("refuses functions of the table library that move elements, and changes nothing", function()
    local here <close> = alone.open { list = { 3, 1, 2 }, empty = {} }
    local list = here.data.list
    local instead = {
      ["table.insert at a position"] = "use memshare.insert(list, position, value)",
      ["table.remove"] = "use memshare.remove(list, position)",
      ["table.sort"] = "change a memshare.copy(list) and assign that",
      ["table.move"] = "change a memshare.copy(list) and assign that",
    }
    for name, fn in pairs {
      ["table.insert at a position"] = function() table.insert(list, 1, 9) end,
      ["table.remove"] = function() table.remove(list, 1) end,
      ["table.sort"] = function() table.sort(list) end,
      ["table.move"] = function() table.move({ 7, 8 }, 1, 2, 1, list) end,
    } do
      local expected = name .. " cannot change a shared list; " .. instead[name] .. " (EARGUMENT)"
      assert.equal(expected, raised(fn):match ": (.*)$")
    end
    assert.matches("table%.remove", raised(function() table.remove(list) end))
    assert.matches("table%.remove", raised(function() table.remove(here.data.empty) end))
    assert.same({ 3, 1, 2 }, memshare.copy(list))
  end)

  it("has no length as an object", function()
    local here <close> = alone.open { o = { x = 1 } }
    assert.matches("memshare%.count%(proxy%) %(ETYPE%)$",
      raised(function() return #here.data.o end))
  end)
end)

describe("the empty table", function()
  it("becomes an array by key 1 and an object by any other", function()
    local here <close> = alone.open { a = {}, b = {}, c = {} }
    local data = here.data
    data.a[1] = "x"
    data.b.key = "x"
    data.c[2] = "x"
    assert.equal("array", memshare.type(data.a))
    assert.equal("object", memshare.type(data.b))
    assert.same({ ["2"] = "x" }, memshare.copy(data.c))
  end)
end)
