-- What a peer process does to a list it shares with others: random edits, written down with what
-- became of them, and jobs taken from a queue. Runs inside a peer (peer.lua); the results go back
-- to the spec.
local memshare = require "memshare"

local M = {}

local WAIT_S <const> = 15
local TRIES <const> = 500

-- One kind of edit each: makes it, and returns its receipt and the id of the element it is about;
-- nil when there is nothing to edit.
local edits = {}

function edits.append(worker)
  local list, element = worker.list, worker:element()
  local receipt = worker.share:batch(function()
    local way = math.random(3)
    if way == 1 then list[#list + 1] = element end
    if way == 2 then table.insert(list, element) end
    if way == 3 then memshare.insert(list, element) end
  end)
  return receipt, element.id
end

function edits.insert(worker)
  local element = worker:element()
  local receipt = memshare.insert(worker.list, math.random(#worker.list + 1), element)
  return receipt, element.id
end

function edits.remove(worker)
  local list = worker.list
  if #list == 0 then return nil end
  local position = math.random(2) == 1 and math.random(#list) or nil
  local removed, receipt = memshare.remove(list, position)
  return receipt, removed.id
end

-- Notes in the element which one was meant, through a proxy or by its path, and counts.
function edits.edit(worker)
  local list = worker.list
  if #list == 0 then return nil end
  local index = math.random(#list)
  local id = list[index].id
  if math.random(2) == 1 then
    return worker.share:batch(function()
      list[index].meant = id
      list[index].edits = memshare.inc(1)
    end), id
  end
  local at = ("list.%d."):format(index - 1)
  return worker.share:patch {
    ["$set"] = { [at .. "meant"] = id }, ["$inc"] = { [at .. "edits"] = 1 },
  }, id
end

local kinds <const> = { "append", "insert", "remove", "edit" }

local Worker = {}
Worker.__index = Worker

-- An element that was never there before.
function Worker:element()
  self.made = self.made + 1
  return { id = self.share.id .. "-" .. self.made, edits = 0 }
end

function Worker:make(kind)
  local receipt, id = edits[kind](self)
  if not receipt then return nil end
  self.journal[#self.journal + 1] = { kind = kind, id = id, receipt = receipt }
  return receipt
end

---Edit `share.data.list` `count` times at random, then in each way until that is accepted.
---@return { kind: string, id: string, state: string, code: string? }[]
function M.edit(share, seed, count)
  math.randomseed(seed)
  local self = { share = share, list = share.data.list, made = 0, journal = {} }
  setmetatable(self, Worker)
  local _ <close> = share:on_reject(function() end) -- the receipts tell
  for _ = 1, count do
    local receipt = self:make(kinds[math.random(#kinds)])
    if receipt and math.random(2) == 1 then receipt:wait(WAIT_S) else share:poll(0) end
  end
  for _, kind in ipairs(kinds) do
    local tries, accepted = 0, false
    repeat
      tries = tries + 1
      local receipt = self:make(kind)
      if receipt then accepted = receipt:wait(WAIT_S) else self:make "append" end
    until accepted or tries == TRIES
  end
  assert(share:flush(WAIT_S))
  local written = {}
  for i, entry in ipairs(self.journal) do
    local receipt = entry.receipt
    written[i] = { kind = entry.kind, id = entry.id, state = receipt.state, code = receipt.code }
  end
  return written
end

---Append `count` numbered jobs to `share.data.queue`, and say so in `share.data.done`.
function M.produce(share, count)
  for n = 1, count do
    table.insert(share.data.queue, { number = n })
    share:poll(0)
  end
  assert(share:flush(WAIT_S))
  share.data.done = true
  assert(share:flush(WAIT_S))
end

---Take jobs from `share.data.queue` until none is left and none will come.
---@return integer[] taken the numbers of the jobs whose removal was accepted
---@return integer lost how often another was faster
function M.consume(share)
  local data, taken, lost = share.data, {}, 0
  local _ <close> = share:on_reject(function() end)
  while not (data.done and #data.queue == 0) do
    local job, receipt = memshare.remove(data.queue, 1)
    if not job then
      share:poll(1)
    elseif receipt:wait(WAIT_S) then
      taken[#taken + 1] = job.number
    else
      assert(receipt.state == "rejected", receipt.state)
      assert(receipt.code == "ECONFLICT" or receipt.code == "EPATH", receipt.code)
      lost = lost + 1
    end
  end
  return taken, lost
end

return M
