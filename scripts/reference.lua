-- scripts/reference.lua [ANNOTATIONS]: the annotations of the Lua language server as a module that
-- LDoc understands, on stdout. `make docs` makes the reference of it.
--
-- The annotations are the one place where functions are described; both dialects put the same
-- things in a comment above a function, so this is a translation line by line.
local path <const> = arg[1] or "lua/memshare/library/core.lua"

-- Where brackets and quotes are closed again and the type in front of a text ends: "a" | b name.
local function split_type(text)
  local depth, at = 0, 1
  while at <= #text do
    local char = text:sub(at, at)
    if char:find "[%(%[{<]" then
      depth = depth + 1
    elseif char:find "[%)%]}>]" then
      depth = depth - 1
    elseif char == '"' then
      at = text:find('"', at + 1, true) or #text
    elseif char == " " and depth == 0 then
      local bar = text:match("^%s*|%s*()", at)
      -- The result of fun(): stands behind its colon.
      local colon = text:sub(1, at - 1):match ":$" and text:match("^%s*()", at)
      if not bar and not colon then break end
      at = (bar or colon) - 1
    end
    at = at + 1
  end
  return text:sub(1, at - 1), text:sub(at):match "^%s*(.*)$"
end

local NAMES <const> = { boolean = "bool", integer = "int", table = "tab", ["true"] = "bool" }

-- LDoc's types are words.
local function one_type(text)
  text = text:gsub("%?$", ""):gsub("memshare%.", "")
  if text:find "^fun%(" then return "func" end
  if text:find '^"' then return "string" end
  if text:find "^[{%(]" or text:find "^table<" then return "tab" end
  local element = text:match "^([%w_]+)%[%]$"
  if element then return element == "table" and "tab" or "{" .. element .. ",...}" end
  return NAMES[text] or text
end

local function to_type(text)
  if text:find "^fun%(" or text:find "^[{%(]" then return one_type(text) end
  local out, seen = {}, {}
  for part in text:gmatch "[^|]+" do
    local name = one_type(part:match "^%s*(.-)%s*$")
    if not seen[name] then out[#out + 1] = name end
    seen[name] = true
  end
  return table.concat(out, "|")
end

local function emit(out, ...) out[#out + 1] = ("-- " .. string.format(...)):gsub("%s+$", "") end

-- What stands behind each tag of the language server.
local translate = {
  param = function(out, text)
    local name, rest = text:match "^(%S+)%s+(.*)$"
    local kind, about = split_type(rest)
    local optional = name:find "%?$" or kind:find "^[^(]*%?$"
    if name == "..." then name, optional = "...", true end
    emit(out, "@tparam%s %s %s %s", optional and "[opt]" or "", to_type(kind),
      name:gsub("%?$", ""), about)
  end,
  ["return"] = function(out, text)
    local kind, about = split_type(text)
    emit(out, "@treturn %s%s %s", to_type(kind), kind:find "^[^(]*%?$" and "|nil" or "", about)
  end,
  field = function(out, text)
    local name, rest = text:match "^(%S+)%s+(.*)$"
    local kind, about = split_type(rest)
    local optional = name:find "%?$" or kind:find "%?$"
    emit(out, "@tfield%s %s %s %s", optional and "[opt]" or "", to_type(kind),
      name:gsub("%?$", ""), about)
  end,
  overload = function(out, text) emit(out, "Also as `%s`.", text:gsub("memshare%.", "")) end,
}

-- The comment blocks of the file, each with the line of code below it.
local function read_items(file)
  local items, comment = {}, {}
  for line in io.lines(file) do
    local text = line:match "^%-%-%-%s?(.*)$"
    if text and not text:find "^@meta" then
      comment[#comment + 1] = text
    elseif #comment > 0 then
      items[#items + 1] = { comment = comment, code = line }
      comment = {}
    else
      items[#items + 1] = { comment = {}, code = line }
    end
  end
  return items
end

-- The lines of one comment for LDoc: prose first, then tags, the first line being the summary.
local function to_comment(item)
  local prose, tags, table_name = {}, {}, nil
  for _, line in ipairs(item.comment) do
    local tag, rest = line:match "^@(%a+)%s*(.*)$"
    if tag == "class" then
      table_name = rest:gsub("memshare%.", ""):match "^[%w_]+"
    elseif tag == "overload" then
      translate.overload(prose, rest)
    elseif tag and translate[tag] then
      translate[tag](tags, rest)
    elseif not tag then
      emit(prose, "%s", line)
    end
  end
  if #prose == 0 then prose[1] = "-- " .. (table_name or "") end
  prose[1] = "-" .. prose[1]
  return table.move(tags, 1, #tags, #prose + 1, prose), table_name
end

local functions, tables, methods = {}, {}, {}
for _, item in ipairs(read_items(path)) do
  local owner, call = item.code:match "^function ([%w_]+)[.:]([%w_]+%(.*%)) end$"
  local comment, table_name = to_comment(item)
  local text = table.concat(comment, "\n")
  if owner == "core" then
    functions[#functions + 1] = ("%s\nfunction memshare.%s end\n"):format(text, call)
  elseif owner then
    methods[owner] = methods[owner] or {}
    table.insert(methods[owner], ("%s\nfunction %s:%s end\n"):format(text, owner, call))
  elseif table_name and table_name ~= "core" and text:find "@tfield" then
    local is_class = item.code:match "^local ([%w_]+) = {}$"
    table.insert(tables, ("%s\n-- @table %s\n"):format(text,
      is_class and table_name .. "_fields" or table_name))
  end
end

print [[
--- One live object, shared by the processes of one machine.
--
-- A caller's mistake raises at the caller's line, the message ending in a code; what the world does
-- returns nil, message, code.
--
-- @module memshare
local memshare, Share, Receipt, Lease, Singleton, Call = {}, {}, {}, {}, {}, {}
]]
for _, text in ipairs(functions) do print(text) end
for _, text in ipairs(tables) do print(text) end
for _, owner in ipairs { "Share", "Receipt", "Lease", "Singleton", "Call" } do
  print(("--- Methods.\n-- @type %s\n"):format(owner))
  for _, text in ipairs(methods[owner]) do print(text) end
end
print "return memshare"
