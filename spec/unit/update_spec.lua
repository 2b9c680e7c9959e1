-- Where updates here are deliberately not MongoDB's (the table in docs/updates.md), and what their
-- refusals say. MongoDB's own cases are in update_vectors_spec.lua.
local literal = require "spec.support.literal"
local memshare = require "memshare"

local null <const> = memshare.null

-- The result as text that tells integers from floats, or the code of the refusal.
local function outcome(document, update, options)
  local result, _, code = memshare.apply(document, update, options)
  return result and literal.write(result) or code
end

local function gives(expected, document, update, options)
  assert.equal(type(expected) == "table" and literal.write(expected) or expected,
    outcome(document, update, options))
end

local function meets(document, where)
  return memshare.apply(document, {}, { where = where }) ~= nil
end

local function refuses(message, code, document, update, options)
  local result, found, found_code = memshare.apply(document, update, options)
  assert.is_nil(result)
  assert.equal(message, found)
  assert.equal(code, found_code)
end

describe("objects without an order of keys", function()
  it("are equal when they hold the same", function()
    local document = { list = { { b = 2, a = 1 }, { a = 1 } } }
    local rest = { list = { { a = 1 } } }
    gives(rest, document, { ["$pull"] = { list = { ["$eq"] = { a = 1, b = 2 } } } })
    gives(rest, document, { ["$pullAll"] = { list = { { a = 1, b = 2 } } } })
    gives(document, document, { ["$addToSet"] = { list = { a = 1, b = 2 } } })
    assert.is_true(meets({ o = { b = 2, a = 1 } }, { o = { a = 1, b = 2 } }))
    assert.is_false(meets({ o = { b = 2, a = 1, c = 3 } }, { o = { a = 1, b = 2 } }))
  end)

  it("are compared by their keys in the order of bytes", function()
    gives({ o = { a = 2, z = 0 } }, { o = { a = 1, z = 9 } },
      { ["$max"] = { o = { z = 0, a = 2 } } })
    gives({ o = { B = 9 } }, { o = { a = 1 } }, { ["$min"] = { o = { B = 9 } } })
  end)

  it("sort by several fields in the order of bytes", function()
    gives({ l = { { a = 1, b = 1 }, { a = 1, b = 2 }, { a = 2, b = 0 } } },
      { l = { { a = 1, b = 2 }, { a = 2, b = 0 } } },
      { ["$push"] = { l = { ["$each"] = { { a = 1, b = 1 } }, ["$sort"] = { b = 1, a = 1 } } } })
  end)

  it("take several operations of one $bit as and, or, xor", function()
    gives({ n = 7 }, { n = 12 }, { ["$bit"] = { n = { xor = 8, ["and"] = 10, ["or"] = 7 } } })
  end)

  it("are conditions as soon as one key is an operator", function()
    gives("EARGUMENT", { l = {} }, { ["$pull"] = { l = { ["$gt"] = 1, x = 2 } } })
    assert.equal("EARGUMENT", outcome({}, {}, { where = { a = { x = 2, ["$gt"] = 1 } } }))
  end)
end)

describe("types that MongoDB has and Lua has not", function()
  it("are known to $type, and no value has them", function()
    local document = { a = 1, b = 1.5, c = "x", d = null, e = true, f = { 1 }, g = { x = 1 } }
    for _, name in ipairs { "date", "objectId", "binData", "decimal", "timestamp", "regex" } do
      for key in pairs(document) do
        assert.is_false(meets(document, { [key] = { ["$type"] = name } }), name)
      end
    end
    assert.equal("EARGUMENT", outcome({}, {}, { where = { a = { ["$type"] = "datum" } } }))
  end)

  it("leave one type of integers, which has two names by size", function()
    for _, row in ipairs {
      { 0, "int" }, { 2147483647, "int" }, { -2147483648, "int" }, { 2147483648, "long" },
      { -2147483649, "long" }, { math.maxinteger, "long" }, { 1.0, "double" },
    } do
      for _, name in ipairs { "int", "long", "double" } do
        assert.equal(name == row[2], meets({ n = row[1] }, { n = { ["$type"] = name } }))
      end
      assert.is_true(meets({ n = row[1] }, { n = { ["$type"] = "number" } }))
    end
  end)

  it("leave $currentDate an integer, whatever its $type", function()
    for _, operand in ipairs { true, { ["$type"] = "date" }, { ["$type"] = "timestamp" } } do
      local result = memshare.apply({}, { ["$currentDate"] = { at = operand } })
      assert.equal("integer", math.type(result.at))
      assert.is_true(math.abs(result.at - os.time() * 1000) < 60000)
    end
  end)
end)

