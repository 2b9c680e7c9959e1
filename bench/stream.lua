-- Free-running assignments of 64 bytes to 100 keys, each a patch of its own, until every reader's
-- hooks have been called for the last one. A reader that falls far behind hears of several changes
-- at once; the share that it heard one by one is printed as well.
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

local M = {}

-- Several writers, each to keys of its own; the readers wait for the last word of each.
local LISTEN_TO_MANY <const> = [[
  local writers = ...
  heard, ended = 0, 0
  share:on("keys.*", function() heard = heard + 1 end)
  for n = 1, writers do share:on("done" .. n, function() ended = ended + 1 end) end]]

local READ_MANY <const> = [[
  local writers = ...
  while ended < writers do share:poll(1) end
  return require "luv".hrtime(), heard]]

local WRITE_AS_ONE <const> = [=[
  local number, total = ...
  local keys, names, values = data.keys, {}, {}
  for n = 0, 99 do names[n] = ("w%dkey%d"):format(number, n) end
  for n = 0, 99 do values[n] = ("%064d"):format(n) end
  local began = require "luv".hrtime()
  for n = 1, total do keys[names[n % 100]] = values[n % 99] end
  data["done" .. number] = true
  assert(share:flush(60))
  return began]=]

---Assignments of several peers of a cluster at once, until all readers heard the last of each.
---@param writers table[]
---@param readers table[]
---@return number rate assignments per second, of all writers together
---@return number share of them that the slowest reader heard one by one
function M.measure_many(writers, readers, total)
  local reading, writing = {}, {}
  for i, reader in ipairs(readers) do
    reader:eval(LISTEN_TO_MANY, #writers)
    reading[i] = reader:start(READ_MANY, #writers)
  end
  for i, writer in ipairs(writers) do
    writing[i] = writer:start(WRITE_AS_ONE, i, total // #writers)
  end
  local began, last, heard = math.huge, 0, total
  for _, answer in ipairs(writing) do began = math.min(began, answer:wait(90000)) end
  for _, answer in ipairs(reading) do
    local ended, n = answer:wait(90000)
    last, heard = math.max(last, ended), math.min(heard, n)
  end
  return total / (last - began) * 1e9, heard / total
end

---Assignments of one peer of a cluster, whose document has an object `keys`, until all readers
---heard the last one.
---@param writer table
---@param readers table[]
---@return number rate assignments per second
---@return number share of them that the slowest reader heard one by one
function M.measure(writer, readers, total)
  local reading = {}
  for i, reader in ipairs(readers) do
    reader:eval(LISTEN)
    reading[i] = reader:start(READ)
  end
  local began = writer:start(WRITE, total):wait(90000)
  local last, heard = 0, total
  for _, answer in ipairs(reading) do
    local ended, n = answer:wait(90000)
    last, heard = math.max(last, ended), math.min(heard, n)
  end
  return total / (last - began) * 1e9, heard / total
end

return M
