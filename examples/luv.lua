-- A peer inside somebody else's event loop, here luv's. The loop waits on one descriptor; memshare
-- works whenever that becomes readable. Needs `luarocks install luv` (Debian: lua-luv).
--
--   memshare run examples/luv.lua [TICKS]
local memshare = require "memshare"

-- Only because this file is called like the module, which `require` would find it instead of.
package.preload.luv = package.loadlib(package.searchpath("luv", package.cpath), "luaopen_luv")
local uv = require "luv"

local ticks <const> = tonumber(arg[1]) or 10

local share <close> = assert(memshare.open("ticks", { ticks = 0 }))
share:on("ticks", function(new) print("ticks: " .. new) end)

-- memshare has timers of its own: some work is due at a time, not when bytes arrive.
local due <const> = uv.new_timer()

local function work()
  memshare.poll(0) -- never waits: the loop does that
  local seconds = share:timeout()
  if seconds then
    due:start(math.ceil(seconds * 1000), 0, work)
  else
    due:stop()
  end
end

local readable <const> = uv.new_poll(memshare.fd())
readable:start("r", work)
work()

-- Anything else the loop does goes on as ever, and may write to the share.
local clock <const> = uv.new_timer()
local count = 0
clock:start(0, 20, function()
  count = count + 1
  share.data.ticks = memshare.inc(1)
  work() -- an own write shows in its hooks at the next poll
  if count == ticks then uv.stop() end
end)

uv.run()
assert(share:flush(5))
print("done at " .. share.data.ticks)
