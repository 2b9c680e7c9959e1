local uv = require "luv"
local cjson = require "cjson"
local cluster = require "spec.support.cluster"
local process = require "spec.support.process"

local OTHER <const> = 65533 -- a user of whom nobody else has heard

local function mode_of(path) return uv.fs_lstat(path).mode & tonumber("7777", 8) end

-- Runs Lua as the other user; returns what it returns, in a table.
local function as_other(code, ...)
  local prologue = ([[
    local cjson, arg = require "cjson", %s
    local function main(...) %s end
    io.stdout:write(cjson.encode { main(table.unpack(require "cjson".decode(arg))) }, "\n")
  ]]):format(("%q"):format(cjson.encode { ... }), code)
  local child <close> = process.spawn(nil, { "-e", prologue }, {
    before = {
      "/usr/bin/setpriv", "--reuid", tostring(OTHER), "--regid", tostring(OTHER), "--clear-groups",
    },
    env = { MEMSHARE_DIR = false, XDG_RUNTIME_DIR = false },
  })
  assert(child:wait_exit(20000), "the other user's process does not end")
  assert(child.code == 0 and child.signal == 0, child.log)
  return cjson.decode(child.out)
end

-- Without that there is nothing to test.
local function need_other()
  if uv.getuid() ~= 0 then return pending "only root can become another user" end
  local ok, failure = pcall(as_other, "return require('memshare') ~= nil and require('luv') ~= nil")
  if not ok then return pending("another user cannot run these programs: " .. failure) end
end

local OPEN <const> = [[
  local memshare = require "memshare"
  local share, message, code = memshare.open("world", {}, { dir = ..., timeout = 2 })
  return share ~= nil, message or "", code or ""]]

-- Connects, sends, and tells what came of it: "connected" and "ended", or why not.
local CONNECT <const> = [[
  local uv, said = require "luv", {}
  local broken = uv.new_signal() -- writing to a link that was ended is no end of this program
  broken:start("sigpipe", function() end)
  broken:unref()
  local pipe = uv.new_pipe(false)
  pipe:connect(..., function(failure)
    if failure then said[1] = failure return end
    said[1] = "connected"
    pipe:write "\0\0\0\1\x90"
    pipe:read_start(function(_, chunk)
      said[2] = chunk or "ended"
      pipe:close()
    end)
  end)
  local timer = uv.new_timer()
  timer:start(10000, 0, function() said[2] = "still open" uv.stop() end)
  timer:unref()
  uv.run()
  return said[1], said[2] or ""]]

describe("another user of the machine #cluster", function()
  it("gets neither into the directory nor to the files in it", function()
    need_other()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0 } }
    local result = as_other(OPEN, peers.directory)
    assert.same({ false, "EDENIED" }, { result[1], result[3] }, result[2])
    -- Somebody opens the directory by mistake: now the files themselves refuse.
    assert(uv.fs_chmod(peers.directory, tonumber("777", 8)))
    result = as_other(OPEN, peers.directory)
    assert.same({ false, "EDENIED" }, { result[1], result[3] }, result[2])
    local files = peers:files "^world%."
    assert.equal(3, #files)
    for _, file in ipairs(files) do
      local path = peers.directory .. "/" .. file
      local readable = as_other("return (io.open(...)) ~= nil", path)[1]
      local writable = as_other("return (io.open(..., 'r+')) ~= nil", path)[1]
      assert.same({ file, false, false }, { file, readable, writable })
    end
    local socket = peers.directory .. "/" .. peers:files "%.sock$"[1]
    assert.same({ "EACCES", "" }, as_other(CONNECT, socket))
    assert(uv.fs_chmod(peers.directory, tonumber("700", 8)))
    peers:each "data.n = memshare.inc(1)"
    peers:settle()
  end)

  it("is refused by the host although directory and socket are open to everybody", function()
    need_other()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0 } }
    local host = peers:host()
    host:eval "logged = {} memshare.log = function(_, line) logged[#logged + 1] = line end"
    local socket = peers.directory .. "/" .. peers:files "%.sock$"[1]
    assert(uv.fs_chmod(peers.directory, tonumber("777", 8)))
    assert(uv.fs_chmod(socket, tonumber("777", 8)))
    local result = as_other(CONNECT, socket)
    assert.equal("connected", result[1])
    assert.not_equal("still open", result[2])
    host:await(("logged[1] and logged[1]:find 'of user %d is refused'"):format(OTHER))
    assert.equal(1, host:eval "return #logged")
    peers:each "data.n = memshare.inc(1)"
    peers:settle()
  end)
end)

