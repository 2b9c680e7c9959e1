-- Bank transfers: money moves between accounts, and none is made or lost. Run this in several
-- terminals at once, and kill one of them if you like:
--
--   memshare run examples/bank.lua [TRANSFERS]
--
-- Each transfer is a transaction: the host accepts it only if the balances that it read are still
-- the same. If they are not, it runs again with the new ones.
local memshare = require "memshare"

local transfers <const> = tonumber(arg[1]) or 1000

local opening = { ann = 100, bob = 100, cleo = 100, dan = 100 }
local share <close> = assert(memshare.open("bank", { accounts = opening }))
local data = share.data

local function total()
  local sum = 0
  for _, balance in pairs(data.accounts) do sum = sum + balance end
  return sum
end

-- Nobody ever sees the money on its way: one patch, one call, and the sum is what it was.
share:on("accounts", function()
  assert(total() == 400, "the bank is robbed")
end)

---Move money, or say why not.
local function transfer(from, to, amount)
  return share:transaction(function(draft)
    local accounts = draft.accounts
    if accounts[from] < amount then return "declined" end -- nothing was written: nothing is sent
    accounts[from] = accounts[from] - amount
    accounts[to] = accounts[to] + amount
    return "done"
  end)
end

local names = { "ann", "bob", "cleo", "dan" }
local counts = { done = 0, declined = 0 }
for _ = 1, transfers do
  local from = math.random(#names)
  local to = (from + math.random(#names - 1) - 1) % #names + 1 -- somebody else
  local result = assert(transfer(names[from], names[to], math.random(50)))
  counts[result] = counts[result] + 1
end

assert(share:sync(5))
print(("%d transfers done, %d declined; %s"):format(counts.done, counts.declined,
  memshare.to_json(data.accounts)))
print("in all: " .. total())
