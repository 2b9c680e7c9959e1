-- A leaderboard that many game servers write to.
--
--   memshare run examples/leaderboard.lua SERVER [ROUNDS]
--
-- Start several with different names: all show the same board.
local memshare = require "memshare"

local server <const>, rounds <const> = arg[1] or "server", tonumber(arg[2]) or 100

local share <close> = assert(memshare.open("leaderboard", { best = memshare.object {} }))
local best = share.data.best

local function top(count)
  local names = {}
  for name in pairs(best) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if best[a] ~= best[b] then return best[a] > best[b] end
    return a < b
  end)
  local lines = {}
  for place = 1, math.min(count, #names) do
    lines[place] = ("%d. %s %d"):format(place, names[place], best[names[place]])
  end
  return table.concat(lines, ", ")
end

-- A hundred results in one poll draw the board once.
local last
share:on("best", function()
  local board = top(3)
  if board ~= last then print(board) end
  last = board
end, { coalesce = true, immediate = true })

memshare.go(function()
  for round = 1, rounds do
    for player = 1, 5 do
      local name = ("%s-%d"):format(server, player)
      -- Only a better result counts, whatever else arrives, and in whatever order.
      best[name] = memshare.max((round * 7919 + player * 104729) % 1000)
    end
    memshare.sleep(0.002)
  end
  assert(share:flush(5))
  memshare.stop()
end)
memshare.run()
print("final: " .. top(3))
