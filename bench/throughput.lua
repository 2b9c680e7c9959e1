-- Free-running assignments of 64 bytes to 100 keys, each a patch of its own, until every reader's
-- hooks have been called for the last one. A reader that falls far behind hears of several changes
-- at once; the share that it heard one by one is printed as well.
local cluster = require "spec.support.cluster"

local LISTEN <const> = [[
  heard, ended = 0, false
  share:on("keys.*", function() heard = heard + 1 end)
  share:on("done", function(new) ended = new end)]]

local READ <const> = [[
  while not ended do share:poll(1) end
  return require "luv".hrtime(), heard]]

local WRITE <const> = [=[
  local total = ...
  local keys, names, values = data.keys, {}, {}
  for n = 0, 99 do names[n] = "key" .. n end
  for n = 0, 99 do values[n] = ("%064d"):format(n) end
  local began = require "luv".hrtime()
  for n = 1, total do
    -- The 99 values come round after 100 keys: each assignment changes its key.
    keys[names[n % 100]] = values[n % 99]
  end
  data.done = true
  assert(share:flush(60))
  return began]=]

local function measure(report, where, label, writer_is_host, readers, total)
  local peers <close> = cluster.start {
    count = readers + (writer_is_host and 1 or 2), defaults = { keys = {} },
    before = where == "one core" and { "taskset", "-c", "0" } or nil,
  }
  local writer = writer_is_host and peers[1] or peers[#peers]
  local reading = {}
  for _, peer in ipairs(peers) do
    if peer ~= writer and (peer ~= peers[1] or writer_is_host) then
      peer:eval(LISTEN)
      reading[#reading + 1] = peer:start(READ)
    end
  end
  local began = writer:start(WRITE, total):wait(90000)
  local last, heard = 0, total
  for _, answer in ipairs(reading) do
    local ended, n = answer:wait(90000)
    last, heard = math.max(last, ended), math.min(heard, n)
  end
  peers:settle()
  report:add(where, label, total / (last - began) * 1e9, "1/s", "rate." .. readers)
  report:add(where, label .. ", heard one by one", heard / total * 100, "%")
end

return function(report, where, scale)
  measure(report, where, "assignments, host to 1 reader", true, 1, scale.assignments)
  measure(report, where, "assignments, host to 8 readers", true, 8, scale.assignments // 4)
  measure(report, where, "assignments, client to 1 reader", false, 1, scale.assignments)
  measure(report, where, "assignments, client to 8 readers", false, 8, scale.assignments // 4)
end
