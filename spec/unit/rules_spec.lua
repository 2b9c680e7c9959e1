local alone = require "spec.support.alone"
local memshare = require "memshare"

local HP <const> = [[
  rule("players.*.hp", function(new, old, path, change)
    if new == nil then return true end
    return math.type(new) == "integer" and new >= 0, "hp below zero"
  end)]]

-- The code and the message of what a write gave.
local function refused(receipt)
  local version, message, code = receipt:wait(5)
  assert.is_nil(version)
  return code, message
end

describe("rules", function()
  it("refuse what is against them, and say so with the place", function()
    local host <close> = alone.open({ players = { ada = { hp = 10 } } })
    local share = host.share
    assert(share:rules(HP):wait(5))
    assert(share:set("players.ada.hp", 0):wait(5))
    assert.same({ "EDENIED", "players.ada.hp: hp below zero" },
      { refused(share:set("players.ada.hp", -1)) })
    assert.equal(0, share.data.players.ada.hp)
    assert.equal("EDENIED", refused(share:inc("players.ada.hp", -5)))
    assert.equal("EDENIED", refused(share:set("players.bob", { hp = 1.5 })))
    assert.equal("EDENIED", refused(share:replace { players = { x = { hp = -1 } } }))
    assert(share:unset("players.ada.hp"):wait(5))
    assert(share:set("other.hp", -1):wait(5))
    assert(share:rules(nil):wait(5))
    assert(share:set("players.ada.hp", -1):wait(5))
  end)

  it("are told the values, the place and the writer", function()
    local host <close> = alone.open { list = { 1, 2 }, map = { a = { b = true } } }
    local share = host.share
    assert(share:rules([[
      rule("**", function() return true end)
      rule("list.*", function(new, old, path, change)
        assert(path == "list.0" and change.keys[1] == "list" and change.keys[2] == "0")
        assert(#change.origin > 0 and change.time > 1e9)
        return new == 5 and old == 1
      end, "five it is")
      rule("map", function(new, old)
        return new.a.b == false and old.a.b == true and next(new.c) == nil and #new.d == 2
      end)]]):wait(5) == nil) -- the document as it is does not fit
    assert(share:rules([[
      rule("list.*", function(new, old, path, change)
        if old == nil then return true end
        assert(path == "list.0" and change.keys[1] == "list" and change.keys[2] == "0")
        assert(#change.origin > 0 and change.time > 1e9)
        return new == 5 and old == 1
      end, "five it is")
      rule("map", function(new, old)
        if old == nil then return true end
        return new.a.b == false and old.a.b == true and next(new.c) == nil and #new.d == 2
      end)]]):wait(5))
    assert.same({ "EDENIED", "list.0: five it is" }, { refused(share:set("list.0", 4)) })
    assert(share:set("list.0", 5):wait(5))
    assert.same({ "EDENIED", 'map: against the rule "map"' }, { refused(share:set("map.a.b", 1)) })
    assert(share:set("map", { a = { b = false }, c = {}, d = { 1, 2 } }):wait(5))
  end)

  it("are refused where they are none", function()
    local host <close> = alone.open {}
    local share = host.share
    local function why(source) return select(2, refused(share:rules(source))) end
    assert.equal("EARGUMENT", (refused(share:rules "not Lua")))
    assert.matches("rules:1: .* near", why "not Lua")
    assert.matches("broken", why "error 'broken'")
    assert.matches("a..b", why "rule('a..b', function() end)", 1, true)
    assert.matches("function expected", why "rule('a', 5)")
    assert.matches("no text", why "error {}")
    assert.error_matches(function() share:rules {} end, "EARGUMENT")
    assert.error_matches(function() share:rules(("-"):rep(1 << 21)) end, "ELIMIT")
    assert(share:set("x", 1):wait(5))
  end)

  it("refuse with the error of a rule that raises", function()
    local host <close> = alone.open {}
    local share = host.share
    assert(share:rules("rule('x', function(new) return new.y.z end)"):wait(5))
    local code, message = refused(share:set("x", { y = 1 }))
    assert.equal("EDENIED", code)
    assert.matches('rule "x" failed: rules:1: attempt to index', message)
    assert(share:set("x", { y = { z = 1 } }):wait(5))
  end)

  it("stand in a sandbox without a way out", function()
    local host <close> = alone.open {}
    local share = host.share
    for _, name in ipairs {
      "io", "os", "require", "load", "loadstring", "dofile", "loadfile", "debug", "coroutine",
      "package", "setmetatable", "getmetatable", "collectgarbage", "print", "string.dump",
      "string.find", "string.gsub", "string.match", "string.gmatch", "table.move", "math.random",
      "rawset", "xpcall", "_G.load", "(''):gsub",
    } do
      local expression = name:find ":" and "(('').gsub)" or name
      assert(share:rules(("assert(%s == nil, %q)"):format(expression, name)):wait(5))
    end
    assert(share:rules("assert(_G._G == _G and ('x'):rep(3) == 'xxx' and #table.pack(1, 2) == 2)")
      :wait(5))
  end)

  it("have bounds on time and memory, which no pcall gets around", function()
    local host <close> = alone.open { n = 0 }
    local share = host.share
    for name, body in pairs {
      loop = "while true do end",
      caught = "while true do pcall(function() while true do end end) end",
      nested = "local function f() pcall(f) while true do end end f()",
      memory = "local t = {} for i = 1, 1e9 do t[i] = i end",
      text = "local s = 'x' while true do s = s .. s end",
      rep = "return ('x'):rep(1 << 40)",
      rep_gap = "return (''):rep(1 << 40, 'xx')",
      slow = "local s = ('x'):rep(5000000) while true do local _ = s .. 'y' end",
      recursion = "local function f() return 1 + f() end return f()",
    } do
      assert(share:rules(("rule('n', function(new, old) if old == nil then return true end %s end)")
        :format(body)):wait(5), name)
      local code, message = refused(share:inc("n", 1))
      assert.equal("EDENIED", code, name)
      assert.matches('rule "n" failed', message)
      assert.equal(0, share.data.n)
      local chunk_code = refused(share:rules(body .. " error 'that was all'"))
      assert.equal("EARGUMENT", chunk_code)
    end
    assert(share:rules("rule('n', function(new) return new < 3 end)"):wait(5))
    assert(share:inc("n", 1):wait(5))
    assert.equal("EDENIED", refused(share:inc("n", 5)))
  end)
end)

describe("a schema", function()
  it("is asked without Lua", function()
    local host <close> = alone.open { players = {} }
    local share = host.share
    assert(share:schema {
      ["players.*"] = { type = "object", required = { "hp" }, keys = { "hp", "name" } },
      ["players.*.hp"] = { type = "integer", min = 0, max = 100 },
      mode = { enum = { "lobby", "match" } },
    }:wait(5))
    assert(share:set("players.ada", { hp = 100, name = "Ada" }):wait(5))
    assert.same({ "EDENIED", 'schema: "players.ada.hp" is 101: at most 100' },
      { refused(share:inc("players.ada.hp", 1)) })
    assert.equal("EDENIED", refused(share:set("players.bob", { name = "Bob" })))
    assert.equal("EDENIED", refused(share:set("mode", "x")))
    assert(share:set("mode", "lobby"):wait(5))
    assert.error_matches(function() share:schema { a = { typ = 1 } } end, "EARGUMENT")
    assert.error_matches(function() share:schema { ["a..b"] = {} } end, "EPATH")
    assert.error_matches(function() share:schema(print) end, "EARGUMENT")
    assert(share:schema(nil):wait(5))
    assert(share:set("mode", "x"):wait(5))
    assert.is_true(memshare.equal(share.data.players.ada, { hp = 100, name = "Ada" }))
  end)
end)
