local cluster = require "spec.support.cluster"

local STOCK <const> = 100
local PEERS <const> = 8

-- How often each process drew, and what ended it.
local function draw(peers, code)
  peers:each "assert(share:sync(10))"
  local drawn, ends = 0, {}
  for i, result in ipairs(peers:each(code)) do
    drawn = drawn + result.drawn
    ends[i] = result.code
  end
  peers:settle()
  return drawn, ends
end

local function all_of(code)
  local list = {}
  for i = 1, PEERS do list[i] = code end
  return list
end

describe("a stock with a condition #cluster", function()
  it("gives eight processes exactly what is there", function()
    local peers <close> = cluster.start { count = PEERS, defaults = { stock = STOCK } }
    local drawn, ends = draw(peers, [[
      share:on_reject(function() end)
      local drawn, version, message, code = 0
      repeat
        local receipt = share:patch({ ["$inc"] = { stock = -1 } },
          { where = { stock = { ["$gt"] = 0 } } })
        version, message, code = receipt:wait(15)
        if version then drawn = drawn + 1 end
      until not version
      return { drawn = drawn, code = code }]])
    assert.equal(STOCK, drawn)
    assert.same(all_of "ECONDITION", ends)
    assert.equal(0, (peers[1]:eval "return data.stock"))
  end)

  it("gives no more to those who do not wait for an answer", function()
    local peers <close> = cluster.start { count = PEERS, defaults = { stock = STOCK } }
    local drawn = draw(peers, [[
      share:on_reject(function() end)
      local receipts, drawn = {}, 0
      for i = 1, 50 do
        receipts[i] = share:patch({ ["$inc"] = { stock = -1 } },
          { where = { stock = { ["$gt"] = 0 } } })
        if i % 5 == 0 then share:poll(0) end
      end
      assert(share:flush(15))
      for _, receipt in ipairs(receipts) do
        if receipt.state == "accepted" then
          drawn = drawn + 1
        else
          assert(receipt.state == "rejected" and receipt.code == "ECONDITION", receipt.code)
        end
      end
      return { drawn = drawn }]])
    assert.equal(STOCK, drawn)
    assert.equal(0, (peers[1]:eval "return data.stock"))
  end)
end)
