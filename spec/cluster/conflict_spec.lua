local cluster = require "spec.support.cluster"

-- A host that sleeps for a while is part of these scenes, not one to be replaced.
local PATIENT <const> = { host_timeout = 60 }

describe("two writes to one path #cluster", function()
  it("end as the newer one says, in every process", function()
    local peers <close> = cluster.start { count = 3, options = PATIENT, defaults = { x = 0 } }
    local host, clients = peers:host(), peers:clients()
    host:kill "SIGSTOP"
    clients[1]:eval "older = share:set('x', 'older')"
    clients[2]:eval "newer = share:set('x', 'newer')"
    host:kill "SIGCONT"
    assert.truthy(clients[2]:eval "return newer:wait(10)")
    clients[1]:eval "older:wait(10)"
    peers:settle()
    assert.same({ "newer", "newer", "newer" }, peers:each "return data.x")
  end)

  it("tell the one who lost which write it lost to", function()
    local peers <close> = cluster.start { count = 3, options = PATIENT, defaults = { x = 0 } }
    local host, clients = peers:host(), peers:clients()
    local slow, fast = clients[1], clients[2]
    slow:eval [[
      told = {}
      share:on_reject(function(rejection) told[#told + 1] = rejection end)]]
    -- The older write waits in its process behind more bytes than the host's socket takes.
    host:kill "SIGSTOP"
    slow:eval [[
      data.ballast = ("x"):rep(8 << 20)
      older = share:set("x", "older")]]
    slow:kill "SIGSTOP"
    fast:eval "newer = share:set('x', 'newer')"
    host:kill "SIGCONT"
    assert.truthy(fast:eval "return newer:wait(10)")
    slow:kill "SIGCONT"

    local version, message, code = slow:eval "return older:wait(10)"
    assert.is_nil(version)
    assert.equal("ECONFLICT", code)
    assert.matches("x", message, 1, true)
    slow:await "#told == 1"
    local told = slow:eval [[
      local rejection = told[1]
      return { code = rejection.code, path = rejection.path, value = rejection.value,
        winner = rejection.winner, version = rejection.winner_version }]]
    local winning_version = fast:eval "return newer.version"
    assert.same({ code = "ECONFLICT", path = "x", value = "newer", winner = fast.id,
      version = winning_version }, told)
    assert.equal("newer", slow:eval "return data.x")
    peers:settle()
    assert.same({ "newer", "newer", "newer" }, peers:each "return data.x")
  end)

  it("never end in a lost update without a word", function()
    local peers <close> = cluster.start { count = 3, defaults = { cell = {} } }
    peers:each "assert(share:sync(10))"
    local results = peers:each [[
      local receipts, told = {}, 0
      share:on_reject(function() told = told + 1 end)
      for n = 1, 500 do
        receipts[n] = share:set("cell.value", share.id .. " " .. n)
        if n % 10 == 0 then share:poll(0) end
      end
      share:flush(15)
      local accepted, rejected = 0, 0
      for _, receipt in ipairs(receipts) do
        if receipt.state == "accepted" then accepted = accepted + 1 end
        if receipt.state == "rejected" then rejected = rejected + 1 end
      end
      share:poll(0)
      return { accepted = accepted, rejected = rejected, told = told }]]
    for _, result in ipairs(results) do
      assert.equal(500, result.accepted + result.rejected)
      assert.equal(result.rejected, result.told)
    end
    peers:settle()
  end)

  it("do not disturb each other below different keys", function()
    local peers <close> = cluster.start { count = 3, options = PATIENT, defaults = { p = {} } }
    local host, clients = peers:host(), peers:clients()
    host:kill "SIGSTOP"
    clients[1]:eval "one = share:set('p.one', 1)"
    clients[2]:eval "two = share:set('p.two', 2)"
    host:kill "SIGCONT"
    assert.truthy(clients[1]:eval "return one:wait(10)")
    assert.truthy(clients[2]:eval "return two:wait(10)")
    peers:settle()
    assert.same({ one = 1, two = 2 }, host:eval "return memshare.copy(data.p)")
  end)

  it("cannot bring back what another process removed", function()
    local peers <close> = cluster.start {
      count = 3, options = PATIENT, defaults = { players = { alice = { hp = 100, level = 7 } } },
    }
    local host, clients = peers:host(), peers:clients()
    local fast, slow = clients[1], clients[2]
    -- The removal is older and arrives first; the hit is newer, but its player is gone by then.
    host:kill "SIGSTOP"
    fast:eval "removed = share:unset('players.alice')"
    slow:eval [[
      data.ballast = ("x"):rep(8 << 20)
      hit = share:batch(function() data.players.alice.hp = 5 end)]]
    slow:kill "SIGSTOP"
    host:kill "SIGCONT"
    assert.truthy(fast:eval "return removed:wait(10)")
    slow:kill "SIGCONT"
    local version, message, code = slow:eval "return hit:wait(10)"
    assert.is_nil(version)
    assert.equal("EPATH", code)
    assert.matches("players.alice", message, 1, true)
    peers:settle()
    assert.same({}, host:eval "return memshare.copy(data.players)")
  end)
end)
