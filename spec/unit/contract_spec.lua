-- The contract of the Lua library, sentence by sentence: what one process can show of it in a line
-- or two. Sentences that need more have specs of their own:
--
--   two appenders both keep theirs             cluster/sharing_spec
--   a container that is gone at the host       cluster/conflict_spec
--   the view stands still between polls        cluster/sharing_spec
--   remote entries one by one, the backlog
--     limit, roll-backs                        cluster/hook_spec
--   transactions that run again                cluster/transaction_spec
--   where, asked by the host                   cluster/stock_spec, unit/patch_options_spec
--   a full queue, EREADONLY                    cluster/isolation_spec
--   EDENIED, ENOENT; defaults of who joins     unit/share_spec, cluster/join_spec
--   EVERSION                                   cluster/hostile_spec
--   loops of others, budgets                   unit/loop_spec
--   fields of changes, immediate, coalesce     unit/hook_spec, unit/callback_spec
--   proxies, subscriptions keep a share        unit/share_spec
--   each operator of an update                 unit/update_vectors_spec, unit/operator_spec
local cjson = require "cjson"
local memshare = require "memshare"
local alone = require "spec.support.alone"

local raised, settle = alone.raised, alone.settle

-- Each function raises this code at its own line.
local function all_raise(code, functions)
  for name, fn in pairs(functions) do
    assert.matches(("%%(%s%%)$"):format(code), raised(fn), tostring(name))
  end
end

local function start()
  return alone.open {
    round = 0, gold = 10, items = {}, stock = 1, log = memshare.array {}, list = { 1, 2, 3 },
    players = { alice = { hp = 100 } },
  }
end

