---Values as text: what people type and what they read.
local memshare = require "memshare"

local M = {}

---JSON where it is JSON, else the plain string itself.
---@param text string
---@return any
function M.parse(text)
  local read, value, message = pcall(memshare.from_json, text)
  if read and (value ~= nil or not message) then return value end
  return text
end

---@param text string
---@return any value
---@return string? message set when the text is no JSON
function M.parse_json(text)
  local read, value, message = pcall(memshare.from_json, text)
  if not read then return nil, tostring(value) end
  return value, value == nil and (message or "not JSON") or nil
end

---A string as it is, anything else as indented JSON.
---@param value any
---@return string
function M.show(value)
  if type(value) == "string" then return value end
  return memshare.to_json(value, { pretty = true })
end

---On one line, cut after `limit` bytes, never inside a character.
---@param value any
---@param limit integer
---@return string
function M.brief(value, limit)
  local text = memshare.to_json(value)
  if #text <= limit then return text end
  local stop = limit - 3
  while stop > 0 and text:byte(stop + 1) & 0xC0 == 0x80 do stop = stop - 1 end
  return text:sub(1, stop) .. "..."
end

---@param bytes integer
---@return string
function M.size(bytes)
  if bytes < 1024 then return ("%d bytes"):format(bytes) end
  if bytes < 1024 * 1024 then return ("%.1f KiB"):format(bytes / 1024) end
  return ("%.1f MiB"):format(bytes / 1024 / 1024)
end

return M
