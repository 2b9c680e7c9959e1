local cluster = require "spec.support.cluster"
local process = require "spec.support.process"
local stranger = require "spec.support.stranger"

local frame, uint, str, array = stranger.frame, stranger.uint, stranger.str, stranger.array

-- A peer keeps what it is warned of.
local LISTEN <const> = [[
  states = {}
  logged = {}
  share:on_status(function(state) states[#states + 1] = state end)
  memshare.log = function(level, line) logged[#logged + 1] = level .. " " .. line end
  function find_logged(text)
    for _, line in ipairs(logged) do
      if line:find(text, 1, true) then return true end
    end
    return false
  end]]

describe("a stranger on the host's socket #cluster", function()
  -- Sends bytes, expects to be cut, and expects that nobody else notices and that the host logs it.
  -- `quietly`: this happens to honest peers as well, so nobody is warned.
  local function expect_cut(bytes, quietly)
    local peers <close> = cluster.start { count = 3, defaults = { n = 0 } }
    local host, clients = peers:host(), peers:clients()
    peers:each(LISTEN)
    local intruder = stranger.dial(peers)
    intruder:send(bytes)
    assert.is_true(intruder:wait_cut(), "the link is still open")
    intruder:close()
    clients[1]:eval "assert(share:set('n', 1):wait(10))"
    clients[2]:await "data.n == 1"
    if not quietly then host:await "#logged > 0" end
    for _, peer in ipairs(peers) do
      assert.same({}, peer:eval "return states")
      assert.equal(peer == host and not quietly and 1 or 0, peer:eval "return #logged")
    end
    assert.equal(host, peers:host())
    peers:settle()
    return intruder.received, host:eval "return logged[1]"
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
    local greeting = stranger.greeting { protocol = 99, group = 1, peer = 2 }
    local received, line = expect_cut(frame(greeting))
    assert.matches("version", received, 1, true)
    assert.matches("version", line, 1, true)
  end)

  it("who greets for another group is cut off", function()
    local received = expect_cut(frame(stranger.greeting { group = 12345, peer = 2 }), true)
    assert.matches("group", received, 1, true)
  end)

  it("who connects and says nothing holds nobody up", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0 } }
    local _ <close> = stranger.dial(peers)
    local half <close> = stranger.dial(peers)
    half:send "\0\0"
    peers[1]:eval "assert(share:set('n', 1):wait(10))"
    peers[2]:eval "assert(share:set('n', 2):wait(10))"
    local joiner = peers:add()
    assert.equal(2, joiner:eval "return data.n")
    peers:settle()
  end)

  it("who does not greet in time is cut off and logged", function()
    local peers <close> = cluster.start {
      count = 2, defaults = { n = 0 }, options = { host_timeout = 0.5 },
    }
    peers:each(LISTEN)
    local silent <close> = stranger.dial(peers)
    local half <close> = stranger.dial(peers)
    half:send(("\1\0\0\0"):rep(1000)) -- of sixteen megabytes
    assert.is_true(silent:wait_cut())
    assert.is_true(half:wait_cut())
    peers:host():await "#logged == 2"
    assert.matches("no HELLO in time", peers:host():eval "return logged[1]", 1, true)
    peers:settle()
  end)

  it("who comes back 200 times leaves nothing behind", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0 } }
    peers:each "memshare.log = function() end"
    local host = peers:host()
    local before = process.descriptors(host.pid)
    for _ = 1, 200 do
      local intruder <close> = stranger.dial(peers)
      intruder:send "\xff\xff\xff\xff"
      assert.is_true(intruder:wait_cut())
    end
    host:eval "assert(share:set('n', 1):wait(10))"
    assert.equal(before, process.descriptors(host.pid))
    peers:settle()
  end)
end)

