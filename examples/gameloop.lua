-- A peer in a frame loop that belongs to somebody else: once a frame it takes what came, for at
-- most two milliseconds. What is left then waits for the next frame; no patch is split between two.
--
--   memshare run examples/gameloop.lua [FRAMES]
local memshare = require "memshare"
-- luv stands for the engine here. (The module, and not examples/luv.lua beside this file.)
package.preload.luv = package.loadlib(package.searchpath("luv", package.cpath), "luaopen_luv")
local uv = require "luv"

local frames <const> = tonumber(arg[1]) or 120
local BUDGET <const> = 0.002

local share <close> = assert(memshare.open("game", { players = {}, shots = 0 }))
local me <const> = "player " .. share.id
share.data.players[me] = { x = 0, y = 0 }

-- Hundreds of moves a frame are drawn once, at their last value.
local drawn, late = 0, 0
share:on("players.*.x", function() drawn = drawn + 1 end, { coalesce = true })

for frame = 1, frames do
  if memshare.poll(0, BUDGET) then late = late + 1 end

  -- The game's own step: writes cost well below a microsecond to a few, and never wait.
  local player = share.data.players[me]
  player.x = math.sin(frame / 20)
  player.y = math.cos(frame / 20)
  if frame % 30 == 0 then share.data.shots = memshare.inc(1) end

  uv.sleep(4) -- the screen
end

-- Loading screens and exits may wait.
assert(share:flush(5))
print(("%d frames, %d moves drawn, %d frames with work left over"):format(frames, drawn, late))
print(("%d shots by all players"):format(share.data.shots))