describe("what MongoDB has and an update here has not", function()
  it("are query operators that are refused by name", function()
    for _, name in ipairs {
      "$regex", "$expr", "$where", "$jsonSchema", "$text", "$bitsAllSet", "$near", "$geoWithin",
    } do
      refuses(('where: unknown query operator "%s"'):format(name), "EARGUMENT", { a = 1 }, {},
        { where = { a = { [name] = 1 } } })
    end
  end)

  it("is the positional $", function()
    refuses('"list.$": "$" stands for what a query found, and here is none; use "$[]"', "EPATH",
      { list = { 1 } }, { ["$set"] = { ["list.$"] = 2 } })
  end)

  it("is inserting: $setOnInsert does nothing", function()
    gives({ n = 1 }, { n = 1 }, { ["$setOnInsert"] = { n = 5, m = 6 } })
    gives("EOVERLAP", { n = 1 }, { ["$setOnInsert"] = { n = 5 }, ["$inc"] = { n = 1 } })
  end)

  it("is replacing: without operators nothing happens, or it is refused", function()
    gives({ n = 1 }, { n = 1 }, {})
    refuses('"n" is no operator; use {"$set": {...}}', "EOPERATOR", { n = 1 }, { n = 2 })
  end)

  it("is an _id that cannot change", function()
    gives({ _id = 2 }, { _id = 1 }, { ["$inc"] = { _id = 1 } })
    gives({}, { _id = 1 }, { ["$unset"] = { _id = "" } })
  end)

  it("is an index with leading zeros", function()
    refuses('$set: "list" holds an array and "00" is no index', "EPATH", { list = { 1 } },
      { ["$set"] = { ["list.00"] = 2 } })
    gives({ o = { ["00"] = 2 } }, { o = { ["00"] = 1 } }, { ["$inc"] = { ["o.00"] = 1 } })
  end)
end)

describe("a list of updates", function()
  it("applies in order and may touch a path twice", function()
    gives({ n = 20 }, { n = 1 }, { { ["$inc"] = { n = 1 } }, { ["$mul"] = { n = 10 } } })
  end)

  it("applies whole or not at all", function()
    local document = { n = 1, s = "x" }
    gives("ETYPE", document, { { ["$inc"] = { n = 1 } }, { ["$inc"] = { s = 1 } } })
    assert.same({ n = 1, s = "x" }, document)
  end)
end)

describe("nulls in front of a new element", function()
  it("are limited, all of one update together", function()
    local function far(index) return { ["$set"] = { ["list." .. index] = 1 } } end
    local result = memshare.apply({ list = memshare.array {} }, far(1000))
    assert.equal(1001, #result.list)
    assert.equal(null, result.list[1000])
    gives("EPATH", { list = memshare.array {} }, far(1500001))
    gives("EPATH", { a = memshare.array {}, b = memshare.array {} },
      { ["$set"] = { ["a.800000"] = 1, ["b.800000"] = 1 } })
  end)
end)

describe("what one update looks at", function()
  it("is limited, however small it is", function()
    local list, conditions = {}, {}
    for i = 1, 20000 do list[i] = i end
    for i = 1, 1000 do conditions[i] = { list = -1 } end
    refuses("the update takes more than 16777216 steps", "ELIMIT", { list = list }, {},
      { where = { ["$nor"] = conditions } })
    gives("ECONDITION", { list = list }, {}, { where = { ["$or"] = { conditions[1] } } })
  end)
end)

describe("the values of one update", function()
  it("are limited, and nothing changes where they are too many", function()
    local list, document = {}, { n = 1 }
    for i = 1, 1048569 do list[i] = 1 end
    assert.equal(#list, #memshare.apply({}, { ["$set"] = { list = list } }).list)
    list[#list + 1] = 1
    refuses("too many values: 1048576 is the most in an update", "ELIMIT", document,
      { ["$set"] = { list = list } })
    assert.same({ n = 1 }, document)
  end)
end)

describe("the empty table of Lua", function()
  it("becomes a list by the first element and an object by the first key", function()
    gives({ t = { 1 } }, { t = {} }, { ["$push"] = { t = 1 } })
    gives({ t = { x = 1 } }, { t = {} }, { ["$set"] = { ["t.x"] = 1 } })
  end)

  it("is a list and an object, empty, for conditions", function()
    assert.is_true(meets({ t = {} }, { t = { ["$size"] = 0 } }))
    assert.is_true(meets({ t = {} }, { t = { ["$type"] = "array" } }))
    assert.is_true(meets({ t = {} }, { t = { ["$type"] = "object" } }))
    assert.is_true(meets({ t = {} }, { t = memshare.array {} }))
    assert.is_true(meets({ t = {} }, { t = memshare.object {} }))
    assert.is_false(meets({ t = memshare.object {} }, { t = memshare.array {} }))
  end)
end)

describe("a refusal", function()
  local document = { players = { alice = { name = "Alice", tags = { "a", 5 } } } }

  it("names the operator and the path", function()
    local name = "players.alice.name"
    for operator, row in pairs {
      ["$inc"] = { 1, "a number" }, ["$mul"] = { 2, "a number" },
      ["$bit"] = { { ["or"] = 1 }, "an integer" }, ["$push"] = { 1, "an array" },
      ["$pop"] = { 1, "an array" }, ["$pull"] = { 1, "an array" },
      ["$pullAll"] = { { 1 }, "an array" }, ["$addToSet"] = { 1, "an array" },
    } do
      refuses(('%s: "%s" holds a string, not %s'):format(operator, name, row[2]), "ETYPE",
        document, { [operator] = { [name] = row[1] } })
    end
  end)

  it("names the element that $[] stood for", function()
    refuses('$inc: "players.alice.tags.0" holds a string, not a number', "ETYPE", document,
      { ["$inc"] = { ["players.alice.tags.$[]"] = 1 } })
  end)

  it("names what is in the way", function()
    refuses('$set: "players.alice.name.first": "players.alice.name" holds a string', "EPATH",
      document, { ["$set"] = { ["players.alice.name.first"] = "A" } })
  end)

  it("comes before the document is looked at when the update itself is wrong", function()
    local update = { ["$inc"] = { ["players.alice.name"] = 1, ["players.alice"] = 2 } }
    gives("EOVERLAP", document, update)
    gives("EARGUMENT", document, { ["$inc"] = { ["players.alice.name"] = "x" } })
  end)
end)
