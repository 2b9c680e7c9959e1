local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised = alone.raised

-- Whether it is an integer of milliseconds since 1970, of this minute.
local function is_present(ms)
  return math.type(ms) == "integer" and math.abs(ms - os.time() * 1000) < 60000
end

describe("an operator value", function()
  it("adds and multiplies, and makes what is not there", function()
    local here <close> = alone.open { n = 1 }
    local data = here.data
    data.n = memshare.inc(2)
    data.m = memshare.inc(1.5)
    data.k = memshare.inc()
    assert.equal(3, data.n)
    assert.equal(1.5, data.m)
    assert.equal(1, data.k)
    data.n = memshare.mul(5)
    data.z = memshare.mul(7)
    assert.equal(15, data.n)
    assert.equal(0, data.z)
  end)

  it("keeps the smaller or the greater value", function()
    local here <close> = alone.open { low = 5, high = 5, word = "b" }
    local data = here.data
    data.low = memshare.min(3)
    data.low = memshare.min(4)
    data.high = memshare.max(9)
    data.high = memshare.max(8)
    data.word = memshare.max "c"
    data.new = memshare.min { x = 1 }
    assert.same({ low = 3, high = 9, word = "c", new = { x = 1 } }, memshare.copy(data))
  end)

  it("pushes one element, whatever it is", function()
    local here <close> = alone.open { log = { "a" } }
    local data = here.data
    data.log = memshare.push "b"
    data.log = memshare.push { 1, 2 }
    data.log = memshare.push { ["$each"] = 1 }
    data.new = memshare.push(memshare.null)
    assert.same({ "a", "b", { 1, 2 }, { ["$each"] = 1 } }, memshare.copy(data.log))
    assert.same({ memshare.null }, memshare.copy(data.new))
  end)

  it("pulls what equals a value, meets a query, or holds a sub-document", function()
    local here <close> = alone.open {
      words = { "a", "b", "a" }, numbers = { 1, 5, 9 },
      jobs = { { id = 1, done = true }, { id = 2, done = false } },
    }
    local data = here.data
    data.words = memshare.pull "a"
    data.numbers = memshare.pull { ["$gt"] = 4 }
    data.jobs = memshare.pull { done = true }
    data.nothing = memshare.pull "x"
    assert.same({ words = { "b" }, numbers = { 1 }, jobs = { { id = 2, done = false } } },
      memshare.copy(data))
  end)

  it("adds to a set once", function()
    local here <close> = alone.open { tags = {} }
    for _ = 1, 3 do
      here.data.tags = memshare.add_to_set "new"
      here.data.tags = memshare.add_to_set { id = 1, x = { 2 } }
    end
    assert.same({ "new", { id = 1, x = { 2 } } }, memshare.copy(here.data.tags))
  end)

  it("gives the patch's wall time", function()
    local here <close> = alone.open {}
    here.data.at = memshare.timestamp()
    assert.is_true(is_present(here.data.at))
  end)

  it("works on an element of a list, and below one", function()
    local here <close> = alone.open { list = { 1, { 2 }, { n = 3 } } }
    local list = here.data.list
    list[1] = memshare.inc(10)
    list[2] = memshare.push(20)
    list[3].n = memshare.mul(2)
    assert.same({ 11, { 2, 20 }, { n = 6 } }, memshare.copy(list))
  end)

  it("can be given to share:set, which makes parents", function()
    local here <close> = alone.open { n = 1 }
    local share = here.share
    assert.is_truthy(share:set("n", memshare.inc(4)):wait())
    assert.is_truthy(share:set({ "deep", "log" }, memshare.push "x"):wait())
    assert.is_truthy(share:set("deep.at", memshare.timestamp()):wait())
    assert.equal(5, share:get "n")
    assert.same({ "x" }, memshare.copy(share:get "deep.log"))
    assert.is_true(is_present(share:get "deep.at"))
    local receipt, message, code = share:set("n", memshare.push(1))
    assert.is_nil(receipt)
    assert.equal("ETYPE", code)
    assert.matches('%$push: "n"', message)
  end)

  it("converts its operand when it is made", function()
    local here <close> = alone.open { log = {} }
    local entry = { text = "before" }
    local push = memshare.push(entry)
    entry.text = "after"
    here.data.log = push
    here.data.log = push
    assert.same({ { text = "before" }, { text = "before" } }, memshare.copy(here.data.log))
  end)

  it("does not bring back a container that is gone", function()
    local here <close> = alone.open { alice = { log = {} } }
    local alice = here.data.alice
    here.data.alice = nil
    for _, operator in ipairs {
      memshare.inc(1), memshare.push(1), memshare.pull(1), memshare.timestamp(),
    } do
      assert.matches("alice: nothing is there any more %(EPATH%)$",
        raised(function() alice.log = operator end))
    end
    assert.same({}, memshare.copy(here.data))
  end)

  it("raises when it does not apply, names operator and path, and changes nothing", function()
    local here <close> = alone.open { players = { alice = { name = "x" } } }
    local alice = here.data.players.alice
    for name, operator in pairs {
      ["$inc"] = memshare.inc(1), ["$mul"] = memshare.mul(2), ["$push"] = memshare.push(1),
      ["$pull"] = memshare.pull(1), ["$addToSet"] = memshare.add_to_set(1),
    } do
      local message = raised(function() alice.name = operator end)
      local expected = name .. ': "players.alice.name" holds a string'
      assert.is_truthy(message:find(expected, 1, true), message)
      assert.matches("%(ETYPE%)$", message)
    end
    assert.equal("x", alice.name)
  end)

  it("raises for a query with a mistake", function()
    local here <close> = alone.open { list = { 1 } }
    assert.matches('%$pull: "list": unknown query operator "%$foo" %(EARGUMENT%)$',
      raised(function() here.data.list = memshare.pull { ["$foo"] = 1 } end))
  end)

  it("shows itself", function()
    assert.equal("memshare.inc(3)", tostring(memshare.inc(3)))
    assert.equal("memshare.inc(1)", tostring(memshare.inc()))
    assert.equal("memshare.mul(0.5)", tostring(memshare.mul(0.5)))
    assert.equal('memshare.min("a")', tostring(memshare.min "a"))
    assert.equal("memshare.max([1,2])", tostring(memshare.max { 1, 2 }))
    assert.equal('memshare.pull({"$gt":5})', tostring(memshare.pull { ["$gt"] = 5 }))
    assert.equal("memshare.add_to_set(null)", tostring(memshare.add_to_set(memshare.null)))
    assert.equal("memshare.timestamp()", tostring(memshare.timestamp()))
    assert.equal('memshare.push({"at":"memshare.timestamp()"})',
      tostring(memshare.push { at = memshare.timestamp() }))
    local long = tostring(memshare.push(("é"):rep(1000)))
    assert.is_true(#long < 300)
    assert.is_truthy(utf8.len(long))
    assert.matches("%.%.%.%)$", long)
  end)

  it("has a type of its own", function()
    assert.equal("operator", memshare.type(memshare.push(1)))
  end)

  it("takes what it can use only", function()
    assert.matches("inc: number expected, got string %(EARGUMENT%)$",
      raised(function() memshare.inc "1" end))
    assert.matches("mul: number expected, got nil %(EARGUMENT%)$",
      raised(function() memshare.mul() end))
    for _, name in ipairs { "min", "max", "push", "pull", "add_to_set" } do
      assert.matches(name .. ": a value expected, got nil %(EARGUMENT%)$",
        raised(function() memshare[name]() end))
      assert.matches(name .. "%.f: function cannot be shared %(EARGUMENT%)$",
        raised(function() memshare[name] { f = print } end))
      assert.matches(name .. "%.0: an operator %(memshare%.inc%) stands alone",
        raised(function() memshare[name] { memshare.inc(1) } end))
    end
    assert.matches("timestamp: takes no argument %(EARGUMENT%)$",
      raised(function() memshare.timestamp(5) end))
    local here <close> = alone.open { a = {} }
    assert.matches("push%.a: .*memshare%.copy%(proxy%) %(EARGUMENT%)$",
      raised(function() memshare.push { a = here.data.a } end))
  end)
end)

describe("an operator value in the wrong place", function()
  it("is refused inside a table, with the path of its key", function()
    local here <close> = alone.open { list = {} }
    local data = here.data
    for _, name in ipairs { "inc", "mul", "min", "max", "push", "pull", "add_to_set" } do
      local expected = "t%.deep%.0%.n: an operator %(memshare%." .. name
        .. "%) stands alone on the right of an assignment; "
        .. "inside a table only memshare%.timestamp%(%) may stand %(EARGUMENT%)$"
      local nested = { deep = { { n = memshare[name](1) } } }
      assert.matches(expected, raised(function() data.t = nested end))
      assert.matches(expected, raised(function() here.share:set("t", nested) end))
    end
    assert.matches("list%.n: an operator",
      raised(function() here.share:push("list", { n = memshare.inc(1) }) end))
    assert.matches("list%.n: an operator",
      raised(function() data.list[1] = { n = memshare.inc(1) } end))
    assert.matches(": n: an operator",
      raised(function() here.share:replace { n = memshare.inc(1) } end))
    assert.same({ list = {} }, memshare.copy(data))
  end)

  it("is refused as an element", function()
    local here <close> = alone.open { list = { 1 } }
    local list = here.data.list
    assert.matches("list: an element is a plain value, not memshare%.inc beyond the end of a list "
      .. "%(EARGUMENT%)$", raised(function() list[2] = memshare.inc(1) end))
    assert.matches("list: an element is a plain value, not memshare%.push in share:push "
      .. "%(EARGUMENT%)$", raised(function() here.share:push("list", memshare.push(1)) end))
    assert.matches("list: an element is a plain value, not memshare%.max in memshare%.insert",
      raised(function() memshare.insert(list, 1, memshare.max(1)) end))
    assert.same({ 1 }, memshare.copy(list))
  end)

  it("is refused where nothing is written to a share", function()
    local dir <close> = alone.directory_only()
    local plain = "an operator %(memshare%.inc%) is for assignments to a share; "
      .. "a plain value is expected here %(EARGUMENT%)$"
    assert.matches("defaults%.n: " .. plain,
      raised(function() memshare.open("x", { n = memshare.inc(1) }, dir.options) end))
    assert.matches("a: " .. plain, raised(function() memshare.copy { a = memshare.inc(1) } end))
    assert.matches(plain, raised(function() memshare.to_json(memshare.inc(1)) end))
    assert.matches("a: " .. plain,
      raised(function() memshare.apply({ a = memshare.inc(1) }, {}) end))
    assert.matches("memshare%.timestamp%) is for assignments",
      raised(function() memshare.copy { memshare.timestamp() } end))
  end)

  it("is refused in an update, which has operators of its own", function()
    local here <close> = alone.open { n = 1 }
    local updates = {
      inc = "$inc", mul = "$mul", min = "$min", max = "$max", push = "$push", pull = "$pull",
      add_to_set = "$addToSet",
    }
    for name, operator in pairs(updates) do
      local expected = ('$set.n: an operator (memshare.%s) has no place in an update; '
        .. 'write {["%s"] = {path = value}} (EARGUMENT)'):format(name, operator)
      local update = { ["$set"] = { n = memshare[name](1) } }
      local message = raised(function() here.share:patch(update) end)
      assert.is_truthy(message:find(expected, 1, true), message)
      message = raised(function() memshare.apply({}, update) end)
      assert.is_truthy(message:find(expected, 1, true), message)
    end
    assert.matches('write {%["%$currentDate"%] = {path = true}} %(EARGUMENT%)$',
      raised(function() here.share:patch { ["$set"] = { n = memshare.timestamp() } } end))
    assert.equal(1, here.data.n)
  end)
end)

describe("memshare.timestamp inside a table", function()
  it("is the time of the patch, at every depth", function()
    local here <close> = alone.open { log = {} }
    local data, share = here.data, here.share
    local stamp = memshare.timestamp()
    data.t = { at = stamp, list = { stamp, { stamp } }, o = memshare.object { [7] = stamp } }
    local at = data.t.at
    assert.is_true(is_present(at))
    assert.same({ at = at, list = { at, { at } }, o = { ["7"] = at } }, memshare.copy(data.t))
    data.log[1] = { at = stamp }
    data.log[2] = { at = stamp }
    data.log = memshare.push { at = stamp }
    share:push("log", { at = stamp })
    share:set({ "log", 1 }, { at = stamp, set = true })
    memshare.insert(data.log, 1, { at = stamp })
    memshare.insert(data.log, { at = stamp })
    assert.equal(6, #data.log)
    for i, entry in ipairs(data.log) do assert.is_true(is_present(entry.at), "entry " .. i) end
    assert.is_true(data.log[2].set)
  end)

  it("may be an element itself", function()
    local here <close> = alone.open { times = {} }
    local times = here.data.times
    times[1] = memshare.timestamp()
    times[#times + 1] = memshare.timestamp()
    here.share:push("times", memshare.timestamp())
    memshare.insert(times, 1, memshare.timestamp())
    here.data.times = memshare.push(memshare.timestamp())
    assert.equal(5, #times)
    for _, at in ipairs(times) do assert.is_true(is_present(at)) end
  end)

  it("is the time that change callbacks hear of", function()
    local here <close> = alone.open()
    local heard
    here.share:on("entry", function(_, _, _, change) heard = change.time end)
    here.data.entry = { at = memshare.timestamp() }
    alone.wait(function() return heard end)
    assert.equal(here.data.entry.at, math.floor(heard * 1000 + 0.5))
  end)

  it("is the batch's time in a batch", function()
    local here <close> = alone.open { log = {} }
    local data, share = here.data, here.share
    share:batch(function()
      data.a = memshare.timestamp()
      data.b = { at = memshare.timestamp() }
      share:push("log", { at = memshare.timestamp() })
      share:patch { ["$currentDate"] = { c = true } }
    end)
    assert.is_true(is_present(data.a))
    assert.equal(data.a, data.b.at)
    assert.equal(data.a, data.log[1].at)
    assert.equal(data.a, data.c)
  end)

  it("stands in a document that replaces another, in a batch and outside", function()
    local here <close> = alone.open { old = 1 }
    local data, share = here.data, here.share
    local receipt = share:replace { at = memshare.timestamp(), list = { memshare.timestamp() } }
    assert.is_truthy(receipt:wait())
    assert.is_nil(data.old)
    assert.is_true(is_present(data.at))
    assert.equal(data.at, data.list[1])
    receipt = share:batch(function()
      share:replace { at = memshare.timestamp() }
      data.now = memshare.timestamp()
    end)
    assert.is_truthy(receipt:wait())
    assert.equal(data.at, data.now)
    assert.equal(2, memshare.count(data))
  end)

  it("may be part of a query or a bound", function()
    local here <close> = alone.open { list = { { due = 5 }, { due = math.maxinteger } }, last = 0 }
    here.data.list = memshare.pull { due = { ["$lt"] = memshare.timestamp() } }
    assert.same({ { due = math.maxinteger } }, memshare.copy(here.data.list))
    here.data.last = memshare.max(memshare.timestamp())
    assert.is_true(is_present(here.data.last))
  end)
end)
