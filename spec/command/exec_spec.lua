local cluster = require "spec.support.cluster"
local command = require "spec.command.support"
local eventually = require "spec.support.eventually"
local process = require "spec.support.process"

describe("memshare exec", function()
  it("runs a command with its arguments, and ends as it did", function()
    local peers <close> = cluster.start { count = 1 }
    local function run(...) return command.run(peers.directory, { "exec", "world", ... }) end
    local said = run("printf", "%s|", "a b", "it's", "$HOME", "--json", "-5")
    assert.equal("a b|it's|$HOME|--json|-5|", said.out)
    assert.equal(0, said.status)
    assert.equal(7, run("sh", "-c", "exit 7").status)
    assert.equal(128 + 9, run("sh", "-c", "kill -9 $$").status)
    assert.equal(127, run("no-such-command-here").status)
    local env = run("sh", "-c", 'echo "$MEMSHARE_SHARE $MEMSHARE_PEER $MEMSHARE_DIR"')
    assert.matches("^world %x+ " .. peers.directory:gsub("%p", "%%%0") .. "\n$", env.out)
  end)

  it("shows its presence while it runs, and no longer, also when it is killed", function()
    local peers <close> = cluster.start { count = 1 }
    local COMMAND <const> = [[
      for _, peer in ipairs(share:peers()) do
        if peer.me and peer.me.command then return peer.me.command end
      end
      return nil]]
    local child <close> = command.start(peers.directory, { "exec", "world", "sleep", "4" })
    eventually(function()
      assert.equal("sleep 4", peers[1]:eval("share:poll(0) " .. COMMAND))
    end)
    child:kill "SIGKILL" -- the program itself goes on, and holds nothing of the peer
    eventually(function() assert.is_nil(peers[1]:eval("share:poll(0) " .. COMMAND)) end)
  end)

  it("answers wrong arguments with status 2, and no such share with 1", function()
    local directory = process.directory()
    for _, args in ipairs { { "exec" }, { "exec", "world" } } do
      assert.equal(2, command.run(directory, args).status)
    end
    local result = command.run(directory, { "exec", "ghost", "true" })
    assert.equal(1, result.status)
    assert.matches('no share "ghost" lives in', result.err, 1, true)
    process.remove_directory(directory)
  end)
end)
