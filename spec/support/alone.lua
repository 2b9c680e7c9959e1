-- One process that founds a share in a directory of its own: a complete host, for specs of the Lua
-- contract that need no other peer.
--
--   local alone <close> = alone.open({ round = 0 })
--   alone.data.round = 1
local memshare = require "memshare"
local process = require "spec.support.process"

local Alone = {}
Alone.__index = Alone

---Run `fn` and return what it raises; fails when it raises nothing, or not at a line of `file`.
function Alone.raised(fn, ...)
  local file = debug.getinfo(2, "S").short_src:match "[^/]*$"
  local ok, message = pcall(fn, ...)
  if ok then error("nothing was raised", 2) end
  if not message:match "^[^ ]+:%d+: " or not message:find(file, 1, true) then
    error("raised elsewhere: " .. tostring(message), 2)
  end
  return message
end

---Poll until `done()` is true.
function Alone.wait(done)
  local late = false
  local _ <close> = memshare.after(10, function() late = true end)
  while not done() do
    if late then error("it never happened", 2) end
    memshare.poll(1)
  end
end

---A list of the calls of a hook, each { new, old, path, change }, and the hook that fills it.
function Alone.listener()
  local calls = {}
  return calls, function(new, old, path, change)
    calls[#calls + 1] = { new = new, old = old, path = path, change = change }
  end
end

---Poll until what is due by now has been called: an own write to `mark` was heard of.
function Alone:settle()
  local done = false
  local _ <close> = self.share:on("mark", function() done = true end)
  self.data.mark = (self.data.mark or 0) + 1
  Alone.wait(function() return done end)
end

function Alone:__close()
  if self.share then self.share:close(5) end
  process.remove_directory(self.directory)
end

---@param defaults table?
---@param options table? of memshare.open
function Alone.open(defaults, options)
  local self = setmetatable({ directory = process.directory() }, Alone)
  self.options = { dir = self.directory }
  for name, value in pairs(options or {}) do self.options[name] = value end
  self.share = assert(memshare.open("alone", defaults, self.options))
  self.data = self.share.data
  return self
end

---A directory and no share yet.
function Alone.directory_only()
  local self = setmetatable({ directory = process.directory() }, Alone)
  self.options = { dir = self.directory }
  return self
end

return Alone
