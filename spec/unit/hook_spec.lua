-- share:on with all its options, share:once and share:wait_for. callback_spec.lua has what any
-- callback may do, spec/cluster what other peers add.
local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised, wait = alone.raised, alone.wait
local listener, settle = alone.listener, alone.settle

describe("share:on", function()
  it("says nothing of a write that changes nothing", function()
    local here <close> = alone.open { x = 1, t = { y = 1 } }
    local calls, fn = listener()
    here.share:on("**", fn)
    here.data.x = 1
    here.data.t = { y = 1 }
    here.data.last = true
    wait(function() return #calls > 0 end)
    assert.equal("last", calls[1].path)
  end)

  it("fires for an own write once, not again when it is accepted", function()
    local here <close> = alone.open { x = 0 }
    local calls, fn = listener()
    here.share:on("x", fn)
    assert(here.share:set("x", 1):wait(5))
    settle(here)
    assert.equal(1, #calls)
  end)

  it("gives a key list the one path that it names", function()
    local here <close> = alone.open { players = memshare.object {} }
    local calls, fn = listener()
    here.share:on({ "players", 1001, "hp" }, fn)
    here.data.players[1001] = { hp = 5 }
    here.data.players[1002] = { hp = 6 }
    settle(here)
    assert.equal(1, #calls)
    assert.equal(5, calls[1].new)
    assert.equal("players.1001.hp", calls[1].path)
    assert.same({ "players", "1001", "hp" }, calls[1].change.keys)
  end)

  it("takes a star in a key list for the key that it is", function()
    local here <close> = alone.open { ["*"] = 0, x = 0 }
    local calls, fn = listener()
    here.share:on({ "*" }, fn)
    here.data.x = 1
    here.data["*"] = 1
    settle(here)
    assert.equal(1, #calls)
    assert.same({ "*" }, calls[1].change.keys)
  end)

  it("reaches keys with dots by a key list", function()
    local here <close> = alone.open { ["a.b"] = 0 }
    local calls, fn = listener()
    here.share:on({ "a.b" }, fn)
    here.data["a.b"] = 1
    settle(here)
    assert.equal(1, #calls)
    assert.same({ "a.b" }, calls[1].change.keys)
  end)

  it("gives all fields of a change", function()
    local here <close> = alone.open { x = 0 }
    local calls, fn = listener()
    here.share:on("x", fn)
    here.data.x = 1
    settle(here)
    local change = calls[1].change
    local names = {}
    for name in pairs(change) do names[#names + 1] = name end
    table.sort(names)
    if change.version then
      assert.same({ "is_local", "keys", "kind", "origin", "time", "version" }, names)
      assert.equal("integer", math.type(change.version))
    else
      assert.same({ "is_local", "keys", "kind", "origin", "time" }, names)
    end
    assert.equal(here.share.id, change.origin)
  end)

  it("hears of the document that a share begins with as a join", function()
    local here <close> = alone.directory_only()
    local share <close> = assert(memshare.new("join", { x = 1 }, here.options))
    local calls, fn = listener()
    share:on("x", fn)
    assert(share:start())
    wait(function() return #calls > 0 end)
    assert.equal(1, calls[1].new)
    assert.is_nil(calls[1].old)
    assert.equal("join", calls[1].change.kind)
    share:close()
  end)

  it("reports the root for the empty path", function()
    local here <close> = alone.open { x = 0 }
    local calls, fn = listener()
    here.share:on("", fn)
    here.data.x = 1
    wait(function() return #calls > 0 end)
    assert.equal(here.data, calls[1].new)
    assert.equal(0, calls[1].old.x)
    assert.equal("", calls[1].path)
  end)

  it("lets a callback remove the others and add new ones while they are called", function()
    local here <close> = alone.open { x = 0 }
    local order, removed = {}, nil
    here.share:on("x", function(new)
      order[#order + 1] = "first " .. new
      removed:close()
      if new == 1 then
        here.share:on("x", function(later) order[#order + 1] = "added " .. later end)
      end
    end)
    removed = here.share:on("x", function(new) order[#order + 1] = "removed " .. new end)
    here.share:on("x", function(new) order[#order + 1] = "last " .. new end)
    here.data.x = 1
    settle(here)
    here.data.x = 2
    settle(here)
    assert.same({ "first 1", "last 1", "first 2", "last 2", "added 2" }, order)
  end)
end)

describe("share:on with coalesce", function()
  it("calls once a poll, with the first old and the last new value", function()
    local here <close> = alone.open { score = 0 }
    local each, on_each = listener()
    local whole, on_whole = listener()
    here.share:on("score", on_whole, { coalesce = true })
    here.share:on("score", on_each)
    for score = 1, 100 do here.data.score = score end
    wait(function() return #whole > 0 end)
    assert.equal(100, #each)
    assert.equal(1, #whole)
    assert.equal(0, whole[1].old)
    assert.equal(100, whole[1].new)
    assert.equal("score", whole[1].path)
    assert.is_true(whole[1].change.is_local)
    assert.equal("set", whole[1].change.kind)
  end)

  it("tells each path of its own", function()
    local here <close> = alone.open { players = { a = { hp = 1 }, b = { hp = 1 } } }
    local calls, fn = listener()
    here.share:on("players.*.hp", fn, { coalesce = true })
    for hp = 2, 5 do
      here.data.players.a.hp = hp
      here.data.players.b.hp = hp * 10
    end
    wait(function() return #calls > 0 end)
    table.sort(calls, function(p, q) return p.path < q.path end)
    assert.equal(2, #calls)
    assert.equal(5, calls[1].new)
    assert.equal(50, calls[2].new)
  end)

  it("keeps silent of what is as it was", function()
    local here <close> = alone.open { x = 0 }
    local calls, fn = listener()
    here.share:on("x", fn, { coalesce = true })
    here.data.x = 1
    here.data.x = 0
    settle(here)
    assert.same({}, calls)
    here.data.x = 2
    here.data.x = nil
    settle(here)
    assert.equal(1, #calls)
    assert.is_nil(calls[1].new)
    assert.equal(0, calls[1].old)
    assert.equal("remove", calls[1].change.kind)
  end)

  it("is silent once closed, before it was called", function()
    local here <close> = alone.open { x = 0 }
    local calls, fn = listener()
    local sub = here.share:on("x", fn, { coalesce = true })
    here.share:on("x", function() sub:close() end)
    here.data.x = 1
    settle(here)
    assert.same({}, calls)
  end)
end)

describe("share:once", function()
  it("calls for the first change only", function()
    local here <close> = alone.open { players = { a = 1, b = 1 } }
    local calls, fn = listener()
    here.share:once("players.*", fn)
    here.share:patch { ["$set"] = { ["players.a"] = 2, ["players.b"] = 2 } }
    here.data.players.a = 3
    settle(here)
    assert.equal(1, #calls)
    assert.equal(2, calls[1].new)
    assert.equal(1, calls[1].old)
  end)

  it("is over before its callback runs, which may start anew", function()
    local here <close> = alone.open { x = 0 }
    local seen = {}
    local function again(new)
      seen[#seen + 1] = new
      here.share:once("x", again)
    end
    here.share:once("x", again)
    for x = 1, 3 do
      here.data.x = x
      settle(here)
    end
    assert.same({ 1, 2, 3 }, seen)
  end)

  it("takes what is there when asked to, and can be closed before", function()
    local here <close> = alone.open { x = 7 }
    local calls, fn = listener()
    here.share:once("x", fn, { immediate = true })
    here.share:once("x", fn, { immediate = true }):close()
    settle(here)
    here.data.x = 8
    settle(here)
    assert.equal(1, #calls)
    assert.equal(7, calls[1].new)
  end)
end)

describe("share:wait_for", function()
  it("returns at once what holds already", function()
    local here <close> = alone.open { x = 5, off = false, t = {} }
    assert.equal(5, here.share:wait_for("x"))
    assert.is_false(here.share:wait_for("off"))
    assert.equal(here.data.t, here.share:wait_for { "t" })
    assert.equal(5, here.share:wait_for("x", function(x) return x > 4 end, 0))
  end)

  it("polls until the predicate holds", function()
    local here <close> = alone.open { x = 0 }
    local asked = {}
    local _ <close> = memshare.every(0.001, function() here.data.x = memshare.inc(1) end)
    local x = here.share:wait_for("x", function(value)
      asked[#asked + 1] = value
      return value >= 3
    end, 10)
    assert.is_true(x >= 3)
    assert.equal(0, asked[1])
    assert.equal(x, asked[#asked])
  end)

  it("asks again only when something changed there", function()
    local here <close> = alone.open { x = 0, other = 0 }
    local asked = 0
    memshare.after(0.001, function()
      for other = 1, 20 do here.data.other = other end
    end)
    memshare.after(0.003, function() here.data.x = 1 end)
    assert.equal(1, here.share:wait_for("x", function(x)
      asked = asked + 1
      return x == 1
    end, 10))
    assert.equal(2, asked)
  end)

  it("gives up after its timeout", function()
    local here <close> = alone.open()
    local value, message, code = here.share:wait_for("nothing", nil, 0.01)
    assert.is_nil(value)
    assert.equal("ETIMEDOUT", code)
    assert.matches("0.01 s", message, 1, true)
    assert.equal("ETIMEDOUT", select(3, here.share:wait_for("nothing", nil, 0)))
  end)

  it("ends with its share", function()
    local here <close> = alone.open { x = 0 }
    memshare.after(0.001, function() here.share:close() end)
    local value, message, code = here.share:wait_for("y", nil, 10)
    assert.is_nil(value)
    assert.equal("ECLOSED", code)
    assert.matches("closed meanwhile", message)
  end)

  it("passes the predicate's error on and leaves no subscription behind", function()
    local here <close> = alone.open { x = 0 }
    local ok, message = pcall(here.share.wait_for, here.share, "x", function() error "mine" end)
    assert.is_false(ok)
    assert.matches("mine$", message)
    collectgarbage()
    here.data.x = 1
    settle(here)
  end)

  it("names what is wrong", function()
    local here <close> = alone.open()
    local share = here.share
    assert.matches("predicate: function expected, got number %(EARGUMENT%)$",
      raised(function() share:wait_for("x", 5) end))
    assert.matches("path: string or list of keys expected, got nil %(EARGUMENT%)$",
      raised(function() share:wait_for() end))
    assert.matches("%(EPATH%)$", raised(function() share:wait_for("a..b") end))
    local seen
    share:on("x", function() seen = raised(function() share:wait_for("y") end) end)
    share.data.x = 1
    settle(here)
    assert.matches("wait_for inside a callback %(EBUSY%)$", seen)
  end)
end)
