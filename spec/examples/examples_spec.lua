local uv = require "luv"
local example = require "spec.support.example"

describe("the example", function()
  it("counter.lua counts on in a second process and loses nothing", function()
    local stage <close> = example.stage()
    local first = stage:start(nil, "run", "examples/counter.lua", "40", "0.01")
    example.wait_output(first, "0 -> 1  (me)")
    local second = stage:start(nil, "run", "examples/counter.lua", "40", "0.01")
    local third = stage:start(nil, "run", "examples/counter.lua", "40", "0.01")
    local counts = {}
    for i, child in ipairs { first, second, third } do
      counts[i] = tonumber(example.wait_end(child):match "count is (%d+)\n$")
    end
    assert.equal(120, math.max(table.unpack(counts)))
  end)

  it("config.lua gives running workers the new settings", function()
    local stage <close> = example.stage()
    local path = stage.directory .. "/settings.json"
    -- As editors do it: nobody reads half a file.
    local function write(text)
      local file = assert(io.open(path .. ".new", "w"))
      file:write(text)
      file:close()
      assert(os.rename(path .. ".new", path))
    end
    write '{"rate": 30, "world": {"width": 60}}'
    local watcher = stage:start(nil, "run", "examples/config.lua", "watch", path, "0.01")
    example.wait_output(watcher, "2 settings")
    local worker = stage:start(nil, "run", "examples/config.lua", "work")
    example.wait_output(worker, "world.width: nil -> 60")
    example.wait_output(worker, "rate: nil -> 30")
    write '{"rate": 60, "world": {"width": 60}}'
    example.wait_output(worker, "rate: 30 -> 60")
    write '{"rate": 60, "world": '
    example.wait_output(watcher, "settings.json: line")
    write '{"rate": 60, "world": {"width": 80}}'
    example.wait_output(worker, "world.width: 60 -> 80")
    assert.is_nil(worker.out:find("rate: 60 -> ", 1, true))
    -- A worker keeps the settings when the watching process is gone.
    watcher:kill "SIGTERM"
    example.wait_end(watcher)
    local late = stage:start(nil, "run", "examples/config.lua", "work")
    example.wait_output(late, "world.width: nil -> 80")
    for _, child in ipairs { worker, late } do
      child:kill "SIGTERM"
      example.wait_end(child)
    end
  end)

  it("config.lua says how it is used", function()
    local stage <close> = example.stage()
    local child = stage:start(nil, "run", "examples/config.lua")
    assert.is_true(child:wait_exit(10000))
    assert.equal(2, child.code)
    assert.matches("usage", child.log, 1, true)
  end)

  it("luv.lua works inside luv's loop, together with another process", function()
    local stage <close> = example.stage()
    local first = stage:start(nil, "run", "examples/luv.lua", "30")
    example.wait_output(first, "ticks: 1\n")
    local second = stage:start(nil, "run", "examples/luv.lua", "30")
    local one, two = example.wait_end(first), example.wait_end(second)
    local ends = { tonumber(one:match "done at (%d+)"), tonumber(two:match "done at (%d+)") }
    assert.equal(60, math.max(ends[1], ends[2]))
    -- The first one heard of every change, whoever made it.
    for tick = 1, 30 do assert.matches("ticks: " .. tick .. "\n", one, 1, true) end
  end)

  it("frameloop shares its table between C++, its script and another process", function()
    local stage <close> = example.stage()
    local program = example.build .. "/examples/frameloop"
    local first = stage:start(program, "examples/frameloop.lua", "60")
    example.wait_output(first, "one second of frames more: 30")
    local second = stage:start(program, "examples/frameloop.lua", "5")
    local total = tonumber(example.wait_end(second):match "(%d+) frames by all processes")
    assert.truthy(total > 5)
    local out = example.wait_end(first)
    assert.matches("60 frames, ", out, 1, true)
    assert.matches("65 frames by all processes", out, 1, true)
  end)

  it("arena loses no accepted move although its host is killed twice", function()
    local stage <close> = example.stage()
    local began = uv.hrtime()
    local out = example.wait_end(stage:start(nil, "run", "examples/arena/main.lua", "0.5"), 60000)
    assert.matches("kill %-9 of %a+ %(pid %d+%), the host, after %d+ accepted moves.+" ..
      "is host after %d+%.%d ms.+kill %-9 of .+is host after", out)
    assert.matches("4 replicas and the director's are equal", out, 1, true)
    assert.matches("$ memshare load", out, 1, true)
    assert.matches("$ memshare get", out, 1, true)
    assert.is_nil(out:find "LOST")
    assert.truthy((uv.hrtime() - began) / 1e9 < 60)
  end)
end)
