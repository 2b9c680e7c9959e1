local core = require "memshare.core"
local memshare = require "memshare"

-- A shell whose parent is this process sends the signal. (os.execute would ignore SIGINT.)
local function signal_self(name)
  local shell = assert(io.popen("kill -" .. name .. " $PPID"))
  shell:close()
end

describe("signals, once caught,", function()
  after_each(function()
    core.release_signals()
    core.caught_signal()
  end)

  it("make memshare.run() return", function()
    core.catch_signals()
    local _ <close> = memshare.after(0.01, function() signal_self "TERM" end)
    local alarm <close> = memshare.after(10, memshare.stop)
    memshare.run()
    assert.equal("SIGTERM", core.caught_signal())
    assert.is_nil(core.caught_signal())
    assert.is_truthy(alarm)
  end)

  it("interrupt the script outside of it", function()
    core.catch_signals()
    local main = select(2, coroutine.running())
    assert.is_true(main)
    local ok, message = pcall(function()
      signal_self "INT"
      for _ = 1, 1e9 do end
    end)
    assert.is_false(ok)
    assert.matches("signal_spec%.lua:%d+: interrupted by SIGINT$", message)
    assert.equal("SIGINT", core.caught_signal())
  end)

  it("wake a sleep", function()
    core.catch_signals()
    local ok, message = pcall(function()
      local _ <close> = memshare.after(0.01, function() signal_self "INT" end)
      memshare.sleep(10)
    end)
    assert.is_false(ok)
    assert.matches("interrupted by SIGINT$", message)
  end)

  it("are caught by one Lua state only, until released", function()
    core.catch_signals()
    assert.matches("caught already %(EBUSY%)$", select(2, pcall(core.catch_signals)))
    core.release_signals()
    core.catch_signals()
  end)
end)
