local cjson = require "cjson"
local cluster = require "spec.support.cluster"
local command = require "spec.command.support"
local process = require "spec.support.process"

local function look(directory, ...)
  local result = command.run(directory, { "doctor", "--json", ... })
  local found = {}
  for _, one in ipairs(cjson.decode(result.out)) do found[one.check] = one end
  return found, result.status
end

describe("memshare doctor", function()
  it("finds nothing to say against a directory in order", function()
    local peers <close> = cluster.start { count = 1 }
    local found, status = look(peers.directory)
    assert.equal(0, status)
    for _, one in pairs(found) do assert.equal("ok", one.state, one.said) end
    assert.matches("1 shares live", found.leftovers.said)
    local plain = command.run(peers.directory, { "doctor" })
    assert.equal(0, plain.status)
    assert.matches("^ok +memshare %d", plain.out)
  end)

  it("says what is wrong with the directory, and what to do", function()
    local directory = process.directory()
    os.execute(("chmod 755 '%s'"):format(directory))
    local found, status = look(directory)
    assert.equal(1, status)
    assert.equal("bad", found.directory.state)
    assert.matches("open to others", found.directory.said)
    assert.equal(("chmod 700 '%s'"):format(directory), found.directory.cure)
    local text = command.run(directory, { "doctor" })
    assert.matches("%-> chmod 700", text.out)
    local none, calm = look(directory .. "/none")
    assert.equal("note", none.directory.state)
    assert.is_true(calm == 0 or none.space.state == "bad")
    command.write(directory .. "/file", "")
    assert.matches("is no directory", (look(directory .. "/file")).directory.said)
    process.remove_directory(directory)
  end)

  it("tells what dead groups have left over, and where descriptors are few", function()
    local peers <close> = cluster.start { count = 1 }
    peers[1]:kill "SIGKILL"
    local found, status = look(peers.directory)
    assert.equal(0, status)
    assert.equal("note", found.leftovers.state)
    assert.matches("left over: world", found.leftovers.said)
    local result = command.run(peers.directory, { "doctor", "--json" },
      { shell = 'ulimit -n 100; "$@"' })
    assert.equal(1, result.status)
    assert.matches("only 100 descriptors", result.out)
  end)

  it("takes no arguments", function()
    assert.equal(2, command.run("/", { "doctor", "world" }).status)
  end)
end)
