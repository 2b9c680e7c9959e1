-- What 100,000 keys cost: the time to join, and memory next to a plain table with the same keys.
-- Memory is what a process allocated; the mapped log, a file of 67 MB, is not counted.
local cluster = require "spec.support.cluster"

local KEYS <const> = 100000

local FILL <const> = [[
  -- About 10 MB as JSON.
  local pad = ("abcdefghijklmnopqrstuvwxyz0123456789"):rep(3)
  function fill(keys)
    local document = {}
    for n = 1, keys do
      document[("k%06d"):format(n)] = (n .. ":" .. pad):sub(1, 86)
    end
    return document
  end
  function resident()
    collectgarbage()
    collectgarbage()
    local file <close> = io.open "/proc/self/status"
    return tonumber(file:read "a":match "RssAnon:%s*(%d+)") / 1024
  end]]

return function(report, where, scale)
  local peers <close> = cluster.start { count = 2 }
  peers:each(FILL)
  -- A client writes: what its Lua leaves behind is none of the host's memory.
  local before = peers[1]:eval "return resident()"
  peers[2]:eval("share:replace(fill(...)); assert(share:flush(30))", KEYS)
  local host_mb = peers[1]:eval "share:sync(5) return resident()" - before

  local plain = peers:spawn()
  plain:eval(FILL)
  local base = plain:eval "return resident()"
  plain:eval("table_ = fill(...)", KEYS)
  local table_mb = plain:eval "return resident()" - base
  report:add(where, "memory of the host with 100,000 keys (raw: table)", host_mb, "MB", table_mb)

  local times, memory = {}, 0
  for n = 1, scale.joins do
    local joiner = peers:spawn()
    joiner:eval(FILL)
    local empty = joiner:eval "return resident()"
    times[n] = joiner:eval([[
      local name, keys = ...
      local hrtime = require "luv".hrtime
      local began = hrtime()
      open(name, nil, { timeout = 30 })
      local ms = (hrtime() - began) / 1e6
      assert(memshare.count(data) == keys)
      return ms]], peers.name, KEYS)
    memory = joiner:eval "return resident()" - empty
    joiner:leave()
  end
  table.sort(times)
  report:add(where, "join with 100,000 keys", times[#times // 2 + 1], "ms")
  report:add(where, "memory of a joiner with 100,000 keys (raw: table)", memory, "MB", table_mb)
end
