-- The array operators of the naive model (see model.lua): `check(operand)` says whether the
-- operator takes the operand, `apply(old, operand)` what becomes of the array or of nothing.
local query = require "spec.support.model_query"
local value = require "spec.support.model_value"

local M = {}

local MISSING <const> = value.MISSING

local function list_of(old) return old == MISSING and value.array {} or old end

-- The elements that `keeps` accepts.
local function filter(array, keeps)
  local out = value.array {}
  for _, item in ipairs(array) do
    if keeps(item) then out[#out + 1] = item end
  end
  return out
end

-- The elements first..last that there are.
local function part(array, first, last)
  return table.move(array, math.max(first, 1), math.min(last, #array), 1, value.array {})
end

local function concat(...)
  local out = value.array {}
  for _, array in ipairs { ... } do table.move(array, 1, #array, #out + 1, out) end
  return out
end

-- -------------------------------------------------------------------- $push

local function has_each(operand) return value.is_object(operand) and operand["$each"] ~= nil end

local function is_direction(operand)
  local whole = value.whole(operand)
  return whole == 1 or whole == -1
end

local function is_sort(operand)
  if is_direction(operand) then return true end
  if not value.is_object(operand) or next(operand) == nil then return false end
  for path, direction in pairs(operand) do
    if not is_direction(direction) then return false end
    for _, key in ipairs(value.split(path)) do
      if key == "" then return false end
    end
  end
  return true
end

local MODIFIERS <const> = {
  ["$each"] = value.is_array,
  ["$position"] = function(operand) return value.whole(operand) ~= nil end,
  ["$slice"] = function(operand) return value.whole(operand) ~= nil end,
  ["$sort"] = is_sort,
}

-- What stands at a path of an element, null where nothing does: a whole key first, else the part
-- before its first dot leads further.
local function extract(element, path)
  if not value.is_object(element) and not value.is_array(element) then return value.null end
  local found = value.child(element, path)
  if found ~= MISSING then return found end
  local head, rest = path:match "^([^.]*)%.(.*)$"
  local inner = head and value.child(element, head) or MISSING
  return extract(inner, rest)
end

-- An element that is no object has no fields.
local function field(element, path)
  if not value.is_object(element) then return value.null end
  return extract(element, path)
end

-- How two elements stand to each other. The paths of an object are taken in the order of their
-- bytes, since objects have no order of their own.
local function order(a, b, sort)
  if value.is_number(sort) then return sort * value.compare(a, b) end
  for _, path in ipairs(value.keys(sort)) do
    local compared = sort[path] * value.compare(field(a, path), field(b, path))
    if compared ~= 0 then return compared end
  end
  return 0
end

-- Insertion, so that equal elements stay as they stand.
local function sorted(array, sort)
  local out = value.array {}
  for _, item in ipairs(array) do
    local at = #out + 1
    while at > 1 and order(out[at - 1], item, sort) > 0 do at = at - 1 end
    table.insert(out, at, item)
  end
  return out
end

local function sliced(array, count)
  if count >= 0 then return part(array, 1, count) end
  return part(array, #array + count + 1, #array)
end

-- How many elements stay before those that are inserted; a negative position counts from the end.
local function head_count(array, position)
  if position < 0 then position = #array + position end
  return math.min(math.max(position, 0), #array)
end

M["$push"] = {
  check = function(operand)
    if not has_each(operand) then return true end
    for name, given in pairs(operand) do
      if not MODIFIERS[name] or not MODIFIERS[name](given) then return false end
    end
    return true
  end,
  apply = function(old, operand)
    local array = list_of(old)
    if not has_each(operand) then return concat(array, { operand }) end
    local position = operand["$position"]
    local head = position and head_count(array, value.whole(position)) or #array
    array = concat(part(array, 1, head), operand["$each"], part(array, head + 1, #array))
    if operand["$sort"] then array = sorted(array, operand["$sort"]) end
    if operand["$slice"] then array = sliced(array, value.whole(operand["$slice"])) end
    return array
  end,
}

-- -------------------------------------------------------------------- the others

M["$addToSet"] = {
  check = function(operand)
    if not has_each(operand) then return true end
    return value.is_array(operand["$each"]) and next(operand, (next(operand))) == nil
  end,
  apply = function(old, operand)
    local out = concat(list_of(old))
    for _, item in ipairs(has_each(operand) and operand["$each"] or { operand }) do
      if not value.contains(out, item) then out[#out + 1] = item end
    end
    return out
  end,
}

M["$pop"] = {
  check = is_direction,
  apply = function(old, operand)
    if old == MISSING then return MISSING end
    if value.whole(operand) == 1 then return part(old, 1, #old - 1) end
    return part(old, 2, #old)
  end,
}

M["$pull"] = {
  check = query.is_valid_pull,
  apply = function(old, operand)
    if old == MISSING then return MISSING end
    return filter(old, function(item) return not query.pulls(item, operand) end)
  end,
}

M["$pullAll"] = {
  check = value.is_array,
  apply = function(old, operand)
    if old == MISSING then return MISSING end
    return filter(old, function(item) return not value.contains(operand, item) end)
  end,
}

return M
