-- A peer inside cqueues' loop: a share can be polled like a socket, because it has the methods
-- pollfd, events and timeout that cqueues asks for. Needs `luarocks install cqueues` (Debian:
-- lua-cqueues).
--
--   memshare run examples/cqueues_loop.lua [STEPS]
local cqueues = require "cqueues"
local memshare = require "memshare"

local steps <const> = tonumber(arg[1]) or 10

local share <close> = assert(memshare.open("steps", { steps = 0 }))
share:on("steps", function(new) print("steps: " .. new) end)

local loop <const> = cqueues.new()
local running = true

-- One coroutine of cqueues does memshare's work: whenever there is some, or a timer is due.
loop:wrap(function()
  while running do
    share:poll(0)
    cqueues.poll(share, 0.1)
  end
end)

-- Any other goes on as ever. In these, waits of memshare block, so they write and do not wait ...
loop:wrap(function()
  for _ = 1, steps do
    share.data.steps = memshare.inc(1)
    cqueues.sleep(0.01)
  end
  -- ... while a task of memshare waits without blocking, also in this loop.
  memshare.go(function()
    assert(share:flush(5))
    running = false
  end)
end)

assert(loop:loop())
print("done at " .. share.data.steps)
