--- memshare: one live object, shared by the processes of one machine.
---
---   local memshare = require "memshare"
---   local share <close> = assert(memshare.open("arena", { round = 0 }))
---   share.data.round = 1
---
--- Everything that touches a share lives in the C module `memshare.core`; its annotations are in
--- `memshare/library/core.lua`. This module is what scripts see, and where errors and warnings go.
local core = require "memshare.core"

---@class memshare
local M = {
  _VERSION = "memshare " .. core.version,

  -- shares
  open = core.open,
  new = core.new,
  list = core.list,

  -- in assignments: data.count = memshare.inc(1)
  inc = core.inc,
  mul = core.mul,
  min = core.min,
  max = core.max,
  push = core.push,
  pull = core.pull,
  add_to_set = core.add_to_set,
  timestamp = core.timestamp,

  -- edits of lists
  insert = core.insert,
  remove = core.remove,

  -- values and proxies
  copy = core.copy,
  count = core.count,
  array = core.array,
  object = core.object,
  null = core.null,
  type = core.type,
  equal = core.equal,
  path = core.path,
  from_json = core.from_json,
  to_json = core.to_json,
  apply = core.apply,

  -- the loop
  poll = core.poll,
  run = core.run,
  stop = core.stop,
  go = core.go,
  sleep = core.sleep,
  after = core.after,
  every = core.every,
  fd = core.fd,
}

---Called with the message and traceback of an error in a callback; assign your own.
---@param traceback string
function M.on_error(traceback) io.stderr:write("memshare: ", traceback, "\n") end

---Called with each line that the library logs, among them rejections that no handler heard of;
---assign your own.
---@param level "debug" | "info" | "warning" | "error"
---@param line string
function M.log(level, line) io.stderr:write("memshare: ", level, ": ", line, "\n") end

core.add_method("singleton", require "memshare.singleton")
core.attach(M)

return M
