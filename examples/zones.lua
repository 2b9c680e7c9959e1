-- Zones of a game: each process runs one, players wander from zone to zone, and rules stop those
-- who cheat. Run this in several terminals, kill one of them, and start one that cheats:
--
--   memshare run examples/zones.lua ZONE [NEXT_ZONE]
--   memshare run examples/zones.lua cheat
--
-- A player belongs to one zone. Handing it over is a transaction, so it is never in two zones, and
-- never in none. The rules are part of the share: whichever process is host keeps all to them.
local memshare = require "memshare"

local zone <const>, next_zone <const> = arg[1], arg[2]

local RULES <const> = [[
  rule("players.*.gold", function(new, old)
    if new == nil or old == nil then return true end
    return new - old <= 1, "gold comes piece by piece"
  end)
  rule("players.*", function(new, old, path)
    if new == nil then return false, "players do not vanish" end
    if old == nil then return new.gold == 0, "players begin without gold" end
    return new.zone == old.zone or new.gold == old.gold, "nothing is found on the way"
  end)]]

local share <close> = assert(memshare.open("zones", { players = {} }))
local data = share.data

---Of those who come first one sets the rules; the others find them set.
local function set_rules()
  local lease <close> = assert(share:lock("rules", { timeout = 10 }))
  if lease:is_held() and not data.ruled then
    assert(share:rules(RULES):wait(10))
    data.ruled = true
  end
end

---A player found here goes on, unless somebody was quicker.
local function hand_over(name)
  return share:transaction(function(draft)
    local player = draft.players[name]
    if player.zone ~= zone then return false end
    player.zone = next_zone
    return true
  end)
end

local function live(name, player)
  player.gold = memshare.inc(1)
  if next_zone and player.gold % 5 == 0 and hand_over(name) then
    print(("%s went to %s"):format(name, next_zone))
  end
end

set_rules()
if zone == "cheat" then
  for name in pairs(data.players) do
    local _, message = share:inc({ "players", name, "gold" }, 1000):wait(10)
    print(message or ("%s got away with it"):format(name))
    _, message = share:unset({ "players", name }):wait(10)
    print(message or ("%s is gone"):format(name))
  end
elseif zone then
  local name = "player of " .. zone
  if not data.players[name] then data.players[name] = { zone = zone, gold = 0 } end
  print(("zone %s is open"):format(zone))
  while true do
    for each, player in pairs(data.players) do
      if player.zone == zone then live(each, player) end
    end
    memshare.sleep(0.02)
  end
else
  io.stderr:write("usage: zones.lua ZONE [NEXT_ZONE] | zones.lua cheat\n")
  os.exit(2)
end
