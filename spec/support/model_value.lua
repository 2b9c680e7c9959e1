-- Values as MongoDB sees them, in plain Lua tables: what the naive models of queries and updates
-- stand on. Arrays and objects carry the marks that memshare puts on copies; an unmarked table
-- counts as an object, so a result of memshare.apply is a value of the model, too.
local memshare = require "memshare"

local M = {}

M.null = memshare.null

---What stands where nothing is. It is no value.
M.MISSING = setmetatable({}, { __name = "missing" })

---Stands in an expected result for whatever time it is.
M.NOW = setmetatable({}, { __name = "now" })

local ARRAY <const> = getmetatable(memshare.array {})
local OBJECT <const> = getmetatable(memshare.object {})

---@param items any[]
function M.array(items) return setmetatable(items, ARRAY) end

---@param entries table<string, any>
function M.object(entries) return setmetatable(entries, OBJECT) end

---@return "null"|"boolean"|"integer"|"float"|"string"|"array"|"object"|"missing"|"now"
function M.kind(value)
  if value == M.null then return "null" end
  if value == M.MISSING then return "missing" end
  if value == M.NOW then return "now" end
  if type(value) == "number" then return math.type(value) end
  if type(value) ~= "table" then return type(value) end
  return getmetatable(value) == ARRAY and "array" or "object"
end

function M.is_array(value) return M.kind(value) == "array" end

function M.is_object(value) return M.kind(value) == "object" end

function M.is_number(value) return type(value) == "number" end

function M.is_nan(value) return value ~= value end

---The integer that a number is: 3 and 3.0 are 3; nil for everything else.
function M.whole(value) return M.is_number(value) and math.tointeger(value) or nil end

---The keys of an object in the order of their bytes.
function M.keys(object)
  local keys = {}
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

---A table of its own with the same values in it.
function M.shallow(container)
  local copy = setmetatable({}, getmetatable(container))
  for key, value in pairs(container) do copy[key] = value end
  return copy
end

function M.copy(value)
  if type(value) ~= "table" or value == M.NOW then return value end
  local copy = setmetatable({}, getmetatable(value))
  for key, item in pairs(value) do copy[key] = M.copy(item) end
  return copy
end

-- MongoDB's order of kinds. Integers and floats are one kind.
local RANKS <const> = {
  null = 1, integer = 2, float = 2, string = 3, object = 4, array = 5, boolean = 6,
}

---Where the kind of a value stands among the kinds.
function M.rank(value) return RANKS[M.kind(value)] end

local function sign(less, more) return less and -1 or more and 1 or 0 end

local function compare_numbers(a, b)
  if M.is_nan(a) or M.is_nan(b) then return sign(not M.is_nan(b), not M.is_nan(a)) end
  return sign(a < b, a > b)
end

-- The first entries decide; when one ends first it is the smaller. `keys_count` is whether the
-- names of the entries do.
local function compare_entries(a, a_keys, b, b_keys, keys_count)
  for i = 1, math.min(#a_keys, #b_keys) do
    local x, y = a[a_keys[i]], b[b_keys[i]]
    if M.rank(x) ~= M.rank(y) then return sign(M.rank(x) < M.rank(y), true) end
    if keys_count and a_keys[i] ~= b_keys[i] then return sign(a_keys[i] < b_keys[i], true) end
    local order = M.compare(x, y)
    if order ~= 0 then return order end
  end
  return sign(#a_keys < #b_keys, #a_keys > #b_keys)
end

local function indexes(array)
  local list = {}
  for i = 1, #array do list[i] = i end
  return list
end

---MongoDB's order of all values: negative, 0 or positive. Objects, which have no order of keys
---here, are compared in the order of their keys' bytes.
function M.compare(a, b)
  if M.rank(a) ~= M.rank(b) then return sign(M.rank(a) < M.rank(b), true) end
  local kind = M.kind(a)
  if M.is_number(a) then return compare_numbers(a, b) end
  if kind == "string" then return sign(a < b, a > b) end
  if kind == "boolean" then return sign(not a and b, a and not b) end
  if kind == "array" then return compare_entries(a, indexes(a), b, indexes(b), false) end
  if kind == "object" then return compare_entries(a, M.keys(a), b, M.keys(b), true) end
  return 0
end

---Equal in MongoDB's order: 1 equals 1.0.
function M.equal(a, b) return M.compare(a, b) == 0 end

function M.contains(array, value)
  for _, item in ipairs(array) do
    if M.equal(item, value) then return true end
  end
  return false
end

-- The same float: 0.0 is not -0.0.
local function is_same_float(a, b)
  if M.is_nan(a) then return M.is_nan(b) end
  return a == b and 1 / a == 1 / b
end

---The same in each part, so that 1 is not 1.0. NOW in `expected` is any integer.
function M.identical(expected, found)
  local kind = M.kind(expected)
  if kind == "now" then return math.type(found) == "integer" end
  if kind ~= M.kind(found) then return false end
  if kind == "float" then return is_same_float(expected, found) end
  if type(expected) ~= "table" then return expected == found end
  for key, value in pairs(expected) do
    if found[key] == nil or not M.identical(value, found[key]) then return false end
  end
  for key in pairs(found) do
    if expected[key] == nil then return false end
  end
  return true
end

---The keys of a dotted path.
function M.split(path)
  local keys = {}
  for key in (path .. "."):gmatch "([^.]*)%." do keys[#keys + 1] = key end
  return keys
end

---The position, from 1, that a key of a path names; nil when it names none.
function M.position(key)
  if key == "0" or key:find "^[1-9]%d*$" then return math.tointeger(key) + 1 end
  return nil
end

---What stands in a container under a key of a path.
function M.child(container, key)
  if M.is_array(container) then
    local position = M.position(key)
    if position and position <= #container then return container[position] end
  elseif M.is_object(container) and container[key] ~= nil then
    return container[key]
  end
  return M.MISSING
end

return M
