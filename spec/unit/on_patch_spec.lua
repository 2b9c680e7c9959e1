-- share:on_patch in one process. spec/cluster/on_patch_spec.lua has what other peers add.
local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised = alone.raised

local function settle(here)
  assert(here.share:flush(5))
  assert(here.share:sync(5))
end

describe("share:on_patch", function()
  local function open(defaults)
    local here = alone.open(defaults)
    local heard = {}
    here.share:on_patch(function(patch) heard[#heard + 1] = patch end)
    return here, heard
  end

  it("hears of an own patch once, when it is accepted", function()
    local here <close>, heard = open { x = 0 }
    local version = assert(here.share:set("x", 1):wait(5))
    settle(here)
    assert.equal(1, #heard)
    assert.equal(version, heard[1].version)
    assert.equal(here.share.id, heard[1].origin)
    assert.is_true(heard[1].is_local)
    assert.is_false(heard[1].merged)
    assert.same({ "x" }, heard[1].paths)
    assert.is_true(math.abs(heard[1].time - os.time()) < 60)
  end)

  it("hears of each patch of many, in order, whole batches as one", function()
    local here <close>, heard = open { x = 0, log = {} }
    here.share:batch(function()
      here.data.x = 1
      here.share:push("log", "go")
    end)
    for x = 2, 50 do here.data.x = x end
    settle(here)
    assert.equal(50, #heard)
    assert.same({ "x", "log" }, heard[1].paths)
    for i = 2, #heard do assert.is_true(heard[i].version > heard[i - 1].version) end
  end)

  it("gives both ends of a rename, and the empty path for a new document", function()
    local here <close>, heard = open { a = 1 }
    here.share:patch { ["$rename"] = { a = "b" } }
    here.share:replace { c = 1 }
    settle(here)
    table.sort(heard[1].paths)
    assert.same({ "a", "b" }, heard[1].paths)
    assert.same({ "" }, heard[2].paths)
  end)

  it("says nothing of a patch whose condition does not hold", function()
    local here <close>, heard = open { x = 0 }
    here.share:on_reject(function() end)
    local lost = here.share:patch({ ["$set"] = { x = 1 } }, { where = { x = 5 } })
    here.data.last = true
    assert.is_nil((lost:wait(5)))
    settle(here)
    assert.equal(1, #heard)
    assert.same({ "last" }, heard[1].paths)
  end)

  it("comes after the hooks of the same patch, in a view that shows it", function()
    local here <close> = alone.open { x = 0 }
    local order = {}
    here.share:on_patch(function() order[#order + 1] = "patch " .. here.data.x end)
    here.share:on("x", function(new) order[#order + 1] = "change " .. new end)
    assert(here.share:set("x", 1):wait(5))
    settle(here)
    assert.same({ "change 1", "patch 1" }, order)
  end)

  it("may write, and calls nobody any more once it is closed", function()
    local here <close> = alone.open { x = 0, echo = 0 }
    local calls, sub = 0, nil
    sub = here.share:on_patch(function()
      calls = calls + 1
      here.data.echo = 1
      sub:close()
    end)
    here.data.x = 1
    settle(here)
    assert.equal(1, calls)
    assert.equal(1, here.data.echo)
  end)

  it("reports an error of the function and goes on", function()
    local here <close> = alone.open { x = 0 }
    local caught, calls = nil, 0
    local before = memshare.on_error
    memshare.on_error = function(traceback) caught = traceback end
    here.share:on_patch(function() error "oops" end)
    here.share:on_patch(function() calls = calls + 1 end)
    here.data.x = 1
    settle(here)
    memshare.on_error = before
    assert.truthy(caught:find("oops", 1, true))
    assert.equal(1, calls)
  end)

  it("refuses what is no function, and a closed share", function()
    local here <close> = alone.open { x = 0 }
    assert.truthy(raised(function() here.share:on_patch(5) end):find("fn", 1, true))
    here.share:close()
    assert.truthy(raised(function() here.share:on_patch(print) end):find("ECLOSED", 1, true))
  end)
end)
