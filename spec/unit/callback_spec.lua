local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised, wait = alone.raised, alone.wait
local listener, settle = alone.listener, alone.settle

describe("share:on", function()
  it("calls with the new and the old value, the path and the change", function()
    local here <close> = alone.open { players = { alice = { hp = 1 } } }
    local calls, fn = listener()
    here.share:on("players.alice.hp", fn)
    here.data.players.alice.hp = 2
    assert.same({}, calls)
    wait(function() return #calls > 0 end)
    assert.equal(1, #calls)
    local call = calls[1]
    assert.equal(2, call.new)
    assert.equal(1, call.old)
    assert.equal("players.alice.hp", call.path)
    assert.same({ "players", "alice", "hp" }, call.change.keys)
    assert.equal(here.share.id, call.change.origin)
    assert.is_true(call.change.is_local)
    assert.equal("set", call.change.kind)
    assert.is_true(math.abs(call.change.time - os.time()) < 60)
  end)

  it("gives a live proxy for a table and a read-only copy of the old one", function()
    local here <close> = alone.open { t = { x = 1, list = { 1 } } }
    local calls, fn = listener()
    here.share:on("t", fn)
    here.data.t.x = 2
    wait(function() return #calls > 0 end)
    local new, old = calls[1].new, calls[1].old
    assert.equal(here.data.t, new)
    assert.same({ x = 1, list = { 1 } }, memshare.copy(old))
    assert.equal(1, old.x)
    assert.equal(1, old.list[1])
    assert.equal(1, #old.list)
    assert.equal("object", memshare.type(old))
    local keys = {}
    for key in pairs(old) do keys[key] = true end
    assert.same({ x = true, list = true }, keys)
    assert.matches("read%-only copy.*memshare%.copy.*%(EARGUMENT%)$",
      raised(function() old.x = 3 end))
    assert.matches("path: proxy expected", raised(function() memshare.path(old) end))
    here.data.t = old -- it is a value, unlike a proxy
    assert.equal(1, here.data.t.x)
  end)

  it("matches * with one key and ** with any number", function()
    local here <close> = alone.open { players = { a = { hp = 1 }, b = { hp = 1 } } }
    local one, on_one = listener()
    local any, on_any = listener()
    here.share:on("players.*.hp", on_one)
    here.share:on("**", on_any)
    here.data.players.a.hp = 2
    here.data.players.b.hp = 3
    here.data.other = true
    wait(function() return #any == 3 end)
    assert.equal(2, #one)
    assert.equal("players.a.hp", one[1].path)
    assert.equal("players.b.hp", one[2].path)
    assert.equal("other", any[3].path)
  end)

  it("takes a key list, whose integers are indexes or keys by what is there", function()
    local here <close> = alone.open()
    local calls, fn = listener()
    here.share:on({ "things", 1 }, fn)
    here.data.things = { "first", "second" }
    settle(here)
    assert.equal(1, #calls)
    assert.equal("first", calls[1].new)
    assert.same({ "things", 1 }, calls[1].change.keys)
    here.data.things = memshare.object { [1] = "one", [0] = "zero" }
    settle(here)
    assert.equal("one", calls[#calls].new)
    assert.same({ "things", "1" }, calls[#calls].change.keys)
  end)

  it("reports a removal with nil", function()
    local here <close> = alone.open { x = 1 }
    local calls, fn = listener()
    here.share:on("x", fn)
    here.data.x = nil
    wait(function() return #calls > 0 end)
    assert.is_nil(calls[1].new)
    assert.equal(1, calls[1].old)
    assert.equal("remove", calls[1].change.kind)
  end)

  it("reports what is there already when asked to", function()
    local here <close> = alone.open { a = { x = 1 }, b = { x = 2 } }
    local calls, fn = listener()
    here.share:on("*.x", fn, { immediate = true })
    wait(function() return #calls == 2 end)
    table.sort(calls, function(p, q) return p.path < q.path end)
    assert.equal(1, calls[1].new)
    assert.equal(2, calls[2].new)
  end)

  it("is silent once closed, also in its own callback", function()
    local here <close> = alone.open { x = 0 }
    local count = 0
    local sub
    sub = here.share:on("x", function()
      count = count + 1
      sub:close()
      sub:close()
    end)
    here.data.x = 1
    here.data.x = 2
    settle(here)
    assert.equal(1, count)
    do
      local scoped <close> = here.share:on("x", function() count = count + 1 end)
      assert.is_truthy(scoped)
    end
    here.data.x = 3
    settle(here)
    assert.equal(1, count)
  end)

  it("stays when the script drops it", function()
    local here <close> = alone.open { x = 0 }
    local calls, fn = listener()
    here.share:on("x", fn)
    collectgarbage()
    collectgarbage()
    here.data.x = 1
    settle(here)
    assert.equal(1, #calls)
  end)

  it("lets callbacks write, and see the whole patch", function()
    local here <close> = alone.open { a = 0, b = 0, sum = 0 }
    here.share:on("a", function(new)
      assert(here.data.b == new)
      here.data.sum = here.data.a + here.data.b
    end)
    here.share:patch { ["$set"] = { a = 2, b = 2 } }
    settle(here)
    assert.equal(4, here.data.sum)
  end)

  it("names what is wrong", function()
    local here <close> = alone.open()
    local share = here.share
    assert.matches("fn: function expected, got nil %(EARGUMENT%)$",
      raised(function() share:on "x" end))
    assert.matches("path: string or list of keys expected, got nil %(EARGUMENT%)$",
      raised(function() share:on(nil, print) end))
    assert.matches("%(EPATH%)$", raised(function() share:on("a..b", print) end))
    assert.matches('unknown option "imediate" %(EARGUMENT%)$',
      raised(function() share:on("x", print, { imediate = true }) end))
  end)
end)

describe("share:on_status", function()
  it("hears of the share becoming host", function()
    local here <close> = alone.directory_only()
    local share <close> = memshare.new("status", nil, here.options)
    local states = {}
    share:on_status(function(state, status)
      assert(state == status.state)
      states[#states + 1] = state
    end)
    assert(share:start())
    wait(function() return states[#states] == "host" end)
    share:close()
  end)
end)

describe("a callback", function()
  local on_error = memshare.on_error
  after_each(function() memshare.on_error = on_error end)

  it("that raises goes to memshare.on_error with a traceback, and the others still run", function()
    local here <close> = alone.open { x = 0 }
    local tracebacks, calls = {}, 0
    memshare.on_error = function(traceback) tracebacks[#tracebacks + 1] = traceback end
    here.share:on("x", function() error "first" end)
    here.share:on("x", function() calls = calls + 1 end)
    local object = setmetatable({}, { __tostring = function() return "obj" end })
    here.share:on("x", function() error(object) end)
    here.data.x = 1
    settle(here)
    assert.equal(1, calls)
    assert.equal(2, #tracebacks)
    local text = table.concat(tracebacks)
    assert.matches("callback_spec%.lua:%d+: first\nstack traceback:", text)
    assert.matches("obj\nstack traceback:", text)
  end)

  it("survives an on_error that raises", function()
    local here <close> = alone.open { x = 0 }
    memshare.on_error = function() error "again" end
    here.share:on("x", function() error "first" end)
    here.data.x = 1
    settle(here)
    assert.equal(1, here.data.x)
  end)

  it("cannot poll or yield", function()
    local here <close> = alone.open { x = 0 }
    local share, seen = here.share, {}
    local receipt = share:set("y", 1)
    here.share:on("x", function()
      for _, fn in ipairs {
        function() share:poll() end,
        function() memshare.poll() end,
        function() memshare.run() end,
        function() memshare.sleep(0) end,
        function() share:flush() end,
        function() share:sync() end,
        function() receipt:wait() end,
        function() memshare.open("other", nil, here.options) end,
      } do seen[#seen + 1] = raised(fn) end
      seen[#seen + 1] = select(2, pcall(coroutine.yield))
    end)
    here.data.x = 1
    settle(here)
    assert.equal(9, #seen)
    for i = 1, 8 do assert.matches("inside a callback %(EBUSY%)$", seen[i]) end
    assert.matches("yield", seen[9])
  end)

  it("may close its share", function()
    local here <close> = alone.open { x = 0 }
    local second = 0
    here.share:on("x", function() here.share:close() end)
    here.share:on("x", function() second = second + 1 end)
    here.data.x = 1
    wait(function() return here.share:status() == "closed" end)
    assert.equal(1, here.data.x)
  end)

  it("runs when a coroutine polls", function()
    local here <close> = alone.open { x = 0 }
    local calls, fn = listener()
    here.share:on("x", fn)
    local co = coroutine.wrap(function()
      here.data.x = 1
      while #calls == 0 do here.share:poll(1) end
      return "done"
    end)
    assert.equal("done", co())
  end)
end)

describe("timers", function()
  it("run once or again and again, in order, inside polls", function()
    local order = {}
    memshare.after(0.02, function() order[#order + 1] = "b" end)
    memshare.after(0.01, function() order[#order + 1] = "a" end)
    local ticks = 0
    local every
    every = memshare.every(0.001, function()
      ticks = ticks + 1
      if ticks == 5 then every:close() end
    end)
    wait(function() return #order == 2 and ticks >= 5 end)
    assert.same({ "a", "b" }, order)
    memshare.sleep(0.01)
    assert.equal(5, ticks)
  end)

  it("are silent once closed", function()
    local fired = false
    memshare.after(0, function() fired = true end):close()
    local last = false
    memshare.after(0.001, function() last = true end)
    wait(function() return last end)
    assert.is_false(fired)
  end)

  it("do not hold the poll when they arm themselves again", function()
    local count = 0
    local again
    local function step()
      count = count + 1
      again = memshare.after(0, step)
    end
    again = memshare.after(0, step)
    wait(function() return count >= 3 end) -- each poll came back
    again:close()
    local stopped = count
    memshare.sleep(0.002)
    assert.equal(stopped, count)
  end)

  it("refuse what is no time or no function", function()
    assert.matches("seconds: number expected, got nil %(EARGUMENT%)$",
      raised(function() memshare.after() end))
    assert.matches("no time to wait %(EARGUMENT%)$",
      raised(function() memshare.after(-1, print) end))
    assert.matches("no time to wait", raised(function() memshare.every(0, print) end))
    assert.matches("fn: function expected, got nil %(EARGUMENT%)$",
      raised(function() memshare.after(1) end))
  end)
end)

describe("memshare.run", function()
  it("polls until memshare.stop()", function()
    local here <close> = alone.open { x = 0 }
    local seen
    here.share:on("x", function(new) seen = new end)
    memshare.after(0.01, function() here.data.x = 1 end)
    memshare.after(0.03, memshare.stop)
    memshare.run()
    assert.equal(1, seen)
  end)

  it("returns when no share is open and no timer armed", function()
    local fired = false
    memshare.after(0.005, function() fired = true end)
    memshare.run()
    assert.is_true(fired)
  end)

  it("keeps a share that only its subscription knows", function()
    local here <close> = alone.directory_only()
    local seen
    do
      local share = assert(memshare.open("run", { x = 0 }, here.options))
      share:on("x", function(new) seen = new memshare.stop() end)
      share.data.x = 1
    end
    memshare.run()
    assert.equal(1, seen)
    local again = assert(memshare.open("run", nil, here.options))
    again:close()
    again:close() -- the first time it was opened
  end)
end)

describe("memshare.sleep", function()
  it("polls that long", function()
    local count = 0
    local _ <close> = memshare.every(0.002, function() count = count + 1 end)
    local from = os.time()
    memshare.sleep(0.02)
    assert.is_true(count >= 3)
    assert.is_true(os.time() - from < 10)
    assert.matches("seconds: number expected", raised(function() memshare.sleep() end))
    assert.matches("no time to wait", raised(function() memshare.sleep(-1) end))
  end)
end)
