-- Random documents, updates and queries for the naive model. They are small and of few keys and
-- values, so that paths meet what is there, operators find what they work on and values collide.
--
-- Everything is drawn from math.random, which the caller seeds.
local value = require "spec.support.model_value"

local M = {}

local random = math.random

local function pick(list) return list[random(#list)] end

local function chance(percent) return random(100) <= percent end

local KEYS <const> = { "a", "b", "c" }
local SCALARS <const> = {
  value.null, true, false, 0, 1, 2, 3, -1, 5, 1.0, 2.0, 2.5, -0.5, 0.0, "", "a", "b", "ab", 1, 2,
}
local RARE <const> = {
  math.maxinteger, math.mininteger, 2147483648, 0 / 0, math.huge, -math.huge, -0.0, 1e300,
  9007199254740993, 9007199254740992.0, "\0", "\xff", "$a", "a.b", 0x7fffffff,
}
local INTEGERS <const> = { 0, 1, 2, 3, 5, 6, -1, -2, 12 }

-- -------------------------------------------------------------------- values

local function scalar() return chance(4) and pick(RARE) or pick(SCALARS) end

local function key()
  if chance(8) then return pick { "0", "1", "d" } end
  return pick(KEYS)
end

local function array_of(count, make)
  local array = value.array {}
  for i = 1, count do array[i] = make() end
  return array
end

local any

local function object(depth)
  local entries = value.object {}
  for _ = 1, random(0, 3) do entries[key()] = any(depth - 1) end
  return entries
end

local function array(depth)
  local kind = random(4)
  if kind == 1 then return array_of(random(0, 4), function() return pick(INTEGERS) end) end
  if kind == 2 then return array_of(random(0, 3), function() return object(depth - 1) end) end
  return array_of(random(0, 4), function() return any(depth - 1) end)
end

-- Any value at most `depth` containers deep.
function any(depth)
  local kind = depth > 0 and random(10) or 1
  if kind <= 5 then return scalar() end
  return kind <= 7 and object(depth) or array(depth)
end

---A document, an object with something in it more often than not.
function M.document()
  local document = value.object {}
  for _ = 1, random(0, 4) do document[key()] = any(3) end
  return document
end

---A number with which sums and products of a few stay exact and in range.
function M.small_integer() return pick(INTEGERS) end

M.any = any
M.chance = chance
M.pick = pick

-- -------------------------------------------------------------------- paths

-- A key that leads on in a container, or at random.
local function next_key(container)
  if value.is_array(container) and chance(90) then
    return tostring(random(0, #container + (chance(20) and 2 or 0)))
  end
  if value.is_object(container) and next(container) and chance(75) then
    return pick(value.keys(container))
  end
  return key()
end

---A dotted path that often names something in the document.
function M.path(document)
  local keys, at = {}, document
  repeat
    local following = next_key(at)
    -- Keys with dots or dollars are no keys of dotted paths.
    if following:find "^[%w]+$" then
      keys[#keys + 1] = following
      at = value.child(at, following)
    end
  until #keys >= 1 and (#keys == 4 or chance(type(at) == "table" and at ~= value.MISSING
    and 45 or 85))
  return table.concat(keys, ".")
end

local function value_at(document, path)
  local at = document
  for _, name in ipairs(value.split(path)) do at = value.child(at, name) end
  return at
end

-- The paths of the arrays in a value.
local function array_paths(at, prefix, out)
  if value.is_array(at) then out[#out + 1] = prefix end
  if type(at) ~= "table" or #out > 8 then return out end
  if value.is_array(at) then
    for i = 1, #at do array_paths(at[i], ("%s.%d"):format(prefix, i - 1), out) end
  else
    for _, name in ipairs(value.keys(at)) do
      if name:find "^%w+$" then
        array_paths(at[name], prefix == "" and name or prefix .. "." .. name, out)
      end
    end
  end
  return out
end

---A path to an array where there is one.
function M.array_path(document)
  local paths = array_paths(document, "", {})
  return #paths > 0 and chance(85) and pick(paths) or M.path(document)
end

-- "list.$[].x", "list.$[i].$[j]": `names` gets the identifiers, each with an element that it may
-- stand for.
local function positional_path(document, names)
  local path = M.array_path(document)
  local at = value_at(document, path)
  local function add_positional()
    local element = value.is_array(at) and #at > 0 and pick(at) or at
    at = element
    if chance(50) then
      path = path .. ".$[]"
    else
      local name = pick { "i", "j", "k" }
      names[name] = element
      path = ("%s.$[%s]"):format(path, name)
    end
  end
  local function add_key()
    local name = next_key(at)
    if not name:find "^%w+$" then return end
    path = path .. "." .. name
    at = value.child(at, name)
  end
  add_positional()
  if value.is_object(at) or chance(15) then add_key() end
  if chance(value.is_array(at) and 50 or 10) then add_positional() end
  if value.is_object(at) and chance(50) then add_key() end
  return path
end

local MALFORMED <const> = { "", "a..b", ".a", "a.", "$a", "a.$", "$[]", "$[i].a", "a.$[B]" }

-- -------------------------------------------------------------------- queries

-- Queries are made for a sample, a value that they are likely to fit: most of their paths lead to
-- something in it, and most of their operands come from there.
local expression, query

local function is_container(sample) return value.is_array(sample) or value.is_object(sample) end

-- One of the elements of an array, anything else itself.
local function inner_sample(sample)
  if value.is_array(sample) and #sample > 0 then return pick(sample) end
  return sample
end

local function near(sample)
  if sample == value.MISSING or chance(35) then return any(2) end
  if chance(30) then sample = inner_sample(sample) end
  return value.copy(sample)
end

local function list(make) return array_of(random(1, 3), make) end

local function list_near(sample)
  return array_of(random(0, 3), function() return near(sample) end)
end

local OPERANDS <const> = {
  ["$eq"] = near, ["$ne"] = near, ["$gt"] = near, ["$gte"] = near, ["$lt"] = near, ["$lte"] = near,
  ["$in"] = list_near,
  ["$nin"] = list_near,
  ["$exists"] = function() return pick { true, false, 1, 0, value.null } end,
  ["$not"] = function(sample, depth) return expression(sample, depth - 1) end,
  ["$size"] = function(sample)
    return value.is_array(sample) and chance(60) and #sample or pick { 0, 1, 2, 3, 2.0 }
  end,
  ["$mod"] = function()
    return value.array { pick { 1, 2, 3, -2, 2.5, -1 }, pick { 0, 1, -1, 0.0 } }
  end,
  ["$type"] = function()
    local function name()
      return pick {
        "double", "string", "object", "array", "bool", "null", "int", "long", "number", "date",
        1, 2, 3, 4, 8, 10, 16, 18, 16.0,
      }
    end
    return chance(70) and name() or list(name)
  end,
  ["$all"] = function(sample, depth)
    if depth > 0 and chance(20) then
      return list(function()
        return value.object { ["$elemMatch"] = query(inner_sample(sample), depth - 1) }
      end)
    end
    return list_near(sample)
  end,
  ["$elemMatch"] = function(sample, depth)
    local element = inner_sample(sample)
    if chance(50) then return expression(element, depth - 1) end
    return query(element, depth - 1)
  end,
}
local OPERATORS <const> = value.keys(OPERANDS)
local FLAT <const> = {
  "$eq", "$gt", "$gte", "$lt", "$lte", "$in", "$ne", "$nin", "$exists", "$size", "$type",
}

-- {"$gt": 1, "$lt": 5}
function expression(sample, depth)
  local conditions = value.object {}
  for _ = 1, chance(75) and 1 or 2 do
    local operator = pick(depth > 0 and OPERATORS or FLAT)
    if value.is_array(sample) and depth > 0 and chance(25) then
      operator = pick { "$size", "$elemMatch", "$all" }
    end
    conditions[operator] = OPERANDS[operator](sample, depth)
  end
  if chance(1) then conditions[pick { "$foo", "a", "$size", "$in" }] = any(1) end
  return conditions
end

-- A path into the sample, and what it leads to there. An array is entered by position, or one of
-- its elements without.
local function query_path(sample)
  local keys, at = {}, sample
  repeat
    if value.is_array(at) and #keys > 0 and chance(50) then at = inner_sample(at) end
    local following = next_key(at)
    if following:find "^%w+$" then
      keys[#keys + 1] = following
      at = value.child(at, following)
    end
  until #keys >= 1 and (#keys == 4 or chance(is_container(at) and 45 or 85))
  return table.concat(keys, "."), at
end

-- Conditions on a document; `path` is query_path where there is nothing else to say about them.
function query(sample, depth, path)
  path = path or query_path
  local conditions = value.object {}
  for _ = 1, chance(80) and 1 or 2 do
    if depth > 0 and chance(15) then
      local function inner() return query(sample, depth - 1, path) end
      conditions[pick { "$and", "$or", "$nor" }] = list(inner)
    else
      local name, found = path(sample)
      conditions[name] = chance(55) and expression(found, depth) or near(found)
    end
  end
  if chance(1) then conditions[pick { "$foo", "$and", "$gt" }] = any(1) end
  return conditions
end

---A query that the document may fit.
function M.query(document) return query(document, 2) end

local function array_filter(name, element)
  return query(element, 1, function(sample)
    if chance(50) then return name, sample end
    local path, found = query_path(sample)
    return name .. "." .. path, found
  end)
end

-- -------------------------------------------------------------------- updates

local function number() return pick { 0, 1, 2, -1, 3, 0.5, 1.0, -2.5 } end

-- A value that stands in the array at the path, or at random.
local function element(document, path)
  local at = value_at(document, path)
  if value.is_array(at) and #at > 0 and chance(70) then return value.copy(pick(at)) end
  return any(2)
end

local function elements(document, path)
  return array_of(random(0, 3), function() return element(document, path) end)
end

local function sort()
  if chance(50) then return pick { 1, -1, 1.0 } end
  local keys = value.object { [key()] = pick { 1, -1 } }
  if chance(30) then keys[key() .. "." .. key()] = pick { 1, -1 } end
  return keys
end

local function modified_push(document, path)
  local operand = value.object { ["$each"] = elements(document, path) }
  if chance(50) then operand["$position"] = random(-4, 4) end
  if chance(50) then operand["$slice"] = random(-4, 4) end
  if chance(40) then operand["$sort"] = sort() end
  return operand
end

-- What each operator takes; `array`: it works on arrays.
local UPDATES <const> = {
  ["$set"] = { function() return any(2) end },
  ["$unset"] = { function() return "" end },
  ["$setOnInsert"] = { function() return any(1) end },
  ["$inc"] = { function() return chance(5) and math.maxinteger or number() end },
  ["$mul"] = { function() return chance(5) and math.mininteger or number() end },
  ["$min"] = { function() return any(2) end },
  ["$max"] = { function() return any(2) end },
  ["$currentDate"] = {
    function()
      return chance(50) and chance(50)
        or value.object { ["$type"] = pick { "date", "timestamp" } }
    end,
  },
  ["$rename"] = { function(document) return M.path(document) end },
  ["$bit"] = {
    function()
      local operand = value.object {}
      for _ = 1, chance(80) and 1 or 2 do
        operand[pick { "and", "or", "xor" }] = pick(INTEGERS)
      end
      return operand
    end,
  },
  ["$push"] = {
    function(document, path)
      return chance(30) and element(document, path) or modified_push(document, path)
    end,
    array = true,
  },
  ["$addToSet"] = {
    function(document, path)
      if chance(50) then return element(document, path) end
      return value.object { ["$each"] = elements(document, path) }
    end,
    array = true,
  },
  ["$pop"] = { function() return pick { 1, -1, 1.0, -1.0 } end, array = true },
  ["$pullAll"] = { elements, array = true },
  ["$pull"] = {
    function(document, path)
      local kind = random(3)
      if kind == 1 then return element(document, path) end
      local sample = inner_sample(value_at(document, path))
      return kind == 2 and expression(sample, 1) or query(sample, 1)
    end,
    array = true,
  },
}
local NAMES <const> = value.keys(UPDATES)

-- Updates whose paths clash are refused; one more try keeps them from being too many.
local function is_taken(update, path)
  local first = value.split(path)[1]
  for _, fields in pairs(update) do
    for other in pairs(fields) do
      if value.split(other)[1] == first then return true end
    end
  end
  return false
end

local function target(name, document, names)
  if chance(1) then return pick(MALFORMED) end
  if chance(name == "$rename" and 1 or 12) then return positional_path(document, names) end
  return UPDATES[name].array and M.array_path(document) or M.path(document)
end

---The names of the operators that updates are made of, in order.
M.NAMES = NAMES

---An operand that the operator takes.
function M.operand(name, document, path) return UPDATES[name][1](document, path) end

---An update of a few operators, and options for it.
---@return table update
---@return { array_filters?: table, where?: table } options
function M.update(document)
  local update, options, names = value.object {}, {}, {}
  for _ = 1, pick { 1, 1, 1, 1, 2, 2, 3 } do
    local name = pick(NAMES)
    update[name] = update[name] or value.object {}
    local path = target(name, document, names)
    if is_taken(update, path) then path = target(name, document, names) end
    update[name][path] = chance(97) and M.operand(name, document, path) or any(2)
  end
  if chance(1) then update[pick { "$foo", "a", "$gt", "$set" }] = any(1) end
  if chance(1) then names[pick { "i", "l", "X" }] = any(1) end
  local filters = value.array {}
  for _, name in ipairs(value.keys(names)) do
    if chance(98) then filters[#filters + 1] = array_filter(name, names[name]) end
  end
  if #filters > 0 then options.array_filters = filters end
  if chance(5) then options.where = query(document, 2) end
  return update, options
end

return M
