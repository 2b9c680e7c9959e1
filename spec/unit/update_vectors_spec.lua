-- MongoDB's answers, one case a line, put to memshare.apply.
local memshare = require "memshare"

local PATH <const> = "spec/vectors/mongo-update.jsonl"

-- The code that each category of refusal stands for.
local CODES <const> = {
  conflict = "EOVERLAP",
  type = "ETYPE",
  path = "EPATH",
  ["bad-operator"] = "EOPERATOR",
  ["bad-argument"] = "EARGUMENT",
}

local function read_cases()
  local cases = {}
  for line in io.lines(PATH) do cases[#cases + 1] = assert(memshare.from_json(line)) end
  return cases
end

-- What stands at a dotted path of a copy, whose arrays count from 1.
local function value_at(document, path)
  for key in path:gmatch "[^.]+" do
    if type(document) ~= "table" then return nil end
    local is_array = memshare.type(document) == "array"
    document = document[is_array and math.tointeger(key) + 1 or key]
  end
  return document
end

-- Equal by value: 1 equals 1.0, keys have no order, an empty array is no empty object.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  if memshare.type(a) ~= memshare.type(b) then return false end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- Puts null where a time belongs, and says what is wrong with the time.
local function check_times(result, paths, earliest)
  for _, path in ipairs(paths or {}) do
    local parent, last = path:match "^(.*)%.([^.]+)$"
    local holder = parent and value_at(result, parent) or result
    local key = last or path
    if memshare.type(holder) == "array" then key = math.tointeger(key) + 1 end
    local time = holder[key]
    if math.type(time) ~= "integer" or time < earliest then
      return ("%s: %s is no time of now"):format(path, time)
    end
    holder[key] = memshare.null
  end
end

local function check_types(result, types)
  for path, expected in pairs(types or {}) do
    local found = math.type(value_at(result, path))
    if found ~= expected then
      return ("%s: %s expected, got %s"):format(path, expected, found)
    end
  end
end

-- The result of memshare.apply, or nil, message, code: returned or raised.
local function apply(case)
  local ok, result, message, code = pcall(memshare.apply, case.doc, case.update,
    { array_filters = case.array_filters })
  if ok then return result, message, code end
  return nil, result, result:match "%((E%u+)%)$"
end

local function check_refusal(case, result, message, code)
  if result then return "applied to " .. memshare.to_json(result) end
  if code == CODES[case.error] then return nil end
  for _, category in ipairs(case.error_alt or {}) do
    if code == CODES[category] then return nil end
  end
  return ("%s expected, got %s"):format(case.error, message)
end

local function check_result(case, result, message, earliest)
  if not result then return "refused: " .. message end
  local wrong = check_times(result, case.volatile, earliest) or check_types(result, case.types)
  if wrong then return wrong end
  if not same(result, case.expect) then return "gives " .. memshare.to_json(result) end
end

-- What is wrong with a case, nil when nothing is.
local function check(case)
  local before = memshare.copy(case.doc)
  local earliest = (os.time() - 1) * 1000
  local result, message, code = apply(case)
  if not memshare.equal(before, case.doc) then return "the input was changed" end
  if case.error then return check_refusal(case, result, message, code) end
  return check_result(case, result, message, earliest)
end

describe("memshare.apply", function()
  local cases = read_cases()

  it("has all of MongoDB's cases before it", function()
    assert.equal(313, #cases)
  end)

  for _, case in ipairs(cases) do
    -- A case that needs ordered keys says what MongoDB does, not what happens here.
    if case.order_sensitive then
      it(("notes what %s gives without ordered keys"):format(case.name), function()
        local wrong = check(case)
        if wrong then pending(("%s %s"):format(case.name, wrong)) end
      end)
    else
      it(("does what MongoDB does: %s"):format(case.name), function()
        local wrong = check(case)
        assert.is_nil(wrong, wrong and ("%s: %s"):format(case.name, wrong))
      end)
    end
  end
end)
