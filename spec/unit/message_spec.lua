local memshare = require "memshare"
local alone = require "spec.support.alone"

describe("an event", function()
  it("comes with its arguments and with who emitted it", function()
    local host <close> = alone.open()
    local share = host.share
    local got
    local sub = share:on_event("hit", function(...) got = table.pack(...) end)
    share:emit("hit", 1, nil, "x", { a = { 2 } }, memshare.null)
    share:flush(5)
    share:poll(0)
    assert.equal(6, got.n)
    assert.same({ 1, nil, "x", { a = { 2 } }, nil }, { table.unpack(got, 1, 5) })
    local info = got[6]
    assert.equal("hit", info.name)
    assert.equal(share.id, info.origin)
    assert.is_true(info.is_local)
    assert.equal("integer", math.type(info.version))
    assert.is_true(info.time > 1e9)
    got = nil
    sub:close()
    share:emit "hit"
    share:sync(5)
    assert.is_nil(got)
  end)

  it("of any name is heard without one", function()
    local host <close> = alone.open()
    local share = host.share
    local names = {}
    share:on_event(nil, function(info) names[#names + 1] = info.name end)
    share:emit "a"
    share:emit "b"
    share:flush(5)
    share:poll(0)
    assert.same({ "a", "b" }, names)
  end)

  it("is part of a batch", function()
    local host <close> = alone.open()
    local share = host.share
    local heard = {}
    share:on("n", function(n) heard[#heard + 1] = n end)
    share:on_event("done", function() heard[#heard + 1] = share.data.n end)
    share:batch(function()
      share:emit "done"
      share.data.n = 5
    end)
    share:flush(5)
    share:poll(0)
    assert.same({ 5, 5 }, heard)
  end)

  it("has a name and values that can be shared", function()
    local host <close> = alone.open()
    local share = host.share
    assert.error_matches(function() share:emit() end, "EARGUMENT")
    assert.error_matches(function() share:emit "" end, "EARGUMENT")
    assert.error_matches(function() share:emit(("x"):rep(5000)) end, "ELIMIT")
    assert.error_matches(function() share:emit("x", print) end, "EARGUMENT")
    assert.error_matches(function() share:on_event("x") end, "EARGUMENT")
    assert.error_matches(function() share:on_event("", print) end, "EARGUMENT")
  end)
end)

describe("a call", function()
  it("gives what the handler returns", function()
    local host <close> = alone.open()
    local share = host.share
    share:handle("add", function(args) return args[1] + args[2] end)
    share:handle("echo", function(args) return args end)
    assert.equal(5, share:call("add", { 2, 3 }))
    assert.equal(5, share:call("add", { 2, 3 }, { to = share.id, timeout = 5 }))
    assert.equal(5, share:call("add", { 2, 3 }, { to = "host" }))
    assert.same({ a = { 1 } }, share:call("echo", { a = { 1 } }))
    share.data.t = { b = 1 }
    assert.same({ b = 1 }, share:call("echo", share.data.t)) -- a copy of what is there
    assert.is_nil(share:call "echo")
    assert.same({ n = 1 }, table.pack(share:call "echo"))
  end)

  it("fails with the handler's words, and when it raises", function()
    local host <close> = alone.open()
    local share = host.share
    local reported
    local before = memshare.on_error
    memshare.on_error = function(trace) reported = trace end
    share:handle("no", function() return nil, "not today", "ETODAY" end)
    share:handle("plain", function() return nil, "no" end)
    share:handle("bug", function() error { } end)
    share:handle("bad", function() error "broken" end)
    share:handle("odd", function() return print end)
    assert.same({ nil, "not today", "ETODAY" }, { share:call "no" })
    assert.same({ nil, "no", "EARGUMENT" }, { share:call "plain" })
    assert.is_nil(reported)
    local value, message, code = share:call "bad"
    assert.is_nil(value)
    assert.matches("broken", message)
    assert.equal("EARGUMENT", code)
    assert.matches("broken.*traceback", reported)
    assert.equal("EARGUMENT", select(3, share:call "bug"))
    assert.matches("answer", select(2, share:call "odd"))
    memshare.on_error = before
  end)

  it("is answered later when the handler defers it", function()
    local host <close> = alone.open()
    local share = host.share
    local kept
    share:handle("later", function(args, call)
      assert.equal("later", call.name)
      assert.equal(share.id, call.origin)
      if args == "task" then
        call:defer()
        memshare.go(function()
          memshare.sleep(0.01)
          call:reply "slept"
        end)
      elseif args == "at once" then
        call:reply "now"
        return "is not sent"
      elseif args == "fail" then
        call:defer():fail("no", "ENO")
      else
        kept = call:defer()
      end
    end)
    assert.equal("slept", share:call("later", "task"))
    assert.equal("now", share:call("later", "at once"))
    assert.same({ nil, "no", "ENO" }, { share:call("later", "fail") })
    assert.same({ nil, "no answer came in time", "ETIMEDOUT" },
      { share:call("later", nil, { timeout = 0.02 }) })
    assert.is_true(kept:reply(1)) -- nobody hears it
    assert.error_matches(function() kept:reply(2) end, "EARGUMENT")
    memshare.go(function()
      memshare.sleep(0.01)
      kept = nil
      collectgarbage()
      collectgarbage()
    end)
    assert.equal("ECLOSED", select(3, share:call "later"))
  end)

  it("finds nobody where nobody handles it, or not any more", function()
    local host <close> = alone.open()
    local share = host.share
    assert.equal("ENOENT", select(3, share:call "x"))
    assert.equal("ENOENT", select(3, share:call("x", nil, { to = share.id })))
    assert.equal("ENOENT", select(3, share:call("x", nil, { to = "123" })))
    local sub <const> = share:handle("x", function() return 1 end)
    assert.equal(1, share:call "x")
    assert.error_matches(function() share:handle("x", print) end, "EBUSY")
    sub:close()
    share:flush(5)
    assert.equal("ENOENT", select(3, share:call "x"))
    share:handle("x", function() return 2 end)
    assert.equal(2, share:call "x")
  end)

  it("yields in a task", function()
    local host <close> = alone.open()
    local share = host.share
    local steps = {}
    share:handle("slow", function(_, call)
      call:defer()
      memshare.after(0.02, function() call:reply "done" end)
    end)
    memshare.go(function()
      table.insert(steps, (share:call "slow"))
    end)
    memshare.go(function() steps[#steps + 1] = "other" end)
    share:wait_for("never", nil, 0.1)
    assert.same({ "other", "done" }, steps)
  end)

  it("is refused inside callbacks and batches, and with wrong arguments", function()
    local host <close> = alone.open()
    local share = host.share
    local inside
    share:handle("x", function() return 1 end)
    share:on_event("go", function() inside = select(2, pcall(share.call, share, "x")) end)
    share:emit "go"
    share:flush(5)
    share:poll(0)
    assert.matches("EBUSY", inside)
    share:batch(function() inside = select(2, pcall(share.call, share, "x")) end)
    assert.matches("EBUSY", inside)
    assert.error_matches(function() share:call() end, "EARGUMENT")
    assert.error_matches(function() share:call("x", nil, { to = "nobody" }) end, "EARGUMENT")
    assert.error_matches(function() share:call("x", nil, { where = 1 }) end, "EARGUMENT")
    assert.error_matches(function() share:call("x", print) end, "EARGUMENT")
    assert.error_matches(function() share:handle("x") end, "EARGUMENT")
    assert.error_matches(function() share:handle("", print) end, "EARGUMENT")
  end)

  it("ends when its share is closed", function()
    local host <close> = alone.open()
    local share = host.share
    local got
    share:handle("never", function(_, call) call:defer() kept = call end) -- luacheck: ignore
    memshare.go(function() got = table.pack(share:call "never") end)
    share:poll(0)
    share:close()
    for _ = 1, 3 do memshare.poll(0) end
    assert.equal("ECLOSED", got[3])
    kept = nil -- luacheck: ignore
  end)
end)
