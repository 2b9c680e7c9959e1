local uv = require "luv"
local cluster = require "spec.support.cluster"
local eventually = require "spec.support.eventually"
local journals = require "spec.support.journals"
local process = require "spec.support.process"

-- A shell does not bear a sanitizer's runtime.
local function run(...)
  local child <close> = process.spawn("/bin/sh", { "-c", table.concat({ ... }, " ") }, {
    env = { LD_PRELOAD = false },
  })
  assert(child:wait_exit(10000), "does not end")
  return child.code == 0 and child.signal == 0, child.log
end

-- What a peer was warned of, all of it.
local NOTE <const> = [[
  logged = ""
  memshare.log = function(_, line) logged = logged .. line .. "\n" end]]

local function term(peer) return peer:eval "return share:stats().term" end

-- Everybody writes once, and all of it is settled.
local function write_all(peers)
  peers:each "data.n = memshare.inc(1)"
  return peers:settle()
end

-- A document that no socket holds: eight megabytes.
local FILL <const> = [[
  local text = ("x"):rep(1000)
  share:batch(function()
    for n = 1, 8000 do data.keys["k" .. n] = text end
  end)
  assert(share:flush(10))]]

-- Sockets that a process has open.
local function sockets(pid)
  local directory, count = ("/proc/%d/fd"):format(pid), 0
  for fd in process.files(directory) do
    local target = uv.fs_readlink(directory .. "/" .. fd)
    if target and target:find "^socket:" then count = count + 1 end
  end
  return count
end

-- Let a peer begin to join and stop it before it has read anything; the host has been sending to it
-- then. A host that is stopped itself meanwhile finds the greeting in its socket.
local function stop_in_snapshot(host, joiner, changes)
  joiner:eval "return true"
  host:eval "links = share:stats().links"
  host:kill "SIGSTOP"
  local before = sockets(joiner.pid)
  local opened = joiner:start_open(changes)
  eventually(function() assert(sockets(joiner.pid) > before, "the joiner does not come") end)
  process.turn(20) -- the greeting follows at once
  joiner:kill "SIGSTOP"
  host:kill "SIGCONT"
  host:await "share:stats().links > links"
  return opened
end

describe("a host that dies #cluster", function()
  it("is replaced at once although processes it started live on", function()
    -- A heartbeat that stands still proves nothing for a minute: only locks and sockets tell.
    local peers <close> = cluster.start {
      count = 3, defaults = { n = 0 }, options = { host_timeout = 60 },
    }
    local host = peers:host()
    local pids = peers.directory .. "/pids"
    host:eval([[
      require("luv").os_unsetenv "LD_PRELOAD" -- no shell bears a sanitizer's runtime
      local pids = ...
      local sleeper = "sh -c 'echo $$ >> " .. pids .. "; exec sleep 60'"
      keep = io.popen(sleeper .. " >/dev/null 2>&1", "w")
      os.execute(sleeper .. " >/dev/null 2>&1 &")
      uv_child = require("luv").spawn("sh", {
        args = { "-c", "echo $$ >> " .. pids .. "; exec sleep 60" }, detached = true,
      }, function() end)]], pids)
    local children = {}
    eventually(function()
      children = {}
      assert.truthy(uv.fs_stat(pids))
      for line in io.lines(pids) do children[#children + 1] = math.tointeger(line) end
      assert.equal(3, #children)
    end)
    host:kill "SIGKILL"
    write_all(peers)
    assert.equal(2, peers[1]:eval "return data.n")
    for _, pid in ipairs(children) do
      assert.equal(0, uv.kill(pid, 0)) -- alive, and in nobody's way
      uv.kill(pid, "sigkill")
    end
  end)

  it("in the middle of a snapshot leaves it to the next one", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0, keys = {} } }
    peers[2]:eval(FILL)
    for _ = 1, 3 do
      local host = peers:host()
      local joiner = peers:spawn()
      local opened = stop_in_snapshot(host, joiner)
      host:kill "SIGKILL"
      assert.is_false(opened:arrived())
      joiner:kill "SIGCONT"
      joiner.id = opened:wait()
      assert.equal(8000, joiner:eval "return memshare.count(data.keys)")
    end
    write_all(peers)
  end)
end)

describe("a client that is stopped for long and resumed #cluster", function()
  it("blames nobody", function()
    local peers <close> = cluster.start {
      count = 3, defaults = { n = 0 }, options = { host_timeout = 0.5 },
    }
    local before, client = term(peers:host()), peers:clients()[1]
    client:kill "SIGSTOP"
    process.wait(function() return false end, 1200) -- more than twice the host's time
    client:kill "SIGCONT"
    write_all(peers)
    assert.equal(before, term(peers:host()))
  end)
end)

