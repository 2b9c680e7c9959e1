-- A random program of reads and writes through kept proxies. Every read is repeated until it may
-- come from a cache, and compared with share:get, which has none.
local memshare = require "memshare"

local M = {}

M.document = {
  n = 1, text = "t", ["7"] = 7,
  object = memshare.object {
    x = 1, ["7"] = "seven", ["-5"] = -5, inner = { deep = { y = 1, z = {} } },
  },
  list = { 1, 2, { x = 3 }, { 4, 5 } },
}

local KEYS <const> = {
  "n", "text", "7", 7, 7.0, -5, "-5", "x", "y", "z", "object", "list", "inner", "deep",
  1, 2, 3, 4, 5, "1", "07",
}

local function scalar(random)
  local kind = random(8)
  if kind == 1 then return random() end
  if kind == 2 then return "s" .. random(3) end
  if kind == 3 then return ("long"):rep(random(100)) end
  if kind == 4 then return random(2) == 1 end
  if kind == 5 then return memshare.null end
  return random(5)
end

local function value(random, depth)
  local kind = random(10)
  if kind > 3 or depth > 3 then return scalar(random) end
  local made = {}
  if kind == 1 then
    for i = 1, random(0, 3) do made[i] = value(random, depth + 1) end
  elseif kind == 2 then
    for _ = 1, random(0, 4) do
      made[({ "x", "y", "7", "-5", "inner", "deep" })[random(6)]] = value(random, depth + 1)
    end
  else
    return memshare.copy(M.document)[({ "object", "list" })[random(2)]]
  end
  return made
end

local function is_proxy(v) return type(v) == "table" end

---@param share memshare.Share
---@param seed integer
---@param options { steps: integer, reads: integer, polls: boolean?, note: fun()? }
function M.new(share, seed, options)
  local state = seed
  local function random(low, high) -- of its own: the process's generator belongs to others
    state = (state * 6364136223846793005 + 1442695040888963407)
    local bits = (state >> 33) & 0x3fffffff
    if not low then return bits / 0x40000000 end
    if not high then low, high = 1, low end
    return low + bits % (high - low + 1)
  end

  local data = share.data
  local kept = { data }
  local self = { reads = 0, cached = 0 }

  -- What share:get finds below a proxy's path.
  local function truth(proxy, key)
    local path = memshare.path(proxy)
    local container = path == "" and data or share:get(path)
    if not is_proxy(container) then return nil end
    local kind = memshare.type(container)
    if type(key) == "number" then key = math.tointeger(key) end
    if kind == "array" then
      if type(key) ~= "number" or key < 1 then return nil end
      key = key - 1
    elseif kind ~= "object" then
      return nil
    end
    return share:get((path == "" and "" or path .. ".") .. key)
  end

  local function same(a, b) return rawequal(a, b) and math.type(a) == math.type(b) end

  local function read(proxy, key)
    for _ = 1, random(6) == 1 and 300 or random(8) do
      local expected = truth(proxy, key)
      local found = proxy[key]
      self.reads = self.reads + 1
      if not same(found, expected) then
        error(("seed %d: %s[%s] is %s, not %s"):format(seed, memshare.path(proxy), key,
          tostring(found), tostring(expected)))
      end
      if is_proxy(found) and #kept < 12 then kept[#kept + 1] = found end
    end
    local index = debug.getmetatable(proxy).__index
    if type(index) == "table" then self.cached = self.cached + 1 end
  end

  local function write()
    local proxy = kept[random(#kept)]
    local key = KEYS[random(#KEYS)]
    local kind = random(14)
    if kind == 1 then return proxy, key, nil end
    if kind == 2 then return proxy, key, memshare.inc(1) end
    if kind == 3 then return proxy, key, memshare.push(random(9)) end
    if kind == 4 then return proxy, #kept, scalar(random) end
    return proxy, key, value(random, 1)
  end

  local function assign()
    local proxy, key, new = write()
    -- A key that has no place there, a container that is gone: refused, and nothing changes.
    pcall(function() proxy[key] = new end)
  end

  local others = {
    function() assign() end,
    function() assign() end,
    function() assign() end,
    function() assign() end,
    function() if random(4) == 1 then share:replace(memshare.copy(M.document)) end end,
    function() share:set({ "object", "x" }, scalar(random)) end,
    function() share:set("object.inner.deep.y", random(3)) end,
    function() share:patch { ["$inc"] = { n = 1 }, ["$set"] = { text = "u" .. random(3) } } end,
    function()
      local fails = random(2) == 1
      pcall(share.batch, share, function()
        for _ = 1, random(3) do assign() self.look(2) end
        if fails then error "discarded" end
      end)
    end,
    function() pcall(memshare.insert, data.list, random(3), scalar(random)) end,
    function() pcall(memshare.remove, data.list, random(3)) end,
    function() if #kept > 1 then table.remove(kept, random(2, #kept)) end end,
    function() if random(5) == 1 then collectgarbage() end end,
  }

  function self.look(count)
    for _ = 1, count do read(kept[random(#kept)], KEYS[random(#KEYS)]) end
  end

  function self.step()
    others[random(#others)]()
    self.look(options.reads)
    if options.polls and random(4) == 1 then share:poll(0) self.look(options.reads) end
  end

  return self
end

return M