describe("a member that breaks the rules #cluster", function()
  local FAR <const> = 1 << 40
  local sum = stranger.operation(stranger.INC, "n", "\1")

  -- Greets as a member, sends a message, expects to be cut with a warning that says why and who,
  -- and that nobody else notices: the one whose name was used least of all.
  local function expect_cut(why, message, changes)
    local peers <close> = cluster.start { count = 3, defaults = { n = 0 } }
    local host, victim, other = peers:host(), table.unpack(peers:clients())
    host:eval(LISTEN)
    other:eval(LISTEN)
    local intruder <close> = stranger.impersonate(peers, victim, changes)
    if message then intruder:send(frame(message)) end
    assert.is_true(intruder:wait_cut(), "the link is still open")
    other:eval "assert(share:set('m', 1):wait(10))"
    host:await("(function(why) for _, line in ipairs(logged) do if line:find(why, 1, true) then "
      .. "return true end end end)(...)", why)
    if not changes then -- it was admitted, so the host knows by which name
      host:await("logged[#logged]:find(..., 1, true)", (victim.id:gsub("^0+", "")))
    end
    assert.same({ {}, {} }, { other:eval "return states", other:eval "return logged" })
    victim:kill "SIGCONT"
    victim:eval "assert(share:inc('n'):wait(10))"
    assert.equal(host, peers:host())
    peers:settle()
    assert.equal(1, other:eval "return data.n")
  end

  local broken <const> = {
    ["leaves a gap between its patches"] = { "PATCH after a gap",
      stranger.patch { number = 2, operation = sum } },
    ["bases a patch on a version to come"] = { "based on a version to come",
      stranger.patch { number = 1, base = FAR, operation = sum } },
    ["stamps a patch far ahead of time"] = { "timestamp far ahead",
      stranger.patch { number = 1, timestamp = FAR << 20, operation = sum } },
    ["sends a value that is too deep"] = { "malformed PATCH",
      stranger.patch { number = 1,
        operation = stranger.operation(stranger.SET, "n", ("\x91"):rep(500) .. "\1") } },
    ["sends more values than a patch may have"] = { "malformed PATCH",
      stranger.patch { number = 1, operation = stranger.operation(stranger.SET, "n",
        "\xdd\0\x10\0\0" .. ("\x90"):rep(1 << 20)) } },
    ["uses an operator that does not exist"] = { "malformed PATCH",
      stranger.patch { number = 1, operation = stranger.operation(99, "n", "\1") } },
    ["names no path"] = { "malformed PATCH",
      stranger.patch { number = 1, operation = array(uint(3), "\1", "\1") } },
    ["says it has a version that is not there yet"] = { "malformed READY",
      array(uint(12), uint(FAR)) },
    ["orders patches itself"] = { "unexpected ENTRY", array(uint(4), uint(1), uint(2)) },
    ["welcomes its host"] = { "unexpected WELCOME", array(uint(2), uint(1)) },
    ["asks without a question"] = { "malformed SYNC", array(uint(9), str "?") },
  }
  for what, case in pairs(broken) do
    it("and " .. what .. " is cut off and named", function() expect_cut(case[1], case[2]) end)
  end

  it("and greets from a version to come is cut off", function()
    expect_cut("later version", nil, { version = FAR })
  end)

  it("and greets under the host's id is cut off", function()
    local peers <close> = cluster.start { count = 2, defaults = { n = 0 } }
    local host, victim = peers:host(), peers:clients()[1]
    host:eval(LISTEN)
    local intruder <close> = stranger.impersonate(peers, victim, { peer = tonumber(host.id, 16) })
    assert.is_true(intruder:wait_cut())
    host:await "logged[1] and logged[1]:find 'own id'"
    victim:kill "SIGCONT"
    peers:settle()
  end)

  it("and sends a patch again is not heard again", function()
    local peers <close> = cluster.start { count = 3, defaults = { n = 0 } }
    local victim, other = table.unpack(peers:clients())
    local intruder <close> = stranger.impersonate(peers, victim)
    local patch = frame(stranger.patch { number = 1, operation = sum })
    intruder:send(patch:rep(3))
    intruder:send(frame(stranger.patch { number = 2, operation = sum }) .. patch)
    other:await "data.n == 2"
    other:eval "assert(share:sync(10))"
    assert.equal(2, other:eval "return data.n")
    victim:kill "SIGKILL"
    intruder:close()
    peers:settle()
  end)

  it("and floods the host without reading is cut off, and the others are served", function()
    local peers <close> = cluster.start { count = 3, defaults = { n = 0 } }
    local host, victim, other = peers:host(), table.unpack(peers:clients())
    host:eval(LISTEN)
    local intruder <close> = stranger.impersonate(peers, victim, nil, true)
    -- 50,000 questions with the longest token, all of which are answered; the host takes them in
    -- at its own speed.
    local flood = frame("\x92\9" .. uint(math.maxinteger)):rep(50000)
    local is_cut = false
    for _ = 1, 120 do
      assert.is_true(intruder:send_when_taken(flood), "the host takes nothing in")
      other:eval "assert(share:inc('n'):wait(10))"
      is_cut = host:eval "return find_logged 'reads too slowly'"
      if is_cut then break end
    end
    assert.is_true(is_cut, host:eval "return table.concat(logged, '; ')")
    other:eval "assert(share:inc('n'):wait(10))"
    assert.truthy(process.memory(host.pid) < 200 << 20)
    intruder:close()
    victim:kill "SIGCONT"
    peers:settle()
  end)
end)
