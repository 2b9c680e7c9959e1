-- A peer that writes at random and keeps, in a file outside the share, all it was promised and all
-- it saw. Afterwards `judge` holds such files against each other and against the document.
--
-- Every patch is one batch that
--   appends "<who>:<n>" to `order`, which so is the one order of all accepted patches;
--   chains <n> into `chain`, a number that depends on all patches before and their order;
--   counts `left` and `right` up, which are therefore equal whenever anybody looks;
--   sets `own.<who>` to <n>, which nobody else writes;
--   now and then sets one of a few shared keys, and so loses to others and is rejected as a whole.
--
-- A line of a journal is one of
--   submit <n>                        written before the patch is made
--   refused <n>                       it was not taken; the next one has the same number
--   accepted|rejected|unknown <n>     its receipt
--   saw <version> <total> <chain>     the document at a moment without own undecided patches
--   host <term>                       this peer became host
--   wrong <what>                      a promise that was broken before its own eyes
local uv = require "luv"

local M = {}

---What the share of witnesses begins with.
M.DEFAULTS = { order = {}, chain = 0, left = 0, right = 0, own = {}, shared = {} }

local FACTOR <const>, MASK <const> = 1000003, 0xffffffffff
local SHARED_KEYS <const>, CONFLICT_ONE_IN <const> = 4, 12
local UNDECIDED_MAX <const> = 32

local function code_of(who, n) return who * 1000003 + n end

-- What `chain` is after one more patch.
local function chained(chain, who, n) return (chain * FACTOR + code_of(who, n)) & MASK end

---What `chain` is after patches in that order.
---@param patches { [1]: integer, [2]: integer }[] witness and number of each
---@return integer
function M.chain_of(patches)
  local chain = 0
  for _, patch in ipairs(patches) do chain = chained(chain, patch[1], patch[2]) end
  return chain
end

-- ---------------------------------------------------------------- in the peer

local Witness = {}
Witness.__index = Witness

function Witness:line(...) self.file:write(table.concat({ ... }, " "), "\n") end

function Witness:submit()
  local n = self.next_number
  self.next_number = n + 1
  self:line("submit", n)
  local share, data, who = self.share, self.share.data, self.who
  -- None while this peer joins again from nothing (ENOHOST): nothing was submitted then.
  local receipt, message, code = share:batch(function()
    data.left = self.inc(1)
    share:patch { ["$push"] = { order = who .. ":" .. n } }
    share:patch { ["$mul"] = { chain = FACTOR } }
    share:patch { ["$inc"] = { chain = code_of(who, n) } }
    share:patch { ["$bit"] = { chain = { ["and"] = MASK } } }
    share:set({ "own", "w" .. who }, n)
    if math.random(CONFLICT_ONE_IN) == 1 then
      share:set({ "shared", "k" .. math.random(SHARED_KEYS) }, who .. ":" .. n)
    end
    data.right = self.inc(1)
  end)
  if not receipt then
    assert(code == "ENOHOST", message)
    self.next_number = n
    self:line("refused", n)
    return
  end
  self.receipts[n] = receipt
  if data.own["w" .. who] ~= n then self:line("wrong", "own-write-not-read", n) end
end

-- Receipts come in the order of the patches.
function Witness:note()
  while self.first < self.next_number do
    local receipt = self.receipts[self.first]
    local state = receipt.state
    if state == "pending" then return end
    self:line(state, self.first)
    self.receipts[self.first] = nil
    self.first = self.first + 1
  end
end

function Witness:undecided() return self.next_number - self.first end

