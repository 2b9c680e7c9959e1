local cluster = require "spec.support.cluster"

-- Each peer writes at random and compares what its proxies show with the view, while the others'
-- writes arrive and some of its own are rejected and rolled back.
local RUN <const> = [[
  local seed, steps = ...
  local program = require "spec.support.proxy_program"
  local run = program.new(share, seed, { reads = 6, polls = true })
  local rejected = 0
  local watch = share:on_reject(function() rejected = rejected + 1 end)
  for _ = 1, steps do run.step() end
  share:flush(10)
  run.look(100)
  watch:close()
  return { reads = run.reads, cached = run.cached, rejected = rejected }]]

describe("proxies that are read repeatedly #cluster", function()
  it("show the view at every peer while all write", function()
    local seed = tonumber(os.getenv "MEMSHARE_SEED") or os.time()
    local peers <close> = cluster.start { count = 3 }
    peers[1]:eval [[ share:replace(require("spec.support.proxy_program").document):wait(5) ]]
    peers:settle()
    local answers = {}
    for i = 1, 3 do answers[i] = peers[i]:start(RUN, seed * 3 + i, 400) end
    local rejected = 0
    for i = 1, 3 do
      local result = answers[i]:wait(60000)
      assert.is_true(result.cached > 100, ("seed %d: %d cached looks"):format(seed, result.cached))
      rejected = rejected + result.rejected
    end
    assert.is_true(rejected > 0, "seed " .. seed .. ": nothing was rejected")
    peers:settle()
  end)
end)
