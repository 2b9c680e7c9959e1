-- A naive model of MongoDB's update operators in plain Lua tables, written from MongoDB's rules to
-- be compared with memshare.apply: it checks all of an update first, then goes down the document
-- with the operations that remain at each step and copies every table on the way.
--
-- An update with several mistakes is refused for any one of them, so the model names all of their
-- codes. What depends on the document has one code: operations apply in the order of their paths,
-- and the first that fails decides.
local array_model = require "spec.support.model_array"
local query = require "spec.support.model_query"
local value = require "spec.support.model_value"

local M = {}

local MISSING <const>, PADDING_MAX <const> = value.MISSING, 1500000

local function fail(code) error({ code = code }, 0) end

-- ------------------------------------------------------------------------- paths

local function is_positional(key) return key:find "^%$%[.*%]$" ~= nil end

-- The keys of a path; nil and a code when it is none.
local function parse_path(path, filters)
  local keys = value.split(path)
  if keys[1]:sub(1, 1) == "$" then return nil, "EPATH" end
  for _, key in ipairs(keys) do
    if key == "" or key == "$" then return nil, "EPATH" end
    local name = key:match "^%$%[(.*)%]$"
    if name and name ~= "" then
      if not filters[name] then return nil, "EARGUMENT" end
      filters[name].used = true
    end
  end
  return keys
end

-- Indexes come before names and go by their value, names by their bytes.
local function key_before(a, b)
  local x, y = value.position(a), value.position(b)
  if x and y then return x < y end
  if x or y then return x ~= nil end
  return a < b
end

