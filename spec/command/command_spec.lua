local cjson = require "cjson"
local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"
local process = require "spec.support.process"
local command = require "spec.command.support"

local function world(defaults)
  return cluster.start { count = 1, defaults = defaults or { round = 3 } }
end

local function run(peers, ...)
  return command.run(peers.directory, { ... })
end

local function succeed(peers, ...)
  local result = run(peers, ...)
  assert.equal("", result.err)
  assert.equal(0, result.status)
  return result.out
end

describe("the command", function()
  it("prints its version", function()
    local result = command.run("/", { "--version" })
    assert.equal(0, result.status)
    assert.matches("^memshare %d+%.%d+%.%d+\n$", result.out)
  end)

  it("explains itself, and each sub-command", function()
    assert.matches("Usage: memshare", command.run("/", { "--help" }).out)
    local names = "run exec ls get set unset inc push patch watch tail peers stats dump load doctor"
    for name in names:gmatch "%a+" do
      local result = command.run("/", { name, "--help" })
      assert.equal(0, result.status)
      assert.matches("Usage: memshare " .. name, result.out)
    end
  end)

  it("answers wrong arguments with status 2 and the usage", function()
    for _, args in ipairs {
      {}, { "frobnicate" }, { "get" }, { "set", "world", "a" }, { "get", "world", "--nope" },
      { "ls", "--timeout", "soon" }, { "run", "--dir" }, { "get", "a", "b", "c" },
    } do
      local result = command.run("/", args)
      assert.equal(2, result.status, table.concat(args, " "))
      assert.equal("", result.out)
      assert.matches("Usage: memshare", result.err)
    end
  end)

  it("refuses names no share can have", function()
    local result = command.run("/", { "get", "no/name" })
    assert.equal(2, result.status)
    assert.matches("no/name", result.err)
  end)

  it("fails when no such share lives, and says where it looked", function()
    local directory = process.directory()
    for _, args in ipairs {
      { "get", "ghost" }, { "set", "ghost", "a", "1" }, { "watch", "ghost" }, { "dump", "ghost" },
    } do
      local result = command.run(directory, args)
      assert.equal(1, result.status)
      assert.matches('^memshare: no share "ghost" lives in [^\n]*\n$', result.err)
      assert.is_truthy(result.err:find(directory, 1, true))
    end
    process.remove_directory(directory)
  end)

  it("says that no share lives in an empty directory", function()
    local directory = process.directory()
    local result = command.run(directory, { "ls" })
    assert.equal(0, result.status)
    assert.matches("no share lives in", result.err)
    assert.same({}, cjson.decode(command.run(directory, { "ls", "--json" }).out))
    process.remove_directory(directory)
  end)

  it("takes the directory from --dir", function()
    local peers <close> = world()
    local result = command.run("/nowhere", { "--dir", peers.directory, "get", "world", "round" })
    assert.equal("3\n", result.out)
  end)
end)

describe("memshare get", function()
  it("prints a value, or the document", function()
    local peers <close> = world { round = 3, names = { "ann", "bob" }, text = "plain" }
    assert.equal("3\n", succeed(peers, "get", "world", "round"))
    assert.equal("bob\n", succeed(peers, "get", "world", "names.1"))
    assert.equal("plain\n", succeed(peers, "get", "world", "text"))
    assert.equal('"plain"\n', succeed(peers, "get", "world", "text", "--json"))
    assert.same({ round = 3, names = { "ann", "bob" }, text = "plain" },
      cjson.decode(succeed(peers, "get", "world")))
  end)

  it("fails where nothing is", function()
    local peers <close> = world()
    local result = run(peers, "get", "world", "players.nobody")
    assert.equal(1, result.status)
    assert.equal("memshare: world: nothing at players.nobody\n", result.err)
  end)

  it("names a path that is none", function()
    local peers <close> = world()
    local result = run(peers, "get", "world", "a..b")
    assert.equal(1, result.status)
    assert.matches("a%.%.b.*%(EPATH%)", result.err)
  end)
end)