describe("a group that is stopped as a whole and resumed #cluster", function()
  it("goes on under the same host", function()
    local peers <close> = cluster.start {
      count = 4, defaults = { n = 0 }, options = { host_timeout = 1 },
    }
    local host = peers:host()
    local before = term(host)
    write_all(peers)
    for _, peer in ipairs(peers) do peer:kill "SIGSTOP" end
    process.wait(function() return false end, 1300)
    for i = #peers, 1, -1 do peers[i]:kill "SIGCONT" end
    write_all(peers)
    assert.equal(8, peers[1]:eval "return data.n")
    assert.equal(before, term(peers:host()))
    assert.equal(host, peers:host())
  end)
end)

describe("when the last one that runs leaves #cluster", function()
  it("a stopped member keeps the share, and who comes waits for it", function()
    local peers <close> = cluster.start {
      count = 2, defaults = { n = 0 }, options = { host_timeout = 0.5 },
    }
    local host, stopped = peers:host(), peers:clients()[1]
    host:eval "assert(share:set('n', 7):wait(5))"
    stopped:await "data.n == 7"
    stopped:kill "SIGSTOP"
    host:leave()
    local late = peers:spawn()
    local share, message, code = late:eval([[
      local name, defaults = ...
      return memshare.open(name, defaults, { timeout = 1, host_timeout = 0.5 })]],
      peers.name, { n = 1 })
    assert.is_nil(share)
    assert.equal("ETIMEDOUT", code, message)
    stopped:kill "SIGCONT"
    late:open()
    assert.equal(7, late:eval "return data.n")
    write_all(peers)
  end)

  it("a new group starts while a joiner is stopped, who joins that one", function()
    local peers <close> = cluster.start {
      count = 1, defaults = { n = 0, keys = {} }, options = { host_timeout = 0.5 },
    }
    local host = peers[1]
    host:eval(FILL)
    local joiner = peers:spawn()
    local opened = stop_in_snapshot(host, joiner, { timeout = 15 })
    host:leave()
    local founder = peers:add()
    founder:eval "assert(share:set('n', 5):wait(5))"
    assert.is_false(opened:arrived())
    joiner:kill "SIGCONT"
    joiner.id = opened:wait()
    joiner:await "data.n == 5"
    assert.equal(0, joiner:eval "return memshare.count(data.keys)")
    write_all(peers)
  end)
end)

describe("files that somebody removes while the share lives #cluster", function()
  local function removed(remove)
    local peers <close> = cluster.start {
      count = 3, defaults = { n = 0, count = {}, log = {} },
    }
    local journal_directory = process.directory()
    peers:each(NOTE)
    local writers = journals.new(peers, journal_directory)
    for _, peer in ipairs(peers) do writers.begin(peer) end
    writers.await_accepted(20)
    local host, before = peers:host(), term(peers:host())
    remove(peers.directory)
    host:await "logged:find 'made anew'"
    assert.same({ "world.group" }, peers:files "%.group$")
    assert.equal(before, term(host)) -- nobody was replaced
    writers.await_accepted(20)
    writers.begin(peers:add()) -- whoever comes finds the same share
    assert.equal(host, peers:host())
    host:kill "SIGKILL"
    writers.await_accepted(20)
    writers.stop()
    assert.truthy(writers.check() >= 3 * 40)
    process.remove_directory(journal_directory)
  end

  it("are made anew when it was the group file", function()
    removed(function(directory) assert(uv.fs_unlink(directory .. "/world.group")) end)
  end)

  it("are made anew when it was the whole directory", function()
    removed(process.remove_directory)
  end)

  it("are made anew when the directory was given another name", function()
    local moved
    removed(function(directory)
      moved = directory .. ".moved"
      assert(os.rename(directory, moved))
    end)
    process.remove_directory(moved)
  end)
end)

-- Peers that nothing is forgiven: root passes by the bits of a directory, and a limit it may raise.
local UNPRIVILEGED <const> = uv.getuid() ~= 0 and {} or {
  "/usr/bin/setpriv", "--bounding-set=-dac_override,-dac_read_search,-sys_resource",
}

