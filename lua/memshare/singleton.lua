--- share:singleton(name, fn): a task that runs in one process at a time, of all that ask for it.
--- - The one that runs it holds the lock of that name. When its process dies, is cut off or gives
--up, the next one - in the queue starts its own; a process that lost the lock without knowing,
--since it was stopped, has its task - closed at its next poll, and the host refuses what it writes
--until then.
local core = require "memshare.core"

---@class memshare.Singleton
local Singleton = {}
Singleton.__index = Singleton
Singleton.__close = function(self) self:close() end

---Is it this process that runs the task?
---@return boolean
function Singleton:is_running() return self.lease ~= nil and self.lease:is_held() end

---Stop taking part: the task is closed, and runs elsewhere from then on.
function Singleton:close()
  self.is_closed = true
  if self.lease then self.lease:release() end
end

local PAUSE <const> = 1 -- seconds before a function that failed is tried again

-- Runs to its end, whatever that is, and gives the lock back.
local function run(self, fn, lease)
  local ok, problem = xpcall(fn, debug.traceback, lease)
  self.is_over, self.has_failed = ok, not ok
  if lease:is_held() then lease:release() end
  if not ok then error(problem, 0) end
end

local function hold(self, share, name, fn)
  while not self.is_closed and not self.is_over do
    local lease, message, code = share:lock(name)
    if not lease then
      if code == "ECLOSED" then return end
      error(("singleton %q: %s (%s)"):format(name, message, code), 0)
    end
    self.lease, self.has_failed = lease, false
    if self.is_closed then
      lease:release()
      return
    end
    local task = core.go(run, self, fn, lease)
    lease:wait_lost()
    self.lease = nil
    if coroutine.status(task) == "suspended" then coroutine.close(task) end
    if self.has_failed then core.sleep(PAUSE) end
  end
end

---@param share table
---@param name string of the lock
---@param fn fun(lease: memshare.Lease) runs as a task. When it returns, this process is through
---with it, and the next one has its turn; when it raises, too, but this one queues again.
---@return memshare.Singleton
return function(share, name, fn)
  local self = setmetatable({ is_closed = false, is_over = false }, Singleton)
  core.go(hold, self, share, name, fn)
  return self
end
