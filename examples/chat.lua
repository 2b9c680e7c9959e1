-- A chat room for the people on one machine. Run this in several terminals:
--
--   memshare run examples/chat.lua NAME
--
-- Each line that you type goes to all; who joins later sees what was said before.
local memshare = require "memshare"
-- The module, and not examples/luv.lua beside this file.
package.preload.luv = package.loadlib(package.searchpath("luv", package.cpath), "luaopen_luv")
local uv = require "luv"

local name <const> = arg[1] or os.getenv "USER" or "somebody"

local share <close> = assert(memshare.open("chat", { lines = memshare.array {} }))

-- Appending never conflicts: of two who speak at once both are heard, by all in the same order.
local function say(text)
  share.data.lines = memshare.push { from = name, text = text, at = memshare.timestamp() }
end

share:on("lines.*", function(line)
  if not line then return end
  local at = os.date("%H:%M", line.at // 1000)
  print(("%s %s: %s"):format(at, line.from, line.text))
end, { immediate = true })

-- Who is here is known without anybody saying so.
print(("%d in the room"):format(#share:peers()))

-- stdin is read by luv, so memshare lives in luv's loop.
local due <const> = uv.new_timer()
local function work()
  memshare.poll(0)
  local seconds = share:timeout()
  if seconds then due:start(math.ceil(seconds * 1000), 0, work) else due:stop() end
end
uv.new_poll(memshare.fd()):start("r", work)
work()

local stdin <const> = uv.guess_handle(0) == "tty" and uv.new_tty(0, true) or uv.new_pipe(false)
if uv.guess_handle(0) ~= "tty" then stdin:open(0) end
local rest = ""
stdin:read_start(function(_, text)
  if not text then return uv.stop() end
  rest = rest .. text
  for line in rest:gmatch "([^\n]*)\n" do say(line) end
  rest = rest:match "[^\n]*$"
  work()
end)
uv.run()