describe("memshare set", function()
  it("changes what the peers see", function()
    local peers <close> = world()
    assert.matches("^players.ann.hp = 90  %(version %d+%)\n$",
      succeed(peers, "set", "world", "players.ann.hp", "90"))
    peers[1]:await "data.players and data.players.ann.hp == 90"
  end)

  it("takes JSON, negative numbers, and plain strings for the rest", function()
    local peers <close> = world()
    succeed(peers, "set", "world", "a", '{"b": [1, 2.5, null]}')
    succeed(peers, "set", "world", "n", "-5")
    succeed(peers, "set", "world", "s", "two words")
    succeed(peers, "set", "world", "q", '"90"')
    succeed(peers, "set", "world", "f", "false", "--json")
    assert.same({
      round = 3, a = { b = { 1, 2.5, cjson.null } }, n = -5, s = "two words", q = "90", f = false,
    }, cjson.decode(succeed(peers, "dump", "world")))
  end)

  it("tells the version to programs", function()
    local peers <close> = world()
    local told = cjson.decode(succeed(peers, "--json", "set", "world", "a", "1"))
    assert.is_true(told.version > 0)
  end)
end)

describe("memshare patch", function()
  it("applies an update whole", function()
    local peers <close> = world()
    succeed(peers, "patch", "world", '{"$inc": {"round": 2}, "$push": {"log": "go"}}')
    peers[1]:await "data.round == 5 and data.log[1] == 'go'"
  end)

  it("reads the update from stdin", function()
    local peers <close> = world()
    local result = command.run(peers.directory, { "patch", "world", "-" },
      { input = '{"$set": {"a": 1}}' })
    assert.equal(0, result.status)
    peers[1]:await "data.a == 1"
  end)

  it("fails with the path and the reason, and changes nothing", function()
    local peers <close> = world { round = 3, name = "north" }
    local result = run(peers, "patch", "world", '{"$inc": {"round": 1, "name": 1}}')
    assert.equal(1, result.status)
    assert.matches("^memshare: [^\n]*name[^\n]*%(ETYPE%)\n$", result.err)
    assert.equal("3\n", succeed(peers, "get", "world", "round"))
  end)

  it("takes neither unknown operators nor what is no JSON", function()
    local peers <close> = world()
    local unknown = run(peers, "patch", "world", '{"$frob": {"a": 1}}')
    assert.equal(1, unknown.status)
    assert.matches("%$frob.*%(EOPERATOR%)", unknown.err)
    local broken = run(peers, "patch", "world", "{round: 1}")
    assert.equal(2, broken.status)
    assert.matches("UPDATE is no JSON", broken.err)
  end)

  it("appends and keeps the last ones", function()
    local peers <close> = world { log = { 1, 2, 3 } }
    succeed(peers, "patch", "world", '{"$push": {"log": {"$each": [4, 5], "$slice": -3}}}')
    assert.equal("[3,4,5]\n", succeed(peers, "get", "world", "log", "--json"))
  end)

  it("goes by a condition, and tells where it does not hold", function()
    local peers <close> = world { stock = 1 }
    local draw <const> = { "patch", "world", '{"$inc": {"stock": -1}}',
      "--where", '{"stock": {"$gt": 0}}' }
    assert.matches("^accepted as version %d+\n$", succeed(peers, table.unpack(draw)))
    local result = run(peers, table.unpack(draw))
    assert.equal(1, result.status)
    assert.equal("", result.out)
    assert.equal('memshare: where: "stock" does not meet its condition (ECONDITION)\n', result.err)
    assert.equal("0\n", succeed(peers, "get", "world", "stock"))
  end)

  it("goes by array filters", function()
    local peers <close> = world { list = { { hp = 1 }, { hp = 9 } } }
    succeed(peers, "patch", "world", '{"$set": {"list.$[weak].hp": 5}}',
      "--array-filters", '[{"weak.hp": {"$lt": 5}}]')
    assert.equal('[{"hp":5},{"hp":9}]\n', succeed(peers, "get", "world", "list", "--json"))
    local unused = run(peers, "patch", "world", '{"$set": {"a": 5}}',
      "--array-filters", '[{"x": 1}]')
    assert.equal(1, unused.status)
    assert.matches("^memshare: [^\n]*x[^\n]*%(EARGUMENT%)\n$", unused.err)
  end)

  it("takes options that are JSON of the right kind only", function()
    local peers <close> = world()
    for option, value in pairs { ["--where"] = "stock > 0", ["--array-filters"] = "5" } do
      local result = run(peers, "patch", "world", '{"$set": {"a": 5}}', option, value)
      assert.equal(2, result.status)
      assert.equal(option, result.err:match "^memshare: (%S+) is no JSON")
    end
    local unknown = run(peers, "patch", "world", "{}", "--where", '{"a": {"$frob": 1}}')
    assert.equal(1, unknown.status)
    assert.matches('unknown query operator "%$frob" %(EARGUMENT%)\n$', unknown.err)
  end)
end)

