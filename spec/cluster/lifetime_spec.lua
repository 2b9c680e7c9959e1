local cluster = require "spec.support.cluster"
local process = require "spec.support.process"

local MB <const> = 1 << 20
-- How often; MEMSHARE_SETS and MEMSHARE_OPENS make it more.
local SETS <const> = tonumber(os.getenv "MEMSHARE_SETS") or 100000
local OPENS <const> = tonumber(os.getenv "MEMSHARE_OPENS") or 200
-- A few megabytes are what the allocator takes and gives; a sanitizer keeps what was freed besides.
local SLACK <const> = (process.is_sanitized() and 400 or 8) * MB

local function memory_of(peers)
  local bytes = {}
  for i, peer in ipairs(peers) do bytes[i] = process.memory(peer.pid) end
  return bytes
end

local function assert_no_growth(before, after)
  for i in ipairs(before) do
    local growth = after[i] - before[i]
    assert.truthy(growth < SLACK, ("peer %d grew by %d kB"):format(i, growth // 1024))
  end
end

describe("a key that is set very often #cluster", function()
  -- Peers keep the entries of late, which is to be full before anything is measured.
  local WARM_UP <const>, STEP <const> = 100000, 5000

  it("grows no peer, whoever sets it", function()
    local peers <close> = cluster.start { count = 3, defaults = { n = 0 } }
    peers[3]:eval "heard = 0 share:on('n', function() heard = heard + 1 end)"
    -- A host waits for nobody, and queues for those who come behind: they get the time to follow.
    local function set(peer, count)
      for _ = 1, count, STEP do
        peer:eval("for n = 1, ... do data.n = n end assert(share:flush(60))", STEP)
        peers:each "assert(share:sync(60))"
      end
      peers:settle()
    end
    set(peers[1], WARM_UP // 2)
    set(peers[2], WARM_UP // 2)
    local before = memory_of(peers)
    set(peers:host(), SETS // 2)
    set(peers:clients()[1], SETS // 2)
    assert_no_growth(before, memory_of(peers))
    assert.truthy(peers[3]:eval "return heard" > 0)
  end)
end)

describe("a share that is opened and closed very often #cluster", function()
  -- All of it, and what it was good for: reads, writes, subscriptions, receipts, another share.
  local CYCLE <const> = [[
    local name, count = ...
    for n = 1, count do
      local share = assert(memshare.open(name, { n = 0, list = { 1, 2, 3 } }))
      local sub = share:on("n", function() end)
      local receipt = share:inc "n"
      share:on_reject(function() end)
      assert(receipt:wait(10))
      assert(share.data.n > 0)
      if n % 2 == 0 then sub:close() end
      assert(share:close(10))
    end
    collectgarbage()
    collectgarbage()]]

  local function expect_no_leak(peers, name)
    local peer = peers[#peers]
    peer:eval(CYCLE, name, 50)
    local before, descriptors = memory_of(peers), process.descriptors(peer.pid)
    peer:start(CYCLE, name, OPENS):wait(600000)
    assert.equal(descriptors, process.descriptors(peer.pid))
    assert_no_growth(before, memory_of(peers))
  end

  it("leaks neither memory nor descriptors when it founds the share each time", function()
    local peers <close> = cluster.start { count = 1, open = false }
    expect_no_leak(peers, "alone")
    assert.same({}, peers:files "^alone")
  end)

  it("leaks neither memory nor descriptors, its host neither, when it joins each time", function()
    local peers <close> = cluster.start { count = 1, defaults = { n = 0 } }
    peers:spawn()
    local host = process.descriptors(peers[1].pid)
    expect_no_leak(peers, peers.name)
    peers[1]:eval "assert(share:sync(10))"
    assert.equal(host, process.descriptors(peers[1].pid))
    assert.equal(OPENS + 50, peers[1]:eval "return data.n")
    peers[1]:await "#share:peers() == 1" -- who left is forgotten
  end)
end)
