local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised = alone.raised

describe("memshare.open", function()
  it("founds a share with its defaults", function()
    local here <close> = alone.open { round = 0, list = { 1, 2 } }
    assert.same({ round = 0, list = { 1, 2 } }, memshare.copy(here.data))
    assert.equal("alone", here.share.name)
    assert.is_string(here.share.id)
    assert.equal("host", here.share:status())
    assert.is_true(here.share:is_host())
  end)

  it("gives the same share for the same name, open until it is closed as often", function()
    local here <close> = alone.open { x = 1 }
    local again = assert(memshare.open("alone", { y = 1 }, here.options))
    assert.equal(here.share, again)
    assert.is_nil(again.data.y)
    assert.is_true(again:close())
    here.data.x = 2
    assert.equal(2, here.data.x)
  end)

  it("refuses malformed names", function()
    for _, name in ipairs { "", "a/b", "..", ".", ("n"):rep(65), "a b", "a\0b" } do
      assert.matches("%(EARGUMENT%)$", raised(function() memshare.open(name) end))
    end
    assert.matches("name: string expected, got nil %(EARGUMENT%)$",
      raised(function() memshare.open() end))
  end)

  it("refuses unknown options and wrong types, naming the option", function()
    assert.matches('unknown option "timeot" %(EARGUMENT%)$',
      raised(function() memshare.open("x", nil, { timeot = 1 }) end))
    assert.matches('option "timeout": seconds expected, got string %(EARGUMENT%)$',
      raised(function() memshare.open("x", nil, { timeout = "1" }) end))
    assert.matches('option "readonly": boolean expected, got number %(EARGUMENT%)$',
      raised(function() memshare.open("x", nil, { readonly = 1 }) end))
    assert.matches('option "max_queue": positive integer expected, got 0 %(EARGUMENT%)$',
      raised(function() memshare.open("x", nil, { max_queue = 0 }) end))
    assert.matches("options: table expected, got number %(EARGUMENT%)$",
      raised(function() memshare.open("x", nil, 5) end))
  end)

  it("refuses defaults that are no document", function()
    assert.matches("defaults: table expected", raised(function() memshare.open("x", 5) end))
    assert.matches("defaults: .*not an array", raised(function() memshare.open("x", { 1 }) end))
    assert.matches("defaults%.f: function cannot be shared",
      raised(function() memshare.open("x", { f = print }) end))
  end)

  it("returns nil, message, code for a directory that is open to others", function()
    local here <close> = alone.directory_only()
    assert(os.execute("chmod 755 " .. here.directory))
    local share, message, code = memshare.open("open", nil, here.options)
    assert.is_nil(share)
    assert.is_truthy(message:find(here.directory, 1, true), message)
    assert.equal("EDENIED", code)
  end)

  it("returns nil, message, code when no such share lives and must_exist is set", function()
    local here <close> = alone.directory_only()
    here.options.must_exist = true
    here.options.timeout = 5
    local share, message, code = memshare.open("nobody", nil, here.options)
    assert.is_nil(share)
    assert.is_string(message)
    assert.equal("ENOENT", code)
  end)
end)

describe("memshare.new", function()
  it("gives a share that starts later", function()
    local here <close> = alone.directory_only()
    local share = memshare.new("later", { x = 1 }, here.options)
    assert.equal("new", share:status())
    assert.is_nil(share.data.x)
    assert.matches("not joined yet %(ENOHOST%)$", raised(function() share.data.x = 2 end))
    assert.equal(share, share:start())
    assert.equal(1, share.data.x)
    assert.is_true(share:close())
  end)
end)

