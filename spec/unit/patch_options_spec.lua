local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised = alone.raised

local DRAW <const> = { ["$inc"] = { stock = -1 } }
local IN_STOCK <const> = { where = { stock = { ["$gt"] = 0 } } }

describe("the condition of a patch", function()
  it("lets the patch through where it holds", function()
    local here <close> = alone.open { stock = 1 }
    assert.is_truthy(here.share:patch(DRAW, IN_STOCK):wait())
    assert.equal(0, here.data.stock)
  end)

  it("rejects the patch where it does not, with ECONDITION", function()
    local here <close> = alone.open { stock = 0 }
    local rejection
    here.share:on_reject(function(what) rejection = what end)
    local receipt = here.share:patch(DRAW, IN_STOCK)
    assert.equal(0, here.data.stock)
    local version, message, code = receipt:wait()
    assert.is_nil(version)
    assert.matches('where: "stock"', message)
    assert.equal("ECONDITION", code)
    assert.equal("rejected", receipt.state)
    assert.equal("ECONDITION", receipt.code)
    alone.wait(function() return rejection end)
    assert.equal("ECONDITION", rejection.code)
    assert.equal(0, here.data.stock)
  end)

  it("is asked of the document before the patch", function()
    local here <close> = alone.open { stock = 3 }
    here.share:on_reject(function() end)
    local accepted = 0
    for _ = 1, 5 do
      if here.share:patch(DRAW, IN_STOCK):wait() then accepted = accepted + 1 end
    end
    assert.equal(3, accepted)
    assert.equal(0, here.data.stock)
  end)

  it("gives a receipt also right after another write, whatever the view says", function()
    local here <close> = alone.open { stock = 0, n = 0 }
    local told = 0
    here.share:on_reject(function() told = told + 1 end)
    local sell = { ["$set"] = { sold = true } }
    local receipts = {}
    for n = 1, 100 do
      here.data.n = n
      receipts[n] = here.share:patch(sell, IN_STOCK)
      assert.equal("pending", receipts[n].state)
    end
    for n = 1, 100 do assert.equal("ECONDITION", (select(3, receipts[n]:wait()))) end
    here:settle()
    assert.equal(100, told)
    assert.is_nil(here.data.sold)
  end)

  it("takes all of MongoDB's conditions", function()
    local here <close> = alone.open { tags = { "a", "b" }, jobs = { { id = 1, open = true } } }
    local function holds(where)
      return (here.share:patch({ ["$inc"] = { n = 1 } }, { where = where }):wait())
    end
    here.share:on_reject(function() end)
    assert.is_truthy(holds { tags = "a" })
    assert.is_truthy(holds { ["jobs.id"] = 1, ["$or"] = { { x = 1 }, { tags = "b" } } })
    assert.is_truthy(holds { tags = { ["$size"] = 2 } })
    assert.is_truthy(holds { jobs = { ["$elemMatch"] = { id = 1, open = true } } })
    assert.is_truthy(holds { nothing = { ["$exists"] = false } })
    assert.is_truthy(holds {})
    assert.is_nil(holds { tags = "c" })
    assert.is_nil(holds { ["$nor"] = { { tags = "a" } } })
    assert.equal(6, here.data.n)
  end)

  it("comes back at once in a batch", function()
    local here <close> = alone.open { stock = 1 }
    local first, second, message, code
    assert.is_truthy(here.share:batch(function()
      first = here.share:patch(DRAW, IN_STOCK)
      second, message, code = here.share:patch(DRAW, IN_STOCK)
    end):wait())
    assert.is_truthy(first)
    assert.is_nil(second)
    assert.matches("stock", message)
    assert.equal("ECONDITION", code)
    assert.equal(0, here.data.stock)
  end)

  it("is the same for memshare.apply, which leaves the document alone", function()
    local document = { stock = 1 }
    assert.same({ stock = 0 }, memshare.apply(document, DRAW, IN_STOCK))
    document.stock = 0
    local result, message, code = memshare.apply(document, DRAW, IN_STOCK)
    assert.is_nil(result)
    assert.equal('where: "stock" does not meet its condition', message)
    assert.equal("ECONDITION", code)
    assert.same({ stock = 0 }, document)
  end)

  it("may be what a proxy shows", function()
    local here <close> = alone.open { n = 1, rule = { n = 1 } }
    assert.same({ n = 2 }, memshare.apply({ n = 1 }, { ["$inc"] = { n = 1 } },
      { where = here.data.rule }))
    assert.is_truthy(here.share:patch({ ["$inc"] = { n = 1 } }, { where = here.data.rule }):wait())
    assert.equal(2, here.data.n)
  end)
end)

