-- `eventually(fn, { within_ms = 5000 })`: what another process does takes a moment. Tries `fn`
-- until it raises nothing and rethrows the last failure at the deadline.
local uv = require "luv"
local process = require "spec.support.process"

local RETRY_MS <const> = 5

return function(fn, options)
  local deadline = uv.hrtime() + (options and options.within_ms or 5000) * 1e6
  while true do
    local ok, failure = pcall(fn)
    if ok then return failure end
    if uv.hrtime() > deadline then error(failure, 0) end
    process.turn(RETRY_MS)
  end
end
