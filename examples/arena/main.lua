-- The arena: one shared world, many processes, and the host may die.
--
--   memshare run examples/arena/main.lua [SECONDS BETWEEN]
--
-- Six zones move their players (zone.lua), a scoreboard draws the world (scoreboard.lua), and this
-- director kills the host with SIGKILL, twice. At the end it holds what the survivors counted for
-- themselves against the world: exit status 1 if an accepted move is lost or two replicas differ.
local memshare = require "memshare"
local uv = require "luv"

local ZONES <const> = { "north", "east", "south", "west", "hills", "marsh" }
local PAUSE <const> = tonumber(arg[1]) or 4
local PATIENCE <const> = 10 -- seconds
local here <const> = arg[0]:match "^(.*)/[^/]*$" or "."
local pid <const> = math.tointeger(uv.os_getpid())
local name <const> = "arena-" .. pid
local mode <const> = uv.guess_handle(1) == "tty" and "tty" or "plain"

-- --------------------------------------------------------------- processes

-- The children find their modules where this process does.
uv.os_setenv("LUA_PATH", package.path)
uv.os_setenv("LUA_CPATH", package.cpath)

-- All children; none of them outlives this script.
local children <close> = setmetatable({}, { __close = function(list)
  for _, child in ipairs(list) do child.kill() end
  if mode == "tty" then io.stdout:write "\27[?25h" end -- the cursor that the scoreboard hid
end })

