-- Peers that write all the time and keep, in files outside the share, what their receipts promised
-- (`journal` in peer.lua). Afterwards the promises are held against the document.
local M = {}

---What the share of such peers begins with.
M.DEFAULTS = { count = {}, log = {} }

-- What a peer wrote down about its receipts: states by number.
local function read(path)
  local states = {}
  local file <close> = assert(io.open(path))
  for state, number in file:read "a":gmatch "(%a+) (%d+)\n" do states[tonumber(number)] = state end
  return states
end

-- One writer's journal against the document: what was accepted is there, what was rejected is not,
-- nothing is there twice or out of order, counter and list agree. Returns how many were accepted.
local function check(who, states, document)
  local present, last = {}, 0
  local log, count = document.log[who] or {}, document.count[who] or 0
  for _, number in ipairs(log) do
    assert(number > last, ("%s: %d comes after %d"):format(who, number, last))
    present[number], last = true, number
  end
  assert(#log == count, ("%s: %d in the list, %d counted"):format(who, #log, count))
  local accepted = 0
  for number, state in pairs(states) do
    if state == "accepted" then
      accepted = accepted + 1
      assert(present[number], ("%s: accepted patch %d is lost"):format(who, number))
    elseif state == "rejected" then
      assert(not present[number], ("%s: rejected patch %d is there"):format(who, number))
    end
  end
  return accepted
end

---@param peers support.Cluster
---@param directory string? where the journals are: with the share
function M.new(peers, directory)
  local self = { names = {} }
  directory = directory or peers.directory

  local function path(who) return ("%s/%s.journal"):format(directory, who) end

  ---A peer begins to write, under a name of its own.
  function self.begin(peer)
    local who = "w" .. peer.number
    self.names[#self.names + 1] = who
    peer:eval("writer = journal(...)", who, path(who))
  end

  ---All peers have written `count` patches more, and these are accepted.
  function self.await_accepted(count)
    for _, peer in ipairs(peers) do peer:eval "base = share:stats().accepted" end
    for _, peer in ipairs(peers) do
      peer:await("share:stats().accepted >= base + ...", count)
    end
  end

  ---Nobody writes any more, and all receipts are settled.
  function self.stop()
    peers:each "writer.stopped = true"
    for _, peer in ipairs(peers) do peer:await "writer.pending() == 0" end
  end

  ---All documents are equal and all promises are kept; returns how many patches were accepted.
  function self.check()
    peers:settle()
    local document = peers[1]:eval "return memshare.copy(data)"
    local accepted = 0
    for _, who in ipairs(self.names) do
      accepted = accepted + check(who, read(path(who)), document)
    end
    return accepted
  end

  return self
end

return M
