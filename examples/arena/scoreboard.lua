-- scoreboard.lua SHARE MODE: draws the arena as it sees it. MODE `tty` draws the world in place,
-- ten times a second; `plain` prints a line every other second. Both show the news.
--
-- It only reads: a replica in its own memory that the library keeps up to date.
local memshare = require "memshare"
local uv = require "luv" -- to see whether the director lives

local WIDTH <const>, HEIGHT <const>, NEWS <const> = 60, 14, 6
local name <const>, is_tty <const> = arg[1], arg[2] == "tty"

-- A scoreboard should not become host: it is no part of the game.
local share <close> = assert(memshare.open(name, nil, { can_host = false }))
local data <const> = share.data

local function thousands(number)
  local text = ("%d"):format(number)
  return (text:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local function sorted_keys(object)
  local keys = {}
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function total()
  local sum = 0
  for _, moves in pairs(data.moves) do sum = sum + moves end
  return sum
end

local seconds, last_total, rate = 0, 0, 0

local function summary()
  return ("host %s, %d players, %s moves, %s a second"):format(data.host or "?",
    memshare.count(data.players), thousands(total()), thousands(rate))
end

local function map_lines()
  local grid = {}
  for y = 0, HEIGHT - 1 do
    grid[y] = {}
    for x = 0, WIDTH - 1 do grid[y][x] = " " end
  end
  for _, player in pairs(data.players) do
    local zone = data.zones[player.zone]
    local mark = player.zone:sub(1, 1)
    grid[player.y][player.x] = zone and zone.state == "killed" and "x" or mark
  end
  local lines = {}
  for y = 0, HEIGHT - 1 do lines[#lines + 1] = table.concat(grid[y], "", 0, WIDTH - 1) end
  return lines
end

local function zone_lines()
  local lines = { "zone     pid      state     moves" }
  for _, key in ipairs(sorted_keys(data.zones)) do
    local zone = data.zones[key]
    local state = key == data.host and zone.state == "alive" and "host" or zone.state
    lines[#lines + 1] = ("%-8s %-8d %-8s %6s"):format(key, zone.pid, state,
      thousands(data.moves[key] or 0))
  end
  return lines
end

local function draw()
  local out = { "\27[H" } -- to the top left corner; each line clears what is left of the old one
  local function line(text) out[#out + 1] = text .. "\27[K\n" end
  local frame = "+" .. ("-"):rep(WIDTH) .. "+"
  local zones = zone_lines()
  line(("%s: %s"):format(name, summary()))
  line(frame)
  for i, text in ipairs(map_lines()) do line(("|%s|  %s"):format(text, zones[i] or "")) end
  line(frame)
  local news = data.news
  for i = math.max(1, #news - NEWS + 1), #news do line(news[i]) end
  out[#out + 1] = "\27[J"
  io.stdout:write(table.concat(out))
  io.stdout:flush()
end

local director <const> = uv.os_getppid()
memshare.every(1, function()
  if uv.os_getppid() ~= director then os.exit(1) end
  seconds = seconds + 1
  rate, last_total = total() - last_total, total()
  if not is_tty and seconds % 2 == 0 then
    print(("%3d s  %s"):format(seconds, summary()))
    io.stdout:flush()
  end
end)

if is_tty then
  io.stdout:write "\27[?25l\27[2J" -- hide the cursor, clear the screen
  memshare.every(0.1, draw)
else
  share:on("news.*", function(news)
    if news then print(news) end
    io.stdout:flush()
  end, { immediate = true })
end

share:on("phase", function(phase)
  if phase == "leave" then memshare.stop() end
end)

memshare.run()
if is_tty then
  draw()
  io.stdout:write "\27[?25h"
end
