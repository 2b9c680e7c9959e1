local eventually = require "spec.support.eventually"
local example = require "spec.support.example"
local memshare = require "memshare"

-- The share of an example, once somebody has begun it.
local function look(stage, name)
  return assert(memshare.open(name, nil, { dir = stage.directory, must_exist = true }))
end

local function value_of(share, path)
  share:poll(0)
  return memshare.copy(share:get(path))
end

local function only_key(t)
  local key = next(t)
  return next(t, key) == nil and key or nil
end

describe("the example", function()
  it("jobs.lua does each job, and once more the one whose worker was killed", function()
    local stage <close> = example.stage()
    local slow = stage:start(nil, "run", "examples/jobs.lua", "work", "60")
    example.wait_output(slow, "worker ")
    local id = slow.out:match "worker (%x+)"
    local names = {}
    for i = 1, 6 do names[i] = "job-" .. i end
    local added = stage:start(nil, "run", "examples/jobs.lua", "add", table.unpack(names))
    example.wait_end(added)
    example.wait_output(slow, "job-1: begun")
    local workers = {}
    for i = 1, 2 do workers[i] = stage:start(nil, "run", "examples/jobs.lua", "work", "0.01") end
    local share <close> = look(stage, "jobs")
    eventually(function() assert.equal("1", only_key(value_of(share, "waiting"))) end,
      { within_ms = 10000 })
    assert.is_nil(value_of(share, "done.1")) -- the others wait, since its worker lives
    slow:kill "SIGKILL"
    eventually(function() assert.is_nil(next(value_of(share, "waiting"))) end,
      { within_ms = 10000 })
    local done = value_of(share, "done")
    for i = 1, 6 do
      assert.equal("job-" .. i, done[tostring(i)].text)
      assert.equal(i == 1 and 2 or 1, done[tostring(i)].attempts)
      assert.not_equal(id, done[tostring(i)].by)
    end
    local said = workers[1].out .. workers[2].out
    for i = 1, 6 do
      local _, count = said:gsub("job%-" .. i .. ": done\n", "")
      assert.is_true(count <= 1)
    end
  end)

  it("jobs.lua says how it is used", function()
    local stage <close> = example.stage()
    local child = stage:start(nil, "run", "examples/jobs.lua")
    assert.is_true(child:wait_exit(10000))
    assert.equal(2, child.code)
    assert.matches("usage", child.log, 1, true)
  end)

  it("cron.lua ticks in one process, and goes on in another without a gap", function()
    local stage <close> = example.stage()
    local children = {}
    for i = 1, 3 do
      children[i] = stage:start(nil, "run", "examples/cron.lua", "0.05")
      example.wait_output(children[i], "ready")
    end
    local share <close> = look(stage, "cron")
    local function last() return value_of(share, "tasks.cleaning.last") or 0 end
    local function ticking()
      local found
      for _, child in ipairs(children) do
        if not child.exited and child.out:find "cleaning %d" then
          assert.is_nil(found, "two tick at once")
          found = child
        end
      end
      return found
    end
    eventually(function() assert.is_true(last() >= 20) end, { within_ms = 10000 })
    local first, at = ticking(), last()
    first:kill "SIGKILL"
    eventually(function() assert.is_true(last() >= at + 20) end, { within_ms = 20000 })
    local ticks, by = value_of(share, "ticks"), {}
    for i, made in ipairs(ticks) do
      by[made.by] = true
      if i > 1 then assert.equal(ticks[i - 1].tick + 1, made.tick) end
    end
    local peers = 0
    for _ in pairs(by) do peers = peers + 1 end
    assert.equal(2, peers)
    assert.is_not_nil(ticking())
  end)

  it("matchmaking.lua finds partners, and others for those whose partner is gone", function()
    local stage <close> = example.stage()
    local players = {}
    for i, name in ipairs { "ann", "bob", "cleo" } do
      players[i] = stage:start(nil, "run", "examples/matchmaking.lua", name)
      example.wait_output(players[i], name .. " waits")
      if i == 2 then
        example.wait_output(players[1], "match: ann and bob")
        example.wait_output(players[2], "match: ann and bob")
      end
    end
    players[1]:kill "SIGKILL" -- it is the host, and it makes the matches
    example.wait_output(players[2], "over: ann and bob")
    local function matched(child)
      return child.out:find("match: bob and cleo", 1, true)
    end
    eventually(function()
      assert.is_truthy(matched(players[2]))
      assert.is_truthy(matched(players[3]))
    end, { within_ms = 10000 })
  end)

  it("zones.lua hands players over, and stops who cheats, also when the host is killed", function()
    local stage <close> = example.stage()
    local first = stage:start(nil, "run", "examples/zones.lua", "north", "south")
    example.wait_output(first, "zone north is open")
    local second = stage:start(nil, "run", "examples/zones.lua", "south", "north")
    example.wait_output(second, "zone south is open")
    example.wait_output(first, "player of north went to south")
    example.wait_output(second, "player of north went to north")
    local function cheat()
      local said = example.wait_end(stage:start(nil, "run", "examples/zones.lua", "cheat"))
      local _, gold = said:gsub("gold comes piece by piece", "")
      local _, gone = said:gsub("players do not vanish", "")
      assert.same({ 2, 2 }, { gold, gone })
    end
    cheat()
    first:kill "SIGKILL" -- the host
    cheat()
    local share <close> = look(stage, "zones")
    local gold = value_of(share, "players")["player of south"].gold
    eventually(function()
      assert.is_true(value_of(share, "players")["player of south"].gold > gold
        or value_of(share, "players")["player of south"].zone == "north")
    end, { within_ms = 10000 })
    assert.equal(2, memshare.count(share:get "players"))
  end)

  it("zones.lua says how it is used", function()
    local stage <close> = example.stage()
    local child = stage:start(nil, "run", "examples/zones.lua")
    assert.is_true(child:wait_exit(10000))
    assert.equal(2, child.code)
    assert.matches("usage", child.log, 1, true)
  end)
end)
