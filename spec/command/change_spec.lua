local cjson = require "cjson"
local cluster = require "spec.support.cluster"
local command = require "spec.command.support"
local process = require "spec.support.process"

local function world()
  return cluster.start { count = 1, defaults = { round = 3, log = {}, stock = 0 } }
end

local function run(peers, ...) return command.run(peers.directory, { ... }) end

local function succeed(peers, ...)
  local result = run(peers, ...)
  assert.equal("", result.err)
  assert.equal(0, result.status)
  return result.out
end

local CHANGES <const> = {
  { "set", "world", "x", "1" }, { "unset", "world", "round" }, { "inc", "world", "round" },
  { "push", "world", "log", "a" }, { "patch", "world", '{"$inc": {"round": 1}}' },
}

describe("memshare unset, inc and push", function()
  it("change what the peers see, and say so", function()
    local peers <close> = world()
    assert.matches("^round = 4  %(version %d+%)\n$", succeed(peers, "inc", "world", "round"))
    assert.matches("^round = 1.5  %(", succeed(peers, "inc", "world", "round", "-2.5"))
    assert.matches("^log has 2 more  %(",
      succeed(peers, "push", "world", "log", '{"text": "go"}', "plain"))
    assert.matches("^made.list has 1 more  %(", succeed(peers, "push", "world", "made.list", "1"))
    assert.matches("^stock is gone  %(", succeed(peers, "unset", "world", "stock"))
    assert.same({ round = 1.5, log = { { text = "go" }, "plain" }, made = { list = { 1 } } },
      cjson.decode(succeed(peers, "get", "world")))
    peers[1]:await "data.round == 1.5 and data.log[2] == 'plain' and data.stock == nil"
  end)

  it("tell the version to programs", function()
    local peers <close> = world()
    for _, args in ipairs(CHANGES) do
      local told = cjson.decode(succeed(peers, "--json", table.unpack(args)))
      assert.is_true(told.version > 0)
    end
  end)

  it("fail where the document does not let them, and change nothing", function()
    local peers <close> = world()
    for _, args in ipairs {
      { "inc", "world", "log" }, { "push", "world", "round", "1" }, { "unset", "world", "a..b" },
      { "inc", "world", "round.x" },
    } do
      local result = run(peers, table.unpack(args))
      assert.equal(1, result.status)
      assert.matches("^memshare: .*%(E%u+%)\n$", result.err)
    end
    assert.same({ round = 3, log = {}, stock = 0 }, cjson.decode(succeed(peers, "get", "world")))
  end)

  it("answer wrong arguments with status 2", function()
    local peers <close> = world()
    for _, args in ipairs {
      { "inc", "world", "round", "many" }, { "inc", "world" }, { "push", "world", "log" },
      { "unset", "world" }, { "set", "world", "x", "1", "--wait" },
      { "inc", "world", "round", "--where", "no JSON" }, { "unset", "world", "x", "--where", "5" },
    } do
      local result = run(peers, table.unpack(args))
      assert.equal(2, result.status, table.concat(args, " "))
      assert.equal("", result.out)
    end
  end)

  it("fail when no such share lives", function()
    local directory = process.directory()
    for _, args in ipairs(CHANGES) do
      local result = command.run(directory, args)
      assert.equal(1, result.status)
      assert.matches('no share "world" lives in', result.err, 1, true)
    end
    process.remove_directory(directory)
  end)

  it("go by a condition, and wait for it when told to", function()
    local peers <close> = world()
    for _, args in ipairs(CHANGES) do
      local all = table.move(args, 1, #args, 1, {})
      table.move({ "--where", '{"stock": {"$gt": 0}}' }, 1, 2, #all + 1, all)
      local result = run(peers, table.unpack(all))
      assert.equal(1, result.status)
      assert.matches("stock.*ECONDITION", result.err)
    end
    local late = run(peers, "--timeout", "0.2", "inc", "world", "round",
      "--where", '{"stock": {"$gt": 0}}', "--wait")
    assert.equal(1, late.status)
    assert.matches("ECONDITION", late.err)
    local waiting <close> = command.start(peers.directory, {
      "--timeout", "20", "inc", "world", "round", "--where", '{"stock": {"$gt": 0}}', "--wait",
    })
    peers[1]:await "#share:peers() > 1"
    peers[1]:eval "data.stock = 1"
    assert.is_true(waiting:wait_exit(20000))
    assert.equal(0, waiting.code)
    assert.matches("^round = 4  %(", waiting.out)
  end)

  it("go on with the next host when theirs is killed", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0 } }
    local host, other = peers[1], peers[2]
    local waiting <close> = command.start(peers.directory, {
      "--timeout", "20", "inc", "world", "n", "--where", '{"open": true}', "--wait",
    })
    other:await "#share:peers() > 2"
    host:kill "SIGKILL"
    other:eval "assert(share:set('open', true):wait(10))"
    assert.is_true(waiting:wait_exit(20000))
    assert.equal(0, waiting.code)
    other:await "data.n == 1"
  end)
end)
