-- Inside loops that belong to others: luv, cqueues, a frame loop.
local cqueues = require "cqueues"
local uv = require "luv"
local memshare = require "memshare"
local alone = require "spec.support.alone"

local PATIENCE_MS <const> = 10000

-- Runs luv's loop, with memshare in it, until `done()`.
local function run_luv(share, done)
  local late = false
  local due, deadline = uv.new_timer(), uv.new_timer()
  local readable = uv.new_poll(memshare.fd())
  local function work()
    memshare.poll(0)
    local seconds = share:timeout()
    if seconds then due:start(math.ceil(seconds * 1000), 0, work) else due:stop() end
    if done() then uv.stop() end
  end
  readable:start("r", work)
  deadline:start(PATIENCE_MS, 0, function()
    late = true
    uv.stop()
  end)
  work()
  while not done() and not late do uv.run() end
  for _, handle in ipairs { due, deadline, readable } do handle:close() end
  uv.run "nowait" -- the close callbacks
  assert(not late, "it never happened")
end

-- The same in a loop of cqueues.
local function run_cqueues(share, done)
  local loop = cqueues.new()
  local last = cqueues.monotime() + PATIENCE_MS / 1000
  loop:wrap(function()
    while not done() do
      assert(cqueues.monotime() < last, "it never happened")
      share:poll(0)
      if not done() then cqueues.poll(share, PATIENCE_MS / 1000) end
    end
  end)
  assert(loop:loop())
end

for name, run in pairs { luv = run_luv, cqueues = run_cqueues } do
  describe("inside the loop of " .. name, function()
    it("hooks, timers and receipts work", function()
      local here <close> = alone.open { x = 0 }
      local seen, ticks, receipt = {}, 0, nil
      here.share:on("x", function(x) seen[#seen + 1] = x end)
      local _ <close> = memshare.every(0.001, function()
        ticks = ticks + 1
        if ticks <= 3 then receipt = here.share:set("x", ticks) end
      end)
      run(here.share, function() return #seen == 3 and receipt.state == "accepted" end)
      assert.same({ 1, 2, 3 }, seen)
    end)

    it("tasks are resumed", function()
      local here <close> = alone.open { x = 0 }
      local steps = {}
      memshare.go(function()
        memshare.sleep(0.002)
        steps[#steps + 1] = "slept"
        assert(here.share:set("x", 1):wait(5))
        steps[#steps + 1] = "accepted"
        assert(here.share:wait_for("y", nil, 5))
        steps[#steps + 1] = "seen"
        assert(here.share:flush(5))
        assert(here.share:sync(5))
        coroutine.yield()
        steps[#steps + 1] = "done"
      end)
      memshare.go(function()
        here.share:wait_for("x", function(x) return x == 1 end, 5)
        here.data.y = true
      end)
      run(here.share, function() return steps[#steps] == "done" end)
      assert.same({ "slept", "accepted", "seen", "done" }, steps)
    end)
  end)
end

describe("inside a frame loop", function()
  it("poll takes no longer than its budget, and says when work is left", function()
    local here <close> = alone.open { x = 0 }
    local seen = 0
    here.share:on("x", function()
      seen = seen + 1
      local last = uv.hrtime() + 1e6
      while uv.hrtime() < last do end -- a millisecond of work
    end)
    for x = 1, 10 do here.data.x = x end
    local frames, more = 0, true
    while more do
      local before = seen
      more = memshare.poll(0, 0.0005) -- less than one callback takes
      frames = frames + 1
      assert.is_true(seen - before <= 1)
    end
    assert.equal(10, seen)
    assert.is_true(frames >= 10)
  end)

  it("poll never splits a patch", function()
    local here <close> = alone.open { a = 0, b = 0, c = 0 }
    local calls, torn = 0, 0
    for _, key in ipairs { "a", "b", "c" } do
      here.share:on(key, function()
        calls = calls + 1
        local data = here.data
        if data.a ~= data.b or data.b ~= data.c then torn = torn + 1 end
      end)
    end
    for n = 1, 20 do here.share:patch { ["$set"] = { a = n, b = n, c = n } } end
    local more = true
    while more do
      more = memshare.poll(0, 1e-6)
      assert.equal(0, calls % 3) -- all of it, or nothing
    end
    assert.equal(60, calls)
    assert.equal(0, torn)
  end)
end)
