local cluster = require "spec.support.cluster"

local LISTEN <const> = [[
  heard = {}
  share:on_patch(function(patch) heard[#heard + 1] = patch end)]]

describe("share:on_patch #cluster", function()
  it("tells all peers the same patches in the same order", function()
    local peers <close> = cluster.start { count = 3, defaults = { x = 0 } }
    local host, clients = peers:host(), peers:clients()
    for _, peer in ipairs { host, clients[1], clients[2] } do peer:eval(LISTEN) end
    for _, peer in ipairs { host, clients[1], clients[2] } do
      peer:eval "for _ = 1, 20 do data.x = memshare.inc(1) end"
    end
    for _, peer in ipairs { host, clients[1], clients[2] } do
      assert.is_true(peer:await "#heard == 60")
    end
    local expected = host:eval "return heard"
    for _, client in ipairs(clients) do
      local heard, id = client:eval "return heard, share.id"
      for i = 1, 60 do
        assert.equal(expected[i].version, heard[i].version)
        assert.equal(expected[i].origin, heard[i].origin)
        assert.same({ "x" }, heard[i].paths)
        assert.equal(heard[i].origin == id, heard[i].is_local)
      end
    end
  end)

  it("hears singly what came while the peer was stopped", function()
    local peers <close> = cluster.start { count = 2, defaults = { x = 0 } }
    local host, client = peers:host(), peers:clients()[1]
    client:eval(LISTEN)
    client:kill "SIGSTOP"
    host:eval "for x = 1, 200 do data.x = x end assert(share:flush(5))"
    client:kill "SIGCONT"
    assert.is_true(client:await "data.x == 200 and #heard == 200")
    local heard = client:eval "return heard"
    for i = 2, 200 do assert.is_true(heard[i].version > heard[i - 1].version) end
  end)

  it("gets one merged patch for what was there when the peer joined", function()
    local peers <close> = cluster.start { count = 2, defaults = { x = 0 } }
    local host, client = peers:host(), peers:clients()[1]
    host:eval "for x = 1, 20 do data.x = x end assert(share:flush(5))"
    client:eval([[
      local name, options = ...
      share:close(5)
      share, heard = memshare.new(name, {}, options), {}
      data = share.data
      share:on_patch(function(patch) heard[#heard + 1] = patch end)
      assert(share:start(10))
      assert(share:sync(10))]], peers.name, peers.options)
    local heard, x = client:eval "return heard, data.x"
    assert.equal(20, x)
    assert.is_true(heard[1].merged)
    assert.is_nil(heard[1].paths)
    for i = 2, #heard do assert.is_true(heard[i].version > heard[i - 1].version) end
    host:eval "assert(share:set('x', 21):wait(5))"
    assert.is_true(client:await "not heard[#heard].merged and heard[#heard].paths[1] == 'x'")
  end)
end)
