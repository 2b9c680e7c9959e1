-- One counter, many processes. Run this in several terminals at once:
--
--   memshare run examples/counter.lua [TIMES] [SECONDS BETWEEN]
--
-- Every process sees every step, and no step gets lost, whoever is killed meanwhile.
local memshare = require "memshare"

local times <const> = tonumber(arg[1]) or 20
local pause <const> = tonumber(arg[2]) or 0.5

-- The first process founds the share with these defaults; for all others the share is as it is.
local share <close> = assert(memshare.open("counter", { count = 0 }))

-- Called for each change, whoever made it, while this process polls, waits or sleeps.
share:on("count", function(new, old, _, change)
  print(("%s -> %d  %s"):format(old or "nothing", new, change.is_local and "(me)" or ""))
end)

local left = times
local timer
timer = memshare.every(pause, function()
  -- Not `share.data.count + 1`: two processes that read the same number would write the same one.
  share.data.count = memshare.inc(1)
  left = left - 1
  if left == 0 then
    timer:close() -- or it would go on counting while flush waits below
    memshare.stop()
  end
end)
memshare.run() -- until memshare.stop(), and under `memshare run` until Ctrl-C

-- Wait until the group has accepted all of it: from here on it survives kill -9 of this process.
assert(share:flush(5))
print("count is " .. share.data.count)
