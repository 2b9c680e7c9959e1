-- A clock that ticks in exactly one of many processes. Run this in several terminals, and kill the
-- one that ticks:
--
--   memshare run examples/cron.lua [SECONDS] [NAME]
--
-- The others wait for their turn. A tick that fell due while nobody ticked is made up for, and none
-- is made twice: which one was the last is part of the share.
local memshare = require "memshare"

local seconds <const> = tonumber(arg[1]) or 1
local name <const> = arg[2] or "cleaning"

local share <close> = assert(memshare.open("cron", { tasks = {}, ticks = memshare.array {} }))
local data = share.data

-- What there is to do. It is told which tick this is, counted from the first.
local function run(tick)
  print(("%s %d"):format(name, tick))
end

---Say that a tick is ours. Only who still has the lock behind the singleton can: a process that was
---stopped for a while is told EDENIED, and does nothing.
local function claim(tick)
  local receipt = share:batch(function()
    data.tasks[name].last = tick
    local made = { task = name, tick = tick, by = share.id }
    share:patch { ["$push"] = { ticks = { ["$each"] = { made }, ["$slice"] = -100 } } }
  end)
  return receipt:wait(10) ~= nil
end

---Seconds until tick `number` is due.
local function due_in(task, number)
  return task.began + number * task.every - os.time() -- whole seconds are enough for a clock
end

share:singleton("cron " .. name, function(lease)
  print(("%s ticks here, with fence %d"):format(name, lease.fence))
  if not data.tasks[name] then
    data.tasks[name] = { every = seconds, began = os.time(), last = 0 }
  end
  while lease:is_held() do
    local tick = data.tasks[name].last + 1
    if due_in(data.tasks[name], tick) > 0 then
      memshare.sleep(math.min(0.05, seconds))
    elseif claim(tick) then
      run(tick)
    end
  end
end)

print("ready")
memshare.run()