-- Starts a script. Lines that it prints go to `on_line`, or to our own output when that is nil.
local function spawn(script, args, on_line)
  local child = { name = table.concat(args, " ") }
  local pipe = on_line and uv.new_pipe(false)
  child.handle, child.pid = uv.spawn(uv.exepath(), {
    args = { here .. "/" .. script, table.unpack(args) },
    stdio = { nil, pipe or 1, 2 },
  }, function() child.exited = true end)
  if not child.handle then error(("cannot start %s: %s"):format(script, child.pid)) end
  function child.kill()
    child.may_exit = true
    if not child.exited then uv.process_kill(child.handle, "sigkill") end
  end
  if pipe then
    local rest = ""
    pipe:read_start(function(_, chunk)
      if not chunk then
        child.ended = true
        return
      end
      rest = (rest .. chunk):gsub("([^\n]*)\n", function(line)
        on_line(line)
        return ""
      end)
    end)
    child.pipe = pipe
  end
  children[#children + 1] = child
  return child
end

-- Lets luv and memshare work until `done()`; raises after PATIENCE seconds, or when a child is gone
-- that nobody killed.
local function wait_for(what, done)
  local deadline = uv.hrtime() + PATIENCE * 1e9
  while not done() do
    if uv.hrtime() > deadline then error("waited in vain for " .. what, 0) end
    for _, child in ipairs(children) do
      if child.exited and not child.may_exit then error(child.name .. " has ended", 0) end
    end
    memshare.sleep(0.005)
    uv.run "nowait"
  end
end

local function pause(seconds)
  local ends = uv.hrtime() + seconds * 1e9
  wait_for("time to pass", function() return uv.hrtime() >= ends end)
end

-- ------------------------------------------------------------------- zones

local zones = {}
local host -- the zone that is host

-- What zone.lua prints.
local hear = {
  accepted = function(zone, count) zone.accepted = tonumber(count) end,
  host = function(zone, time) host, zone.host_since = zone, tonumber(time) end,
  resumed = function(zone, time) zone.resumed = tonumber(time) end,
  report = function(zone, rest)
    local count, text = rest:match "^(%d+) (.*)$"
    zone.accepted, zone.document = tonumber(count), text
  end,
}

local function start_zone(zone_name)
  local zone = { name = zone_name, accepted = 0, alive = true }
  zone.child = spawn("zone.lua", { name, zone_name }, function(line)
    local word, rest = line:match "^(%a+) (.*)$"
    hear[word](zone, rest)
  end)
  zones[#zones + 1] = zone
  return zone
end

local function all(list, test)
  for _, item in ipairs(list) do
    if not test(item) then return false end
  end
  return true
end

local function survivors()
  local list = {}
  for _, zone in ipairs(zones) do
    if zone.alive then list[#list + 1] = zone end
  end
  return list
end

-- ---------------------------------------------------------------- the play

start_zone(ZONES[1])
wait_for("the first zone", function() return host end)
for i = 2, #ZONES do start_zone(ZONES[i]) end

-- The director is a peer as well, but never host.
local share <close> = assert(memshare.open(name, nil, { can_host = false }))
local data <const> = share.data
spawn("scoreboard.lua", { name, mode })

local function news(text, ...) share:push("news", text:format(...)) end

local function count_moves()
  local sum = 0
  for _, moves in pairs(data.moves) do sum = sum + moves end
  return sum
end

-- Kills the host and says who took over, when, and after how many accepted patches.
local function kill_host()
  local victim = host
  local left = {}
  local accepted = count_moves()
  for _, zone in ipairs(zones) do
    zone.resumed = nil
    if zone.alive and zone ~= victim then left[#left + 1] = zone end
  end
  host, victim.alive = nil, false
  local began = uv.hrtime()
  victim.child.kill()
  wait_for("the end of " .. victim.name, function() return victim.child.exited end)
  wait_for("another host", function() return host end)
  wait_for("moves to go on", function()
    return all(left, function(zone) return zone.resumed end)
  end)
  local last = 0
  for _, zone in ipairs(left) do last = math.max(last, zone.resumed) end
  news("kill -9 of %s (pid %d), the host, after %d accepted moves", victim.name,
    victim.child.pid, accepted)
  news("  %s is host after %.1f ms; moves of all zones are accepted again after %.1f ms",
    host.name, (host.host_since - began) / 1e6, (last - began) / 1e6)
  data.zones[victim.name].state = "killed"
end

news("%d zones and this scoreboard share one table; %s is host", #zones, host.name)
wait_for("all zones to move", function()
  return all(zones, function(zone) return zone.accepted > 0 end)
end)
pause(PAUSE)
kill_host()
pause(PAUSE)
kill_host()
pause(PAUSE)

-- --------------------------------------------------------------- the proof

data.phase = "finish"
wait_for("the zones to finish", function()
  return all(survivors(), function(zone) return data.zones[zone.name].state == "finished" end)
end)
data.phase = "report"
wait_for("the reports", function()
  return all(survivors(), function(zone) return zone.document end)
end)
local document <const> = memshare.to_json(data)

for _, child in ipairs(children) do child.may_exit = true end
data.phase = "leave"
wait_for("the end of all", function()
  return all(children, function(child) return child.exited end)
end)

local failed = false
local function check(holds, text, ...)
  print(("  %s  %s"):format(holds and "ok  " or "LOST", text:format(...)))
  failed = failed or not holds
end

print "\nWhat each zone was promised, counted outside the share, against the moves in the world:"
for _, zone in ipairs(zones) do
  local moves = data.moves[zone.name]
  if zone.alive then
    check(moves == zone.accepted, "%-6s %6d accepted, %6d in the world", zone.name,
      zone.accepted, moves)
  else -- it may have died before it could tell of its last moves
    check(moves >= zone.accepted, "%-6s %6d accepted when it was killed, %d in the world",
      zone.name, zone.accepted, moves)
  end
end
check(all(survivors(), function(zone) return zone.document == document end),
  "%d replicas and the director's are equal: %d bytes as JSON", #survivors(), #document)

-- ------------------------------------------------------ a JSON file, loaded

-- The installed command, else that of the build tree.
local function find_command()
  for folder in os.getenv "PATH":gmatch "[^:]+" do
    if uv.fs_access(folder .. "/memshare", "X") then return "memshare" end
  end
  return here .. "/../../build/bin/memshare"
end

local function find_json()
  for _, path in ipairs { "/usr/lib/node_modules/npm/package.json",
    "/usr/share/nodejs/npm/package.json" } do
    if uv.fs_stat(path) then return path, "repository.url" end
  end
  return here .. "/../settings.json", "world.width"
end

-- Runs the command. This script waits for it and polls nothing meanwhile, yet is the host of the
-- share that the command loads: the library's own thread stands in.
local function run(...)
  local words = table.concat({ ... }, " ")
  print("$ memshare " .. words)
  io.stdout:flush()
  return os.execute(find_command() .. " " .. words)
end

print "\nA JSON file becomes a shared table, for as long as one process has it open:"
local path, key = find_json()
local settings_name <const> = "settings-" .. pid
local settings <close> = assert(memshare.open(settings_name))
local loaded = run("load", settings_name, path)
local shown = run("get", settings_name, key)
settings:sync(5) -- what this script sees changes only when it polls or waits
check(loaded and shown and settings:get(key) ~= nil, "%d top-level keys are here as well: %s = %s",
  memshare.count(settings.data), key, tostring(settings:get(key)))

os.exit(failed and 1 or 0, true)
