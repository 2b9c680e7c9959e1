local cluster = require "spec.support.cluster"
local process = require "spec.support.process"

local PROCESSES <const>, ACCOUNTS <const>, GOLD <const> = 8, 100, 100
local SURVIVORS <const> = PROCESSES - 1
-- A sanitizer makes it twenty times slower.
local IN_ALL <const> = process.is_sanitized() and 1000 or 10000
local TRANSFERS <const> = IN_ALL // SURVIVORS + 1 -- of each that survives

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

-- What the function of a transaction does, what another process does then, and whether they meet.
local APPEND <const> = "data.list[#data.list + 1] = 4"
local MEETINGS <const> = {
  { "local _ = draft.a", "data.a = 2", true },
  { "local _ = draft.a", "data.b = 2", false },
  { "local _ = draft.nobody", "data.nobody = 1", true },
  { "local _ = draft.nobody", "data.somebody = 1", false },
  { "draft.a = memshare.inc(1)", "data.a = 2", false },
  { "local _ = draft.t", "data.t.x = 2", false },
  { "local _ = draft.t", "data.t = nil", true },
  { "local _ = draft.t.deep.y", "data.t.deep = { y = 1 }", true },
  { "local _ = draft.t.deep.y", "data.t.deep.z = 1", false },
  { "for _ in pairs(draft.t) do end", "data.t.new = 1", true },
  { "for _ in pairs(draft.t) do end", "data.t.deep.y = 2", true },
  { "for _ in pairs(draft.t.deep) do end", "data.t.x = 2", false },
  { "for _ in ipairs(draft.list) do end", APPEND, true },
  { "local _ = #draft.list", APPEND, true },
  { "local _ = draft.list[1]", APPEND, false },
  { "local _ = draft.list[1]", "data.list[1] = 9", true },
  { "local _ = draft.list[1]", "data.list[2] = 9", false },
  { "local _ = draft.list[1]", "memshare.remove(data.list, 1)", true },
  { "local _ = draft.list[9]", APPEND, true },
  { "memshare.remove(draft.list, 3)", "memshare.insert(data.list, 1, 0)", true },
  { "memshare.copy(draft.t)", "data.t.deep.y = 2", true },
  { "memshare.count(draft.t)", "data.t.new = 1", true },
  { "memshare.to_json(draft)", "data.new = 1", true },
  { "pcall(function() draft.t.gone.x = 1 end)", "data.t.gone = {}", true },
}

describe("transactions #cluster", function()
  it("run again when what they read has changed, and only then", function()
    local document = [[{
      a = 1, b = 1, list = { 1, 2, 3 }, t = { x = 1, deep = { y = 1 } }
    }]]
    local peers <close> = cluster.start { count = 2, options = PATIENT }
    local host, client = peers:host(), peers:clients()[1]
    local go = peers.directory .. "/go"
    for i, meeting in ipairs(MEETINGS) do
      local reads, change, counts = table.unpack(meeting)
      host:eval(("assert(share:replace(%s):wait(10))"):format(document))
      client:eval "assert(share:sync(10))"
      local runs = client:start(([[
        local mark, go = ...
        local runs = 0
        assert(share:transaction(function(draft)
          runs = runs + 1
          %s
          draft.result = runs
          if runs > 1 then return true end
          io.stderr:write(mark)
          local file
          repeat file = io.open(go) until file
          file:close()
        end, { timeout = 20 }))
        return runs]]):format(reads), ("has read %d.\n"):format(i), go)
      assert.truthy(process.wait(function()
        return client.process.log:find(("has read %d."):format(i), 1, true)
      end, 10000))
      host:eval(change .. " assert(share:flush(10))")
      assert(io.open(go, "w")):close()
      assert.equal(counts and 2 or 1, runs:wait(), reads .. " | " .. change)
      assert(os.remove(go))
    end
    peers:settle()
  end)

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
    assert.truthy(transfers >= IN_ALL)
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