describe("share:close", function()
  it("keeps the last view for reading and raises on writes", function()
    local here <close> = alone.open { x = 1, t = { y = 2 } }
    local share, data, t = here.share, here.data, here.data.t
    assert.is_true(share:close())
    assert.is_true(share:close())
    assert.equal("closed", share:status())
    assert.equal(1, data.x)
    assert.equal(2, t.y)
    assert.equal(2, share:get "t.y")
    assert.same({ x = 1, t = { y = 2 } }, memshare.copy(data))
    assert.matches("%(ECLOSED%)$", raised(function() data.x = 2 end))
    assert.matches("%(ECLOSED%)$", raised(function() t.y = 3 end))
    assert.matches("%(ECLOSED%)$", raised(function() share:set("x", 2) end))
    assert.matches("%(ECLOSED%)$", raised(function() share:on("x", print) end))
  end)

  it("happens at the end of a <close> variable", function()
    local here <close> = alone.directory_only()
    local outer
    do
      local share <close> = assert(memshare.open("scoped", nil, here.options))
      share.data.x = 1
      outer = share
    end
    assert.equal("closed", outer:status())
  end)

  it("happens when the script lost the share", function()
    local here <close> = alone.directory_only()
    local function open_and_lose()
      local share = assert(memshare.open("lost", nil, here.options))
      share.data.x = 1
    end
    open_and_lose()
    collectgarbage()
    collectgarbage()
    alone.wait(function() return #assert(memshare.list(here.options)) == 0
      or not memshare.list(here.options)[1].alive end)
  end)

  it("leaves a share open that a proxy or subscription still needs", function()
    local here <close> = alone.directory_only()
    local function only_data() return assert(memshare.open("kept", nil, here.options)).data end
    local data = only_data()
    collectgarbage()
    collectgarbage()
    data.x = 1
    assert.equal(1, data.x)
    local calls = 0
    local function only_sub()
      assert(memshare.open("heard", nil, here.options)):on("x", function() calls = calls + 1 end)
    end
    only_sub()
    collectgarbage()
    collectgarbage()
    local again = assert(memshare.open("heard", nil, here.options))
    again.data.x = 1
    alone.wait(function() return calls == 1 end)
    again:close() -- the object was opened twice
    again:close()
    local kept = assert(memshare.open("kept", nil, here.options))
    kept:close()
    kept:close()
  end)
end)

describe("methods that write", function()
  it("take dotted paths and key lists", function()
    local here <close> = alone.open { players = { alice = { hp = 1 } }, list = { 1, 2 } }
    local share = here.share
    share:set("players.alice.hp", 5)
    share:set({ "players", "bob", "hp" }, 6)
    share:set({ "list", 1 }, "first")
    share:set("list.1", "second")
    share:set({ "a.b", "c" }, true)
    assert.same({
      players = { alice = { hp = 5 }, bob = { hp = 6 } },
      list = { "first", "second" },
      ["a.b"] = { c = true },
    }, memshare.copy(here.data))
    assert.equal("first", share:get { "list", 1 })
    assert.equal("first", share:get "list.0")
    assert.equal(here.data.players, share:get "players")
    assert.is_nil(share:get "players.carol.hp")
    assert.equal(here.data, share:get "")
  end)

  it("inc, push and unset", function()
    local here <close> = alone.open { n = 1 }
    local share = here.share
    share:inc "n"
    share:inc("n", 2.5)
    share:push("log", "a")
    share:push("log", { "b" })
    share:set("gone", 1)
    share:unset "gone"
    assert.same({ n = 4.5, log = { "a", { "b" } } }, memshare.copy(here.data))
  end)

  it("patch takes MongoDB's language, whole or not at all", function()
    local here <close> = alone.open { round = 1, name = "x" }
    local share = here.share
    share:patch { ["$inc"] = { round = 1 }, ["$push"] = { log = { ["$each"] = { 1, 2 } } } }
    assert.same({ round = 2, name = "x", log = { 1, 2 } }, memshare.copy(here.data))
    local receipt, message, code = share:patch { ["$set"] = { a = 1 }, ["$inc"] = { name = 1 } }
    assert.is_nil(receipt)
    assert.matches("name", message)
    assert.equal("ETYPE", code)
    assert.is_nil(here.data.a)
  end)

  it("raise on malformed paths and updates", function()
    local here <close> = alone.open()
    local share = here.share
    assert.matches("%(EPATH%)$", raised(function() share:set("a..b", 1) end))
    assert.matches("%(EPATH%)$", raised(function() share:set("$a", 1) end))
    assert.matches("share:replace.*%(EPATH%)$", raised(function() share:set("", 1) end))
    assert.matches("path: string or list of keys expected, got number %(EARGUMENT%)$",
      raised(function() share:set(5, 1) end))
    assert.matches("key 2 of the path: .*boolean %(EARGUMENT%)$",
      raised(function() share:set({ "a", true }, 1) end))
    assert.matches("%$foo.*%(EOPERATOR%)$", raised(function() share:patch { ["$foo"] = {} } end))
    assert.matches("%(EOVERLAP%)$",
      raised(function() share:patch { ["$set"] = { a = 1, ["a.b"] = 2 } } end))
    assert.matches("update: table expected", raised(function() share:patch "x" end))
    assert.matches("share:unset", raised(function() share:set("x", nil) end))
    assert.matches('unknown option "x"', raised(function() share:patch({}, { x = 1 }) end))
    assert.matches("by: number expected", raised(function() share:inc("x", "1") end))
    assert.matches("methods with ':'", raised(function() share.set("x", 1) end))
    assert.matches("got an array", raised(function() share:replace { 1 } end))
  end)
end)

