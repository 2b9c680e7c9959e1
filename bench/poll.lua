-- A poll for nothing (poll.c), as a frame loop makes it.
local process = require "spec.support.process"

return function(report, where, scale, program)
  local directory <const> = process.directory()
  local ns = tonumber(program("bench_poll", directory, ("%d"):format(scale.accesses)))
  process.remove_directory(directory)
  report:add(where, "a poll with nothing to do", ns, "ns", nil, "below 100 ns")
end
