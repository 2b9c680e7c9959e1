-- zone.lua SHARE NAME: one zone of the arena, a process of its own.
--
-- It moves its players through the shared world, a hundred times a second. Each move is one patch
-- that also counts `moves.<zone>` up, so the world itself says how many moves it has taken in; the
-- zone counts for itself, outside the share, how many of its moves were promised to be kept.
--
-- What it tells the director, a line each on stdout, times on the machine's monotonic clock:
--   accepted N       so many of my moves are accepted
--   host TIME        I am host now
--   resumed TIME     the first of my moves since the host changed is accepted
--   report N TEXT    at the end: my count, and the whole document as I see it
local memshare = require "memshare"
local uv = require "luv" -- for the clock

local WIDTH <const>, HEIGHT <const>, PLAYERS <const>, TICK <const> = 60, 14, 4, 0.01
local name <const> = arg[2]

local share <close> = assert(memshare.open(arg[1], {
  phase = "play", players = {}, moves = {}, zones = {}, news = {},
}))
local data <const> = share.data

local function tell(...)
  io.stdout:write(table.concat({ ... }, " "), "\n")
  io.stdout:flush()
end

local function now() return ("%d"):format(uv.hrtime() // 1) end

-- ------------------------------------------------------------------- moves

local players = {}
for i = 1, PLAYERS do
  players[name .. i] = { x = math.random(0, WIDTH - 1), y = math.random(0, HEIGHT - 1) }
end

data.zones[name] = { pid = math.tointeger(uv.os_getpid()), state = "alive" }

local waiting, first, last = {}, 1, 0 -- receipts of moves that are not settled
local accepted = 0
local resumed = true
local _, start = share:status()
local host = start.host

local function settle()
  local before = accepted
  while first <= last and waiting[first].state ~= "pending" do
    if waiting[first].state == "accepted" then accepted = accepted + 1 end
    waiting[first] = nil
    first = first + 1
  end
  if accepted == before then return end
  if not resumed then
    resumed = true
    tell("resumed", now())
  end
  tell("accepted", accepted)
end

local function move()
  settle()
  local set = {}
  for player, at in pairs(players) do
    at.x = math.max(0, math.min(WIDTH - 1, at.x + math.random(-1, 1)))
    at.y = math.max(0, math.min(HEIGHT - 1, at.y + math.random(-1, 1)))
    set["players." .. player] = { x = at.x, y = at.y, zone = name }
  end
  last = last + 1
  waiting[last] = share:patch { ["$set"] = set, ["$inc"] = { ["moves." .. name] = 1 } }
end

local moving <const> = memshare.every(TICK, move)

-- ------------------------------------------------------------------ events

local function claim()
  data.host = name
  tell("host", now())
end

share:on_status(function(_, info)
  if not info.host or info.host == host then return end
  host, resumed = info.host, false
  if host == share.id then claim() end
end)
if host == share.id then claim() end

-- Without its director a zone has nothing to play.
local director <const> = uv.os_getppid()
memshare.every(1, function()
  if uv.os_getppid() ~= director then os.exit(1) end
end)

share:on("phase", function(phase)
  if phase == "finish" then
    moving:close()
    memshare.stop()
  elseif phase == "report" then
    settle()
    tell("report", accepted, memshare.to_json(data))
  elseif phase == "leave" then
    memshare.stop()
  end
end)

memshare.run() -- until the director says "finish"
assert(share:flush(5))
data.zones[name].state = "finished"
memshare.run() -- until the director has heard that from all, has all reports and says "leave"