local function path_before(a, b)
  for i = 1, math.min(#a.keys, #b.keys) do
    if a.keys[i] ~= b.keys[i] then return key_before(a.keys[i], b.keys[i]) end
  end
  return #a.keys < #b.keys
end

-- Two paths of one update clash when one is the beginning of the other, or where one names
-- elements of an array with $[] and the other names a field.
local function clash(a, b, from)
  for i = from, math.min(#a, #b) do
    if a[i] ~= b[i] then return is_positional(a[i]) ~= is_positional(b[i]) end
  end
  return true
end

local function check_clashes(operations, from, report)
  for i = 1, #operations do
    for j = i + 1, #operations do
      if clash(operations[i].keys, operations[j].keys, from) then report("EOVERLAP") end
    end
  end
end

-- -------------------------------------------------------------------- operators

-- Each has `check(operand)`, whether it takes the operand, and `apply(old, operand)`, what stands
-- at the path afterwards, where MISSING is nothing. `forgives`: that nothing can stand there is no
-- mistake.
local operators = {}

local function anything() return true end

operators["$set"] = {
  check = anything,
  apply = function(_, operand) return operand end,
}

operators["$unset"] = {
  forgives = true,
  check = anything,
  apply = function() return MISSING end,
}

-- Documents always exist here, so nothing is ever inserted.
operators["$setOnInsert"] = {
  forgives = true,
  check = anything,
  apply = function(old) return old end,
}

local function add(a, b)
  local sum = a + b
  if math.type(sum) == "integer" and (b > 0) ~= (sum > a) and b ~= 0 then fail "EARGUMENT" end
  return sum
end

local function multiply(a, b)
  local product = a * b
  if math.type(product) == "integer" and a ~= 0 and b ~= 0 then
    local overflows = a == -1 and b == math.mininteger or b == -1 and a == math.mininteger
    if overflows or product // b ~= a or product % b ~= 0 then fail "EARGUMENT" end
  end
  return product
end

operators["$inc"] = {
  check = value.is_number,
  apply = function(old, operand)
    if old == MISSING then return operand end
    if not value.is_number(old) then fail "ETYPE" end
    return add(old, operand)
  end,
}

operators["$mul"] = {
  check = value.is_number,
  apply = function(old, operand)
    if old == MISSING then return operand * 0 end
    if not value.is_number(old) then fail "ETYPE" end
    return multiply(old, operand)
  end,
}

operators["$min"] = {
  check = anything,
  apply = function(old, operand)
    if old == MISSING or value.compare(operand, old) < 0 then return operand end
    return old
  end,
}

operators["$max"] = {
  check = anything,
  apply = function(old, operand)
    if old == MISSING or value.compare(operand, old) > 0 then return operand end
    return old
  end,
}

operators["$currentDate"] = {
  check = function(operand)
    if type(operand) == "boolean" then return true end
    if not value.is_object(operand) then return false end
    for key in pairs(operand) do
      if key ~= "$type" then return false end
    end
    return operand["$type"] == "date" or operand["$type"] == "timestamp"
  end,
  apply = function() return value.NOW end,
}

local BITS <const> = {
  { "and", function(a, b) return a & b end },
  { "or", function(a, b) return a | b end },
  { "xor", function(a, b) return a ~ b end },
}

-- Several in one operand are done in this order.
operators["$bit"] = {
  check = function(operand)
    if not value.is_object(operand) or next(operand) == nil then return false end
    for name, bits in pairs(operand) do
      local known = name == "and" or name == "or" or name == "xor"
      if not known or math.type(bits) ~= "integer" then return false end
    end
    return true
  end,
  apply = function(old, operand)
    local bits = old == MISSING and 0 or old
    if math.type(bits) ~= "integer" then fail "ETYPE" end
    for _, row in ipairs(BITS) do
      local name, combine = row[1], row[2]
      if operand[name] then bits = combine(bits, operand[name]) end
    end
    return bits
  end,
}

for name, operator in pairs(array_model) do
  operators[name] = {
    check = operator.check,
    apply = function(old, operand)
      if old ~= MISSING and not value.is_array(old) then fail "ETYPE" end
      return operator.apply(old, operand)
    end,
  }
end

-- -------------------------------------------------------------------- $rename

-- $rename is two operations: the value goes at the one path and comes at the other, where all is
-- decided. `now()` is the document at that moment: nothing else can have changed the value, but an
-- array on the way to where it would be may have got elements.

-- The value to move, or MISSING; fails where MongoDB refuses to look.
local function rename_source(document, keys)
  local at, through_array = document, false
  for _, key in ipairs(keys) do
    local is_array = value.is_array(at)
    if not is_array and not value.is_object(at) then fail "EPATH" end
    if is_array and not value.position(key) then fail "EPATH" end
    through_array = through_array or is_array
    at = value.child(at, key)
    if at == MISSING then return MISSING end
  end
  if through_array then fail "EPATH" end
  return at
end

local function leads_into_array(document, keys)
  local at = document
  for _, key in ipairs(keys) do
    if value.is_array(at) then return true end
    at = value.child(at, key)
  end
  return false
end

local rename_to = {
  apply = function(old, operand)
    local document = operand.now()
    local moved = rename_source(document, operand.from)
    if moved == MISSING then return old end
    if leads_into_array(document, operand.to) then fail "EPATH" end
    -- What equals the value already stays, be it of the other type of number.
    return old ~= MISSING and value.equal(old, moved) and old or moved
  end,
  -- Where the path cannot exist it matters whether there is anything to move.
  blocked = function(operand)
    if rename_source(operand.now(), operand.from) ~= MISSING then fail "EPATH" end
  end,
}

local rename_from = {
  forgives = true,
  apply = function() return MISSING end,
}

local function parse_rename(from, operand, filters, add_operation, report)
  if type(operand) ~= "string" then return report "EARGUMENT" end
  local to, code = parse_path(operand, filters)
  if not to then return report(code) end
  for _, key in ipairs(to) do
    if is_positional(key) then report "EARGUMENT" end
  end
  for _, key in ipairs(from) do
    if is_positional(key) then report "EARGUMENT" end
  end
  if clash(from, to, 1) then return report "EARGUMENT" end
  local move = { from = from, to = to }
  add_operation(rename_to, to, move)
  add_operation(rename_from, from, move)
end

-- -------------------------------------------------------------------- checking

local function filter_name(filter)
  if not query.is_valid(filter) then return nil end
  local names = query.names(filter)
  local name = next(names)
  if name == nil or next(names, name) ~= nil then return nil end
  return name:find "^[a-z][a-zA-Z0-9]*$" and name or nil
end

local function parse_filters(given, report)
  local filters = {}
  if given == nil then return filters end
  if not value.is_array(given) then
    report "EARGUMENT"
    return filters
  end
  for _, filter in ipairs(given) do
    local name = filter_name(filter)
    if not name or filters[name] then
      report "EARGUMENT"
    else
      filters[name] = { query = filter, used = false }
    end
  end
  return filters
end

local function parse_operator(name, fields, filters, add_operation, report)
  local operator = operators[name]
  if name ~= "$rename" and not operator then return report "EOPERATOR" end
  if not value.is_object(fields) then return report "EARGUMENT" end
  for path, operand in pairs(fields) do
    local keys, code = parse_path(path, filters)
    if not keys then
      report(code)
    elseif name == "$rename" then
      parse_rename(keys, operand, filters, add_operation, report)
    elseif not operator.check(operand) then
      report "EARGUMENT"
    else
      add_operation(operator, keys, operand)
    end
  end
end

-- The operations of an update in the order in which they apply, its filters, and the codes of all
-- its mistakes as a set.
local function parse(update, options)
  local operations, codes = {}, {}
  local function report(code) codes[code] = true end
  local function add_operation(operator, keys, operand)
    operations[#operations + 1] = { operator = operator, keys = keys, operand = operand }
  end
  local filters = parse_filters(options.array_filters, report)
  for name, fields in pairs(update) do
    parse_operator(name, fields, filters, add_operation, report)
  end
  for _, filter in pairs(filters) do
    if not filter.used then report "EARGUMENT" end
  end
  if options.where ~= nil and not query.is_valid(options.where) then report "EARGUMENT" end
  check_clashes(operations, 1, report)
  table.sort(operations, path_before)
  return operations, filters, codes
end

-- -------------------------------------------------------------------- applying

local apply_at

-- Nothing can be where the rest of these paths, from key `depth` on, leads.
local function apply_blocked(operations, depth)
  for _, operation in ipairs(operations) do
    local operator = operation.operator
    for i = depth, #operation.keys do
      if is_positional(operation.keys[i]) then fail "EPATH" end
    end
    if operator.blocked then
      operator.blocked(operation.operand)
    elseif not operator.forgives then
      fail "EPATH"
    end
  end
end

-- Lists of operations that have the same key at `depth`, in order.
local function group_by_key(operations, depth)
  local groups, by_key = {}, {}
  for _, operation in ipairs(operations) do
    local key = operation.keys[depth]
    if not by_key[key] then
      by_key[key] = { key = key }
      groups[#groups + 1] = by_key[key]
    end
    table.insert(by_key[key], operation)
  end
  return groups
end

local function store(container, key, item)
  local position = value.is_array(container) and value.position(key)
  if not position then
    container[key] = nil
    if item ~= MISSING then container[key] = item end
  elseif item ~= MISSING then
    if position - 1 - #container > PADDING_MAX then fail "EPATH" end
    for i = #container + 1, position - 1 do container[i] = value.null end
    container[position] = item
  elseif position <= #container then
    container[position] = value.null
  end
end

-- Into an object, an array by index, or what does not exist yet and becomes an object.
local function apply_to_fields(old, operations, depth, filters)
  local copy = old == MISSING and value.object {} or value.shallow(old)
  local is_made = old ~= MISSING
  for _, group in ipairs(group_by_key(operations, depth)) do
    if value.is_array(copy) and not value.position(group.key) then
      apply_blocked(group, depth)
    else
      local item = apply_at(value.child(copy, group.key), group, depth + 1, filters)
      is_made = is_made or item ~= MISSING
      store(copy, group.key, item)
    end
  end
  return is_made and copy or MISSING
end

-- Into those elements of an array that $[] or $[name] stands for. They are chosen before any of
-- them changes; only then it is known whether two operations meet in one element.
local function apply_to_elements(old, operations, depth, filters)
  local chosen = {}
  for position, element in ipairs(old) do
    chosen[position] = {}
    for _, operation in ipairs(operations) do
      local name = operation.keys[depth]:match "^%$%[(.*)%]$"
      local wrapped = value.object { [name] = element }
      if name == "" or query.matches(wrapped, filters[name].query) then
        table.insert(chosen[position], operation)
      end
    end
  end
  local copy = value.shallow(old)
  for position, list in ipairs(chosen) do
    check_clashes(list, depth + 1, fail)
    table.sort(list, function(a, b)
      for i = depth + 1, math.min(#a.keys, #b.keys) do
        if a.keys[i] ~= b.keys[i] then return key_before(a.keys[i], b.keys[i]) end
      end
      return false
    end)
    if #list > 0 then
      local item = apply_at(old[position], list, depth + 1, filters)
      copy[position] = item == MISSING and value.null or item
    end
  end
  return copy
end

-- What becomes of the value that the operations have reached before key `depth`.
function apply_at(old, operations, depth, filters)
  local first = operations[1]
  if #first.keys < depth then return first.operator.apply(old, first.operand) end
  if is_positional(first.keys[depth]) then
    if old == MISSING then fail "EPATH" end
    if not value.is_array(old) then fail "ETYPE" end
    return apply_to_elements(old, operations, depth, filters)
  end
  if old == MISSING or value.is_array(old) or value.is_object(old) then
    return apply_to_fields(old, operations, depth, filters)
  end
  apply_blocked(operations, depth)
  return old
end

-- The document after the operations; or nil and the code of the first that fails.
local function run(document, operations, filters)
  if #operations == 0 then return document end
  local ok, result = pcall(apply_at, document, operations, 1, filters)
  if ok then return result end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result.code
end

-- Tells each $rename what the document is when it has its turn.
local function watch_renames(document, operations, filters)
  local earlier = {}
  for _, operation in ipairs(operations) do
    if operation.operator == rename_to then
      local before = { table.unpack(earlier) }
      operation.operand.now = function() return (run(document, before, filters)) end
    end
    if operation.operator ~= rename_from then earlier[#earlier + 1] = operation end
  end
end

---The document after the update; or nil and the codes of which the refusal has one, as a set.
---@param document table
---@param update table
---@param options? { array_filters?: any, where?: any }
function M.apply(document, update, options)
  options = options or {}
  local operations, filters, codes = parse(update, options)
  if next(codes) then return nil, codes end
  if options.where and not query.matches(document, options.where) then
    return nil, { ECONDITION = true }
  end
  watch_renames(document, operations, filters)
  local result, code = run(document, operations, filters)
  if result then return result end
  return nil, { [code] = true }
end

---The names of the operators that the model knows.
function M.operators()
  local names = { "$rename" }
  for name in pairs(operators) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return M
