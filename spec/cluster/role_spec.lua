local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"

-- The code of what a write gave; "accepted" for those that went through.
local SET <const> = [[
  local version, _, code = share:set(...):wait(10)
  return version and "accepted" or code]]

describe("roles #cluster", function()
  it("say who writes where, whoever is host", function()
    local peers <close> = cluster.start { open = false, count = 4, defaults = { players = {} } }
    peers[1]:open { roles = { "zone", "gate" } }
    peers[2]:open { roles = { "zone" } }
    peers[3]:open()
    peers[4]:open()
    peers[3]:eval "assert(share:grant('zone', 'players.**'):wait(10))"
    local host, zone, other = table.unpack(peers)
    for round = 1, 2 do
      assert.equal("accepted", zone:eval(SET, "players.ada", { hp = round }))
      assert.equal("EDENIED", other:eval(SET, "players.ada.hp", -round))
      assert.equal("EDENIED", other:eval(SET, "players", { round }))
      assert.equal("accepted", other:eval(SET, "chat", round))
      if round == 1 then host:kill "SIGKILL" end
    end
    assert.same({ hp = 2 }, other:eval "assert(share:sync(10)) return data.players.ada")
    other:eval "assert(share:revoke('zone', 'players.**'):wait(10))"
    assert.equal("accepted", other:eval(SET, "players.ada.hp", 7))
  end)

  it("show in the list of peers, and the refusal names path and role", function()
    local peers <close> = cluster.start { open = false, count = 2 }
    peers[1]:open { roles = { "zone", "gate" } }
    local id = peers[1]:eval "return share.id"
    peers[2]:open()
    assert.same({ "zone", "gate" }, peers[2]:eval([[
      for _, peer in ipairs(share:peers()) do
        if peer.id == ... then return peer.roles end
      end]], id))
    peers[1]:eval "assert(share:grant('zone', 'world.*.owner'):wait(10))"
    local message = peers[2]:eval [[
      return select(2, share:set("world.north.owner", 1):wait(10))]]
    assert.matches("world.north.owner", message, 1, true)
    assert.matches("zone", message, 1, true)
  end)

  it("are strings of a bounded size", function()
    local peers <close> = cluster.start { count = 1 }
    local function raised(roles)
      return peers[1]:eval([[
        local roles = load("return " .. ...)()
        return select(2, pcall(memshare.new, "other", {}, { roles = roles }))]], roles)
    end
    assert.matches("roles: list of strings expected", raised "{ 1 }")
    assert.matches("roles: 1 to 64 bytes", raised "{ '' }")
    assert.matches("roles: 1 to 64 bytes", raised "{ ('x'):rep(65) }")
    assert.matches("ELIMIT", raised("{ " .. ("'x', "):rep(17) .. "}"))
    assert.matches("option \"roles\": table expected", raised "'zone'")
    assert.matches("EARGUMENT", raised "{ 'a\\0b' }")
    local function granted(...)
      return peers[1]:eval("return select(2, pcall(share.grant, share, ...))", ...)
    end
    assert.matches("role: 1 to 64 bytes", granted("", "x"))
    assert.matches("EPATH", granted("zone", "a..b"))
    assert.matches("EARGUMENT", granted("zone"))
  end)
end)

describe("max_writers #cluster", function()
  it("keeps further writers out, until one is gone", function()
    local peers <close> = cluster.start { open = false, count = 3 }
    peers[1]:open { max_writers = 1 }
    local OPEN <const> = [[
      local share, _, code = memshare.open(...)
      if share then share:close() end
      return share and "open" or code]]
    local options = { host_timeout = 0.5, timeout = 5 }
    assert.equal("EDENIED", peers[2]:eval(OPEN, "world", {}, options))
    assert.equal("EDENIED", peers[2]:eval(OPEN, "world", {}, { timeout = 5, max_writers = 9 }))
    peers[3]:open { readonly = true }
    assert.equal("open", peers[2]:eval(OPEN, "world", {}, { timeout = 5, readonly = true }))
    peers[1]:eval "assert(share:max_writers(2):wait(10))"
    assert.equal("open", peers[2]:eval(OPEN, "world", {}, options))
    peers[1]:eval "assert(share:max_writers(1):wait(10))"
    local further = peers[2]
    peers[1]:kill "SIGKILL"
    eventually(function()
      assert.equal("open", further:eval(OPEN, "world", {}, options))
    end, { within_ms = 20000 })
  end)
end)

describe("a time to live #cluster", function()
  it("takes a value away everywhere, in one order, also after the host was killed", function()
    local peers <close> = cluster.start { count = 3 }
    for i = 1, 3 do
      peers[i]:eval [[
        gone = {}
        share:on("mark.*", function(new, _, path)
          if new == nil then gone[#gone + 1] = path end
        end)]]
    end
    peers[2]:eval [[
      share:set("mark.kept", 1, { ttl = 3600 })
      share:set("mark.far", 1, { ttl = 0.2 })
      share:set("mark.free", 1, { ttl = 0.2 })
      share:expire("mark.free")
      share:set("mark.near", 1, { ttl = 0.1 })
      assert(share:flush(10))]]
    peers[1]:kill "SIGKILL"
    for _, peer in ipairs(peers) do
      eventually(function()
        assert.same({ "mark.near", "mark.far" }, peer:eval "share:poll(0) return gone")
      end, { within_ms = 20000 })
      assert.same({ kept = 1, free = 1 }, peer:eval "return data.mark")
    end
  end)

  it("begins anew with each write", function()
    local peers <close> = cluster.start()
    peers[1]:eval [[
      share:set("beat", 0, { ttl = 0.5 })
      for i = 1, 20 do
        memshare.sleep(0.05)
        assert(share:get "beat" == i - 1, "it is gone though it was renewed")
        data.beat = i
      end]]
    eventually(function() assert.is_nil(peers[2]:eval "share:poll(0) return data.beat") end,
      { within_ms = 20000 })
  end)

  it("is a number of seconds, of assignments alone", function()
    local peers <close> = cluster.start { count = 1 }
    local function raised(code)
      return peers[1]:eval("return select(2, pcall(function() " .. code .. " end))")
    end
    assert.matches("EARGUMENT", raised "share:set('x', 1, { ttl = 'long' })")
    assert.matches("EARGUMENT", raised "share:set('x', 1, { ttl = -1 })")
    assert.matches("EARGUMENT", raised "share:set('x', memshare.inc(1), { ttl = 1 })")
    assert.matches("unknown option", raised "share:set('x', 1, { tll = 1 })")
    assert.matches("EARGUMENT", raised "share:expire('x', {})")
  end)

  it("is part of a batch", function()
    local peers <close> = cluster.start()
    peers[1]:eval [[
      assert(share:batch(function()
        data.stays = 1
        share:set("goes", 1, { ttl = 0.05 })
        share:ephemeral "stays"
      end):wait(10))]]
    eventually(function()
      assert.same({ stays = 1 }, peers[2]:eval "share:poll(0) return memshare.copy(data)")
    end)
  end)
end)
