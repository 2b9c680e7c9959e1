-- What holds for all updates, over random documents: memshare.apply does what the naive model does
-- (spec/support/model.lua), changes nothing but the copy it returns, and updates that commute do.
--
-- MEMSHARE_SEED gives other cases than those of every run. MEMSHARE_CASE repeats the one whose
-- number a failure names, under the same seed.
local cases = require "spec.support.model_cases"
local literal = require "spec.support.literal"
local memshare = require "memshare"
local model = require "spec.support.model"
local query = require "spec.support.model_query"
local value = require "spec.support.model_value"

local SEED <const> = tonumber(os.getenv "MEMSHARE_SEED") or 20240601
local CODES <const> = {
  "EARGUMENT", "ECONDITION", "EOPERATOR", "EOVERLAP", "EPATH", "ETYPE",
}
local ONLY <const> = tonumber(os.getenv "MEMSHARE_CASE")

-- Calls fn(case number) for each case, seeded so that it can be repeated alone.
local function each_case(count, fn)
  for number = ONLY or 1, ONLY or count do
    math.randomseed(SEED, number)
    fn(number)
  end
end

local function show(item)
  if item == nil then return "nothing" end
  return literal.write(item)
end

-- Raises what is wrong with a case, so that it can be repeated.
local function complain(number, wrong, parts)
  local lines = { ("%s: MEMSHARE_SEED=%d MEMSHARE_CASE=%d"):format(wrong, SEED, number) }
  for _, name in ipairs(value.keys(parts)) do
    lines[#lines + 1] = ("  %s: %s"):format(name, parts[name])
  end
  error(table.concat(lines, "\n"), 0)
end

-- The result of memshare.apply, or nil, code, message: returned or raised.
local function apply(document, update, options)
  local ok, result, message, code = pcall(memshare.apply, document, update, options)
  if ok then return result, code, message end
  return nil, result:match "%((E%u+)%)$", result
end

-- Documents that a patch which does not apply leaves as they are.
local function apply_or_keep(document, update)
  return apply(document, update) or document
end

local function as_set(codes) return codes and table.concat(value.keys(codes), " or ") end

describe("memshare.apply", function()
  setup(function() print(("seed %d"):format(SEED)) end)

  it("agrees with the naive model on 100,000 random updates", function()
    local changed, refused = {}, {}
    each_case(100000, function(number)
      local document = cases.document()
      local update, options = cases.update(document)
      local expected, codes = model.apply(document, update, options)
      local result, code, message = apply(document, update, options)
      local agree = result == nil and codes ~= nil and codes[code]
      if expected ~= nil then agree = result ~= nil and value.identical(expected, result) end
      if not agree then
        complain(number, "the model and memshare.apply differ", {
          document = show(document), update = show(update), options = show(options),
          ["of the model"] = as_set(codes) or memshare.to_json(expected),
          ["of memshare"] = message or show(result),
        })
      end
      if code then refused[code] = (refused[code] or 0) + 1 end
      local name, fields = next(update)
      if result and next(update, name) == nil and not value.identical(document, result) then
        changed[name] = (changed[name] or 0) + 1
        local path = next(fields)
        if path:find("$[", 1, true) then changed["$[]"] = (changed["$[]"] or 0) + 1 end
      end
    end)
    if ONLY then return end
    -- Otherwise the cases would say little.
    for _, name in ipairs(model.operators()) do
      local count = changed[name] or 0
      assert(count > 200 or name == "$setOnInsert", ("%s: %d changes"):format(name, count))
    end
    assert((changed["$[]"] or 0) > 50)
    for _, code in ipairs(CODES) do assert((refused[code] or 0) > 200, code) end
  end)

  it("asks conditions as the naive model does", function()
    local met = 0
    each_case(50000, function(number)
      local document = cases.document()
      local condition = cases.query(document)
      local expected = query.is_valid(condition) and query.matches(document, condition)
      local result, code, message = apply(document, {}, { where = condition })
      local answer
      if not query.is_valid(condition) then
        answer = "EARGUMENT"
      else
        answer = not expected and "ECONDITION" or nil
      end
      if code ~= answer then
        complain(number, "the model and memshare.apply differ", {
          document = show(document), where = show(condition),
          ["of the model"] = answer or "met", ["of memshare"] = message or "met",
        })
      end
      if result then met = met + 1 end
    end)
    assert(ONLY or met > 5000 and met < 45000, met)
  end)

  it("never changes its input, and gives nothing but a refusal when it fails", function()
    each_case(10000, function(number)
      local document = cases.document()
      local update, options = cases.update(document)
      local document_text, update_text = literal.write(document), literal.write(update)
      local options_text = literal.write(options)
      local result, code, message = apply(document, update, options)
      local same = literal.write(document) == document_text
        and literal.write(update) == update_text and literal.write(options) == options_text
      if not same or (result == nil) ~= (code ~= nil) then
        complain(number, "input or answer is wrong", {
          document = document_text, update = update_text, after = show(document),
          result = show(result), message = message or "none",
        })
      end
    end)
  end)

  it("applies a list of updates in order, whole or not at all", function()
    local both = 0
    each_case(10000, function(number)
      local document = cases.document()
      local first, first_options = cases.update(document)
      local second, second_options = cases.update(document)
      if next(first_options) or next(second_options) then return end
      -- The list is refused for its mistakes before the document is looked at.
      local middle = apply(document, first)
      local expected = middle and apply(middle, second)
      local result = apply(document, value.array { first, second })
      local is_timed = first["$currentDate"] or second["$currentDate"]
      local fits = (result == nil) == (expected == nil)
      if fits and result and not is_timed then fits = value.identical(expected, result) end
      if not fits then
        complain(number, "a list is not what its updates are", {
          document = show(document), first = show(first), second = show(second),
          expected = show(expected), result = show(result),
        })
      end
      if result then both = both + 1 end
    end)
    assert(ONLY or both > 1000, both)
  end)
end)

-- -------------------------------------------------------------------- nothing to change

-- Updates that find their work done when they come a second time.
local function done_once(document)
  local name = cases.pick {
    "$set", "$unset", "$min", "$max", "$addToSet", "$pull", "$pullAll", "$rename", "$setOnInsert",
  }
  local path = cases.chance(50) and cases.array_path(document) or cases.path(document)
  return value.object { [name] = value.object { [path] = cases.operand(name, document, path) } }
end

describe("an update that changes nothing", function()
  it("gives an equal document", function()
    local applied = 0
    each_case(20000, function(number)
      local document = cases.document()
      local update = done_once(document)
      local once = apply(document, update)
      if not once then return end
      applied = applied + 1
      local twice, _, message = apply(once, update)
      -- What $rename has moved is gone, and may have been an element of its own path.
      if not twice or not value.identical(once, twice) then
        complain(number, "a second time changes something", {
          document = show(document), update = show(update), once = show(once),
          twice = message or show(twice),
        })
      end
    end)
    assert(ONLY or applied > 10000, applied)
  end)
end)

-- -------------------------------------------------------------------- commuting

-- Operators that two patches may apply in either order, with operands for which that holds exactly.
local function small_list() return value.array { cases.any(1), cases.any(1) } end

local function bits(name)
  return function() return value.object { [name] = cases.small_integer() } end
end

local function elements()
  if cases.chance(50) then return value.array { cases.small_integer() } end
  return value.object { ["$each"] = small_list() }
end

local function condition(document, path) return cases.operand("$pull", document, path) end

local function any() return cases.any(2) end

local COMMUTING <const> = {
  { "$inc and $inc", "$inc", cases.small_integer },
  { "$mul and $mul", "$mul", cases.small_integer },
  { "$min and $min", "$min", any },
  { "$max and $max", "$max", any },
  { "$bit and $bit of the same kind, and", "$bit", bits "and" },
  { "$bit and $bit of the same kind, or", "$bit", bits "or" },
  { "$bit and $bit of the same kind, xor", "$bit", bits "xor" },
  { "$addToSet and $addToSet, as sets", "$addToSet", elements, as_sets = true },
  { "$pull and $pull", "$pull", condition },
  { "$pullAll and $pullAll", "$pullAll", small_list },
  { "$pull and $pullAll", "$pull", condition, beside = "$pullAll", beside_operand = small_list },
}

-- A document with something at `path` for the operator to work on.
local function document_with(path, name)
  local document = cases.document()
  local old
  if name == "$inc" or name == "$mul" or name == "$bit" then
    old = cases.small_integer()
  elseif name == "$min" or name == "$max" then
    old = cases.any(2)
  else
    old = value.array { cases.any(1), cases.any(1), cases.small_integer(), cases.any(2) }
  end
  document[path] = cases.chance(80) and old or nil
  return document
end

-- Sets as arrays: the same elements in any order.
local function is_same_set(a, b)
  if not (value.is_array(a) and value.is_array(b)) then return value.equal(a, b) end
  if #a ~= #b then return false end
  for _, item in ipairs(a) do
    if not value.contains(b, item) then return false end
  end
  return true
end

local function is_same(a, b, set_path)
  if not set_path then return value.equal(a, b) end
  local x, y = a[set_path], b[set_path]
  if (x == nil) ~= (y == nil) or x ~= nil and not is_same_set(x, y) then return false end
  return value.equal(value.copy(apply_or_keep(a, { ["$unset"] = { [set_path] = "" } })),
    value.copy(apply_or_keep(b, { ["$unset"] = { [set_path] = "" } })))
end

-- Whether a path names an element beyond the end of an array. Writing it makes those before it,
-- too, so it is not apart from paths to those.
local function leads_beyond(document, path)
  local at = document
  for _, key in ipairs(value.split(path)) do
    if value.is_array(at) and (value.position(key) or 0) > #at then return true end
    at = value.child(at, key)
  end
  return false
end

-- Applies both ways and says which documents come out.
local function both_ways(document, first, second)
  return apply_or_keep(apply_or_keep(document, first), second),
    apply_or_keep(apply_or_keep(document, second), first)
end

describe("in either order the same comes of", function()
  for _, row in ipairs(COMMUTING) do
    local title, name, operand = row[1], row[2], row[3]
    it(title, function()
      local effective = 0
      each_case(3000, function(number)
        local path = cases.pick { "a", "b" }
        local document = document_with(path, name)
        local first = { [name] = { [path] = operand(document, path) } }
        local second_operand = (row.beside_operand or operand)(document, path)
        local second = { [row.beside or name] = { [path] = second_operand } }
        local one, other = both_ways(document, first, second)
        if not is_same(one, other, row.as_sets and path) then
          complain(number, "the order counts", {
            document = show(document), first = show(first), second = show(second),
            ["first, second"] = show(one), ["second, first"] = show(other),
          })
        end
        if not value.equal(document, one) then effective = effective + 1 end
      end)
      assert(ONLY or effective > 500, effective)
    end)
  end

  it("operators on paths of which none contains the other", function()
    local effective = 0
    each_case(20000, function(number)
      local document = cases.document()
      local first_name, second_name = cases.pick(cases.NAMES), cases.pick(cases.NAMES)
      local first_path, second_path = cases.path(document), cases.path(document)
      if leads_beyond(document, first_path) or leads_beyond(document, second_path) then return end
      local first_operand = cases.operand(first_name, document, first_path)
      local second_operand = cases.operand(second_name, document, second_path)
      local first = { [first_name] = { [first_path] = first_operand } }
      local second = { [second_name] = { [second_path] = second_operand } }
      -- One update may hold both just when the paths are apart. The time is none of the paths'.
      local together = { [first_name] = first[first_name], [second_name] = second[second_name] }
      if first_name == second_name or together["$currentDate"] then return end
      local _, code = apply(document, together)
      if code == "EOVERLAP" then return end
      local one, other = both_ways(document, first, second)
      if not value.equal(one, other) then
        complain(number, "the order counts", {
          document = show(document), first = show(first), second = show(second),
          ["first, second"] = show(one), ["second, first"] = show(other),
        })
      end
      if not value.equal(document, one) then effective = effective + 1 end
    end)
    assert(ONLY or effective > 5000, effective)
  end)
end)
