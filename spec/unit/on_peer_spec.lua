-- share:on_peer in one process. spec/cluster/on_peer_spec.lua has other peers.
local memshare = require "memshare"
local alone = require "spec.support.alone"
local process = require "spec.support.process"

local raised = alone.raised

describe("share:on_peer", function()
  it("hears this peer join when it listens before the start", function()
    local directory = process.directory()
    local share <close> = memshare.new("alone", {}, { dir = directory })
    local heard = {}
    share:on_peer(function(event, peer) heard[#heard + 1] = { event, peer } end)
    assert(share:start(5))
    assert(share:set("x", 1):wait(5))
    assert.equal(1, #heard)
    assert.equal("join", heard[1][1])
    local me = share:peers()[1]
    assert.equal(me.id, heard[1][2].id)
    assert.equal(me.pid, heard[1][2].pid)
    assert.equal(me.program, heard[1][2].program)
    assert.equal(me.since, heard[1][2].since)
    assert.is_true(heard[1][2].is_self)
    share:close(5)
    process.remove_directory(directory)
  end)

  it("says nothing of who was there before", function()
    local here <close> = alone.open { x = 0 }
    local calls = 0
    here.share:on_peer(function() calls = calls + 1 end)
    assert(here.share:set("x", 1):wait(5))
    assert(here.share:sync(5))
    assert.equal(0, calls)
  end)

  it("refuses what is no function, and a closed share", function()
    local here <close> = alone.open { x = 0 }
    assert.truthy(raised(function() here.share:on_peer(5) end):find("fn", 1, true))
    here.share:close()
    assert.truthy(raised(function() here.share:on_peer(print) end):find("ECLOSED", 1, true))
  end)
end)
