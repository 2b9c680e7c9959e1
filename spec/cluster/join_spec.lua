local uv = require "luv"
local cluster = require "spec.support.cluster"
local process = require "spec.support.process"
local eventually = require "spec.support.eventually"

describe("joining #cluster", function()
  it("misses nothing of 40,000 keys while another process writes them", function()
    local peers <close> = cluster.start { count = 2, defaults = { keys = {} } }
    peers[2]:eval [[
      local n = 0
      job(function()
        for _ = 1, 200 do
          n = n + 1
          data.keys["k" .. n] = n
        end
        written = n
        return n < 40000
      end)]]
    peers[2]:await "written and written >= 10000"
    local early = peers:add()
    peers[2]:await "written >= 25000"
    local late = peers:add()
    peers[2]:await "written == 40000"
    peers:settle()
    for _, peer in ipairs { early, late } do
      local missing = peer:eval [[
        local missing = 40000 - memshare.count(data.keys)
        for n = 1, 40000 do
          if data.keys["k" .. n] ~= n then missing = missing + 1 end
        end
        return missing]]
      assert.equal(0, missing)
    end
  end)

  it("keeps what is there when the joiner comes before the first write", function()
    local peers <close> = cluster.start { count = 1, defaults = { round = 1 } }
    local joiner = peers:spawn()
    joiner:eval("open(...)", peers.name, { round = 99, extra = true })
    assert.same({ round = 1 }, joiner:eval "return memshare.copy(data)")
    peers:settle()
    assert.same({ round = 1 }, peers[1]:eval "return memshare.copy(data)")
  end)

  it("adds missing top-level keys when asked to merge its defaults", function()
    local peers <close> = cluster.start { count = 1, defaults = { round = 1 } }
    local joiner = peers:spawn()
    joiner:eval("open(...)", peers.name, { round = 99, extra = true }, { merge_defaults = true })
    peers:settle()
    assert.same({ round = 1, extra = true }, peers[1]:eval "return memshare.copy(data)")
  end)

  it("ends in one group when ten processes open a new share at the same instant", function()
    local peers <close> = cluster.start { count = 10, open = false, defaults = { seen = {} } }
    peers:each "return true" -- all of them are up and wait
    local answers = {}
    for i, peer in ipairs(peers) do answers[i] = peer:start_open() end
    for i, peer in ipairs(peers) do peer.id = answers[i]:wait() end
    peers:each "data.seen[tostring(share.id)] = true"
    for _, peer in ipairs(peers) do peer:await "memshare.count(data.seen) == 10" end
    peers:host()
    peers:settle()
    assert.equal(1, #peers:files "%.group$")
  end)

  it("is not hindered by what a killed group left behind", function()
    local peers <close> = cluster.start { count = 3, defaults = { round = 1 } }
    peers[1]:eval "data.round = 2; share:flush()"
    for _, peer in ipairs { table.unpack(peers) } do peer:kill "SIGKILL" end
    assert.equal(1, #peers:files "%.group$")
    assert.truthy(#peers:files "%.sock$" > 0)
    assert.truthy(#peers:files "%.log$" > 0)

    peers:add { timeout = 5 }
    peers:add { timeout = 5 }
    assert.equal(1, peers[1]:eval "return data.round") -- the state died with the last peer
    peers[2]:eval "data.round = 3"
    peers[1]:await "data.round == 3"
    peers:settle()
    eventually(function()
      assert.equal(1, #peers:files "%.sock$")
      assert.equal(1, #peers:files "%.log$")
    end)
  end)

  it("is not hindered by junk in place of log and socket", function()
    local peers <close> = cluster.start { count = 2, open = false, defaults = { round = 1 } }
    for term = 1, 3 do
      for _, ending in ipairs { "log", "sock" } do
        local file <close> = assert(io.open(
          ("%s/%s.%d.%s"):format(peers.directory, peers.name, term, ending), "w"))
        file:write(("junk"):rep(100))
      end
    end
    peers[1]:open()
    peers[2]:open()
    peers[2]:eval "data.round = 2"
    peers[1]:await "data.round == 2"
    peers:settle()
  end)

  it("takes the whole document over when only the joiner is left", function()
    local peers <close> = cluster.start { count = 2, defaults = { list = {} } }
    peers[1]:eval "for n = 1, 1000 do data.list[n] = { n = n } end share:flush()"
    local before = peers:settle()
    local joiner = peers:add()
    peers[1]:kill "SIGKILL"
    peers[1]:kill "SIGKILL"
    joiner:eval "assert(share:set('alone', true):wait(10))"
    joiner:eval "share:unset('alone'):wait(10)"
    assert.equal(before, joiner:text())
  end)
end)

describe("one process #cluster", function()
  it("takes part in two shares at once", function()
    local peers <close> = cluster.start { count = 2, open = false }
    peers:each [[
      local defaults = { n = 0 }
      share = assert(memshare.open("alpha", defaults))
      beta = assert(memshare.open("beta", defaults))
      data = share.data]]
    peers[1]:eval "data.n = 'in alpha'; beta.data.n = 'in beta'"
    peers[2]:await "data.n == 'in alpha' and beta.data.n == 'in beta'"
    peers[2]:eval [[
      share:on("n", function(new) alpha_heard = new end)
      beta:on("n", function(new) beta_heard = new end)]]
    peers[1]:eval "beta.data.n = 1"
    peers[2]:await "beta_heard == 1"
    assert.is_nil(peers[2]:eval "return alpha_heard")
    peers[1]:eval "beta:close()"
    peers[2]:eval "beta.data.n = 2; assert(beta:flush(10))"
    assert.equal("in alpha", peers[1]:eval "return data.n")
    peers:settle()
  end)

  it("gets the same share when it opens a name twice", function()
    local peers <close> = cluster.start { count = 1 }
    assert.is_true(peers[1]:eval "return memshare.open(share.name) == share")
  end)
end)

describe("a directory #cluster", function()
  -- Opens a share in `directory` and returns what open returns.
  local function attempt(directory)
    local peers <close> = cluster.start { count = 1, open = false }
    return peers[1]:eval("return memshare.open('world', {}, { dir = ... })", directory)
  end

  it("that is open to others is refused with the reason", function()
    local directory = process.directory()
    assert(uv.fs_chmod(directory, tonumber("755", 8)))
    local share, message, code = attempt(directory)
    process.remove_directory(directory)
    assert.is_nil(share)
    assert.equal("EDENIED", code)
    assert.matches(directory, message, 1, true)
    assert.matches("755", message, 1, true)
  end)

  it("that belongs to another user is refused with the reason", function()
    local directory, own = "/", nil
    if uv.getuid() == 0 then
      own = process.directory()
      directory = own
      assert(uv.fs_chown(own, 65534, 65534))
    end
    local share, message, code = attempt(directory)
    if own then process.remove_directory(own) end
    assert.is_nil(share)
    assert.equal("EDENIED", code)
    assert.matches("belongs to", message, 1, true)
  end)

  it("that is a file is refused with the reason", function()
    local directory = process.directory()
    local file = assert(io.open(directory .. "/file", "w"))
    file:close()
    local share, message, code = attempt(directory .. "/file")
    process.remove_directory(directory)
    assert.is_nil(share)
    assert.equal("EDENIED", code)
    assert.matches("not a directory", message, 1, true)
  end)
end)