describe("a share that can make no file #cluster", function()
  -- Two clients of a dead host cannot take over until `allow`; then nothing is lost.
  local function starve(forbid, allow)
    local peers <close> = cluster.start { count = 3, defaults = { n = 0 }, before = UNPRIVILEGED }
    peers:each(NOTE)
    write_all(peers)
    local host = peers:host()
    forbid(peers)
    host:kill "SIGKILL"
    for _, peer in ipairs(peers) do
      peer:await "logged:find 'could not prepare to take over'"
      peer:eval "data.n = memshare.inc(1)"
    end
    assert.same({ false, false }, peers:each "return share:is_host()")
    allow(peers)
    peers:settle()
    assert.equal(5, peers[1]:eval "return data.n")
    write_all(peers)
  end

  it("because its directory is read-only goes on once it is not", function()
    starve(function(peers) assert(uv.fs_chmod(peers.directory, tonumber("500", 8))) end,
      function(peers) assert(uv.fs_chmod(peers.directory, tonumber("700", 8))) end)
  end)

  it("because files may not be that large goes on once they may", function()
    local function limit(peers, bytes)
      for _, peer in ipairs(peers) do
        assert(run("prlimit --fsize=" .. bytes, "--pid", tostring(peer.pid)))
      end
    end
    starve(function(peers) limit(peers, "100000:unlimited") end,
      function(peers) limit(peers, "unlimited:unlimited") end)
  end)

  it("says so when it is opened", function()
    local peers <close> = cluster.start {
      count = 1, open = false, before = { "prlimit", "--fsize=100000" },
    }
    local share, message, code = peers[1]:eval "return memshare.open 'world'"
    assert.is_nil(share)
    assert.equal("ELIMIT", code)
    assert.matches("above the limit of file sizes", message, 1, true)
    assert.same({}, peers:files "^world") -- nothing is left half made
  end)

  it("because the disk is full goes on once it is not", function()
    local peers <close> = cluster.start { count = 2, open = false, defaults = { list = {} } }
    local mounted = uv.getuid() == 0 and
      run("mount -t tmpfs -o size=2m,mode=700 tmpfs", peers.directory)
    if not mounted then
      pending "no file system of two megabytes can be mounted here"
      return
    end
    local ok, failure = pcall(function()
      peers[1]:open()
      peers[2]:open()
      local client = peers:clients()[1]
      client:eval [[
        local text = ("x"):rep(1000)
        for n = 1, 4000 do data.list[n] = text end]] -- more than there is room for
      peers:host():await "share:version() > 500"
      local filled, message, code = client:eval "return share:flush(0.5)"
      assert.is_nil(filled, "four megabytes fit into two")
      assert.equal("ETIMEDOUT", code, message)
      assert(run("mount -o remount,size=100m", peers.directory))
      peers:settle()
      assert.equal(4000, peers[1]:eval "return #data.list")
    end)
    for _, peer in ipairs { table.unpack(peers) } do peer:leave() end
    assert(run("umount", peers.directory))
    assert(ok, failure)
  end)
end)

describe("a process without descriptors #cluster", function()
  local HOG <const> = [[
    hogged = {}
    repeat
      local file = io.open "/dev/null"
      hogged[#hogged + 1] = file
    until not file]]
  local RELEASE <const> = "for _, file in ipairs(hogged) do file:close() end hogged = {}"

  it("hosts on, and lets others in once it has some", function()
    local peers <close> = cluster.start {
      count = 2, defaults = { n = 0 }, before = { "prlimit", "--nofile=64" },
    }
    local host, client = peers:host(), peers:clients()[1]
    host:eval(NOTE)
    host:eval(HOG)
    local joiner = peers:spawn()
    local opened = joiner:start_open { timeout = 15 }
    host:await "logged:find 'cannot accept links'"
    client:eval "assert(share:set('n', 1):wait(10))"
    assert.is_false(opened:arrived())
    host:eval(RELEASE)
    joiner.id = opened:wait()
    write_all(peers)
  end)

  it("leaves it to others to take over, and comes back once it has some", function()
    local peers <close> = cluster.start {
      count = 3, defaults = { n = 0 }, before = { "prlimit", "--nofile=64" },
    }
    local host, clients = peers:host(), peers:clients()
    clients[1]:eval "memshare.log = function() end"
    clients[1]:eval(HOG)
    host:kill "SIGKILL"
    clients[2]:eval "assert(share:set('n', 1):wait(10))"
    assert.is_true(clients[2]:eval "return share:is_host()")
    clients[1]:eval(RELEASE)
    clients[1]:await "data.n == 1"
    write_all(peers)
  end)
end)
