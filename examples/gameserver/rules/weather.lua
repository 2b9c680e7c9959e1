-- The weather is the same everywhere, so one process makes it: whichever is host at the moment.
-- When that one dies the next host goes on from what the share says.
-- luacheck: globals share
local data = share.data
local rules = {}

-- Called once a second.
function rules.second()
  if not share:is_host() then return end
  local age = (data.weather_age or 0) + 1
  if age >= 20 then
    data.weather = data.weather == "rain" and "fair" or "rain"
    age = 0
  end
  data.weather_age = age
end

return rules
