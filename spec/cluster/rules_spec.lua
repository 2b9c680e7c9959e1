local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"

local SET <const> = [[
  local version, message, code = share:set(...):wait(10)
  return version and "accepted" or code .. " " .. message]]
local GOLD <const> = [[
  rule("gold", function(new) return new >= 0, "no debts" end)]]

describe("rules #cluster", function()
  it("bind every writer, whoever is host, and joiners too", function()
    local peers <close> = cluster.start { count = 3, defaults = { gold = 5 } }
    peers[2]:eval("assert(share:rules(...):wait(10))", GOLD)
    local host, second, third = table.unpack(peers)
    for _, peer in ipairs { host, second, third } do
      assert.equal("EDENIED gold: no debts", peer:eval(SET, "gold", -1))
      assert.equal("accepted", peer:eval(SET, "gold", 1))
    end
    host:kill "SIGKILL"
    assert.equal("EDENIED gold: no debts", third:eval(SET, "gold", -1))
    assert.equal("accepted", second:eval(SET, "gold", 2))
    local fourth = peers:add()
    second:kill "SIGKILL"
    third:kill "SIGKILL"
    assert.equal("EDENIED gold: no debts", fourth:eval(SET, "gold", -1))
    assert.equal(2, fourth:eval "return data.gold")
    fourth:eval "assert(share:rules(nil):wait(10))"
    assert.equal("accepted", fourth:eval(SET, "gold", -1))
  end)

  it("do not mistake a host that was stopped for one whose rule takes too long", function()
    local peers <close> = cluster.start { count = 2, defaults = { gold = 5 } }
    peers[2]:eval("assert(share:rules(...):wait(10))", GOLD)
    peers[1]:kill "SIGSTOP"
    local answer = peers[2]:start(SET, "gold", 7)
    peers[1]:kill "SIGCONT"
    assert.equal("accepted", answer:wait())
    eventually(function() assert.equal(7, peers[1]:eval "share:poll(0) return data.gold") end)
  end)
end)
