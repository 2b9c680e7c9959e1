local cjson = require "cjson"
local cluster = require "spec.support.cluster"
local command = require "spec.command.support"
local eventually = require "spec.support.eventually"
local process = require "spec.support.process"

-- Starts it; whether it listens yet shows in its first line, of a write to `started`.
local function tail(peers, started, ...)
  local child = command.start(peers.directory, { "tail", "world", ... })
  eventually(function()
    peers[1]:eval("share:set(..., 1)", started)
    assert.matches("\n", child.out)
  end)
  peers[1]:eval "assert(share:set('begin', 1):wait(10))"
  return child
end

-- The lines after those of the start, once there are so many.
local function lines_of(child, started, count)
  local lines
  eventually(function()
    lines = {}
    for line in child.out:gmatch "[^\n]+" do
      local path = line:match "^%d+  %S+  (.*)  %["
      if path ~= started and path ~= "begin" then lines[#lines + 1] = line end
    end
    assert.is_true(#lines >= count)
  end)
  return lines
end

describe("memshare tail", function()
  it("prints each patch with its paths and its writer", function()
    local peers <close> = cluster.start { count = 1, defaults = { a = { b = 1 } } }
    local child <close> = tail(peers, "started")
    peers[1]:eval [[
      data.a.b = 2
      share:batch(function() data.c = 1 data.d = 2 end)
      for i = 1, 10 do share:set("many.n" .. i, i) end
      share:replace { whole = true }]]
    local lines = lines_of(child, "started", 13)
    assert.equal(13, #lines)
    assert.matches("^%d+  %d%d:%d%d:%d%d  a%.b  %[.+ %d+%]$", lines[1])
    assert.matches("  c, d  ", lines[2], 1, true)
    assert.matches("  the document  ", lines[13], 1, true)
  end)

  it("keeps those of paths that were asked for", function()
    local peers <close> = cluster.start { count = 1, defaults = { p = {} } }
    local child <close> = tail(peers, "p.x.hp", "--path", "p.*.hp")
    peers[1]:eval [[
      data.other = 1
      data.p.a = { hp = 1 }
      data.p.a.name = "x"
      data.p.a.hp = 2
      data.p = { b = { hp = 1 } }]]
    local lines = lines_of(child, "p.x.hp", 3)
    assert.equal(3, #lines)
    for i, path in ipairs { "  p.a  ", "  p.a.hp  ", "  p  " } do
      assert.matches(path, lines[i], 1, true)
    end
  end)

  it("keeps those of a peer, as JSON for programs, and ends after so many", function()
    local peers <close> = cluster.start { count = 2 }
    local pid = peers[2]:eval [[
      for _, peer in ipairs(share:peers()) do if peer.is_self then return peer.pid end end]]
    local child <close> = command.start(peers.directory,
      { "tail", "world", "--peer", tostring(pid), "--json", "--count", "2" })
    eventually(function()
      peers[1]:eval "data.other = 1"
      peers[2]:eval "data.mine = (data.mine or 0) + 1"
      assert.is_true(child.exited)
    end, { within_ms = 10000 })
    assert.equal(0, child.code)
    local count = 0
    for line in child.out:gmatch "[^\n]+" do
      local patch = cjson.decode(line)
      assert.same({ "mine" }, patch.paths)
      assert.is_false(patch.is_local)
      assert.is_true(patch.version > 0)
      count = count + 1
    end
    assert.equal(2, count)
  end)

  it("goes on with the next host", function()
    local peers <close> = cluster.start { count = 2 }
    local host, other = peers[1], peers[2]
    local child <close> = tail(peers, "started")
    host:kill "SIGKILL"
    other:eval "assert(share:set('after', 1):wait(10))"
    eventually(function() assert.matches("  after  ", child.out, 1, true) end)
  end)

  it("ends well when its reader has seen enough", function()
    local peers <close> = cluster.start { count = 1 }
    local child <close> = command.start(peers.directory, { "tail", "world" },
      { shell = '"$@" | head -n 1' })
    eventually(function()
      peers[1]:eval "data.n = (data.n or 0) + 1 share:poll(0.01)"
      assert.is_true(child.exited)
    end, { within_ms = 10000 })
    assert.equal(0, child.code)
  end)

  it("answers wrong arguments with status 2, and no such share with 1", function()
    local directory = process.directory()
    for _, args in ipairs { { "tail" }, { "tail", "x", "--count", "0" }, { "tail", "x", "y" } } do
      assert.equal(2, command.run(directory, args).status)
    end
    local result = command.run(directory, { "tail", "ghost" })
    assert.equal(1, result.status)
    assert.matches('no share "ghost" lives in', result.err, 1, true)
    process.remove_directory(directory)
  end)
end)
