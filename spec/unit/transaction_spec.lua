local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised = alone.raised

local function bank()
  return alone.open { a = 100, b = 100, list = { 1, 2, 3 }, accounts = { ann = { gold = 5 } } }
end

describe("share:transaction", function()
  it("returns what its function returns once all is accepted", function()
    local here <close> = bank()
    local sum, word = here.share:transaction(function(draft)
      draft.a = draft.a - 30
      draft.b = draft.b + 30
      return draft.a + draft.b, "moved"
    end)
    assert.equal(200, sum)
    assert.equal("moved", word)
    assert.same({ 70, 130 }, { here.data.a, here.data.b })
    assert.equal(0, select(2, here.share:status()).pending)
  end)

  it("returns true when its function returns nothing", function()
    local here <close> = bank()
    assert.is_true(here.share:transaction(function(draft) draft.a = 1 end))
    assert.is_true(here.share:transaction(function() end))
    assert.equal(1, select("#", here.share:transaction(function() return nil end)))
  end)

  it("is one patch", function()
    local here <close> = bank()
    local before = here.share:version()
    here.share:transaction(function(draft)
      draft.a = draft.a + 1
      draft.accounts.bob = { gold = 1 }
      draft.accounts.ann.gold = memshare.inc(2)
      memshare.insert(draft.list, 1, "first")
      draft.list[#draft.list + 1] = "last"
      assert.equal("last", (memshare.remove(draft.list, 5)))
    end)
    assert.equal(before + 1, here.share:version())
    assert.same({ a = 101, b = 100, list = { "first", 1, 2, 3 },
      accounts = { ann = { gold = 7 }, bob = { gold = 1 } } }, memshare.copy(here.data))
  end)

  it("gives a draft that looks like data and is not data", function()
    local here <close> = bank()
    here.share:transaction(function(draft)
      draft.a = 1
      draft.accounts.ann.gold = 6
      assert.equal(1, draft.a)
      assert.equal(100, here.data.a)
      assert.equal(draft.accounts, draft.accounts)
      assert.not_equal(here.data.accounts, draft.accounts)
      local keys = {}
      for key in pairs(draft) do keys[#keys + 1] = key end
      table.sort(keys)
      assert.same({ "a", "accounts", "b", "list" }, keys)
      local sum = 0
      for _, number in ipairs(draft.list) do sum = sum + number end
      assert.equal(6, sum)
      assert.equal(3, #draft.list)
      assert.equal(4, memshare.count(draft))
      assert.same({ ann = { gold = 6 } }, memshare.copy(draft.accounts))
      assert.equal("array", memshare.type(draft.list))
      assert.equal("accounts.ann", memshare.path(draft.accounts.ann))
      assert.is_nil(draft.nobody)
      assert.is_nil(draft.list[4])
      assert.is_nil(draft.list.word)
      assert.matches("memshare alone: accounts", tostring(draft.accounts), 1, true)
      assert.matches("%(EARGUMENT%)$", raised(function() draft.x = draft.accounts end))
      assert.matches("%(EARGUMENT%)$", raised(function() draft.x = here.data.accounts end))
      draft.accounts.ann = nil
      assert.is_nil(draft.accounts.ann)
    end)
    assert.same({}, memshare.copy(here.data.accounts))
  end)

  it("shows nothing of its draft before it is accepted, and hooks hear of it once", function()
    local here <close> = bank()
    local heard = {}
    here.share:on("a", function(new, old, _, change)
      heard[#heard + 1] = { new, old, change.is_local, change.kind }
    end)
    here.share:transaction(function(draft)
      draft.a = draft.a + 1
      draft.a = draft.a + 1
    end)
    here.share:poll(0)
    assert.same({ { 102, 100, true, "set" } }, heard)
  end)

  it("discards its writes on an error, which it passes on", function()
    local here <close> = bank()
    local mistake = setmetatable({}, {})
    local before = here.share:version()
    local ok, failure = pcall(here.share.transaction, here.share, function(draft)
      draft.a = 1
      error(mistake)
    end)
    assert.is_false(ok)
    assert.equal(mistake, failure)
    assert.equal(100, here.data.a)
    local function reckless()
      return here.share:transaction(function(draft)
        draft.a = 1
        draft.a.b = 2 -- not a table
      end)
    end
    local trace
    assert.is_false(xpcall(reckless, function(message) trace = debug.traceback(message) end))
    assert.matches("transaction_spec.lua:%d+: attempt to index a number", trace)
    assert.matches("in method 'transaction'", trace, 1, true)
    assert.matches("in function <spec/unit/transaction_spec.lua", trace, 1, true)
    assert.equal(before, here.share:version())
    assert.is_true(here.share:transaction(function(draft) draft.a = 2 end))
    assert.equal(2, here.data.a)
  end)

  it("cannot yield, poll or nest", function()
    local here <close> = bank()
    local share = here.share
    local co = coroutine.create(function() share:transaction(coroutine.yield) end)
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
      function() share:transaction(print) end,
      function() share:close() end,
    } do
      local inner
      share:transaction(function() inner = raised(fn) end)
      assert.matches("%(EBUSY%)$", inner)
    end
    share:batch(function()
      assert.matches("inside a batch %(EBUSY%)$", raised(function() share:transaction(print) end))
    end)
    local inner
    share:on("a", function() inner = raised(function() share:transaction(print) end) end)
    here.data.a = 1
    share:poll(0)
    assert.matches("inside a callback %(EBUSY%)$", inner)
    assert.is_true(share:transaction(function(draft) draft.a = 3 end))
  end)

  it("refuses writes to data, and reads of data are not its own", function()
    local here <close> = bank()
    local share, data = here.share, here.data
    share:transaction(function(draft)
      for _, fn in ipairs {
        function() data.a = 1 end,
        function() data.accounts.ann.gold = 1 end,
        function() share:set("a", 1) end,
        function() share:inc "a" end,
        function() share:patch { ["$set"] = { a = 1 } } end,
        function() share:replace {} end,
        function() memshare.insert(data.list, 1) end,
        function() memshare.remove(data.list, 1) end,
      } do
        assert.matches("write to its draft %(EBUSY%)$", raised(fn))
      end
      draft.a = data.a + 5
    end)
    assert.equal(105, data.a)
  end)

  it("leaves a draft behind that only says that it is over", function()
    local here <close> = bank()
    local kept, list
    here.share:transaction(function(draft)
      kept, list = draft.accounts, draft.list
      assert.equal(5, kept.ann.gold)
    end)
    for _, fn in ipairs {
      function() return kept.ann end,
      function() return #list end,
      function() return pairs(kept) end,
      function() kept.bob = 1 end,
      function() memshare.insert(list, 1) end,
    } do
      assert.matches("transaction is over %(ECLOSED%)$", raised(fn))
    end
    assert.matches("accounts", tostring(kept), 1, true)
    -- Nor does it come back to life in the next one.
    here.share:transaction(function(draft)
      assert.matches("%(ECLOSED%)$", raised(function() return kept.ann end))
      assert.equal(5, draft.accounts.ann.gold)
    end)
  end)

  it("reads what this process has written and the host has not seen", function()
    local here <close> = bank()
    here.data.a = 1
    local seen = here.share:transaction(function(draft)
      draft.b = draft.a + 1
      return draft.a
    end)
    assert.equal(1, seen)
    assert.equal(2, here.data.b)
  end)

  it("gives edits of lists one receipt", function()
    local here <close> = bank()
    local one, two
    here.share:transaction(function(draft)
      one = memshare.insert(draft.list, "x")
      two = select(2, memshare.remove(draft.list, 1))
      assert.equal("pending", one.state)
    end)
    assert.equal(one, two)
    assert.equal("accepted", one.state)
    pcall(here.share.transaction, here.share, function(draft)
      one = memshare.insert(draft.list, "y")
      error "no"
    end)
    assert.equal("rejected", one.state)
  end)

  it("carries the time of its patch", function()
    local here <close> = bank()
    here.share:transaction(function(draft)
      draft.when = memshare.timestamp()
      draft.also = { at = memshare.timestamp() }
    end)
    assert.equal(here.data.when, here.data.also.at)
    assert.is_true(math.abs(here.data.when / 1000 - os.time()) < 60)
  end)

  it("goes one after the other in several tasks", function()
    local here <close> = bank()
    local done = 0
    for task = 1, 3 do
      memshare.go(function()
        for i = 1, 20 do
          assert(here.share:transaction(function(draft) draft.a = draft.a + 1 end))
          if i % 3 == task % 3 then memshare.sleep(0) end
        end
        done = done + 1
      end)
    end
    alone.wait(function() return done == 3 end)
    assert.equal(160, here.data.a)
  end)

  it("says what is wrong with its arguments", function()
    local here <close> = bank()
    local share = here.share
    assert.matches("fn: function expected", raised(function() share:transaction(5) end), 1, true)
    local function with(options)
      return raised(function() share:transaction(print, options) end)
    end
    assert.matches('unknown option "retry"', with { retry = 1 }, 1, true)
    assert.matches('"retries": non-negative integer expected', with { retries = -1 }, 1, true)
    assert.matches('option "timeout"', with { timeout = "soon" }, 1, true)
    assert.is_true(share:transaction(function() end, { retries = 0, timeout = math.huge }))
  end)

  it("is refused where this process may not write", function()
    local here <close> = bank()
    local options = { readonly = true, dir = here.directory }
    local share <close> = assert(memshare.open("other", {}, options))
    assert.matches("%(EREADONLY%)$", raised(function() share:transaction(function() end) end))
    here.share:close(5)
    assert.matches("%(ECLOSED%)$", raised(function() here.share:transaction(function() end) end))
    here.share = nil
  end)
end)
