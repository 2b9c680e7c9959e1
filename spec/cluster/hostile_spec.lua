local uv = require "luv"
local cluster = require "spec.support.cluster"
local process = require "spec.support.process"

-- A client that speaks raw bytes to the host's socket.
local function dial(peers)
  local sockets = peers:files "%.sock$"
  assert.equal(1, #sockets)
  local self = { received = "", pipe = uv.new_pipe(false) }
  local connected, failure = false, nil
  self.pipe:connect(peers.directory .. "/" .. sockets[1], function(problem)
    connected, failure = true, problem
  end)
  process.wait(function() return connected end, 5000)
  assert(not failure, failure)
  self.pipe:read_start(function(_, chunk)
    if chunk then self.received = self.received .. chunk else self.ended = true end
  end)
  function self.send(bytes) self.pipe:write(bytes, function() end) end
  function self.wait_cut() return process.wait(function() return self.ended end, 5000) end
  function self.close()
    self.pipe:close()
    process.turn(1)
  end
  return self
end

local function frame(bytes) return (">s4"):pack(bytes) end

-- MessagePack, as far as a greeting needs it.
local function uint(number) return (">B I8"):pack(0xcf, number) end
local function str(text) return (">B s1"):pack(0xd9, text) end
local function array(...)
  return string.char(0x90 | select("#", ...)) .. table.concat({ ... })
end
local function greeting(protocol, group, peer)
  local member = array(uint(4711), uint(0), str "intruder", "\xc2", "\xc3")
  return array(uint(1), uint(protocol), uint(group), uint(peer), "\xc2", "\xc2", uint(0), uint(0),
    member)
end

describe("a stranger on the host's socket #cluster", function()
  -- Sends bytes, expects to be cut, and expects that nobody else notices and that the host logs it.
  -- `quietly`: this happens to honest peers as well, so nobody is warned.
  local function expect_cut(bytes, quietly)
    local peers <close> = cluster.start { count = 3, defaults = { n = 0 } }
    local host, clients = peers:host(), peers:clients()
    peers:each [[
      states = {}
      logged = {}
      share:on_status(function(state) states[#states + 1] = state end)
      memshare.log = function(level, line) logged[#logged + 1] = level .. " " .. line end]]
    local stranger = dial(peers)
    stranger.send(bytes)
    assert.is_true(stranger.wait_cut(), "the link is still open")
    stranger.close()
    clients[1]:eval "assert(share:set('n', 1):wait(10))"
    clients[2]:await "data.n == 1"
    if not quietly then host:await "#logged > 0" end
    for _, peer in ipairs(peers) do
      assert.same({}, peer:eval "return states")
      assert.equal(peer == host and not quietly and 1 or 0, peer:eval "return #logged")
    end
    assert.equal(host, peers:host())
    peers:settle()
    return stranger.received, host:eval "return logged[1]"
  end

  it("who sends garbage is cut off and logged", function()
    expect_cut(("\xff\x00garbage"):rep(100))
  end)

  it("who sends a frame that is no message is cut off and logged", function()
    expect_cut(frame(("\x93\xc1"):rep(50)))
  end)

  it("who sends a message before greeting is cut off and logged", function()
    expect_cut(frame(array(uint(9), uint(1))))
  end)

  it("who announces an over-long frame is cut off before sending it", function()
    local _, line = expect_cut("\x7f\xff\xff\xff")
    assert.matches("2147483647", line, 1, true)
  end)

  it("who announces an empty frame is cut off and logged", function()
    expect_cut("\0\0\0\0")
  end)

  it("who speaks another version of the protocol is told so and cut off", function()
    local received, line = expect_cut(frame(greeting(99, 1, 2)))
    assert.matches("version", received, 1, true)
    assert.matches("version", line, 1, true)
  end)

  it("who greets for another group is cut off", function()
    local received = expect_cut(frame(greeting(1, 12345, 2)), true)
    assert.matches("group", received, 1, true)
  end)

  it("who connects and says nothing holds nobody up", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0 } }
    local silent, half = dial(peers), dial(peers)
    half.send "\0\0"
    peers[1]:eval "assert(share:set('n', 1):wait(10))"
    peers[2]:eval "assert(share:set('n', 2):wait(10))"
    local joiner = peers:add()
    assert.equal(2, joiner:eval "return data.n")
    silent.close()
    half.close()
    peers:settle()
  end)

  it("who comes back 200 times leaves nothing behind", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0 } }
    peers:each "memshare.log = function() end"
    local host = peers:host()
    local function descriptors()
      local count = 0
      for _ in process.files(("/proc/%d/fd"):format(host.pid)) do count = count + 1 end
      return count
    end
    local before = descriptors()
    for _ = 1, 200 do
      local stranger = dial(peers)
      stranger.send "\xff\xff\xff\xff"
      assert.is_true(stranger.wait_cut())
      stranger.close()
    end
    host:eval "assert(share:set('n', 1):wait(10))"
    assert.equal(before, descriptors())
    peers:settle()
  end)
end)