describe("the contract: writing", function()
  it("share.data has no method names on it", function()
    local here <close> = start()
    for _, name in ipairs { "get", "set", "patch", "on", "close", "poll", "id" } do
      assert.is_nil(here.data[name])
    end
  end)

  it("new and start are what open does, and stop is close", function()
    local here <close> = alone.directory_only()
    local share = memshare.new("later", { k = 1 }, here.options)
    assert.is_nil(share.data.k)
    assert.equal(share, share:start(5))
    assert.equal(1, share.data.k)
    assert.equal(share.close, share.stop)
    assert.is_true(share:stop(5))
  end)

  it("an assignment is $set, nil is $unset, an operator value is that operator", function()
    local here <close> = start()
    local data = here.data
    local heard = {}
    here.share:on("players.alice.*", function(new, _, path) heard[#heard + 1] = { path, new } end)
    data.players.alice.hp = nil
    data.players.alice.kills = memshare.inc(1)
    data.players.alice.tags = {}
    settle(here)
    assert.same({ "players.alice.hp" }, heard[1])
    assert.same({ "players.alice.kills", 1 }, heard[2])
    assert.equal("players.alice.tags", heard[3][1])
    assert.same({ kills = 1, tags = {} }, memshare.copy(data.players.alice))
  end)

  it("a patch gives a receipt with state and value, which waits for the version", function()
    local here <close> = start()
    here.share:on_reject(function() end)
    local receipt = here.share:patch { ["$inc"] = { round = 1 }, ["$push"] = { log = "go" } }
    assert.equal("pending", receipt.state)
    assert.equal("integer", math.type(receipt:wait(5)))
    assert.equal("accepted", receipt.state)
    local refused = here.share:patch({ ["$inc"] = { stock = -1 } }, { where = { stock = 5 } })
    local version, message, code = refused:wait(5)
    assert.is_nil(version)
    assert.is_string(message)
    assert.equal("ECONDITION", code)
    assert.equal(1, refused.value) -- what stands there
  end)

  it("every path argument takes a string or a key list", function()
    local here <close> = start()
    local share, heard = here.share, 0
    local function fn() heard = heard + 1 end
    for _, path in ipairs { "players.alice.hp", { "players", "alice", "hp" } } do
      local before = share:get(path) or 0
      share:set(path, before + 1)
      share:inc(path, 1)
      assert.equal(before + 2, share:get(path))
      assert.equal(before + 2, share:wait_for(path, nil, 5))
      share:on(path, fn)
      share:once(path, fn)
      share:unset(path)
      assert.is_nil(share:get(path))
    end
    share:push("log", "a")
    share:push({ "log" }, "b")
    settle(here)
    assert.same({ "a", "b" }, memshare.copy(here.data.log))
    assert.is_true(heard >= 4)
  end)

  it("a string path counts from 0, a key list and a proxy from 1", function()
    local here <close> = alone.open { list = { "a", { x = "b" } } }
    local share, data = here.share, here.data
    assert.same({ "a", "a", "a" }, { share:get "list.0", share:get { "list", 1 }, data.list[1] })
    assert.same({ "b", "b" }, { share:get "list.1.x", share:get { "list", 2, "x" } })
    assert.equal("list.1", memshare.path(data.list[2]))
    local receipt, message, code = share:set({ "list", 1, "x" }, 1)
    assert.is_nil(receipt)
    assert.matches('"list%.0%.x"', message) -- errors have string paths
    assert.equal("EPATH", code)
  end)

  it("an index below 1 in a key list raises, and is a key of an object", function()
    local here <close> = alone.open { list = { "a" }, o = { ["0"] = "zero" } }
    local share = here.share
    for _, index in ipairs { 0, -1, 0.0 } do
      for _, fn in ipairs {
        function() share:set({ "list", index }, "b") end,
        function() share:unset { "list", index } end,
        function() share:inc({ "list", index, "n" }, 1) end,
        function() share:get { "list", index } end,
        function() share:on({ "list", index }, print) end,
      } do assert.matches("key 2: an index counts from 1 %(EPATH%)$", raised(fn)) end
    end
    assert.equal("zero", share:get { "o", 0 })
    assert.same({ list = { "a" }, o = { ["0"] = "zero" } }, memshare.copy(here.data))
  end)

  it("only paths and updates make the containers that are missing", function()
    local here <close> = alone.open {}
    here.share:set("a.b.c", 1)
    here.share:set({ "d", "e.f", "g" }, 2)
    here.share:patch { ["$inc"] = { ["h.i"] = 3 } }
    assert.same({ a = { b = { c = 1 } }, d = { ["e.f"] = { g = 2 } }, h = { i = 3 } },
      memshare.copy(here.data))
    local gone = here.data.a.b
    here.data.a = nil
    all_raise("EPATH", {
      function() gone.c = 1 end, function() gone.c = memshare.inc(1) end,
      function() gone.d = nil end,
    })
    assert.is_nil(here.data.a)
    assert.is_nil(gone.c)
  end)

  it("replace takes the whole document, and share.data = x names it", function()
    local here <close> = start()
    here.share:replace { round = 7 }
    assert.same({ round = 7 }, memshare.copy(here.data))
    assert.matches("share:replace.*%(EARGUMENT%)$", raised(function() here.share.data = {} end))
  end)

  it("a patch is a list of updates, applied whole; overlap is checked per update", function()
    local here <close> = start()
    local share, before = here.share, here.share:version()
    share:patch { { ["$set"] = { a = { b = 1 } } }, { ["$inc"] = { ["a.b"] = 1 } } }
    assert.equal(2, here.data.a.b)
    all_raise("EOVERLAP", { function() share:patch { ["$set"] = { a = 1, ["a.b"] = 2 } } end })
    local wrong = { { ["$set"] = { c = 1 } }, { ["$inc"] = { players = 1 } } }
    assert.equal("ETYPE", (select(3, share:patch(wrong))))
    assert.is_nil(here.data.c)
    share:batch(function() here.data.d = {} here.data.d.e = 1 here.data.d.e = 2 end)
    assert.equal(2, here.data.d.e)
    share:flush(5)
    assert.equal(before + 2, share:version())
  end)

  it("a batch or transaction neither polls nor yields nor nests; an error discards it", function()
    local here <close> = start()
    local share, data = here.share, here.data
    for _, method in ipairs { share.batch, share.transaction } do
      for _, fn in ipairs {
        function() share:poll() end, function() memshare.sleep(0) end,
        function() share:flush() end, function() share:batch(print) end,
        function() share:transaction(print) end, function() coroutine.yield() end,
        function() error "mine" end,
      } do
        assert.is_false((coroutine.wrap(pcall)(method, share, function(draft)
          local target = draft or data
          target.gold = 0
          fn()
        end)))
        assert.equal(10, data.gold)
      end
    end
  end)

  it("a transaction returns its function's results", function()
    local here <close> = start()
    assert.same({ 5, nil, "left", n = 3 }, table.pack(here.share:transaction(function(draft)
      draft.gold = draft.gold - 5
      draft.items.sword = 1
      return draft.gold, nil, "left"
    end)))
    assert.equal(1, here.data.items.sword)
  end)

  it("apply is pure and takes array_filters and where", function()
    local document = { list = { 1, 5 } }
    local update = { ["$set"] = { ["list.$[big]"] = 0 } }
    local options = { array_filters = { { big = { ["$gt"] = 3 } } }, where = { list = 5 } }
    assert.same({ list = { 1, 0 } }, memshare.apply(document, update, options))
    assert.same({ list = { 1, 5 } }, document)
    local result, message, code = memshare.apply({ list = {} }, update, options)
    assert.is_nil(result)
    assert.is_string(message)
    assert.equal("ECONDITION", code)
  end)
end)

describe("the contract: proxies", function()
  it("raw readers fail or differ, and do not see an empty table", function()
    local here <close> = start()
    local players = here.data.players
    assert.equal("userdata", type(next(players)))
    assert.is_nil(next(players, (next(players)))) -- one slot
    assert.equal(0, rawlen(here.data.list))
    assert.is_false((pcall(cjson.encode, players)))
    assert.is_false((pcall(cjson.encode, { players })))
    assert.is_false((require "luassert.util".deepcompare(players, {}, true)))
  end)

  it("the metatable is locked", function()
    local here <close> = start()
    assert.is_string(getmetatable(here.data.players))
    assert.is_false((pcall(setmetatable, here.data.players, {})))
  end)

  it("pairs, ipairs, #, table.insert, unpack, concat, == and tostring work", function()
    local here <close> = start()
    local list = here.data.list
    table.insert(list, 4)
    assert.equal(4, #list)
    assert.same({ 1, 2, 3, 4 }, { table.unpack(list) })
    assert.equal("1-2-3-4", table.concat(list, "-"))
    local sums = { 0, 0 }
    for _, value in ipairs(list) do sums[1] = sums[1] + value end
    for _, value in pairs(list) do sums[2] = sums[2] + value end
    assert.same({ 10, 10 }, sums)
    assert.is_true(list == here.data.list)
    assert.is_true(rawequal(list, here.data.list))
    assert.matches("list", tostring(list))
  end)

  it("an iteration with pairs holds one root", function()
    local here <close> = start()
    local seen = {}
    for i, value in pairs(here.data.list) do
      here.data.list = { 7, 8 }
      seen[i] = value
    end
    assert.same({ 1, 2, 3 }, seen)
  end)

  it("a proxy names a path, whatever lives there, and nil when nothing does", function()
    local here <close> = start()
    local alice = here.data.players.alice
    here.data.players.alice = { hp = 5 }
    assert.equal(5, alice.hp)
    here.data.players = nil
    assert.is_nil(alice.hp)
    assert.is_nil(here.data.players)
  end)

  it("a proxy of any share is refused as a value, wherever it stands", function()
    local here <close> = start()
    local other <close> = alone.directory_only()
    local far <close> = assert(memshare.open("far", { t = { x = 1 } }, other.options))
    local share, data = here.share, here.data
    for _, proxy in ipairs { data.players, far.data.t } do
      for _, fn in ipairs {
        function() data.z = proxy end,
        function() data.z = { 1, { deep = proxy } } end,
        function() data.z = memshare.array { proxy } end,
        function() data.log[1] = proxy end,
        function() table.insert(data.log, proxy) end,
        function() memshare.insert(data.list, 1, proxy) end,
        function() data.log = memshare.push(proxy) end,
        function() share:set("z", proxy) end,
        function() share:push("log", proxy) end,
        function() share:replace(proxy) end,
        function() share:patch { ["$set"] = { z = proxy } } end,
        function() share:batch(function() data.z = proxy end) end,
        function() share:transaction(function(draft) draft.z = proxy end) end,
      } do assert.matches("memshare%.copy.*%(EARGUMENT%)$", raised(fn)) end
    end
    assert.is_nil(data.z)
    data.z = memshare.copy(far.data.t)
    assert.equal(1, data.z.x)
  end)

  it("what moves elements raises, names its replacement and changes nothing", function()
    local here <close> = alone.open { list = { 3, 1, 2 } }
    local list = here.data.list
    local instead = {
      ["memshare%.insert"] = function() table.insert(list, 1, 0) end,
      ["memshare%.remove"] = function() table.remove(list, 1) end,
      ["memshare%.copy"] = function() table.sort(list) end,
      ["table%.move.*memshare%.copy"] = function() table.move(list, 1, 2, 2) end,
    }
    for name, fn in pairs(instead) do assert.matches(name .. ".*%(EARGUMENT%)$", raised(fn)) end
    assert.same({ 3, 1, 2 }, memshare.copy(list))
  end)
end)

describe("the contract: arrays, keys and values", function()
  it("list[n + 1] = v appends, list[n] = nil pops, other nils and indexes raise", function()
    local here <close> = start()
    local list, none = here.data.list, here.data.log
    list[4] = 4
    list[4] = nil
    assert.equal(3, #list)
    all_raise("EARGUMENT", {
      function() list[1] = nil end, function() list[4] = nil end, function() none[1] = nil end,
      function() list[0] = 1 end, function() list[-1] = 1 end, function() list[5] = 1 end,
      function() list.name = 1 end,
    })
    assert.same({ 1, 2, 3 }, memshare.copy(list))
  end)

  it("{} is an array by key 1, an object by any other, and neither before", function()
    local here <close> = alone.open { a = {}, b = {}, c = {} }
    local data = here.data
    assert.equal("empty", memshare.type(data.a))
    data.a[1], data.b[2], data.c.k = 1, 2, 3
    assert.same({ "array", "object", "object" },
      { memshare.type(data.a), memshare.type(data.b), memshare.type(data.c) })
  end)

  it("a table that is no list and has other than string keys wants memshare.object", function()
    local here <close> = alone.open { players = memshare.object {} }
    local data = here.data
    for _, mixed in ipairs { { 1, a = 2 }, { [1] = 1, [3] = 3 }, { [1.5] = 1 }, { [true] = 1 } } do
      assert.matches("memshare%.object.*%(EARGUMENT%)$", raised(function() data.t = mixed end))
    end
    data.t = memshare.object { [7] = "seven" }
    assert.equal("seven", data.t["7"])
    data.players[1001] = "ann"
    assert.same({ ["1001"] = "ann" }, memshare.copy(data.players))
  end)

  it("keys are bytes, empty, with dots, $ and NUL, by key list and by proxy", function()
    local here <close> = alone.open { o = memshare.object {} }
    for _, key in ipairs { "", "a.b", "$x", "\0", "\xff", "0" } do
      here.share:set({ "o", key }, 1)
      assert.equal(1, here.data.o[key])
      here.data.o[key] = 2
      assert.equal(2, here.share:get { "o", key })
    end
    assert.equal(6, memshare.count(here.data.o))
  end)

  it("a key has at most 4 KiB, also inside of a value", function()
    local here <close> = alone.open { o = memshare.object {} }
    local longest = ("k"):rep(4096)
    here.data.o[longest] = 1
    assert.equal(1, here.data.o[longest])
    local longer = longest .. "k"
    assert.is_nil(here.data.o[longer])
    all_raise("ELIMIT", {
      function() here.data.o[longer] = 1 end, function() here.share:set({ "o", longer }, 1) end,
      function() here.data.o = { [longer] = 1 } end,
      function() here.share:patch { ["$set"] = { [longer] = 1 } } end,
    })
  end)

  it("integral floats are integer keys; others and booleans read nil and raise", function()
    local here <close> = start()
    local list, items = here.data.list, here.data.items
    list[1.0] = 9
    assert.same({ 9, 9 }, { list[1], list[1.0] })
    items[7.0] = "seven"
    assert.equal("seven", items["7"])
    for _, key in ipairs { true, 1.5, 1 / 0 } do
      assert.is_nil(items[key])
      all_raise("EARGUMENT", { function() items[key] = 1 end })
    end
  end)

  it("integers and floats stay apart; inf, NaN and -0.0 are values", function()
    local here <close> = alone.open {}
    local data = here.data
    data.int, data.float, data.inf, data.nan, data.zero = 1, 1.0, -1 / 0, 0 / 0, -0.0
    assert.same({ "integer", "float" }, { math.type(data.int), math.type(data.float) })
    assert.equal(-1 / 0, data.inf)
    assert.is_true(data.nan ~= data.nan)
    assert.equal(-1 / 0, 1 / data.zero)
    assert.is_true(memshare.equal(data.nan, 0 / 0))
    assert.is_false(memshare.equal(data.int, data.float))
  end)

  it("what cannot be shared is refused at the assigning line, and changes nothing", function()
    local here <close> = alone.open { x = 1 }
    local circle, deep = {}, {}
    circle.circle = circle
    for _ = 1, 100 do deep = { deep } end
    for name, value in pairs {
      [print] = print, userdata = io.stdout, thread = coroutine.create(print),
      foreign = setmetatable({}, {}), nested = { { print } }, circle = circle,
      deep = deep, large = ("x"):rep(17 << 20),
    } do
      assert.matches("%(E%u+%)$", raised(function() here.data.y = value end), tostring(name))
      assert.matches("%(E%u+%)$", raised(function() here.share:set("y", value) end))
    end
    all_raise("ELIMIT", {
      function() here.data.y = deep end, function() here.data.y = ("x"):rep(1 << 24) end,
    })
    assert.same({ x = 1 }, memshare.copy(here.data))
  end)

  it("shared sub-tables are copied", function()
    local here <close> = alone.open {}
    local part = { n = 1 }
    here.data.pair = { part, part }
    part.n = 5
    here.data.pair[1].n = 2
    assert.same({ { n = 2 }, { n = 1 } }, memshare.copy(here.data.pair))
  end)

  it("from_json keeps [] and {} apart, null is lua-cjson's, and copies encode well", function()
    local here <close> = alone.open {}
    local text = '{"list":[1,[]],"nothing":null,"object":{"a.b":"c"}}'
    here.data.doc = memshare.from_json(text)
    assert.equal("array", memshare.type(here.data.doc.list[2]))
    assert.equal("[]", memshare.to_json(here.data.doc.list[2]))
    assert.equal(cjson.null, here.data.doc.nothing)
    assert.equal(memshare.null, cjson.null)
    local again = cjson.decode(cjson.encode(memshare.copy(here.data.doc)))
    assert.same({ "c", cjson.null, 1 }, { again.object["a.b"], again.nothing, again.list[1] })
    assert.matches("\n", memshare.to_json(here.data.doc, { pretty = true }))
  end)
end)

describe("the contract: the view and callbacks", function()
  local on_error, log = memshare.on_error, memshare.log
  after_each(function() memshare.on_error, memshare.log = on_error, log end)

  it("hooks report each change once and in order, own writes at the next poll", function()
    local here <close> = start()
    local calls, fn = alone.listener()
    here.share:on("round", fn)
    for round = 1, 3 do here.data.round = round end
    assert.equal(0, #calls)
    memshare.poll()
    assert.equal(3, #calls)
    settle(here) -- being accepted is no change
    assert.equal(3, #calls)
    for round, call in ipairs(calls) do
      assert.same({ round, round - 1, "round" }, { call.new, call.old, call.path })
      assert.is_true(call.change.is_local)
    end
  end)

  it("a callback sees the whole patch and own later writes, and may write", function()
    local here <close> = alone.open { a = 0, b = 0, c = 0, sum = 0 }
    local data, seen = here.data, nil
    here.share:on("a", function(new)
      data.sum = data.a + data.b
      seen = { new, data.a, data.b, data.c, data.sum }
    end)
    here.share:patch { ["$set"] = { a = 1, b = 2 } }
    data.c = 3
    settle(here)
    assert.same({ 1, 1, 2, 3, 3 }, seen)
  end)

  it("a table is live as new and a read-only copy as old", function()
    local here <close> = start()
    local calls, fn = alone.listener()
    here.share:on("players.alice", fn)
    here.data.players.alice.hp = 1
    settle(here)
    local new, old = calls[1].new, calls[1].old
    assert.is_true(rawequal(here.data.players.alice, new))
    assert.equal(100, old.hp)
    assert.is_false((pcall(function() old.hp = 5 end)))
    here.data.players.alice.hp = 2
    assert.same({ 2, 100 }, { new.hp, old.hp })
  end)

  it("poll and its kin raise inside a callback, which cannot yield", function()
    local here <close> = start()
    local share, seen = here.share, {}
    local receipt = share:set("z", 1)
    share:once("round", function()
      for name, fn in pairs {
        poll = function() share:poll() end, all = function() memshare.poll() end,
        run = function() memshare.run() end, sleep = function() memshare.sleep(0) end,
        flush = function() share:flush() end, sync = function() share:sync() end,
        wait = function() receipt:wait() end, wait_for = function() share:wait_for "z" end,
        transaction = function() share:transaction(print) end,
      } do seen[name] = raised(fn) end
      seen.yield = not pcall(coroutine.yield)
    end)
    here.data.round = 1
    settle(here)
    assert.is_true(seen.yield)
    seen.yield = nil
    assert.equal(9, memshare.count(seen))
    for name, message in pairs(seen) do assert.matches("%(EBUSY%)$", message, name) end
  end)

  it("an error goes to memshare.on_error, and the others still run", function()
    local here <close> = start()
    local traceback, others = nil, 0
    memshare.on_error = function(text) traceback = text end
    here.share:on("round", function() error "mine" end)
    here.share:on("round", function() others = others + 1 end)
    here.data.round = 1
    settle(here)
    assert.equal(1, others)
    assert.matches("contract_spec%.lua:%d+: mine\nstack traceback:", traceback)
  end)

  it("an error goes to stderr with its traceback where nobody took it", function()
    local here <close> = start()
    local stderr, text = io.stderr, ""
    local _ <close> = setmetatable({}, { __close = function() rawset(io, "stderr", stderr) end })
    rawset(io, "stderr", { write = function(_, ...) text = text .. table.concat { ... } end })
    here.share:on("round", function() error "nobody's" end)
    here.data.round = 1
    settle(here)
    assert.matches("^memshare: [^\n]*contract_spec%.lua:%d+: nobody's\nstack traceback:", text)
  end)

  it("a rejection is logged as a warning where no on_reject listens", function()
    local here <close> = start()
    local lines = {}
    memshare.log = function(level, line) lines[#lines + 1] = { level, line } end
    local function refuse()
      here.share:patch({ ["$set"] = { x = 1 } }, { where = { stock = 9 } }):wait(5)
      settle(here)
    end
    refuse()
    assert.equal(1, #lines)
    assert.equal("warning", lines[1][1])
    assert.matches("%(ECONDITION%)$", lines[1][2])
    local told = 0
    local _ <close> = here.share:on_reject(function() told = told + 1 end)
    refuse()
    assert.same({ 1, 1 }, { told, #lines })
  end)
end)

describe("the contract: errors and lifetimes", function()
  local log = memshare.log
  after_each(function() memshare.log = log end)

  it("a mistake raises at the caller's line and ends in its code", function()
    local here <close> = alone.open({ x = 1, s = "text" }, { max_patch = 1000 })
    local share = here.share
    all_raise("EPATH", { function() share:get "a..b" end })
    all_raise("ETYPE", { function() here.data.s = memshare.inc(1) end })
    all_raise("EOVERLAP", { function()
      share:patch { ["$set"] = { x = 1 }, ["$inc"] = { x = 1 } }
    end })
    all_raise("EOPERATOR", { function() share:patch { ["$nope"] = { x = 1 } } end })
    all_raise("ELIMIT", { function() here.data.x = ("x"):rep(1001) end })
    all_raise("EARGUMENT", {
      function() share:on("x", 5) end, function() share:flush "soon" end,
      function() memshare.open("x", nil, { nope = 1 }) end,
      function() share:patch({ ["$set"] = { x = 2 } }, { nope = 1 }) end,
    })
    assert.same({ x = 1, s = "text" }, memshare.copy(here.data))
  end)

  it("what the world does returns nil, message, code", function()
    local here <close> = start()
    memshare.log = function() end
    for expected, results in pairs {
      ETIMEDOUT = table.pack(here.share:wait_for("never", nil, 0)),
      ETYPE = table.pack(here.share:inc("players", 1)),
      EPATH = table.pack(here.share:set("round.below", 1)),
      ENOENT = table.pack(memshare.open("nobody",
        nil, { dir = here.directory, must_exist = true, timeout = 5 })),
      EARGUMENT = table.pack(memshare.from_json "{"),
    } do
      assert.is_nil(results[1], expected)
      assert.is_string(results[2])
      assert.equal(expected, results[3])
    end
  end)

  it("dropping a subscription does not unsubscribe", function()
    local here <close> = start()
    local calls = 0
    here.share:on("round", function() calls = calls + 1 end)
    collectgarbage()
    collectgarbage()
    here.data.round = 1
    settle(here)
    assert.equal(1, calls)
  end)

  it("a timer keeps what it knows alive, the share among it", function()
    local here <close> = alone.directory_only()
    local found
    local function arm()
      local share = assert(memshare.open("kept", { x = 1 }, here.options))
      memshare.after(0, function() found = share:close(5) and share.data.x end)
    end
    arm()
    collectgarbage()
    collectgarbage()
    alone.wait(function() return found end)
    assert.equal(1, found)
  end)

  it("after close, reads show the last view and everything that writes raises ECLOSED", function()
    local here <close> = start()
    local share, data, list = here.share, here.data, here.data.list
    assert.is_true(share:close(5))
    all_raise("ECLOSED", {
      function() data.round = 1 end, function() list[4] = 4 end, function() list[3] = nil end,
      function() data.round = memshare.inc(1) end, function() table.insert(list, 4) end,
      function() memshare.insert(list, 1, 0) end, function() memshare.remove(list, 1) end,
      function() share:set("round", 1) end, function() share:inc("round", 1) end,
      function() share:unset "round" end, function() share:push("log", 1) end,
      function() share:replace {} end, function() share:patch { ["$set"] = { x = 1 } } end,
      function() share:batch(print) end, function() share:transaction(print) end,
      function() share:on("round", print) end, function() share:flush(1) end,
    })
    assert.same({ 0, 0, 3 }, { data.round, share:get "round", #list })
    assert.equal(100, memshare.copy(data).players.alice.hp)
  end)

  it("a name that is open gives the same share; its state dies with the last peer", function()
    local here <close> = alone.directory_only()
    local share = assert(memshare.open("one", { x = 1 }, here.options))
    local again = assert(memshare.open("one", { x = 2 }, here.options))
    assert.equal(share, again)
    assert.equal(1, again.data.x)
    share:close(5)
    again:close(5)
    local anew <close> = assert(memshare.open("one", { x = 3 }, here.options))
    assert.equal(3, anew.data.x)
  end)
end)
