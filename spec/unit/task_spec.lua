-- memshare.go: coroutines in which what waits yields.
local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised, wait = alone.raised, alone.wait

describe("memshare.go", function()
  local on_error = memshare.on_error
  after_each(function() memshare.on_error = on_error end)

  it("runs a function with its arguments up to its first wait", function()
    local seen
    local task = memshare.go(function(...) seen = table.pack(...) end, 1, nil, "three")
    assert.same({ n = 3, 1, nil, "three" }, seen)
    assert.equal("dead", coroutine.status(task))
  end)

  it("sleeps without keeping others from running", function()
    local order = {}
    memshare.go(function()
      order[#order + 1] = "a1"
      memshare.sleep(0.02)
      order[#order + 1] = "a2"
    end)
    memshare.go(function()
      order[#order + 1] = "b1"
      memshare.sleep(0.005)
      order[#order + 1] = "b2"
      memshare.sleep(0)
      order[#order + 1] = "b3"
    end)
    order[#order + 1] = "main"
    wait(function() return #order == 6 end)
    assert.same({ "a1", "b1", "main", "b2", "b3", "a2" }, order)
  end)

  it("waits for receipts, which give what they give elsewhere", function()
    local here <close> = alone.open { x = 0, text = "t" }
    local accepted, refused, again, discarded
    memshare.go(function()
      local receipt = here.share:set("x", 1)
      accepted = table.pack(receipt:wait(5))
      again = table.pack(receipt:wait())
      refused = table.pack(here.share:patch({ ["$set"] = { x = 2 } },
        { where = { x = 7 } }):wait(5))
      local batch
      pcall(here.share.batch, here.share, function()
        batch = here.share:set("x", 3)
        error "no"
      end)
      discarded = table.pack(batch:wait(5))
    end)
    wait(function() return discarded end)
    assert.equal("integer", math.type(accepted[1]))
    assert.equal(1, accepted.n)
    assert.same(accepted, again)
    assert.is_nil(refused[1])
    assert.equal("ECONDITION", refused[3])
    assert.equal("ECLOSED", discarded[3])
  end)

  it("waits for flush and sync", function()
    local here <close> = alone.open { x = 0 }
    local results = {}
    for _, name in ipairs { "flush", "sync" } do
      memshare.go(function()
        here.data.x = memshare.inc(1)
        results[name] = table.pack(here.share[name](here.share, 5))
      end)
    end
    wait(function() return results.flush and results.sync end)
    assert.same({ n = 1, true }, results.flush)
    assert.same({ n = 1, true }, results.sync)
    assert.equal(0, here.share:stats().pending)
  end)

  it("waits for values", function()
    local here <close> = alone.open { x = 0 }
    local got, late
    memshare.go(function()
      got = here.share:wait_for("x", function(x) return x > 2 end, 10)
    end)
    memshare.go(function() late = table.pack(here.share:wait_for("never", nil, 0.005)) end)
    memshare.go(function()
      for x = 1, 3 do
        memshare.sleep(0.001)
        here.data.x = x
      end
    end)
    wait(function() return got and late end)
    assert.equal(3, got)
    assert.equal("ETIMEDOUT", late[3])
  end)

  it("waits for transactions, one after the other", function()
    local here <close> = alone.open { x = 0 }
    local results, runs = {}, 0
    for n = 1, 3 do
      memshare.go(function()
        results[n] = table.pack(here.share:transaction(function(draft)
          runs = runs + 1
          draft.x = draft.x + n
          return n, draft.x
        end))
      end)
    end
    assert.equal(1, runs) -- the others wait for the first, and nobody has polled
    assert.is_nil(results[1])
    wait(function() return results[1] and results[2] and results[3] end)
    assert.same({ n = 2, 1, 1 }, results[1])
    assert.equal(6, here.data.x)
    local last = math.max(results[1][2], results[2][2], results[3][2])
    assert.equal(6, last)
  end)

  it("gives what a transaction gives elsewhere: nothing, a failure, an error", function()
    local here <close> = alone.open { x = 0 }
    local nothing, failure, message
    memshare.go(function()
      nothing = table.pack(here.share:transaction(function(draft) draft.x = 1 end))
      failure = table.pack(here.share:transaction(function(draft)
        return draft.x
      end, { timeout = 0 }))
      local ok
      ok, message = pcall(here.share.transaction, here.share, function(draft)
        draft.x = 2
        error({ reason = "no" })
      end)
      assert(not ok)
    end)
    wait(function() return message end)
    assert.same({ n = 1, true }, nothing)
    assert.same({ n = 1, 1 }, failure) -- wrote nothing, so there was nothing to wait for
    assert.same({ reason = "no" }, message)
    assert.equal(1, here.data.x)
  end)

  it("ends in the middle of a transaction, which may yet be accepted", function()
    local here <close> = alone.open { x = 0 }
    do
      local task = memshare.go(function()
        here.share:transaction(function(draft) draft.x = draft.x + 1 end)
      end)
      assert.equal("suspended", coroutine.status(task))
      assert.is_true(coroutine.close(task))
    end
    collectgarbage()
    assert.is_true(here.share:flush(5))
    assert.equal(1, here.data.x)
    assert.equal(2, here.share:transaction(function(draft)
      draft.x = draft.x + 1
      return draft.x
    end))
  end)

  it("waits for locks, one after the other, and for answers that other tasks give", function()
    local here <close> = alone.open()
    local share, order, sum = here.share, {}, nil
    share:handle("sum", function(args, call)
      call:defer()
      memshare.go(function()
        local lease <close> = assert(share:lock "door")
        order[#order + 1] = lease:is_held() and "handler"
        call:reply(args[1] + args[2])
      end)
    end)
    for i = 1, 2 do
      memshare.go(function()
        local lease <close> = assert(share:lock("door", { timeout = 10 }))
        order[#order + 1] = lease:is_held() and i .. " in"
        memshare.sleep(0.005)
        order[#order + 1] = i .. " out"
      end)
    end
    memshare.go(function() sum = share:call("sum", { 2, 3 }, { timeout = 10 }) end)
    order[#order + 1] = "main"
    wait(function() return sum end)
    assert.equal(5, sum)
    assert.same({ "main", "1 in", "1 out", "2 in", "2 out", "handler" }, order)
  end)

  it("lets a predicate wait as well", function()
    local here <close> = alone.open { x = 0 }
    local got
    memshare.go(function()
      got = here.share:wait_for("x", function(x)
        memshare.sleep(0.001)
        return x == 2
      end, 10)
    end)
    memshare.go(function()
      here.data.x = 1
      memshare.sleep(0.005)
      here.data.x = 2
    end)
    wait(function() return got end)
    assert.equal(2, got)
  end)

  it("opens and closes shares", function()
    local here <close> = alone.directory_only()
    local state, closed
    memshare.go(function()
      do
        local share <close> = assert(memshare.open("task", { x = 0 }, here.options))
        state = share:status()
        share.data.x = 1
      end
      local share = assert(memshare.new("other", { x = 0 }, here.options))
      assert(share:start(5))
      share.data.x = 1
      closed = table.pack(share:close(5))
    end)
    assert.is_nil(closed) -- it yielded
    wait(function() return closed end)
    assert.equal("host", state)
    assert.same({ n = 1, true }, closed)
  end)

  it("says why a share cannot be opened", function()
    local here <close> = alone.directory_only()
    here.options.must_exist = true
    local log, result = memshare.log, nil
    memshare.log = function() end
    memshare.go(function() result = table.pack(memshare.open("nobody", nil, here.options)) end)
    wait(function() return result end)
    memshare.log = log
    assert.is_nil(result[1])
    assert.equal("ENOENT", result[3])
  end)

  it("gives up a wait after its timeout", function()
    local here <close> = alone.open()
    local value, message, code
    local main = coroutine.running()
    memshare.go(function()
      assert(coroutine.running() ~= main)
      value, message, code = here.share:wait_for("x", nil, 0.001)
    end)
    wait(function() return code end)
    assert.is_nil(value)
    assert.equal("ETIMEDOUT", code)
    assert.matches("0.001 s", message, 1, true)
  end)

  it("ends waits with the share that they are for", function()
    local here <close> = alone.open()
    local codes = {}
    memshare.go(function() codes[1] = select(3, here.share:wait_for("x", nil, math.huge)) end)
    memshare.go(function()
      memshare.sleep(0.001)
      here.share:close()
    end)
    wait(function() return codes[1] end)
    assert.equal("ECLOSED", codes[1])
  end)

  it("gives way at a bare yield", function()
    local order = {}
    memshare.go(function()
      for i = 1, 3 do
        order[#order + 1] = i
        assert.equal(0, select("#", coroutine.yield("ignored")))
      end
      order[#order + 1] = "end"
    end)
    assert.same({ 1 }, order)
    for _ = 1, 3 do memshare.poll(10) end -- each returns at once
    assert.same({ 1, 2, 3, "end" }, order)
  end)

  it("sends errors to memshare.on_error, with the place they come from", function()
    local tracebacks, closed = {}, false
    memshare.on_error = function(traceback) tracebacks[#tracebacks + 1] = traceback end
    memshare.go(function() error "at once" end)
    memshare.go(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      memshare.sleep(0.001)
      error "later"
    end)
    wait(function() return #tracebacks == 2 end)
    assert.matches("task_spec%.lua:%d+: at once\nstack traceback:\n.*task_spec", tracebacks[1])
    assert.matches("task_spec%.lua:%d+: later\nstack traceback:\n.*task_spec", tracebacks[2])
    assert.is_true(closed)
  end)

  it("survives an on_error that raises, and runs the other tasks", function()
    memshare.on_error = function() error "again" end
    local ended = 0
    for _ = 1, 3 do
      memshare.go(function()
        memshare.sleep(0)
        ended = ended + 1
        error "first"
      end)
    end
    wait(function() return ended == 3 end)
  end)

  it("leaves other coroutines as they were: they block", function()
    local here <close> = alone.open { x = 0 }
    local co = coroutine.create(function()
      memshare.sleep(0.002)
      local version = here.share:set("x", 1):wait(5)
      assert(here.share:flush(5))
      assert(here.share:sync(5))
      return version
    end)
    local ok, version = coroutine.resume(co)
    assert.is_true(ok)
    assert.equal("integer", math.type(version))
    assert.equal("dead", coroutine.status(co))
  end)

  it("blocks in a coroutine inside a task, where others go on", function()
    local here <close> = alone.open { x = 0 }
    local order = {}
    memshare.go(function()
      memshare.sleep(0)
      for x in coroutine.wrap(function()
        for i = 1, 2 do
          assert(here.share:set("x", i):wait(5))
          memshare.sleep(0.005)
          coroutine.yield(i)
        end
      end) do order[#order + 1] = x end
      order[#order + 1] = "end"
    end)
    memshare.go(function()
      memshare.sleep(0.001)
      order[#order + 1] = "other"
    end)
    wait(function() return order[#order] == "end" end)
    assert.same({ "other", 1, 2, "end" }, order)
  end)

  it("goes on while the main program waits for something else", function()
    local here <close> = alone.open { x = 0 }
    local count = 0
    memshare.go(function()
      for _ = 1, 3 do
        memshare.sleep(0.001)
        count = count + 1
      end
      here.data.done = true
    end)
    assert.is_true(here.share:wait_for("done", nil, 10))
    assert.equal(3, count)
  end)

  it("may be called in callbacks, where the task yields as elsewhere", function()
    local here <close> = alone.open { x = 0 }
    local version
    here.share:once("x", function()
      memshare.go(function()
        version = here.share:set("y", 1):wait(5)
        here.share:flush(5)
      end)
    end)
    here.data.x = 1
    wait(function() return version end)
    assert.equal("integer", math.type(version))
  end)

  it("is not put off by whoever resumes it from outside", function()
    local here <close> = alone.open()
    local ended
    local task = memshare.go(function()
      memshare.sleep(0.01)
      ended = select("#", here.share:wait_for("x", nil, 5))
    end)
    for _ = 1, 3 do assert.is_true(coroutine.resume(task, "junk", "more")) end
    assert.is_nil(ended)
    memshare.sleep(0.015)
    assert.is_true(coroutine.resume(task, "junk"))
    here.data.x = 1
    wait(function() return ended end)
    assert.equal(1, ended)
    assert.is_false((coroutine.resume(task)))
  end)

  it("forgets a task that somebody closed while it waited", function()
    local here <close> = alone.open()
    local closed, went_on = false, false
    local function body()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      here.share:wait_for("x", nil, 10)
      went_on = true
    end
    local task = memshare.go(body)
    coroutine.close(task)
    assert.is_true(closed)
    coroutine.close(memshare.go(function() memshare.sleep(0.001) went_on = true end))
    here.data.x = 1
    memshare.sleep(0.005)
    assert.is_false(went_on)
  end)

  it("keeps nothing alive once its tasks are over", function()
    local weak = setmetatable({}, { __mode = "k" })
    for i = 1, 20 do
      weak[memshare.go(function()
        memshare.sleep(0)
        if i % 2 == 0 then coroutine.yield() end
      end)] = true
    end
    memshare.sleep(0.005)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("runs thousands of tasks", function()
    local here <close> = alone.open { count = 0 }
    local ended = 0
    for i = 1, 2000 do
      memshare.go(function()
        memshare.sleep(i % 5 / 1000)
        assert(here.share:inc("count"):wait(10))
        ended = ended + 1
      end)
    end
    wait(function() return ended == 2000 end)
    assert.equal(2000, here.data.count)
  end)

  it("names what is wrong", function()
    assert.matches("fn: function expected, got nil %(EARGUMENT%)$",
      raised(function() memshare.go() end))
    local message
    memshare.go(function() message = raised(function() memshare.sleep(-1) end) end)
    assert.matches("no time to wait %(EARGUMENT%)$", message)
  end)

  it("cannot yield inside a batch", function()
    local here <close> = alone.open { x = 0 }
    local message
    memshare.go(function()
      local ok
      ok, message = pcall(here.share.batch, here.share, function()
        here.data.x = 1
        here.share:flush(1)
      end)
      assert(not ok)
    end)
    assert.matches("EBUSY", message)
    assert.equal(0, here.data.x)
  end)
end)

describe("memshare.run", function()
  -- Shares that other specs let go of.
  before_each(function()
    collectgarbage()
    collectgarbage()
  end)

  it("goes on while a task lives, and ends with the last one", function()
    local steps = 0
    memshare.go(function()
      for _ = 1, 3 do
        memshare.sleep(0.001)
        steps = steps + 1
      end
    end)
    memshare.run()
    assert.equal(3, steps)
  end)

  it("does not run inside itself", function()
    local message
    memshare.go(function()
      memshare.sleep(0)
      message = raised(function() memshare.run() end)
    end)
    memshare.run()
    assert.matches("run inside memshare.run%(%) %(EBUSY%)$", message)
  end)
end)