describe("array filters", function()
  it("choose the elements that $[name] stands for", function()
    local here <close> = alone.open { list = { { hp = 1 }, { hp = 9 }, { hp = 3 } } }
    local update = { ["$set"] = { ["list.$[weak].hp"] = 5 } }
    local options = { array_filters = { { ["weak.hp"] = { ["$lt"] = 5 } } } }
    local expected = { list = { { hp = 5 }, { hp = 9 }, { hp = 5 } } }
    assert.same(expected, memshare.apply(memshare.copy(here.data), update, options))
    assert.is_truthy(here.share:patch(update, options):wait())
    assert.same(expected, memshare.copy(here.data))
  end)

  it("stand beside a condition", function()
    local here <close> = alone.open { open = true, list = { 1, 5 } }
    local update = { ["$inc"] = { ["list.$[x]"] = 10 } }
    local options = { array_filters = { { x = { ["$gte"] = 5 } } }, where = { open = true } }
    assert.is_truthy(here.share:patch(update, options):wait())
    assert.same({ 1, 15 }, memshare.copy(here.data.list))
    here.data.open = false
    here.share:on_reject(function() end)
    assert.equal("ECONDITION", select(3, here.share:patch(update, options):wait()))
    assert.same({ 1, 15 }, memshare.copy(here.data.list))
  end)

  it("raise for what is missing, not used or no filter", function()
    local here <close> = alone.open { list = { 1 } }
    local update = { ["$set"] = { ["list.$[x]"] = 0 } }
    local unused = { array_filters = { { x = 1 }, { y = 1 } } }
    assert.matches("no array filter for \"%$%[x%]\" %(EARGUMENT%)$",
      raised(function() here.share:patch(update) end))
    assert.matches("y.*%(EARGUMENT%)$", raised(function() here.share:patch(update, unused) end))
    assert.matches("%(EARGUMENT%)$",
      raised(function() here.share:patch(update, { array_filters = { 5 } }) end))
    assert.matches("%(EARGUMENT%)$",
      raised(function() here.share:patch(update, { array_filters = { x = 1 } }) end))
    assert.same({ 1 }, memshare.copy(here.data.list))
  end)
end)

describe("the options of an update", function()
  local function each(check)
    local here <close> = alone.open { n = 1 }
    check(function(...) return here.share:patch(...) end)
    check(function(...) return memshare.apply({ n = 1 }, ...) end)
    assert.equal(1, here.data.n)
  end

  it("are known, or raise", function()
    each(function(update)
      assert.matches('unknown option "were" %(EARGUMENT%)$',
        raised(function() update(DRAW, { were = {} }) end))
      assert.matches('unknown option "1" %(EARGUMENT%)$',
        raised(function() update(DRAW, { {} }) end))
      assert.matches("options: table expected, got string %(EARGUMENT%)$",
        raised(function() update(DRAW, "where") end))
    end)
  end)

  it("are tables that can be read, or raise", function()
    each(function(update)
      assert.matches('option "where": table expected, got number %(EARGUMENT%)$',
        raised(function() update(DRAW, { where = 5 }) end))
      assert.matches('option "array_filters": table expected, got boolean %(EARGUMENT%)$',
        raised(function() update(DRAW, { array_filters = true }) end))
      assert.matches("where%.x%.0: function cannot be shared %(EARGUMENT%)$",
        raised(function() update(DRAW, { where = { x = { print } } }) end))
      assert.matches("array_filters%.0%.x: an operator %(memshare%.inc%) is for assignments",
        raised(function() update(DRAW, { array_filters = { { x = memshare.inc(1) } } }) end))
    end)
  end)

  it("raise in share:patch for a mistake in a query, which memshare.apply returns", function()
    local here <close> = alone.open { n = 1 }
    local options = { where = { n = { ["$foo"] = 1 } } }
    assert.matches('where: unknown query operator "%$foo" %(EARGUMENT%)$',
      raised(function() here.share:patch(DRAW, options) end))
    local result, message, code = memshare.apply({ n = 1 }, DRAW, options)
    assert.is_nil(result)
    assert.equal('where: unknown query operator "$foo"', message)
    assert.equal("EARGUMENT", code)
    assert.is_nil(here.data.stock)
  end)
end)
