-- Free-running assignments (stream.lua) of the host, or of a client, to one and to eight readers.
local cluster = require "spec.support.cluster"
local stream = require "bench.stream"

local function measure(report, where, label, writer_is_host, count, total)
  local peers <close> = cluster.start {
    count = count + (writer_is_host and 1 or 2), defaults = { keys = {} },
    before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
  local writer = writer_is_host and peers[1] or peers[#peers]
  local readers = {}
  for _, peer in ipairs(peers) do
    if peer ~= writer and (peer ~= peers[1] or writer_is_host) then readers[#readers + 1] = peer end
  end
  local rate, heard = stream.measure(writer, readers, total)
  peers:settle()
  report:add(where, label, rate, "1/s", "rate." .. count)
  report:add(where, label .. ", heard one by one", heard * 100, "%")
end

-- The host is one of the writers.
local function measure_many(report, where, label, count, total)
  local peers <close> = cluster.start {
    count = 2 * count, defaults = { keys = {} },
    before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
  local writers, readers = {}, {}
  for i = 1, count do writers[i], readers[i] = peers[i], peers[count + i] end
  local rate, heard = stream.measure_many(writers, readers, total)
  peers:settle()
  report:add(where, label, rate, "1/s")
  report:add(where, label .. ", heard one by one", heard * 100, "%")
end

return function(report, where, scale)
  measure(report, where, "assignments, host to 1 reader", true, 1, scale.assignments)
  measure(report, where, "assignments, host to 8 readers", true, 8, scale.assignments // 4)
  measure(report, where, "assignments, client to 1 reader", false, 1, scale.assignments)
  measure(report, where, "assignments, client to 8 readers", false, 8, scale.assignments // 4)
  measure_many(report, where, "assignments, 4 writers, 4 readers", 4, scale.assignments // 4)
end