describe("a receipt", function()
  it("waits for the version of its patch", function()
    local here <close> = alone.open { n = 0 }
    local receipt = here.share:inc("n", 1)
    local version = assert(receipt:wait(5))
    assert.equal("integer", math.type(version))
    assert.equal("accepted", receipt.state)
    assert.equal(version, receipt.version)
    assert.equal(1, receipt.number)
    assert.is_nil(receipt.code)
    local later = here.share:inc("n", 1)
    assert.is_true(assert(later:wait(5)) > version)
  end)
end)

describe("share:batch", function()
  it("makes one patch of what its function writes", function()
    local here <close> = alone.open { a = 0 }
    local before = here.share:version()
    local inner
    local receipt = here.share:batch(function()
      here.data.a = 1
      here.data.b = 2
      inner = here.share:inc("a", 1)
      assert.equal(2, here.data.a)
      assert.equal("pending", inner.state)
      assert.matches("%(EBUSY%)$", raised(function() inner:wait(0) end))
    end)
    assert.equal(inner, receipt)
    assert.equal(before + 1, assert(receipt:wait(5)))
    assert.same({ a = 2, b = 2 }, memshare.copy(here.data))
  end)

  it("discards its writes on an error, which it passes on", function()
    local here <close> = alone.open { a = 0 }
    local inner
    local ok, message = pcall(here.share.batch, here.share, function()
      inner = here.share:set("a", 1)
      error "no"
    end)
    assert.is_false(ok)
    assert.matches("no$", message)
    assert.equal(0, here.data.a)
    assert.equal("rejected", inner.state)
    here.data.a = 5
    assert.equal(5, here.data.a)
  end)

  it("cannot yield, poll or nest", function()
    local here <close> = alone.open { a = 0 }
    local share = here.share
    local co = coroutine.create(function() share:batch(coroutine.yield) end)
    local ok, message = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("yield", message)
    for _, fn in ipairs {
      function() share:poll() end,
      function() memshare.poll() end,
      function() memshare.sleep(0) end,
      function() share:flush() end,
      function() share:sync() end,
      function() share:batch(print) end,
      function() share:close() end,
    } do
      local inner
      share:batch(function() inner = raised(fn) end)
      assert.matches("%(EBUSY%)$", inner)
    end
    here.data.a = 1
    assert.equal(1, here.data.a)
  end)

  it("names the limit that its writes pass together", function()
    local here <close> = alone.open { x = 0 }
    local half = ("x"):rep(9 << 20)
    assert.matches("2 writes make a patch of more than 16777216 bytes, .* steps %(ELIMIT%)$",
      raised(function()
        here.share:batch(function() here.data.a, here.data.b = half, half end)
      end))
    assert.same({ x = 0 }, memshare.copy(here.data))
  end)

  it("that wrote nothing is accepted", function()
    local here <close> = alone.open()
    local receipt = here.share:batch(function() end)
    assert.equal("accepted", receipt.state)
    assert.equal(here.share:version(), receipt:wait())
  end)
end)

describe("share", function()
  it("tells about itself", function()
    local here <close> = alone.open { x = 1 }
    local share = here.share
    local state, status = share:status()
    assert.equal("host", state)
    assert.equal(share.id, status.id)
    assert.equal(share.id, status.host)
    assert.equal(share:version(), status.version)
    local before = share:stats().accepted
    share.data.x = 2
    assert(share:flush())
    assert.equal(before + 1, share:stats().accepted)
    assert.equal(0, share:stats().pending)
    assert.is_true(share:sync())
    local peers = share:peers()
    assert.equal(1, #peers)
    assert.equal(share.id, peers[1].id)
    assert.is_true(peers[1].is_self and peers[1].is_host and peers[1].can_host)
    assert.matches("alone", tostring(share))
    assert.is_nil(share.nonsense)
    assert.matches('no field "nonsense"', raised(function() share.nonsense = 1 end))
  end)

  it("speaks cqueues' protocol", function()
    local here <close> = alone.open()
    assert.equal("r", here.share:events())
    assert.equal(memshare.fd(), here.share:pollfd())
    local _ <close> = memshare.after(0.5, print)
    local seconds = here.share:timeout()
    assert.is_true(seconds >= 0 and seconds <= 0.5)
  end)

  it("is listed", function()
    local here <close> = alone.open()
    local found = assert(memshare.list { dir = here.directory })
    assert.equal(1, #found)
    assert.equal("alone", found[1].name)
    assert.is_true(found[1].alive)
  end)
end)