describe("memshare ls, peers and stats", function()
  it("list the shares that live", function()
    local peers <close> = world()
    assert.matches("NAME +STATE +TERM\nworld +alive +1\n", succeed(peers, "ls"))
    local shares = cjson.decode(succeed(peers, "ls", "--json"))
    assert.equal("world", shares[1].name)
    assert.is_true(shares[1].alive)
  end)

  it("call a share whose peers died left over", function()
    local peers <close> = world()
    peers[1]:kill "SIGKILL"
    assert.matches("world +left over", succeed(peers, "ls"))
    assert.equal(1, run(peers, "get", "world").status)
  end)

  it("list the processes that take part, without themselves", function()
    local peers <close> = cluster.start { count = 3 }
    local host = peers:host()
    local listed = cjson.decode(succeed(peers, "peers", "world", "--json"))
    local by_pid, hosts = {}, {}
    for _, peer in ipairs(listed) do
      by_pid[peer.pid] = peer
      if peer.is_host then hosts[#hosts + 1] = peer.pid end
    end
    assert.equal(3, #listed)
    for _, peer in ipairs(peers) do assert.is_truthy(by_pid[peer.pid]) end
    assert.same({ host.pid }, hosts)
    assert.matches("ID +PID +PROGRAM +ROLE +SINCE\n", succeed(peers, "peers", "world"))
  end)

  it("tell version, host and size", function()
    local peers <close> = world()
    local stats = cjson.decode(succeed(peers, "stats", "world", "--json"))
    assert.equal(peers[1].id, stats.host)
    assert.equal(1, stats.keys)
    assert.is_true(stats.document_bytes > 0)
    assert.matches("host +" .. peers[1].id, succeed(peers, "stats", "world"))
  end)
end)

describe("memshare watch", function()
  it("prints what came, changed and went, and who did it", function()
    local peers <close> = world { hp = 100 }
    local child <close> = command.start(peers.directory, { "watch", "world" })
    -- Whether it listens yet shows in its first line.
    eventually(function()
      peers[1]:eval "data.started = memshare.inc(1)"
      assert.matches("started", child.out)
    end)
    peers[1]:eval "data.hp = 90; data.name = 'ann'; data.name = nil"
    eventually(function() assert.matches("\n%- name", child.out) end)
    local writer = ("[^\n]* %d, version %%d+"):format(peers[1].pid)
    assert.matches("\n~ hp  100 %-> 90  %[" .. writer .. "%]\n", child.out)
    assert.matches('\n%+ name  "ann"  %[', child.out)
    child:kill "SIGINT"
    assert.is_true(child:wait_exit(5000))
    assert.equal(0, child.code)
    assert.equal("", child.log)
  end)

  it("prints JSON for programs, at the paths asked for only", function()
    local peers <close> = world { players = { ann = { hp = 100 } } }
    local child <close> = command.start(peers.directory,
      { "watch", "world", "players.*.hp", "--json" })
    local value = 100
    eventually(function()
      value = value + 1
      peers[1]:eval("data.players.ann.mp = ...; data.players.ann.hp = ...", value)
      assert.matches("\n", child.out)
    end)
    local change = cjson.decode(child.out:match "[^\n]+")
    assert.equal("players.ann.hp", change.path)
    assert.equal(change.old + 1, change.new)
    assert.equal(peers[1].id, change.origin)
    assert.not_matches("mp", child.out)
    child:kill "SIGTERM"
    assert.is_true(child:wait_exit(5000))
    assert.equal(0, child.code)
  end)
end)

describe("memshare dump and load", function()
  it("bring a document back unchanged", function()
    local peers <close> = world()
    peers[1]:eval [[
      data.bytes = "\xff\x00"
      data.float, data.integer, data.nan = 1.0, 1, 0/0
      data.nested = { list = { 1, { deep = true } }, empty = {}, none = memshare.array {} }]]
    local before = peers[1]:text()
    local files = process.directory()
    command.write(files .. "/dump.json", succeed(peers, "dump", "world"))
    peers[1]:eval "share:replace { gone = true }; share:flush()"
    assert.matches("^loaded ", succeed(peers, "load", "world", files .. "/dump.json"))
    peers[1]:eval "share:sync()"
    assert.equal(before, peers[1]:text())
    assert.equal("float", peers[1]:eval "return memshare.type(data.float)")
    assert.equal("\xff\x00", peers[1]:eval "return data.bytes")
    process.remove_directory(files)
  end)

  it("load a document larger than one patch in pieces", function()
    local peers <close> = world()
    local list, map = {}, {}
    for i = 1, 20000 do
      list[i] = { number = i, text = ("x"):rep(100) }
      map["a.b" .. i] = { value = i }
    end
    local text = cjson.encode { deep = { list = list }, map = map, long = ("y"):rep(2000000) }
    local files = process.directory()
    command.write(files .. "/big.json", text)
    local result = run(peers, "load", "world", files .. "/big.json")
    assert.equal("", result.err) -- no progress: stderr is no terminal
    assert.equal(0, result.status)
    peers[1]:eval "share:sync()"
    assert.same({ 20000, 20000, 2000000, 7 }, peers[1]:eval [[
      return { #data.deep.list, memshare.count(data.map), #data.long, data.map["a.b7"].value }]])
    assert.is_true(peers[1]:eval([[return memshare.equal(data, memshare.from_json(
      assert(io.open(..., "rb")):read "a"))]], files .. "/big.json"))
    process.remove_directory(files)
  end)

  it("refuse files that hold no document", function()
    local peers <close> = world()
    local files = process.directory()
    local reasons = { ["[1]"] = "a document is an object", ["{"] = "line 1", [""] = ": " }
    for text, reason in pairs(reasons) do
      command.write(files .. "/bad.json", text)
      local result = run(peers, "load", "world", files .. "/bad.json")
      assert.equal(1, result.status)
      assert.matches("bad.json", result.err)
      assert.matches(reason, result.err)
    end
    local missing = run(peers, "load", "world", files .. "/none.json")
    assert.equal(1, missing.status)
    assert.matches("none.json: No such file", missing.err)
    assert.equal("3\n", succeed(peers, "get", "world", "round"))
    process.remove_directory(files)
  end)

  it("--serve founds the share and stays until a signal", function()
    local directory = process.directory()
    command.write(directory .. "/world.json", '{"round": 12}')
    local child <close> = command.start(directory,
      { "load", "world", directory .. "/world.json", "--serve" })
    eventually(function() assert.matches("serving world", child.log) end)
    assert.equal("12\n", command.run(directory, { "get", "world", "round" }).out)
    child:kill "SIGTERM"
    assert.is_true(child:wait_exit(5000))
    assert.equal(0, child.code)
    assert.equal(1, command.run(directory, { "get", "world" }).status)
    process.remove_directory(directory)
  end)
end)

describe("memshare run", function()
  local files

  before_each(function() files = process.directory() end)
  after_each(function() process.remove_directory(files) end)

  local function script(text)
    command.write(files .. "/script.lua", text)
    return files .. "/script.lua"
  end

  it("hands the script its arguments, options included", function()
    local path = script "print(arg[0], ...) print(#arg, arg[2])"
    local result = command.run(files, { "run", path, "a", "--json", "-x" })
    assert.equal(path .. "\ta\t--json\t-x\n3\t--json\n", result.out)
    assert.equal(0, result.status)
  end)

  it("lets the script find memshare and its neighbours, whatever LUA_PATH says", function()
    command.write(files .. "/neighbour.lua", "return 42")
    local path = script [[
      local memshare = require "memshare"
      local share <close> = assert(memshare.open("own", { x = require "neighbour" }))
      print(share.data.x)]]
    local result = command.run(files, { "run", path },
      { env = { LUA_PATH = false, LUA_CPATH = false } })
    assert.equal("", result.err)
    assert.equal("42\n", result.out)
  end)

  it("fails with a traceback when the script raises", function()
    local result = command.run(files, { "run", script "error 'oh no'" })
    assert.equal(1, result.status)
    assert.matches("script.lua:1: oh no", result.err)
    assert.matches("stack traceback", result.err)
    assert.not_matches("memshare/cli", result.err)
    assert.equal(1, command.run(files, { "run", files .. "/none.lua" }).status)
    assert.equal(1, command.run(files, { "run", script "this is no Lua" }).status)
  end)

  it("ends memshare.run() on a signal, so that the script closes its shares", function()
    local path = script [[
      local memshare = require "memshare"
      do
        local share <close> = assert(memshare.open("own"))
        memshare.after(0, function() print "running" io.flush() end)
        memshare.run()
      end
      print "closed"]]
    for _, signal in ipairs { "SIGINT", "SIGTERM" } do
      local child <close> = command.start(files, { "run", path })
      eventually(function() assert.matches("running", child.out) end)
      child:kill(signal)
      assert.is_true(child:wait_exit(5000))
      eventually(function() assert.equal("running\nclosed\n", child.out) end)
      assert.equal(0, child.code)
    end
  end)

  it("interrupts a script that computes", function()
    local path = script "print 'busy' io.flush() while true do end"
    local child <close> = command.start(files, { "run", path })
    eventually(function() assert.matches("busy", child.out) end)
    child:kill "SIGTERM"
    assert.is_true(child:wait_exit(5000))
    assert.equal(1, child.code)
    eventually(function() assert.equal("memshare: interrupted by SIGTERM\n", child.log) end)
  end)
end)

describe("output", function()
  it("to a pipe that is closed early is no failure", function()
    local peers <close> = world()
    local list = {}
    for i = 1, 20000 do list[i] = "line " .. i end
    peers[1]:eval("data.list = ...; share:flush()", list)
    -- Where SIGPIPE is ignored the write fails; else the signal ends the command without a word.
    local result = command.run(peers.directory, { "dump", "world" },
      { shell = [[{ trap "" PIPE; "$@"; echo "status $?" >&2; } | head -n 1]] })
    assert.equal("{\n", result.out)
    assert.equal("status 0\n", result.err)
  end)

  it("to a full disk is a failure", function()
    local peers <close> = world()
    local result = command.run(peers.directory, { "get", "world" }, { shell = [["$@" >/dev/full]] })
    assert.equal(1, result.status)
    assert.matches("cannot write to stdout", result.err)
  end)

  it("has no colours when it is no terminal, and none with NO_COLOR on one", function()
    local peers <close> = world()
    local function watched(env)
      -- script(1) gives the command a terminal.
      local child <close> = command.start(peers.directory, { "watch", "world" },
        { env = env, shell = [[exec script -qefc "$1 $2 $3" /dev/null]] })
      eventually(function()
        peers[1]:eval "data.ticks = memshare.inc(1)"
        assert.matches("ticks", child.out)
      end)
      return child.out
    end
    assert.matches("\27%[", watched { NO_COLOR = false })
    assert.not_matches("\27%[", watched { NO_COLOR = "1" })
  end)
end)
