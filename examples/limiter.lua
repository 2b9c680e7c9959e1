-- A rate limiter for all processes together: no more than LIMIT requests in each window of time.
--
--   memshare run examples/limiter.lua [REQUESTS] [LIMIT] [SECONDS OF A WINDOW]
--
-- Start several: together they stay within the limit.
local memshare = require "memshare"

local requests <const> = tonumber(arg[1]) or 100
local limit <const> = math.tointeger(tonumber(arg[2]) or 20)
local length <const> = tonumber(arg[3]) or 1

local share <close> = assert(memshare.open("limiter", { windows = memshare.object {} }))
share:on_reject(function() end) -- a refusal is an answer here, and not worth a warning

-- The host asks the condition when it decides the patch, so two processes that see the same last
-- free place cannot both get it. `$not $gte` also holds where no request was counted yet.
local function allowed()
  local window = ("windows.%d"):format(os.time() // length)
  local receipt = assert(share:patch({ ["$inc"] = { [window] = 1 } },
    { where = { [window] = { ["$not"] = { ["$gte"] = limit } } } }))
  local version, message, code = receipt:wait()
  if not version and code ~= "ECONDITION" then error(message) end
  return version ~= nil
end

-- Windows that are over go, whoever notices first.
local _ <close> = memshare.every(length, function()
  local present = os.time() // length
  for window in pairs(share.data.windows) do
    if tonumber(window) < present then share:unset { "windows", window } end
  end
end)

-- Each request is a task: it waits for its answer while others are asked.
local passed, left = 0, requests
for _ = 1, requests do
  memshare.go(function()
    if allowed() then passed = passed + 1 end
    left = left - 1
    if left == 0 then memshare.stop() end
  end)
end
if left > 0 then memshare.run() end
print(("%d of %d requests passed"):format(passed, requests))
