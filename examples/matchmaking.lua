-- A lobby that finds partners. Run this in several terminals, and end some of them:
--
--   memshare run examples/matchmaking.lua NAME
--
-- What a player wants stands at its own place (share.me), so it leaves the lobby when its process
-- ends, however that happens. One of the processes makes the matches; if it dies, another does.
local memshare = require "memshare"

local name <const> = arg[1] or "somebody"

local share <close> = assert(memshare.open("matchmaking", { last = 0, matches = {} }))
local data = share.data

local function names_of(match)
  return ("%s and %s"):format(match.players[1].name, match.players[2].name)
end

---Which match is each player in? And which matches have lost one?
local function look_at_matches(peers)
  local playing, broken = {}, {}
  for id, match in pairs(data.matches) do
    for _, player in ipairs(match.players) do
      if not peers[player.id] then broken[#broken + 1] = id end
      playing[player.id] = id
    end
  end
  return playing, broken
end

---Those who are there, by their ids, and those who wait, in the order in which they came.
local function look_at_peers()
  local here, waiting = {}, {}
  for _, peer in ipairs(share:peers()) do
    if peer.me and peer.me.name then
      here[peer.id] = true
      waiting[#waiting + 1] = { id = peer.id, name = peer.me.name, since = peer.me.since }
    end
  end
  table.sort(waiting, function(a, b) return a.since < b.since end)
  return here, waiting
end

local function make_matches()
  local here, all = look_at_peers()
  local playing, broken = look_at_matches(here)
  for _, id in ipairs(broken) do data.matches[id] = nil end -- who is left waits again
  local waiting = {}
  for _, player in ipairs(all) do
    if not playing[player.id] then waiting[#waiting + 1] = player end
  end
  for i = 1, #waiting - 1, 2 do
    data.last = data.last + 1
    local pair = memshare.array { waiting[i], waiting[i + 1] }
    data.matches[tostring(data.last)] = { players = pair }
  end
end

-- The function runs in one process at a time; its writes count only while it is the one.
share:singleton("matchmaker", function(lease)
  while lease:is_held() do
    make_matches()
    memshare.sleep(0.02)
  end
end)

share:on("matches.*", function(match, old)
  local shown = match or old
  for _, player in ipairs(shown.players) do
    if player.id == share.id then
      print(("%s: %s"):format(match and "match" or "over", names_of(shown)))
    end
  end
end)

share:batch(function() share.me.name, share.me.since = name, memshare.timestamp() end)
print(("%s waits"):format(name))
memshare.run()
