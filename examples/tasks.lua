-- memshare by itself: its own loop, timers, and tasks. A task is written as if it blocked; whenever
-- it waits, the others run.
--
--   memshare run examples/tasks.lua [ORDERS]
local memshare = require "memshare"

local orders <const> = tonumber(arg[1]) or 5

local share <close> = assert(memshare.open("kitchen", { orders = memshare.array {}, served = 0 }))
local data = share.data

-- A cook waits for work; of all cooks in all processes exactly one gets each order.
local function cook(name)
  while share:wait_for("orders", function(list) return list and #list > 0 end, math.huge) do
    local order, receipt = memshare.remove(data.orders, 1)
    if order and receipt:wait() then
      memshare.sleep(0.01) -- cooking
      data.served = memshare.inc(1)
      print(("%s cooked %s"):format(name, order))
    end
  end
end

-- Rejections are part of this game: somebody else was quicker.
share:on_reject(function() end)
for _, name in ipairs { "ann", "bob" } do memshare.go(cook, name) end

memshare.go(function()
  for n = 1, orders do
    data.orders = memshare.push("order " .. n)
    memshare.sleep(0.002)
  end
  share:wait_for("served", function(served) return served >= orders end, 10)
  share:flush(5)
  memshare.stop()
end)

local ticks = 0
local _ <close> = memshare.every(0.01, function() ticks = ticks + 1 end)
memshare.after(20, memshare.stop) -- whatever happens
memshare.run()
print(("%d served, %d ticks of the clock"):format(data.served, ticks))