-- Only without own patches on top the view is what is committed at a version.
function Witness:look()
  local data = self.share.data
  local left, right = data.left, data.right
  if left ~= right then self:line("wrong", "torn", left, right) end
  if self:undecided() > 0 then return end
  local version = self.share:version()
  if version == self.seen then return end
  self.seen = version
  self:line("saw", version, #data.order, data.chain)
  if left ~= #data.order then self:line("wrong", "counted", left, #data.order) end
end

function Witness:step()
  self:note()
  self:look()
  local now = uv.hrtime()
  if not self.paused and now >= self.write_at and self:undecided() < UNDECIDED_MAX then
    -- Bursts, so that patches are under way together, and pauses, in which there is much to see.
    self.write_at = now + (math.random(8) == 1 and 20e6 or math.random(3) * 1e6)
    self:submit()
  end
  return true
end

function Witness:pause() self.paused = true end

function Witness:resume() self.paused = self.watches end

---Inside a peer (peer.lua): begin to write, with a journal at `path`, or only to watch.
---@param who integer its number, which no other witness has
---@param path string
---@param seed integer
---@param watches boolean?
function M.begin(who, path, seed, watches)
  local memshare = require "memshare"
  local share = _G.share
  math.randomseed(seed, who)
  local file = assert(io.open(path, "a"))
  file:setvbuf "no"
  local self = setmetatable({
    who = who, file = file, share = share, inc = memshare.inc, receipts = {}, first = 1,
    next_number = 1, write_at = 0, watches = watches,
    paused = watches,
  }, Witness)
  local function on_host(state, info)
    if state == "host" then self:line("host", info.term) end
  end
  share:on_status(on_host)
  on_host(share:status())
  share:on_reject(function() end) -- being rejected is part of the plan
  -- Also in the middle of a poll, after each patch of others.
  share:on("left", function()
    local data = share.data
    local left, right = data.left, data.right
    if left ~= right then self:line("wrong", "torn-in-callback", left, right) end
  end)
  _G.job(function() return self:step() end)
  return self
end

-- ---------------------------------------------------------------- the verdict

local function read(path)
  local journal = { submitted = {}, state = {}, saw = {}, host = {}, wrong = {} }
  for line in io.lines(path) do
    local kind, rest = line:match "^(%a+) (.*)$"
    if kind == "submit" then
      journal.submitted[tonumber(rest)] = true
    elseif kind == "saw" then
      local version, total, chain = rest:match "^(%d+) (%d+) (%d+)$"
      -- The last line of one that was killed may be cut off.
      if chain then
        journal.saw[#journal.saw + 1] = {
          version = tonumber(version), total = tonumber(total), chain = tonumber(chain),
        }
      end
    elseif kind == "host" then
      journal.host[#journal.host + 1] = tonumber(rest)
    elseif kind == "wrong" then
      journal.wrong[#journal.wrong + 1] = rest
    elseif kind then
      journal.state[tonumber(rest)] = kind
    end
  end
  return journal
end

-- The accepted patches in their order: the chain after each, and who made what.
local function replay(order)
  local chains, present, last = { [0] = 0 }, {}, {}
  for i, item in ipairs(order) do
    local who, n = item:match "^(%d+):(%d+)$"
    who, n = tonumber(who), tonumber(n)
    present[who] = present[who] or {}
    assert(not present[who][n], item .. " is applied twice")
    assert(n > (last[who] or 0), item .. " comes after a later one of its writer")
    present[who][n], last[who] = true, n
    chains[i] = chained(chains[i - 1], who, n)
  end
  return chains, present
end

local function judge_receipts(who, journal, present, tally)
  for n, state in pairs(journal.state) do
    tally[state] = (tally[state] or 0) + 1
    if state == "accepted" then
      assert(present[n], ("%d:%d was accepted and is lost"):format(who, n))
    elseif state == "rejected" or state == "refused" then
      assert(not present[n], ("%d:%d was %s and is there"):format(who, n, state))
    end
  end
  for n in pairs(present) do
    assert(journal.submitted[n], ("%d:%d is there and nobody made it"):format(who, n))
  end
end

-- Everything that anybody ever saw lies on the one history, and equal versions are equal.
local function judge_sight(who, journal, chains, versions, tally)
  local before = { version = 0, total = 0 }
  for _, saw in ipairs(journal.saw) do
    local where = ("witness %d at version %d"):format(who, saw.version)
    assert(saw.version >= before.version and saw.total >= before.total, where .. " goes back")
    assert(chains[saw.total] == saw.chain, where .. " is not on the history")
    local known = versions[saw.version]
    if known then
      assert(known.total == saw.total and known.chain == saw.chain, where .. " differs from others")
      tally.compared = tally.compared + 1
    end
    versions[saw.version] = saw
    before = saw
  end
end

---Hold the journals against each other and against the document all peers agree on.
---@param paths table<integer, string> of the journal of each witness
---@param document table
---@return table<string, integer> tally what was looked at
function M.judge(paths, document)
  local tally = { accepted = 0, rejected = 0, unknown = 0, compared = 0, terms = 0 }
  local chains, present = replay(document.order)
  assert(chains[#document.order] == document.chain, "the chain is not that of the order")
  assert(document.left == #document.order and document.right == #document.order, "miscounted")
  local versions, host_of = {}, {}
  for who, path in pairs(paths) do
    local journal = read(path)
    assert(#journal.wrong == 0, ("witness %d: %s"):format(who, table.concat(journal.wrong, "; ")))
    judge_receipts(who, journal, present[who] or {}, tally)
    judge_sight(who, journal, chains, versions, tally)
    for _, term in ipairs(journal.host) do
      local other = host_of[term]
      assert(not other or other == who,
        ("witnesses %d and %s were both host of term %d"):format(who, other, term))
      if not other then tally.terms = tally.terms + 1 end
      host_of[term] = who
    end
  end
  for who in pairs(present) do assert(paths[who], who .. " kept no journal") end
  return tally
end

return M
