local cluster = require "spec.support.cluster"
local process = require "spec.support.process"

local PROCESSES <const>, ACCOUNTS <const>, GOLD <const> = 8, 100, 100
local SURVIVORS <const> = PROCESSES - 1
local TRANSFERS <const> = 10000 // SURVIVORS + 1 -- of each that survives, 10,000 in all

local PATIENT <const> = { host_timeout = 60 }

-- Moves money between random accounts, one transfer between two polls, until told to stop. Whenever
-- the view has changed, and after each transfer, the sum is counted.
local TELLER <const> = [[
  local accounts, gold, seed = ...
  local total = accounts * gold
  math.randomseed(seed)
  done, runs, looks, wrong, goal = 0, 0, 0, {}, math.huge
  local function look(where)
    local sum = 0
    for _, account in pairs(data.accounts) do
      sum = sum + account.gold
      if account.gold < 0 then wrong[#wrong + 1] = where .. ": overdrawn" end
    end
    looks = looks + 1
    if sum ~= total then wrong[#wrong + 1] = ("%s: %d"):format(where, sum) end
  end
  share:on("accounts", function() look "hook" end)
  share:on_reject(function(rejection) wrong[#wrong + 1] = "told: " .. rejection.message end)
  job(function()
    local from, to = "a" .. math.random(accounts), "a" .. math.random(accounts)
    local amount = math.random(20)
    local moved, message, code = share:transaction(function(draft)
      runs = runs + 1
      if from == to or draft.accounts[from].gold < amount then return 0 end
      draft.accounts[from].gold = draft.accounts[from].gold - amount
      draft.accounts[to].gold = draft.accounts[to].gold + amount
      return amount
    end, { timeout = 20 })
    if not moved then wrong[#wrong + 1] = code .. ": " .. message end
    look "poll"
    done = done + 1
    return done < goal
  end)]]

describe("transactions #cluster", function()
  it("keep the sum of all accounts while 8 processes move money and the host is killed", function()
    local accounts = {}
    for i = 1, ACCOUNTS do accounts["a" .. i] = { gold = GOLD } end
    local peers <close> = cluster.start { count = PROCESSES, defaults = { accounts = accounts } }
    for i, peer in ipairs(peers) do peer:eval(TELLER, ACCOUNTS, GOLD, i) end
    local host = peers:host()
    host:await(("done > %d"):format(TRANSFERS // 4))
    assert.same({}, host:eval "return wrong")
    host:kill "SIGKILL"
    peers:each("goal = ...", TRANSFERS)
    local runs, transfers = 0, 0
    for _, peer in ipairs(peers) do
      peer:await "done >= goal"
      local result = peer:eval "return { done = done, runs = runs, looks = looks, wrong = wrong }"
      assert.same({}, result.wrong)
      assert.truthy(result.looks > TRANSFERS)
      runs, transfers = runs + result.runs, transfers + result.done
    end
    assert.truthy(transfers >= 10000)
    assert.truthy(runs > transfers) -- some met others and ran again
    peers:settle()
    for _, sum in ipairs(peers:each [[
      local sum = 0
      for _, account in pairs(data.accounts) do sum = sum + account.gold end
      return sum]]) do
      assert.equal(ACCOUNTS * GOLD, sum)
    end
  end)

  it("run again on what they lost to", function()
    local peers <close> = cluster.start { count = 3, options = PATIENT, defaults = { n = 0 } }
    local results = peers:each [[
      local seen = {}
      for i = 1, 200 do
        seen[i] = assert(share:transaction(function(draft)
          draft.n = draft.n + 1
          return draft.n
        end, { timeout = 20 }))
      end
      return seen]]
    local all = {}
    for _, seen in ipairs(results) do
      for _, n in ipairs(seen) do
        assert.is_nil(all[n]) -- each number was reached by one of them
        all[n] = true
      end
    end
    assert.equal(600, #all)
    peers:settle()
    assert.equal(600, peers[1]:eval "return data.n")
  end)

  it("give up after their retries and say what they lost to", function()
    local peers <close> = cluster.start { count = 3, options = PATIENT, defaults = { n = 0 } }
    local host, clients = peers:host(), peers:clients()
    -- Both read n before either is decided.
    host:kill "SIGSTOP"
    local answers = {}
    for i, client in ipairs(clients) do
      answers[i] = client:start [[
        told = {}
        share:on_reject(function(rejection) told[#told + 1] = rejection.code end)
        return share:transaction(function(draft)
          draft.n = draft.n + 1
          io.stderr:write "has read\n"
          return "won"
        end, { retries = 0, timeout = 20 })]]
    end
    for _, client in ipairs(clients) do
      assert.truthy(process.wait(function()
        return client.process.log:find("has read", 1, true)
      end, 10000))
    end
    host:kill "SIGCONT"
    local won, lost = 0, 0
    for i, answer in ipairs(answers) do
      local result, message, code = answer:wait()
      if result then
        assert.equal("won", result)
        won = won + 1
      else
        assert.equal("ECONFLICT", code)
        assert.matches('"n": changed by peer .* after it was read', message)
        assert.equal(1, clients[i]:eval "return data.n")
        lost = lost + 1
      end
      assert.same({}, clients[i]:eval "return told")
    end
    assert.same({ 1, 1 }, { won, lost })
    peers:settle()
    assert.equal(1, host:eval "return data.n")
  end)
end)
