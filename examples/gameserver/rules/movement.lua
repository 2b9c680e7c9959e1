-- How fast players walk. The server calls `speed` for each player in each frame.
-- luacheck: read globals share keep
local PACE <const> = 100 -- coordinates count hundredths of a pace

-- A copy of what the share says, kept up to date by a callback: cheaper than a look at each call.
-- The server's poll runs it, and ends the subscription when this file changes.
local weather = "fair"
keep(share:on("weather", function(new) weather = new or "fair" end, { immediate = true }))

local rules = {}

function rules.speed(hp)
  local paces = hp < 30 and 12 or 25 -- the wounded limp
  if weather == "rain" then paces = paces // 2 end
  return paces * PACE
end

return rules
