-- A naive model of MongoDB's queries: whether a document meets them, by MongoDB's rules written
-- down one by one. It follows every path of every condition anew and keeps nothing.
local value = require "spec.support.model_value"

local M = {}

local MISSING <const> = value.MISSING

-- ---------------------------------------------------------------- what a path reaches

local reach_array

-- Adds to `out` what a path, from key `i` on, reaches in a document. An array in its way stands
-- for its elements; one at its end stands for each of its elements, with `elements`, and itself.
local function reach(document, keys, i, elements, out)
  local found = value.child(document, keys[i])
  local is_last = i == #keys
  if value.is_array(found) and not is_last then
    reach_array(found, keys, i + 1, elements, out)
  elseif value.is_object(found) and not is_last then
    reach(found, keys, i + 1, elements, out)
  elseif not is_last then
    out[#out + 1] = MISSING
  else
    if value.is_array(found) and elements then table.move(found, 1, #found, #out + 1, out) end
    out[#out + 1] = found
  end
end

-- The same in an array in the middle of a path: each element that is an object may have the rest
-- of the path, and the next key may be a position, whose element stands for itself.
function reach_array(array, keys, i, elements, out)
  for n, element in ipairs(array) do
    if value.is_object(element) then reach(element, keys, i, elements, out) end
    if value.position(keys[i]) == n then
      if i == #keys then
        out[#out + 1] = element
      elseif value.is_object(element) then
        reach(element, keys, i + 1, elements, out)
      elseif value.is_array(element) then
        reach_array(element, keys, i + 1, elements, out)
      end
    end
  end
end

-- Reaching for conditions on a path of a document: a function that lists the candidates.
local function by_path(document, path)
  local keys = value.split(path)
  return function(elements)
    local out = {}
    reach(document, keys, 1, elements, out)
    return out
  end
end

-- Reaching for conditions on one value itself.
local function by_value(candidate)
  return function() return { candidate } end
end

-- ------------------------------------------------------------------- one candidate

local function equals(candidate, operand)
  if candidate == MISSING then return operand == value.null end
  return value.equal(candidate, operand)
end

-- Only values of one kind are smaller or greater than each other; NaN is neither.
local function compares(accepts, or_equal)
  return function(candidate, operand)
    if candidate == MISSING then candidate = value.null end
    if operand == value.null or value.is_nan(operand) or value.is_nan(candidate) then
      return or_equal and value.equal(candidate, operand)
    end
    if value.rank(candidate) ~= value.rank(operand) then return false end
    return accepts(value.compare(candidate, operand))
  end
end

local function truncated(number)
  if math.type(number) == "integer" then return number end
  if value.is_nan(number) then return nil end
  return math.tointeger(number < 0 and math.ceil(number) or math.floor(number))
end

local function divides(candidate, operand)
  local dividend = value.is_number(candidate) and truncated(candidate)
  return dividend and math.fmod(dividend, truncated(operand[1])) == truncated(operand[2])
end

-- Names and numbers of types; false is one that no value here has.
local TYPES <const> = {
  double = "double", string = "string", object = "object", array = "array", bool = "bool",
  null = "null", int = "int", long = "long", number = "number", [1] = "double", [2] = "string",
  [3] = "object", [4] = "array", [8] = "bool", [10] = "null", [16] = "int", [18] = "long",
  date = false, objectId = false, binData = false, decimal = false, [9] = false, [7] = false,
}

local function type_of(candidate)
  local kind = value.kind(candidate)
  if kind == "boolean" then return "bool" end
  if kind == "float" then return "double" end
  if kind ~= "integer" then return kind end
  return candidate >= -2147483648 and candidate <= 2147483647 and "int" or "long"
end

local function has_type(candidate, operand)
  local list = value.is_array(operand) and operand or { operand }
  for _, given in ipairs(list) do
    local name = TYPES[value.whole(given) or given]
    if name == "number" and value.is_number(candidate) then return true end
    if name and name == type_of(candidate) then return true end
  end
  return false
end

-- -------------------------------------------------------------------- operators

local function is_true(operand)
  return not (operand == value.null or operand == false or operand == 0)
end

local function names_operator(key) return key:sub(1, 1) == "$" end

-- {"$gt": 1} is an expression, {"x": 1} is a value.
local function is_expression(operand)
  if not value.is_object(operand) then return false end
  for key in pairs(operand) do
    if names_operator(key) then return true end
  end
  return false
end

local LOGICAL <const> = { ["$and"] = true, ["$or"] = true, ["$nor"] = true }

-- $elemMatch asks the elements themselves, or takes them for documents.
local function asks_value(operand)
  if not is_expression(operand) then return false end
  for key in pairs(operand) do
    if LOGICAL[key] then return false end
  end
  return true
end

local function some(list, accepts)
  for _, item in ipairs(list) do
    if accepts(item) then return true end
  end
  return false
end

local function every(list, accepts)
  return not some(list, function(item) return not accepts(item) end)
end

-- An array as the document that $elemMatch takes it for: a path names its elements by position.
local function element_matches(element, operand)
  if not (value.is_object(element) or value.is_array(element)) then return false end
  return M.matches(element, operand)
end

local meets_all

local function elem_match(array, operand)
  return value.is_array(array) and some(array, function(element)
    if asks_value(operand) then return meets_all(by_value(element), operand) end
    return element_matches(element, operand)
  end)
end

-- What one candidate has to be.
local TESTS <const> = {
  ["$eq"] = equals,
  ["$gt"] = compares(function(order) return order > 0 end, false),
  ["$gte"] = compares(function(order) return order >= 0 end, true),
  ["$lt"] = compares(function(order) return order < 0 end, false),
  ["$lte"] = compares(function(order) return order <= 0 end, true),
  ["$in"] = function(candidate, operand)
    return some(operand, function(item) return equals(candidate, item) end)
  end,
  ["$mod"] = divides,
  ["$type"] = has_type,
  ["$exists"] = function(candidate) return candidate ~= MISSING end,
  ["$size"] = function(candidate, operand)
    return value.is_array(candidate) and #candidate == operand
  end,
  ["$elemMatch"] = elem_match,
}

-- These ask an array as a whole.
local WHOLE <const> = { ["$size"] = true, ["$elemMatch"] = true }

local function elem_match_of(item)
  return value.is_object(item) and item["$elemMatch"] ~= nil and item["$elemMatch"] or nil
end

local function meets(candidates, operator, operand)
  if operator == "$ne" then return not meets(candidates, "$eq", operand) end
  if operator == "$nin" then return not meets(candidates, "$in", operand) end
  if operator == "$not" then return not meets_all(candidates, operand) end
  if operator == "$exists" and not is_true(operand) then
    return not meets(candidates, "$exists", true)
  end
  if operator == "$all" then
    return #operand > 0 and every(operand, function(item)
      local inner = elem_match_of(item)
      if inner then return meets(candidates, "$elemMatch", inner) end
      return meets(candidates, "$eq", item)
    end)
  end
  return some(candidates(not WHOLE[operator]), function(candidate)
    return TESTS[operator](candidate, operand)
  end)
end

-- All operators of an expression, or equality.
function meets_all(candidates, operand)
  if not is_expression(operand) then return meets(candidates, "$eq", operand) end
  for operator, inner in pairs(operand) do
    if not meets(candidates, operator, inner) then return false end
  end
  return true
end

---Whether a document meets a valid query.
function M.matches(document, query)
  for key, operand in pairs(query) do
    local function accepts(inner) return M.matches(document, inner) end
    local fits
    if key == "$and" then
      fits = every(operand, accepts)
    elseif key == "$or" then
      fits = some(operand, accepts)
    elseif key == "$nor" then
      fits = not some(operand, accepts)
    else
      fits = meets_all(by_path(document, key), operand)
    end
    if not fits then return false end
  end
  return true
end

-- -------------------------------------------------------------------- valid queries

local is_valid_expression

local function is_list_of_values(operand)
  return value.is_array(operand)
    and not some(operand, function(item) return is_expression(item) end)
end

local function is_valid_type(operand)
  local list = value.is_array(operand) and operand or { operand }
  return #list > 0 and every(list, function(given)
    return TYPES[value.whole(given) or given] ~= nil
  end)
end

local function is_valid_mod(operand)
  return value.is_array(operand) and #operand == 2
    and every(operand, function(item) return value.is_number(item) and truncated(item) end)
    and truncated(operand[1]) ~= 0
end

local function is_valid_elem_match(operand)
  if asks_value(operand) then return is_valid_expression(operand) end
  return M.is_valid(operand)
end

local function is_valid_all(operand)
  if not value.is_array(operand) then return false end
  if some(operand, elem_match_of) then
    return every(operand, function(item)
      local inner = elem_match_of(item)
      return inner and next(item, next(item)) == nil and is_valid_elem_match(inner)
    end)
  end
  return is_list_of_values(operand)
end

local function anything() return true end

-- Whether an operator takes an operand.
local TAKES <const> = {
  ["$eq"] = anything, ["$ne"] = anything, ["$exists"] = anything,
  ["$gt"] = anything, ["$gte"] = anything, ["$lt"] = anything, ["$lte"] = anything,
  ["$in"] = is_list_of_values,
  ["$nin"] = is_list_of_values,
  ["$not"] = function(operand) return is_expression(operand) and is_valid_expression(operand) end,
  ["$type"] = is_valid_type,
  ["$mod"] = is_valid_mod,
  ["$size"] = function(operand)
    local size = value.whole(operand)
    return size ~= nil and size >= 0 and size <= 2147483647
  end,
  ["$elemMatch"] = is_valid_elem_match,
  ["$all"] = is_valid_all,
}

function is_valid_expression(operand)
  for operator, inner in pairs(operand) do
    local takes = TAKES[operator]
    if not takes or not takes(inner) then return false end
  end
  return true
end

---Whether MongoDB takes it for a query on documents.
function M.is_valid(query)
  if not value.is_object(query) then return false end
  for key, operand in pairs(query) do
    if LOGICAL[key] then
      if not value.is_array(operand) or #operand == 0 then return false end
      if not every(operand, M.is_valid) then return false end
    elseif names_operator(key) then
      return false
    elseif is_expression(operand) and not is_valid_expression(operand) then
      return false
    end
  end
  return true
end

---The first keys of the paths of a valid query, as a set.
function M.names(query, out)
  out = out or {}
  for key, operand in pairs(query) do
    if LOGICAL[key] then
      for _, inner in ipairs(operand) do M.names(inner, out) end
    else
      out[value.split(key)[1]] = true
    end
  end
  return out
end

-- -------------------------------------------------------------------- $pull

-- The operators of a $pull that speak of the elements themselves. $not alone is none of them.
local function pulls_by_value(operand)
  for key in pairs(operand) do
    if TAKES[key] and key ~= "$not" then return true end
  end
  return false
end

---Whether $pull takes it for its condition.
function M.is_valid_pull(operand)
  if not value.is_object(operand) then return true end
  if pulls_by_value(operand) then return is_valid_expression(operand) end
  return M.is_valid(operand)
end

---Whether $pull takes an element out.
function M.pulls(element, operand)
  if not value.is_object(operand) then return value.equal(element, operand) end
  if pulls_by_value(operand) then
    return M.matches(value.object { element = element }, { element = operand })
  end
  return value.is_object(element) and M.matches(element, operand)
end

return M
