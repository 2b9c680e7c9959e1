local uv = require "luv"
local example = require "spec.support.example"
local memshare = require "memshare"

-- Holds a share while processes come and go, so that no result hangs on who is quicker.
local function keep(stage, name, defaults)
  return assert(memshare.open(name, defaults, { dir = stage.directory }))
end

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

  it("cqueues_loop.lua works inside cqueues' loop, together with another process", function()
    local stage <close> = example.stage()
    local _ <close> = keep(stage, "steps", { steps = 0 })
    local first = stage:start(nil, "run", "examples/cqueues_loop.lua", "30")
    example.wait_output(first, "steps: 1\n")
    local second = stage:start(nil, "run", "examples/cqueues_loop.lua", "30")
    local one, two = example.wait_end(first), example.wait_end(second)
    local ends = { tonumber(one:match "done at (%d+)"), tonumber(two:match "done at (%d+)") }
    assert.equal(60, math.max(ends[1], ends[2]))
    for step = 1, 30 do assert.matches("steps: " .. step .. "\n", one, 1, true) end
  end)

  it("gameloop.lua takes what came once a frame", function()
    local stage <close> = example.stage()
    local keeper <close> = keep(stage, "game", { players = {}, shots = 0 })
    local first = stage:start(nil, "run", "examples/gameloop.lua", "150")
    local second = stage:start(nil, "run", "examples/gameloop.lua", "150")
    for _, child in ipairs { first, second } do
      local frames, drawn = example.wait_end(child):match "(%d+) frames, (%d+) moves drawn"
      assert.equal("150", frames)
      -- At most one for each player and frame.
      assert.is_true(tonumber(drawn) >= 100 and tonumber(drawn) <= 302)
    end
    assert(keeper:sync(5))
    assert.equal(10, keeper.data.shots)
    assert.equal(2, memshare.count(keeper.data.players))
  end)

  it("tasks.lua gives each order to exactly one cook", function()
    local stage <close> = example.stage()
    local out = example.wait_end(stage:start(nil, "run", "examples/tasks.lua", "8"))
    for order = 1, 8 do
      local _, times = out:gsub("cooked order " .. order .. "\n", "")
      assert.equal(1, times)
    end
    local ticks = tonumber(out:match "8 served, (%d+) ticks")
    assert.is_true(ticks >= 1)
  end)

  it("chat.lua carries lines to all, and to those who come later", function()
    local stage <close> = example.stage()
    local ann = stage:start(nil, "run", "examples/chat.lua", "ann")
    example.wait_output(ann, "1 in the room")
    local bob = stage:start(nil, "run", "examples/chat.lua", "bob")
    example.wait_output(bob, "2 in the room")
    ann:write "hello\nwho is"
    example.wait_output(bob, "ann: hello\n")
    ann:write " there?\n"
    example.wait_output(bob, "ann: who is there?\n")
    bob:write "me\n"
    example.wait_output(ann, "bob: me\n")
    ann:close_stdin()
    example.wait_end(ann)
    local eve = stage:start(nil, "run", "examples/chat.lua", "eve")
    example.wait_output(eve, "bob: me\n")
    assert.matches("ann: hello\n.*ann: who is there%?\n.*bob: me\n", eve.out)
    for _, child in ipairs { bob, eve } do
      child:close_stdin()
      example.wait_end(child)
    end
  end)

  it("flags.lua switches for a share of the users, in all processes alike", function()
    local stage <close> = example.stage()
    local servers = {}
    for i = 1, 2 do
      servers[i] = stage:start(nil, "run", "examples/flags.lua", "serve")
      example.wait_output(servers[i], "0 flags are set")
    end
    example.wait_end(stage:start(nil, "run", "examples/flags.lua", "dark_mode", "25"))
    for _, child in ipairs(servers) do example.wait_output(child, "flags.dark_mode: 25%") end
    local few = {}
    for i, child in ipairs(servers) do
      few[i] = tonumber(child.out:match "25%%, on for (%d+) of 1000")
    end
    assert.equal(few[1], few[2])
    assert.is_true(few[1] > 150 and few[1] < 350)
    example.wait_end(stage:start(nil, "run", "examples/flags.lua", "dark_mode", "on"))
    for _, child in ipairs(servers) do example.wait_output(child, "on for 1000 of 1000") end
    example.wait_end(stage:start(nil, "run", "examples/flags.lua", "dark_mode", "off"))
    for _, child in ipairs(servers) do
      example.wait_output(child, "on for 0 of 1000")
      child:kill "SIGTERM"
      example.wait_end(child)
    end
  end)

  it("leaderboard.lua ends with one board, whoever wrote last", function()
    local stage <close> = example.stage()
    local _ <close> = keep(stage, "leaderboard", { best = memshare.object {} })
    local first = stage:start(nil, "run", "examples/leaderboard.lua", "first", "60")
    example.wait_output(first, "1. ")
    local second = stage:start(nil, "run", "examples/leaderboard.lua", "second", "30")
    example.wait_end(first)
    example.wait_end(second)
    local third = stage:start(nil, "run", "examples/leaderboard.lua", "third", "1")
    local final = example.wait_end(third):match "final: (.*)\n$"
    -- What the rules of the example give, counted here.
    local best, lines = {}, {}
    for server, rounds in pairs { first = 60, second = 30, third = 1 } do
      for player = 1, 5 do
        local top = 0
        for round = 1, rounds do
          top = math.max(top, (round * 7919 + player * 104729) % 1000)
        end
        best[#best + 1] = { name = ("%s-%d"):format(server, player), score = top }
      end
    end
    table.sort(best, function(a, b)
      if a.score ~= b.score then return a.score > b.score end
      return a.name < b.name
    end)
    for place = 1, 3 do
      lines[place] = ("%d. %s %d"):format(place, best[place].name, best[place].score)
    end
    assert.equal(table.concat(lines, ", "), final)
  end)

  it("limiter.lua lets no more pass than the limit, by all processes together", function()
    local stage <close> = example.stage()
    local keeper <close> = keep(stage, "limiter", { windows = memshare.object {} })
    local children, passed = {}, 0
    -- One window as long as all time, so the result does not hang on the clock.
    for i = 1, 3 do
      children[i] = stage:start(nil, "run", "examples/limiter.lua", "200", "50", "1e9")
    end
    for _, child in ipairs(children) do
      passed = passed + tonumber(example.wait_end(child):match "(%d+) of 200 requests passed")
    end
    assert.equal(50, passed)
    assert(keeper:sync(5))
    local _, counted = next(memshare.copy(keeper.data.windows))
    assert.equal(50, counted)
  end)

  it("bank.lua keeps its money while one of three tellers is killed", function()
    local stage <close> = example.stage()
    local first = stage:start(nil, "run", "examples/bank.lua", "100000")
    local others = {}
    for i = 1, 2 do others[i] = stage:start(nil, "run", "examples/bank.lua", "400") end
    example.wait_end(others[1])
    first:kill "SIGKILL"
    local out = example.wait_end(others[2])
    for _, text in ipairs { others[1].out, out } do
      local done, declined = text:match "(%d+) transfers done, (%d+) declined"
      assert.equal(400, done + declined)
      assert.matches("in all: 400\n$", text)
    end
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
