local cluster = require "spec.support.cluster"

-- Holds what the processes wrote down against the list that is left. Returns how many edits of each
-- kind were accepted.
local function check(journals, list)
  local present, accepted = {}, { append = 0, insert = 0, remove = 0, edit = 0 }
  local expected, removed, edits = {}, {}, {}
  for _, journal in ipairs(journals) do
    for _, entry in ipairs(journal) do
      local what = ("%s of %s was %s (%s)"):format(entry.kind, entry.id, entry.state, entry.code)
      if entry.state ~= "accepted" then
        assert.equal("rejected", entry.state, what)
        assert.is_truthy(entry.code == "ECONFLICT" or entry.code == "EPATH", what)
      else
        accepted[entry.kind] = accepted[entry.kind] + 1
        if entry.kind == "edit" then
          edits[entry.id] = (edits[entry.id] or 0) + 1
        elseif entry.kind == "remove" then
          assert.is_nil(removed[entry.id], entry.id .. " was removed twice")
          removed[entry.id] = true
        else
          expected[entry.id] = true
        end
      end
    end
  end
  for _, element in ipairs(list) do
    local id = element.id
    assert.is_nil(present[id], tostring(id) .. " is there twice")
    present[id] = true
    assert.is_true(expected[id], tostring(id) .. " was not accepted")
    assert.is_nil(removed[id], id .. " was removed and is there")
    assert.is_true(element.meant == nil or element.meant == id,
      ("an edit of %s hit %s"):format(element.meant, id))
    assert.equal(edits[id] or 0, element.edits, "edits of " .. id)
  end
  for id in pairs(expected) do
    assert.is_true(present[id] or removed[id], id .. " was accepted and is lost")
  end
  return accepted
end

describe("a list edited by four processes at once #cluster", function()
  for seed = 1, 3 do
    it("keeps every element once and its edits apart, seed " .. seed, function()
      local peers <close> = cluster.start { count = 4, defaults = { list = {} } }
      peers:each "assert(share:sync(10))"
      local answers, journals = {}, {}
      for i, peer in ipairs(peers) do
        answers[i] = peer:start("return require('spec.support.list_worker').edit(share, ...)",
          seed * 100 + i, 200)
      end
      for i, answer in ipairs(answers) do journals[i] = answer:wait() end
      peers:settle()
      local list = peers[1]:eval "return memshare.copy(data.list)"
      for kind, count in pairs(check(journals, list)) do
        assert.is_true(count >= 4, kind) -- every process goes on until it had one of each
      end
    end)
  end
end)

describe("a queue #cluster", function()
  it("hands out every job exactly once to four consumers", function()
    local JOBS <const> = 300
    local peers <close> = cluster.start {
      count = 5, defaults = { queue = {}, done = false },
    }
    peers:each "assert(share:sync(10))"
    local answers = {}
    for i = 2, 5 do
      answers[i] = peers[i]:start "return require('spec.support.list_worker').consume(share)"
    end
    peers[1]:eval("require('spec.support.list_worker').produce(share, ...)", JOBS)
    local consumers, count = {}, 0
    for i = 2, 5 do
      for _, number in ipairs((answers[i]:wait())) do
        assert.is_nil(consumers[number], ("job %d was handed out twice"):format(number))
        consumers[number] = i
        count = count + 1
      end
    end
    assert.equal(JOBS, count)
    assert.equal(JOBS, #consumers)
    peers:settle()
    assert.same({}, peers[1]:eval "return memshare.copy(data.queue)")
  end)
end)
