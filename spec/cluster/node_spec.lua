-- A peer in another language, made from docs/protocol.md: examples/node among Lua peers.
local uv = require "luv"
local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"
local node = require "spec.support.node"

-- Starts no takeover by suspicion while a spec keeps the host stopped.
local PATIENT <const> = { host_timeout = 60 }

-- Runs JavaScript in one block: `before`, then the host runs its Lua, then `after`. Nothing that
-- others write meanwhile is seen in the block, and what it writes is sent after its end.
local function while_deaf(visitor, host, before, lua, after)
  local path = visitor.peers.directory .. "/go"
  local answer = visitor:start(([[
    const { existsSync, writeFileSync, unlinkSync } = await import("node:fs");
    const path = %q;
    %s
    writeFileSync(path + ".at", "");
    while (!existsSync(path)) {}
    unlinkSync(path);
    %s
  ]]):format(path, before, after))
  eventually(function() assert(uv.fs_unlink(path .. ".at")) end, { within_ms = 10000 })
  host:eval(lua)
  assert(io.open(path, "w")):close()
  return answer
end

describe("a peer in Node.js #cluster", function()
  if node.missing then
    pending(node.missing .. ": scripts/setup test installs it")
    return
  end

  it("joins and sees what is there, every type of value", function()
    local peers <close> = cluster.start {
      count = 1,
      defaults = {
        round = 3, exact = 2.0, big = 1 << 60, low = math.mininteger, text = "Grüße", no = false,
        list = { 1, { x = 1.5 }, "a" }, deep = { a = { b = { c = 1 } } }, none = {},
      },
    }
    peers[1]:eval "data.null, data.bytes = memshare.null, '\xff\x00'"
    local visitor <close> = node.open(peers)
    assert.equal(3, visitor:eval "return share.get('round')")
    assert.same({ "bigint", "number", "bigint", "string", "boolean" }, visitor:eval [[
      return ["round", "exact", "low", "text", "no"].map((path) => typeof share.get(path))]])
    assert.truthy(visitor:eval [[
      return share.data.big === 1n << 60n && share.data.low === -(2n ** 63n) &&
        share.data.none === peer.EMPTY && share.data.null === null &&
        share.data.bytes.equals(Buffer.from([255, 0])) && share.data.text === "Grüße"]])
    peers[1]:eval "data.bytes = nil"
    visitor:settle()
  end)

  it("joins a large document while others write, and misses nothing", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0, players = {} } }
    peers[1]:eval [[
      local players = {}
      for i = 1, 20000 do players["p" .. i] = { hp = i, name = ("x"):rep(i % 50), tags = { i } } end
      share:replace { n = 0, players = players }
      local turn = 0
      job(function()
        turn = turn + 1
        if turn % 5 == 0 then
          share:patch { ["$inc"] = { n = 1 }, ["$set"] = { ["players.p" .. turn .. ".hp"] = -1 } }
        end
        return not stopped
      end)
    ]]
    local visitor <close> = node.open(peers)
    visitor:await "share.data.n > 20n"
    peers[1]:eval "stopped = true"
    peers[1]:await "stopped"
    visitor:settle()
    assert.equal(1, visitor:eval "return share.snapshots")
  end)

  it("and a Lua peer see each other's writes", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0, log = {} } }
    local visitor <close> = node.open(peers)
    peers[2]:eval "data.n = memshare.inc(2); data.log[1] = 'lua'"
    visitor:await "share.data.n === 2n && share.data.log.length === 1"
    local receipt = visitor:eval [[return share.patch({
      $inc: { n: 5 }, $push: { log: "node" }, $set: { "deep.new": { f: new peer.Float(1) } },
    })]]
    assert.equal(1, receipt.number)
    peers[2]:await "data.n == 7 and data.log[2] == 'node'"
    assert.equal("float", math.type(peers[2]:eval "return data.deep.new.f"))
    visitor:settle()
  end)

  it("shows its own writes at once, the group's opinion later", function()
    local peers <close> = cluster.start { count = 1, defaults = { n = 0 }, options = PATIENT }
    local visitor <close> = node.open(peers)
    peers[1]:kill "SIGSTOP"
    assert.same({ 1, 1 }, visitor:eval [==[
      share.patch({ $inc: { n: 1 } });
      return [share.data.n, share.pending]]==])
    peers[1]:kill "SIGCONT"
    visitor:await "share.pending === 0"
    assert.equal(1, visitor:eval "return share.data.n")
  end)

  it("applies the operators as the library does", function()
    local peers <close> = cluster.start {
      count = 1,
      defaults = {
        n = 1, f = 0.5, big = math.maxinteger - 1, bits = 12,
        list = { 5, 1, 3 }, set = { 1, 2.0, "a" },
        old = { name = 1 }, empty = {}, same = {},
      },
    }
    local visitor <close> = node.open(peers)
    -- First from JavaScript, then from Lua.
    for _, update in ipairs {
      "{ $inc: { n: 1, f: 1, big: 1, made: 2.5, 'a.b.c': 1 } }",
      "{ $mul: { n: 3, f: 2, none: 2, nothing: 0.5 } }",
      "{ $min: { n: 1, f: 0.25, first: 4 }, $max: { big: 0, 'old.name': 'text', second: [1] } }",
      "{ $bit: { bits: { and: 6, or: 1 }, more: { xor: 5 } } }",
      "{ $push: { list: { $each: [7, 8], $position: 1 } } }",
      "{ $push: { fresh: { $each: [1, 2, 3], $slice: -2 } } }",
      "{ $push: { list: { $each: [], $slice: 4 }, empty: { deep: [] } } }",
      "{ $addToSet: { set: { $each: [2, 1, 'b', { x: 1 }, { x: 1 }] } } }",
      "{ $addToSet: { set: { x: 1 } }, $pop: { list: -1, fresh: 1 } }",
      "{ $rename: { 'old.name': 'new.name' }, $unset: { 'list.0': 1, 'a.b': 1, gone: 1 } }",
      "{ $set: { 'list.6': 1, 'same.0': 1, 'empty.0.deep': { y: {} } } }",
    } do
      visitor:eval(("return share.patch(%s)"):format(update))
      visitor:settle()
    end
    peers[1]:eval [[
      data.list[3] = memshare.inc(1)
      memshare.insert(data.list, 1, "front")
      memshare.remove(data.list, 2)
      data.fromlua = {}
      data.fromlua[1] = "now an array"
      data.other = {}
      data.other.key = "now an object"
      data.n = memshare.mul(2.0)
      data.stamp = memshare.timestamp()
      data.set = memshare.push(9)
      data.same = nil
      assert(share:patch({ ["$inc"] = { n = 1 } }, { where = { n = { ["$gt"] = 0 } } }):wait(5))
      share:batch(function() data.a = 1; data.b = { data.list[1] } end)
    ]]
    visitor:settle()
    assert.equal(1, visitor:eval "return share.snapshots")
  end)

  it("takes a snapshot where it meets an operator that it does not know", function()
    local peers <close> = cluster.start { count = 1, defaults = { n = 0, list = { 1, 5, 9 } } }
    local visitor <close> = node.open(peers)
    visitor:eval "return share.patch({ $inc: { n: 1 } })"
    for i, update in ipairs {
      '{ ["$pull"] = { list = { ["$gt"] = 6 } } }',
      '{ ["$push"] = { list = { ["$each"] = { 0, 3 }, ["$sort"] = 1 } } }',
      '{ ["$inc"] = { ["list.$[]"] = 1 } }',
    } do
      peers[1]:eval(("assert(share:patch(%s):wait(5))"):format(update))
      visitor:await("share.snapshots === " .. i + 1)
      visitor:settle()
    end
    -- It is the same member, and its numbers go on.
    assert.equal(2, visitor:eval "return share.patch({ $inc: { n: 1 } })".number)
    assert.truthy(peers[1]:eval("return " .. visitor:listed()))
    assert.equal(2, peers[1]:eval "return data.n")
  end)

  it("hears that a newer write won", function()
    local peers <close> = cluster.start { count = 1, defaults = { x = "old", y = 0 } }
    local visitor <close> = node.open(peers)
    local answer = while_deaf(visitor, peers[1], [[
      const lost = share.set("x", "node"), kept = share.set("y", 1);
      const seen = share.get("x");
    ]], "data.x = 'lua'", [[
      await kept;
      return lost.then(() => "accepted",
        ({ code, path, winner }) => [seen, code, path, winner > 0n]);
    ]])
    assert.same({ "node", "ECONFLICT", "x", true }, answer:wait())
    assert.equal("lua", visitor:eval "return share.get('x')")
    local rejected = visitor:eval "return heard.rejected"
    assert.equal(1, #rejected)
    assert.matches("lost to a newer write", rejected[1].message, 1, true)
    visitor:settle()
  end)

  it("never hits another element than it meant", function()
    local peers <close> = cluster.start { count = 1, defaults = { list = { "a", "b", "c" } } }
    local visitor <close> = node.open(peers)
    for _, javascript in ipairs {
      "share.patch({ $set: { 'list.1': 'B' } })",
      "share.patch({ $pop: { list: -1 } })",
      "share.patch({ $push: { list: { $each: ['x'], $position: 1 } } })",
    } do
      local answer = while_deaf(visitor, peers[1], "", "memshare.insert(data.list, 1, 'first')",
        ("return %s.then(() => 'accepted', (error) => error.code)"):format(javascript))
      assert.equal("ECONFLICT", answer:wait())
    end
    assert.equal('["first","first","first","a","b","c"]',
      peers[1]:eval "return memshare.to_json(data.list)")
    visitor:settle()
  end)

  it("hears of conditions that do not hold, and of wrong types", function()
    local peers <close> = cluster.start { count = 1, defaults = { stock = 1, name = "x" } }
    local visitor <close> = node.open(peers)
    local take = [[return share.patch({ $inc: { stock: -1 } }, { where: { stock: { $gt: 0 } } })
      .then(() => "accepted", (error) => error.code)]]
    assert.equal("accepted", visitor:eval(take))
    assert.equal("ECONDITION", visitor:eval(take))
    assert.equal(0, peers[1]:eval "return data.stock")
    local reply = visitor:start("share.patch({ $inc: { name: 1 } })"):take()
    assert.same({ false, "ETYPE" }, { reply.ok, reply.code })
    for update, code in pairs {
      ["{ $inc: { a: 1 }, $set: { 'a.b': 1 } }"] = "EOVERLAP",
      ["{ $pull: { a: 1 } }"] = "EOPERATOR",
      ["{ $set: { 'a.$[]': 1 } }"] = "EOPERATOR",
      ["{ $set: { 'a..b': 1 } }"] = "EPATH",
      ["{ $inc: { a: 'b' } }"] = "EARGUMENT",
    } do
      assert.equal(code, visitor:start(("share.patch(%s)"):format(update)):take().code)
    end
    assert.equal(0, visitor:eval "return share.pending")
  end)

  it("goes on with the next host, its undecided writes applied once", function()
    local peers <close> = cluster.start { count = 4, defaults = { n = 0 }, options = PATIENT }
    local visitor <close> = node.open(peers)
    for round = 1, 3 do
      local host = peers:host()
      host:kill "SIGSTOP"
      local answer = visitor:start [[
        for (let i = 0; i < 9; i++) share.patch({ $inc: { n: 1 } });
        return share.patch({ $inc: { n: 1 } })]]
      visitor:await "share.pending === 10"
      host:kill "SIGKILL"
      assert.equal(10 * round, answer:wait().number)
      assert.equal(10 * round, visitor:eval "return share.data.n")
      visitor:settle()
    end
    assert.equal(visitor.id, visitor:eval "return share.id.toString(16)")
    assert.equal(1, visitor:eval "return share.snapshots")
    assert.truthy(peers:host():eval("return " .. visitor:listed()))
  end)

  it("follows when a hung host is replaced", function()
    local peers <close> = cluster.start {
      count = 2, defaults = { n = 0 }, options = { host_timeout = 0.5 },
    }
    local visitor <close> = node.open(peers)
    local host = peers:host()
    host:kill "SIGSTOP"
    assert.truthy(visitor:eval "return share.patch({ $inc: { n: 1 } })".version > 0)
    host:kill "SIGCONT"
    host:await "share:status() == 'client'"
    visitor:settle()
  end)

  it("is forgotten at once when it leaves, and after a while when it is killed", function()
    local peers <close> = cluster.start { count = 2, options = { host_timeout = 0.5 } }
    local visitor <close> = node.open(peers)
    local gone <close> = node.open(peers)
    peers[2]:await(gone:listed())
    gone:leave()
    peers[2]:await("not " .. gone:listed())
    assert.truthy(peers[2]:eval("return " .. visitor:listed()))
    visitor.process:kill "SIGKILL"
    peers[2]:await("not " .. visitor:listed())
  end)

  it("joins anew where a new group was founded, its undecided writes unknown", function()
    local peers <close> = cluster.start { count = 1, defaults = { n = 0 }, options = PATIENT }
    local visitor <close> = node.open(peers)
    peers[1]:kill "SIGSTOP"
    local answer = visitor:start "return share.patch({ $inc: { n: 1 } })"
    visitor:await "share.pending === 1"
    peers[1]:kill "SIGKILL"
    peers:add()
    assert.equal("ENOHOST", answer:take().code)
    visitor:await "share.state === 'client'"
    visitor:eval "return share.patch({ $inc: { n: 5 } })"
    assert.equal(5, peers[1]:eval "return data.n")
    visitor:settle()
  end)

  it("says so when no such share lives", function()
    local peers <close> = cluster.start { count = 1 }
    local visitor <close> = node.start(peers)
    assert.equal("ENOENT", visitor:start("return open('elsewhere', { timeout: 100 })"):take().code)
    assert.equal("EARGUMENT", visitor:start("return open('../up', { timeout: 100 })"):take().code)
    assert.truthy(visitor:eval(("return open(%q)"):format(peers.name)))
  end)

  it("counts in examples/node/counter.js beside a Lua peer", function()
    local peers <close> = cluster.start { count = 1, name = "counter", defaults = { count = 0 } }
    local counter <close> = node.run(peers, { "examples/node/counter.js", "20", "0.001" })
    local written = peers[1]:start "for _ = 1, 20 do assert(share:inc('count', 1):wait(5)) end"
    assert.truthy(counter:wait_exit(10000))
    assert.equal(0, counter.code, counter.log)
    written:wait()
    assert.equal(40, peers[1]:eval "return data.count")
    assert.matches("count is %d+\n$", counter.out)
  end)
end)
