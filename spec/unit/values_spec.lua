local cjson = require "cjson"
local memshare = require "memshare"

-- Fails with the message unless fn raises what matches, at a line of this file.
local function raises(pattern, fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  assert.matches(pattern, message)
  assert.matches("^[^:]*values_spec%.lua:%d+: ", message)
end

describe("conversion", function()
  it("keeps integers and floats apart", function()
    assert.equal("integer", math.type(memshare.copy(1)))
    assert.equal("float", math.type(memshare.copy(1.0)))
    assert.equal(math.maxinteger, memshare.copy(math.maxinteger))
    assert.equal(math.mininteger, memshare.copy(math.mininteger))
    assert.equal(0.1, memshare.copy(0.1))
  end)

  it("keeps infinities, NaN and -0.0", function()
    assert.equal(math.huge, memshare.copy(math.huge))
    assert.equal(-math.huge, memshare.copy(-math.huge))
    local nan = memshare.copy(0 / 0)
    assert.not_equal(nan, nan)
    assert.equal(-math.huge, 1 / memshare.copy(-0.0))
  end)

  it("keeps the bytes of strings", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local text = table.concat(bytes)
    assert.equal(text, memshare.copy { s = text }.s)
    assert.equal("", memshare.copy "")
  end)

  it("copies nested tables and shared sub-tables", function()
    local shared = { 1, 2 }
    local copy = memshare.copy { a = shared, b = shared, c = { { x = true } } }
    assert.same({ a = { 1, 2 }, b = { 1, 2 }, c = { { x = true } } }, copy)
    assert.not_equal(copy.a, copy.b)
  end)

  it("has lua-cjson's null", function()
    assert.equal(cjson.null, memshare.null)
    assert.same({ n = cjson.null }, memshare.copy { n = memshare.null })
  end)

  it("gives copies that lua-cjson encodes", function()
    assert.equal('{"list":[1,{"a":null}]}', cjson.encode(memshare.copy {
      list = { 1, { a = memshare.null } },
    }))
  end)

  it("takes keys that are empty, hold dots, begin with $ or contain NUL", function()
    local keys = { [""] = 1, ["a.b"] = 2, ["$x"] = 3, ["a\0b"] = 4 }
    assert.same(keys, memshare.copy(keys))
  end)

  it("tells an array from an object and from the empty table", function()
    assert.equal("array", memshare.type(memshare.copy(memshare.array {})))
    assert.equal("object", memshare.type(memshare.copy(memshare.object {})))
    assert.equal("empty", memshare.type(memshare.copy {}))
    assert.equal("array", memshare.type(memshare.copy { 1 }))
  end)

  it("refuses functions, threads and userdata, naming where they stand", function()
    raises("^[^ ]+ f: function cannot be shared %(EARGUMENT%)$", memshare.copy, { f = print })
    raises("a%.b%.1: thread cannot be shared %(EARGUMENT%)$", memshare.copy,
      { a = { b = { 1, coroutine.create(print) } } })
    raises("userdata cannot be shared %(EARGUMENT%)$", memshare.copy, { x = io.stdout })
    raises("function cannot be shared %(EARGUMENT%)$", memshare.copy, print)
  end)

  it("refuses tables with foreign metatables", function()
    raises("a: a table with a metatable cannot be shared %(EARGUMENT%)$", memshare.copy,
      { a = setmetatable({}, {}) })
  end)

  it("refuses mixed tables and points to memshare.object", function()
    raises("t: .*memshare%.object.*%(EARGUMENT%)$", memshare.copy, { t = { 1, x = 2 } })
    raises("memshare%.object", memshare.copy, { [5] = 1 })
    raises("memshare%.object", memshare.copy, { 1, 2, nil, 4 })
    raises("%(EARGUMENT%)$", memshare.copy, { [1.5] = 1 })
    raises("%(EARGUMENT%)$", memshare.copy, { [true] = 1 })
  end)

  it("turns integer keys of a marked object into strings", function()
    assert.same({ ["1001"] = "a", ["-2"] = "b", x = 1 },
      memshare.copy(memshare.object { [1001] = "a", [-2] = "b", x = 1 }))
    raises("%(EARGUMENT%)$", memshare.copy, memshare.object { [1.5] = 1 })
    raises("1: .*twice.*%(EARGUMENT%)$", memshare.copy, memshare.object { [1] = 1, ["1"] = 2 })
  end)

  it("refuses cycles", function()
    local t = { a = {} }
    t.a.b = t
    raises("a%.b: a table that holds itself %(EARGUMENT%)$", memshare.copy, t)
  end)

  it("takes 100 levels and refuses 101", function()
    local function nest(levels)
      local t = {}
      for _ = 2, levels do t = { t } end
      return t
    end
    assert.is_table(memshare.copy(nest(100)))
    raises("%(ELIMIT%)$", memshare.copy, nest(101))
  end)

  it("refuses keys longer than 4096 bytes", function()
    assert.is_table(memshare.copy { [("k"):rep(4096)] = 1 })
    raises("4096 bytes %(ELIMIT%)$", memshare.copy, { [("k"):rep(4097)] = 1 })
  end)

  it("refuses an operator inside a table", function()
    raises("n: an operator .*%(EARGUMENT%)$", memshare.copy, { n = memshare.inc(1) })
  end)
end)

describe("memshare.array and memshare.object", function()
  it("mark the table they are given", function()
    local t = {}
    assert.equal(t, memshare.array(t))
    assert.equal("array", memshare.type(t))
    assert.equal(t, memshare.object(t))
    assert.equal("object", memshare.type(t))
    assert.equal("array", memshare.type(memshare.array()))
  end)

  it("refuse what is no plain table", function()
    raises("array: table expected, got number %(EARGUMENT%)$", memshare.array, 1)
    raises("object: a plain table expected %(EARGUMENT%)$", memshare.object, setmetatable({}, {}))
  end)

  it("hold a marked array to its kind", function()
    raises("%(EARGUMENT%)$", memshare.copy, memshare.array { x = 1 })
  end)
end)

describe("memshare.type", function()
  it("names every type", function()
    local names = {}
    for i, value in ipairs {
      1, 1.0, "", true, memshare.null, {}, { 1 }, { x = 1 }, { 1, x = 2 }, print,
    } do names[i] = memshare.type(value) end
    assert.same({ "integer", "float", "string", "boolean", "null", "empty", "array", "object",
      "table", "function" }, names)
    assert.equal("nil", memshare.type(nil))
  end)
end)

describe("memshare.count", function()
  it("counts items of any table", function()
    assert.equal(0, memshare.count {})
    assert.equal(2, memshare.count { 1, 2 })
    assert.equal(3, memshare.count { a = 1, b = 2, 3 })
    raises("count: table or proxy expected, got nil %(EARGUMENT%)$", memshare.count)
  end)
end)

describe("memshare.equal", function()
  it("compares contents and types", function()
    assert.is_true(memshare.equal({ a = { 1, 2 } }, { a = { 1, 2 } }))
    assert.is_false(memshare.equal({ a = { 1, 2 } }, { a = { 2, 1 } }))
    assert.is_false(memshare.equal(1, 1.0))
    assert.is_true(memshare.equal(0 / 0, 0 / 0))
    assert.is_false(memshare.equal({}, memshare.array {}))
    assert.is_true(memshare.equal(nil, nil))
    assert.is_false(memshare.equal(nil, false))
    assert.is_true(memshare.equal("a\0b", "a\0b"))
  end)

  it("refuses what cannot be shared", function()
    raises("%(EARGUMENT%)$", memshare.equal, { print }, {})
  end)
end)

describe("JSON", function()
  it("marks arrays, so that [] and {} stay apart", function()
    local value = memshare.from_json '{"list": [], "map": {}}'
    assert.equal("array", memshare.type(value.list))
    assert.equal("object", memshare.type(value.map))
    assert.equal('{"list":[],"map":{}}', memshare.to_json(value))
  end)

  it("keeps integers and floats apart", function()
    local value = memshare.from_json "[1, 1.0, -9223372036854775808]"
    assert.equal("integer", math.type(value[1]))
    assert.equal("float", math.type(value[2]))
    assert.equal(math.mininteger, value[3])
  end)

  it("loses no bytes", function()
    local value = { bytes = "\0\255\254", [""] = 1, nan = 0 / 0, inf = math.huge }
    assert.is_true(memshare.equal(value, memshare.from_json(memshare.to_json(value))))
  end)

  it("keeps {} apart from objects when asked to", function()
    local text = memshare.to_json({ e = {}, o = memshare.object {} }, { lossless = true })
    local value = memshare.from_json(text)
    assert.equal("empty", memshare.type(value.e))
    assert.equal("object", memshare.type(value.o))
  end)

  it("writes over lines when asked to", function()
    assert.matches("\n", memshare.to_json({ a = 1 }, { pretty = true }))
    assert.not_matches("\n", memshare.to_json { a = 1 })
  end)

  it("returns what is wrong with a text", function()
    local value, message, code = memshare.from_json "{"
    assert.is_nil(value)
    assert.is_string(message)
    assert.is_string(code)
  end)

  it("names an unknown option", function()
    raises('unknown option "prety" %(EARGUMENT%)$', memshare.to_json, {}, { prety = true })
    raises('option "pretty": boolean expected, got number %(EARGUMENT%)$', memshare.to_json, {},
      { pretty = 1 })
  end)
end)

describe("memshare.apply", function()
  it("returns the updated copy and leaves the document alone", function()
    local document = { a = 1, list = { 1 } }
    local result = memshare.apply(document, {
      ["$set"] = { ["b.c"] = true }, ["$inc"] = { a = 2 }, ["$push"] = { list = 2 },
    })
    assert.same({ a = 3, b = { c = true }, list = { 1, 2 } }, result)
    assert.same({ a = 1, list = { 1 } }, document)
  end)

  it("returns nil, message, code when the update does not apply", function()
    local result, message, code = memshare.apply({ name = "x" }, { ["$inc"] = { name = 1 } })
    assert.is_nil(result)
    assert.matches("name", message)
    assert.equal("ETYPE", code)
  end)

  it("returns nil, message, code for an unknown operator", function()
    local result, message, code = memshare.apply({}, { ["$foo"] = { a = 1 } })
    assert.is_nil(result)
    assert.matches("%$foo", message)
    assert.equal("EOPERATOR", code)
  end)

  it("refuses what is no table, and unknown options", function()
    raises("update: table expected, got nil %(EARGUMENT%)$", memshare.apply, {})
    raises('unknown option "x" %(EARGUMENT%)$', memshare.apply, {}, {}, { x = 1 })
  end)
end)
