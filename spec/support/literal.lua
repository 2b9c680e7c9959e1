-- Values as Lua source text: integers and floats stay apart and strings keep their bytes, which
-- lua-cjson does not manage. Keys are sorted, so equal values give equal texts.
local cjson = require "cjson"

local M = {}

local function before(a, b)
  if type(a) ~= type(b) then return type(a) < type(b) end
  return a < b
end

local function write(value, out)
  if value == cjson.null then
    out[#out + 1] = "null"
  elseif type(value) ~= "table" then
    out[#out + 1] = ("%q"):format(value)
  else
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, before)
    out[#out + 1] = "{"
    for _, key in ipairs(keys) do
      out[#out + 1] = ("[%q]="):format(key)
      write(value[key], out)
      out[#out + 1] = ","
    end
    out[#out + 1] = "}"
  end
end

---The text of a value: nil, boolean, number, string, `cjson.null`, a table of these or a proxy.
---@param value any
---@return string
function M.write(value)
  local out = {}
  write(value, out)
  return table.concat(out)
end

---The value of a text.
---@param text string
---@return any
function M.read(text)
  return assert(load("return " .. text, "=literal", "t", { null = cjson.null }))()
end

return M
