-- What strikes do, and how wounds heal. Edit a number while the server runs: it counts within a
-- second.
local PACE <const> = 100

local rules = {}

-- Called for each strike, `distance` in hundredths of a pace.
function rules.damage(distance, hp)
  local damage = distance < 2 * PACE and 15 or 8
  return hp < 20 and damage // 2 or damage -- mercy
end

-- Called once a second for each player who is not in full health.
function rules.regeneration(hp)
  return hp < 50 and 1 or 3
end

return rules
