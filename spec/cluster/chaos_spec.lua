local chaos = require "spec.support.chaos"
local process = require "spec.support.process"
local witness = require "spec.support.witness"

-- MEMSHARE_SEED repeats what a failure drew; a failure names its seed.
local seed <const> = tonumber(os.getenv "MEMSHARE_SEED") or os.time()
-- Short here; `make soak` goes on for as long as it is told to.
local SECONDS <const>, KILL_SECONDS <const> = 8, 10

describe("a share whose processes are killed, stopped, sent away and joined at random #cluster",
  function()
    it("keeps its promises", function()
      local tally = chaos.run(seed, SECONDS)
      assert.truthy(tally.accepted > 100, chaos.describe(tally))
      assert.truthy(tally.compared > 100, chaos.describe(tally))
      assert.truthy(tally.terms > 1, chaos.describe(tally))
    end)

    it("survives up to 100 hosts killed in a row with nothing lost and nothing twice", function()
      local tally = chaos.kill_hosts(seed, 100, KILL_SECONDS)
      assert.truthy(tally.kills >= 10, chaos.describe(tally))
      assert.truthy(tally.terms > tally.kills, chaos.describe(tally))
      assert.truthy(tally.accepted >= tally.kills, chaos.describe(tally))
    end)
  end)

describe("the verdict over journals", function()
  local FINE <const> = { "submit 1", "accepted 1", "saw 2 1 %d", "host 1" }
  local directory

  before_each(function() directory = process.directory() end)
  after_each(function() process.remove_directory(directory) end)

  -- Two witnesses that each made one patch; `change` may spoil what they wrote down.
  local function judge(change)
    local one, two = witness.chain_of { { 1, 1 } }, witness.chain_of { { 1, 1 }, { 2, 1 } }
    local case = {
      document = {
        order = { "1:1", "2:1" }, chain = two, left = 2, right = 2, own = { w1 = 1, w2 = 1 },
      },
      { FINE[1], FINE[2], FINE[3]:format(one), FINE[4] },
      { FINE[1], FINE[2], ("saw 3 2 %d"):format(two), "host 2" },
    }
    change(case)
    local paths = {}
    for who, lines in ipairs(case) do
      paths[who] = ("%s/%d.journal"):format(directory, who)
      local file <close> = assert(io.open(paths[who], "w"))
      file:write(table.concat(lines, "\n"), "\n")
    end
    return witness.judge(paths, case.document)
  end

  local function add(who, line)
    return function(case) table.insert(case[who], line) end
  end

  it("is clean for a group that kept its promises", function()
    local tally = judge(function(case) table.insert(case[1], case[2][3]) end)
    assert.same({ accepted = 2, rejected = 0, unknown = 0, compared = 1, terms = 2 }, tally)
  end)

  local guilty <const> = {
    ["an accepted patch that is lost"] = { "is lost", function(case)
      table.insert(case[2], "submit 2")
      table.insert(case[2], "accepted 2")
    end },
    ["a rejected patch that is there"] = { "was rejected", add(1, "rejected 1") },
    ["a patch that is applied twice"] = { "twice", function(case)
      case.document.order[3] = "1:1"
    end },
    ["patches of one writer out of order"] = { "comes after", function(case)
      case.document.order = { "1:2", "1:1" }
    end },
    ["a patch that nobody made"] = { "nobody made", function(case) table.remove(case[1], 1) end },
    ["two hosts of one term"] = { "both host", add(1, "host 2") },
    ["equal versions that differ"] = { "differs", function(case)
      table.insert(case[1], "saw 3 1 " .. case[1][3]:match "%d+$")
    end },
    ["a sight that is not on the history"] = { "history", add(1, "saw 4 2 77") },
    ["a sight that goes back"] = { "goes back", function(case)
      table.insert(case[2], case[1][3])
    end },
    ["a patch of which half was seen"] = { "torn", add(2, "wrong torn 1 2") },
    ["a document that counted wrongly"] = { "miscounted", function(case)
      case.document.left = 3
    end },
  }
  for what, case in pairs(guilty) do
    it("finds " .. what, function()
      local ok, message = pcall(judge, case[2])
      assert.is_false(ok)
      assert.matches(case[1], message, 1, true)
    end)
  end
end)
