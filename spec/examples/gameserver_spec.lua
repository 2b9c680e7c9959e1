local example = require "spec.support.example"
local memshare = require "memshare"
local process = require "spec.support.process"
local uv = require "luv"

local ZONES <const> = { "west", "centre", "east" }
local FOLDER <const> = "examples/gameserver/rules"
local program <const> = example.build .. "/examples/gameserver"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- As editors do it: nobody reads half a file.
local function write(path, text)
  local file = assert(io.open(path .. ".new", "w"))
  file:write(text)
  file:close()
  assert(os.rename(path .. ".new", path))
end

-- A copy of the rules that a test may edit.
local function copy_rules(stage)
  local folder = stage.directory .. "/rules"
  assert(uv.fs_mkdir(folder, 448))
  for name in process.files(FOLDER) do write(folder .. "/" .. name, read(FOLDER .. "/" .. name)) end
  return folder
end

local function count_players(share)
  local seen, count = {}, 0
  for _, zone in ipairs(ZONES) do
    for player in pairs(share.data.zones[zone].players) do
      assert.is_nil(seen[player])
      seen[player], count = true, count + 1
    end
  end
  return count
end

-- Lets the share and the child's pipes work until done(); the child must live.
local function wait_for(share, child, done)
  local deadline = uv.hrtime() + 30e9
  while not done() do
    if child.exited or uv.hrtime() > deadline then
      error(("waited in vain; it %s\n%s\n%s"):format(child:describe_end(), child.out, child.log), 2)
    end
    if share then share:poll(0.01) end
    process.turn(5)
  end
end

describe("the game server", function()
  it("loses and doubles no player when its host is killed, and gives times", function()
    local stage <close> = example.stage()
    local child = stage:start(program, "--seconds", "4", "--players", "40", "--seed", "7")
    local out = example.wait_end(child, 120000)
    assert.matches("kill %-9 of %a+ %(pid %d+%), the host, with %d+ players in it", out)
    assert.matches("%a+ is back %(pid %d+%)", out)
    assert.matches("with memshare +%d+%.%d +%d+%.%d +%d+%.%d +%d+%.%d\n", out)
    assert.matches("the same without +%d+%.%d +%d+%.%d +%d+%.%d +%d+%.%d\n", out)
    local moved, taken, kills = out:match "(%d+) hand%-overs, (%d+) players taken over, (%d+) kills"
    assert.is_true(tonumber(moved) > 0)
    assert.is_true(tonumber(taken) > 0)
    assert.equal("1", kills)
    assert.matches("40 of 40 players, each in one zone: yes", out, 1, true)
    local looks, faults = out:match "(%d+) looks on the way, (%d+) faults\n$"
    assert.is_true(tonumber(looks) > 0)
    assert.equal("0", faults)
    assert.equal("", child.log)
  end)

  it("takes new rules while it runs, and keeps the old ones where the new are broken", function()
    local stage <close> = example.stage()
    local folder = copy_rules(stage)
    local child = stage:start(program, "--seconds", "600", "--players", "30", "--rules", folder,
      "--share", "hot")
    example.wait_output(child, "share hot: 30 players")
    local share
    wait_for(nil, child, function() -- there is none before the first zone has founded it
      share = memshare.open("hot", nil, { dir = stage.directory, can_host = false })
      return share
    end)
    local _ <close> = share
    local data = share.data
    local function is_seen(key)
      return function()
        for _, zone in ipairs(ZONES) do
          if not data.zones[zone][key] then return false end
        end
        return true
      end
    end
    wait_for(share, child, function() return data.phase == "play" end)
    assert.equal(30, count_players(share))

    -- The new rules write to the share that C++ opened, and hear of it.
    write(folder .. "/weather.lua", [[
      keep(share:on("omen", function(new) share:set("zones." .. zone .. ".heard", new) end))
      return { second = function() share:inc("zones." .. zone .. ".frogs", 1) end }
    ]])
    wait_for(share, child, is_seen "frogs")
    data.omen = "red moon"
    wait_for(share, child, is_seen "heard")

    write(folder .. "/weather.lua", "return { second = ")
    wait_for(share, child, function()
      local _, reports = child.log:gsub("rules: [^\n]*weather%.lua:1:", "")
      return reports == #ZONES
    end)
    -- Frogs go on to fall after all have said that the file is broken.
    local before = {}
    for _, zone in ipairs(ZONES) do before[zone] = data.zones[zone].frogs end
    wait_for(share, child, function()
      for _, zone in ipairs(ZONES) do
        if data.zones[zone].frogs == before[zone] then return false end
      end
      return true
    end)

    -- A hook that fails when it is called is reported as well, and harms nobody.
    write(folder .. "/combat.lua", [[return { damage = function() error "no such blow" end }]])
    wait_for(share, child, function() return child.log:find("no such blow", 1, true) end)

    data.stop = true
    assert(share:flush(10))
    local out = example.wait_end(child, 60000)
    assert.matches("30 of 30 players, each in one zone: yes; .*, 0 faults\n$", out)
  end)

  it("says how it is used", function()
    local stage <close> = example.stage()
    for _, words in ipairs {
      { "--seconds", "0" }, { "--players", "1e3" }, { "--players", "601" }, { "--seed" },
      { "--speed", "9" }, { "--zone", "north" },
    } do
      local child = stage:start(program, table.unpack(words))
      assert.is_true(child:wait_exit(10000))
      assert.equal(2, child.code)
      assert.matches("usage: gameserver", child.log, 1, true)
    end
  end)
end)
