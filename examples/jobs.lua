-- A job queue whose workers may crash. Start as many workers as you like, add jobs from anywhere:
--
--   memshare run examples/jobs.lua work [SECONDS_A_JOB]
--   memshare run examples/jobs.lua add TEXT...
--
-- A worker holds the lock of the job it works on. If it is killed in the middle, the lock goes with
-- it and another worker does the job once more: no job is lost, and none is done by two at a time.
local memshare = require "memshare"

local action <const> = arg[1]
local share <close> = assert(memshare.open("jobs", { last = 0, waiting = {}, done = {} }))
local data = share.data

local function add(text)
  return share:transaction(function(draft)
    draft.last = draft.last + 1
    draft.waiting[tostring(draft.last)] = { text = text, attempts = 0 }
    return draft.last
  end)
end

---The numbers of the jobs that wait, oldest first.
local function waiting()
  local ids = {}
  for id in pairs(data.waiting) do ids[#ids + 1] = id end
  table.sort(ids, function(a, b) return tonumber(a) < tonumber(b) end)
  return ids
end

---The first job that nobody works on, locked.
local function take()
  for _, id in ipairs(waiting()) do
    local lease = share:try_lock("job " .. id)
    -- Who had the lock before may have finished it: with the lock the view is as new as that.
    if lease and data.waiting[id] then return id, lease end
    if lease then lease:release() end
  end
end

-- Every write in here stands on the lock: once it is lost, the host refuses them (EDENIED), and
-- whoever has it now does the job.
local function work(id, lease, seconds)
  local _ <close> = lease
  local text = data.waiting[id].text
  data.waiting[id].attempts = memshare.inc(1)
  print(("%s: begun"):format(text))
  memshare.sleep(seconds) -- the work itself; the lock is kept alive meanwhile
  local receipt = share:batch(function()
    data.done[id] = { text = text, by = share.id, attempts = data.waiting[id].attempts }
    data.waiting[id] = nil
  end)
  local version, message = receipt:wait(10)
  print(("%s: %s"):format(text, version and "done" or "not mine any more, " .. message))
end

if action == "add" then
  for i = 2, #arg do print(("job %d: %s"):format(assert(add(arg[i])), arg[i])) end
  assert(share:flush(10))
elseif action == "work" then
  local seconds = tonumber(arg[2]) or 1
  print(("worker %s"):format(share.id))
  while true do
    local id, lease = take()
    if id then work(id, lease, seconds) else memshare.sleep(0.05) end
  end
else
  io.stderr:write("usage: jobs.lua work [SECONDS_A_JOB] | jobs.lua add TEXT...\n")
  os.exit(2)
end
