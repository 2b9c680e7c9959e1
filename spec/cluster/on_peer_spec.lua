local cluster = require "spec.support.cluster"

local LISTEN <const> = [[
  heard = {}
  share:on_peer(function(event, peer)
    heard[#heard + 1] = { event = event, id = peer.id, pid = peer.pid, x = data.x }
  end)]]

describe("share:on_peer #cluster", function()
  it("tells all peers who joins, who leaves and who is killed", function()
    local peers <close> = cluster.start { count = 2, defaults = { x = 0 } }
    local host, client = peers:host(), peers:clients()[1]
    host:eval(LISTEN)
    client:eval(LISTEN)
    local polite, victim = peers:add(), peers:add()
    local ids = { polite.id, victim.id }
    for _, peer in ipairs { host, client } do assert.is_true(peer:await "#heard == 2") end
    polite:leave()
    for _, peer in ipairs { host, client } do assert.is_true(peer:await "#heard == 3") end
    victim:kill "SIGKILL"
    for _, peer in ipairs { host, client } do
      assert.is_true(peer:await "#heard == 4")
      local heard = peer:eval "return heard"
      local told = {}
      for i, what in ipairs(heard) do told[i] = what.event .. " " .. what.id end
      assert.same({
        "join " .. ids[1], "join " .. ids[2], "leave " .. ids[1], "leave " .. ids[2],
      }, told)
      assert.equal(heard[1].pid, heard[3].pid)
    end
  end)

  it("tells of a leave after all that the peer wrote", function()
    local peers <close> = cluster.start { count = 3, defaults = { x = 0 } }
    local host, clients = peers:host(), peers:clients()
    clients[1]:eval(LISTEN)
    clients[2]:eval "for x = 1, 100 do data.x = x end assert(share:flush(5))"
    clients[2]:leave()
    assert.is_true(clients[1]:await "#heard == 1")
    local heard, id = clients[1]:eval "return heard[1]", host.id
    assert.equal("leave", heard.event)
    assert.not_equal(id, heard.id)
    assert.equal(100, heard.x)
  end)
end)
