local uv = require "luv"
local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"

describe("a shared table #cluster", function()
  it("shows what one process assigns in the other", function()
    local peers <close> = cluster.start { count = 2, defaults = { round = 0 } }
    peers[1]:eval "data.round = 7"
    peers[2]:await "data.round == 7"
    peers[2]:eval "data.round = 8"
    peers[1]:await "data.round == 8"
  end)

  it("shows every process the writes of all five", function()
    local peers <close> = cluster.start { count = 5, defaults = { seen = {} } }
    for i, peer in ipairs(peers) do peer:start("data.seen[...] = true", "peer" .. i) end
    for _, peer in ipairs(peers) do peer:await "memshare.count(data.seen) == 5" end
    peers:settle()
  end)

  it("is seen by its writer at once", function()
    local peers <close> = cluster.start()
    local seen = peers[2]:eval [[
      data.a = { b = 1 }
      data.a.c = 2
      return data.a.b + data.a.c]]
    assert.equal(3, seen)
  end)

  it("stands still between the polls of a process, whatever others write", function()
    local peers <close> = cluster.start { count = 3, defaults = { x = 0, list = {} } }
    local host = peers:host()
    for number, reader in ipairs(peers:clients()) do
      local flag = ("%s/written.%d"):format(peers.directory, number)
      local reading = reader:start([[
        local uv = require "luv"
        assert(io.open(... .. ".awaited", "w")):close() -- from here on nothing polls
        local deadline = uv.hrtime() + 15e9
        repeat -- no poll
          assert(uv.hrtime() < deadline, "nothing was written")
          uv.sleep(1)
        until uv.fs_stat((...))
        local before = { data.x, #data.list, share:get "x" }
        local synced = share:sync(10)
        return before, synced, { data.x, #data.list }]], flag)
      eventually(function() assert.truthy(uv.fs_stat(flag .. ".awaited")) end)
      host:eval([[
        data.x = data.x + 1
        data.list[#data.list + 1] = "new"
        assert(share:flush(10))
        assert(io.open(..., "w")):close()]], flag)
      local before, synced, after = reading:wait()
      assert.is_true(synced)
      assert.same({ after[1] - 1, after[2] - 1, after[1] - 1 }, before)
      for _, peer in ipairs(peers) do peer:eval "assert(share:sync(10))" end
    end
  end)

  it("calls a hook in the other process with the new and the old value", function()
    local peers <close> = cluster.start { defaults = { players = { alice = { hp = 100 } } } }
    peers[2]:eval [[
      heard = {}
      share:on("players.*.hp", function(new, old, path, change)
        heard[#heard + 1] = { new = new, old = old, path = path, own = change.is_local,
          player = change.keys[2] }
      end)]]
    peers[1]:eval "data.players.alice.hp = 90"
    peers[2]:await "#heard == 1"
    local heard = peers[2]:eval "return heard"
    assert.same({ { new = 90, old = 100, path = "players.alice.hp", own = false,
      player = "alice" } }, heard)
  end)

  it("carries nested tables and arrays", function()
    local peers <close> = cluster.start()
    peers[1]:eval [[
      data.world = { zones = { { name = "north", at = { 1, 2, { 3 } } }, { name = "south" } } }
      data.world.zones[1].at[3][2] = "deep"
      data.world.zones[3] = { name = "east" }
      data.world.zones[2].name = nil
      share:flush()]]
    peers[2]:eval "share:sync()"
    assert.same({ zones = {
      { name = "north", at = { 1, 2, { 3, "deep" } } }, {}, { name = "east" },
    } }, peers[2]:eval "return memshare.copy(data.world)")
    peers:settle()
  end)

  it("carries every type of value, integers and floats apart", function()
    local peers <close> = cluster.start()
    peers[1]:eval [[
      data.values = {
        yes = true, no = false, null = memshare.null,
        zero = 0, one = 1, minus = -1, most = math.maxinteger, least = math.mininteger,
        float = 1.0, half = 0.5, big = 2^63, huge = math.huge, lowest = -math.huge,
        tiny = 5e-324, minus_zero = -0.0, nan = 0/0,
        empty = "", text = "Zoë", list = { 1, 1.0, "1" },
      }
      share:flush()]]
    peers[2]:eval "share:sync()"
    local code = [[
      local seen = {}
      for key, value in pairs(data.values) do
        seen[key] = memshare.type(value) .. " " ..
          (value == memshare.null and "" or value == data.values.list and #value or
            ("%q"):format(value))
      end
      for i, value in ipairs(data.values.list) do seen[i] = memshare.type(value) end
      return seen]]
    local expected = {
      yes = "boolean true", no = "boolean false", null = "null ", zero = "integer 0",
      one = "integer 1", minus = "integer -1", most = "integer 9223372036854775807",
      least = "integer 0x8000000000000000", float = "float 0x1p+0", half = "float 0x1p-1",
      big = "float 0x1p+63", huge = "float 1e9999", lowest = "float -1e9999",
      tiny = "float 0x0.0000000000001p-1022", minus_zero = "float -0x0p+0", nan = "float (0/0)",
      empty = 'string ""', text = 'string "Zoë"', list = "array 3",
      "integer", "float", "string",
    }
    assert.same(expected, peers[2]:eval(code))
    assert.same(expected, peers[1]:eval(code))
  end)

  it("carries strings as bytes", function()
    local peers <close> = cluster.start()
    local bytes = {}
    for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
    local all = table.concat(bytes)
    peers[1]:eval("local all = ...; data.bytes = all; data[all] = 'key'; share:flush()", all)
    peers[2]:eval "share:sync()"
    assert.equal(all, peers[2]:eval "return data.bytes")
    assert.equal("key", peers[2]:eval("return data[...]", all))
    assert.equal(("x"):rep(1 << 20), peers[2]:eval [[
      data.long = ("x"):rep(1 << 20)
      return data.long]])
    peers:settle()
  end)

  it("keeps the empty table apart from empty arrays and objects", function()
    local peers <close> = cluster.start()
    peers[1]:eval [[
      data.empty, data.array, data.object = {}, memshare.array {}, memshare.object {}
      data.becomes_array, data.becomes_object = {}, {}
      data.becomes_array[1] = "first"
      data.becomes_object.key = "value"
      share:flush()]]
    peers[2]:eval "share:sync()"
    assert.same({
      empty = "empty", array = "array", object = "object",
      becomes_array = "array", becomes_object = "object",
    }, peers[2]:eval [[
      local types = {}
      for key, value in pairs(data) do types[key] = memshare.type(value) end
      return types]])
  end)

  it("removes in every process what one sets to nil", function()
    local peers <close> = cluster.start { defaults = { keep = 1, drop = { deep = true } } }
    peers[1]:eval "data.drop = nil"
    peers[2]:await "data.drop == nil"
    assert.equal(1, peers[2]:eval "return memshare.count(data)")
  end)

  it("applies a patch of several operators at once", function()
    local peers <close> = cluster.start { defaults = { gold = 10, items = {} } }
    peers[2]:eval [[
      torn = 0
      share:on("**", function()
        if data.gold + #data.items ~= 10 then torn = torn + 1 end
      end)]]
    peers[1]:eval [[
      for i = 1, 10 do
        share:patch { ["$inc"] = { gold = -1 }, ["$push"] = { items = "item" .. i } }
      end]]
    peers[2]:await "#data.items == 10"
    assert.equal(0, peers[2]:eval "return torn")
    assert.equal(0, peers[2]:eval "return data.gold")
  end)

  it("keeps the elements of all who append", function()
    local peers <close> = cluster.start { count = 3, defaults = { log = {} } }
    local answers = {}
    for i, peer in ipairs(peers) do
      answers[i] = peer:start([[
        for n = 1, 100 do data.log[#data.log + 1] = ... .. " " .. n end
        share:flush(10)]], "peer" .. i)
    end
    for _, answer in ipairs(answers) do answer:wait() end
    peers:settle()
    assert.equal(300, peers[1]:eval "return #data.log")
  end)
end)

describe("counting #cluster", function()
  it("gives exactly 4,000 when four processes count to 1,000 together", function()
    local peers <close> = cluster.start { count = 4, defaults = { count = 0 } }
    peers:each [[
      for _ = 1, 1000 do data.count = memshare.inc(1) end
      assert(share:flush(15))]]
    peers:settle()
    assert.same({ 4000, 4000, 4000, 4000 }, peers:each "return data.count")
    assert.same({ "integer", "integer", "integer", "integer" },
      peers:each "return math.type(data.count)")
  end)
end)