describe("what a share makes #cluster", function()
  it("is for its user alone, whatever the umask says", function()
    local directory = process.directory()
    local made, script = directory .. "/made", directory .. "/script.lua"
    local file <close> = assert(io.open(script, "w"))
    file:write [[
      local memshare = require "memshare"
      local share = assert(memshare.open("world", { n = 0 }, { dir = arg[1] }))
      print "open"
      io.stdout:flush()
      io.read()
      assert(share:close(5))]]
    file:flush()
    for _, mask in ipairs { "000", "077" } do
      -- A shell does not bear a sanitizer's runtime; the program gets it back.
      local command = ('umask %s; LD_PRELOAD="$KEPT" exec "%s" "%s" "%s"'):format(mask,
        uv.exepath(), script, made)
      local child <close> = process.spawn("/bin/sh", { "-c", command }, {
        env = { LD_PRELOAD = false, KEPT = os.getenv "LD_PRELOAD" or "" },
      })
      assert(process.wait(function() return child.out == "open\n" or child.exited end, 10000))
      assert.equal("open\n", child.out, child.log)
      assert.equal("700", ("%o"):format(mode_of(made)))
      local count = 0
      for name in process.files(made) do
        count = count + 1
        assert.equal("600", ("%o"):format(mode_of(made .. "/" .. name)), name)
      end
      assert.equal(3, count)
      child:close_stdin()
      assert(child:wait_exit(10000))
      process.remove_directory(made)
    end
    process.remove_directory(directory)
  end)
end)

describe("the name of a share #cluster", function()
  it("cannot lead out of the directory", function()
    local peers <close> = cluster.start { count = 1, open = false }
    local names = {
      "../world", "..", ".", "", "a/b", "/tmp/world", "a\\b", "a\0b", ".hidden", "world.", "a b",
      "w\u{f6}rld", "~", "$HOME", "*", ("x"):rep(300),
    }
    for _, name in ipairs(names) do
      local ok, message = peers[1]:eval("return pcall(memshare.open, ...)", name)
      assert.is_false(ok, name)
      assert.matches("%(EARGUMENT%)$", message)
    end
    assert.same({}, peers:files "^[^.]")
  end)
end)

describe("a symbolic link #cluster", function()
  -- Something of the user's that no share may touch.
  local function with_victim(use)
    local peers <close> = cluster.start { count = 2, open = false, defaults = { n = 0 } }
    local elsewhere = process.directory()
    local victim = elsewhere .. "/victim"
    local file <close> = assert(io.open(victim, "w"))
    file:write(("precious "):rep(1000))
    file:flush()
    assert(uv.fs_chmod(victim, tonumber("600", 8)))
    use(peers, victim, elsewhere)
    local again <close> = assert(io.open(victim))
    assert.equal(("precious "):rep(1000), again:read "a")
    process.remove_directory(elsewhere)
  end

  local function refused(peers, options)
    local share, message, code = peers[1]:eval("return memshare.open('world', {}, ...)", options)
    assert.is_nil(share)
    assert.equal("EDENIED", code, message)
    return message
  end

  it("in place of the group file is refused", function()
    with_victim(function(peers, victim)
      assert(uv.fs_symlink(victim, peers.directory .. "/world.group"))
      assert.matches("world.group is not a regular file", refused(peers), 1, true)
    end)
  end)

  it("in place of the directory is refused", function()
    with_victim(function(peers, _, elsewhere)
      local link = peers.directory .. "/link"
      assert(uv.fs_symlink(elsewhere, link))
      assert.matches("symbolic link", refused(peers, { dir = link }), 1, true)
      assert.matches("symbolic link", refused(peers, { dir = link .. "/" }), 1, true)
      assert(uv.fs_unlink(link))
    end)
  end)

  it("in place of log and socket is not followed", function()
    with_victim(function(peers, victim)
      for term = 1, 4 do
        for _, ending in ipairs { "log", "sock" } do
          assert(uv.fs_symlink(victim, ("%s/world.%d.%s"):format(peers.directory, term, ending)))
        end
      end
      for _, peer in ipairs(peers) do peer:open() end
      peers[1]:eval "assert(share:set('n', 1):wait(10))"
      -- The next terms, too.
      peers:host():kill "SIGKILL"
      peers:add():eval "assert(share:set('n', 2):wait(10))"
      peers:settle()
    end)
  end)

  it("that takes the host's socket away leads nobody astray", function()
    with_victim(function(peers)
      for _, peer in ipairs(peers) do peer:open() end
      local host = peers:host()
      host:eval "logged = '' memshare.log = function(_, line) logged = logged .. line end"
      local trap = uv.new_pipe(false)
      local trapped = false
      assert(trap:bind(peers.directory .. "/trap"))
      trap:listen(8, function() trapped = true end)
      local socket = peers.directory .. "/" .. peers:files "%.sock$"[1]
      assert(uv.fs_unlink(socket))
      assert(uv.fs_symlink("trap", socket))
      local joiner = peers:add() -- waits until the host has put that right
      joiner:eval "assert(share:set('n', 3):wait(10))"
      assert.is_false(trapped)
      assert.matches("made anew", host:eval "return logged", 1, true)
      trap:close()
      process.turn(1)
      peers:settle()
    end)
  end)
end)
