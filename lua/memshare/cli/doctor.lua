---memshare doctor
local memshare = require "memshare"
local core = require "memshare.core"
local output = require "memshare.cli.output"

local M = { summary = "Look for what keeps shares from working, and say what to do." }

local DESCRIPTORS_LEAST <const> = 256

function M.describe() end

-- What a shell line prints, without its end; nil when it fails.
local function ask(line)
  local pipe <close> = assert(io.popen(line .. " 2>/dev/null"))
  local text = pipe:read("a"):gsub("%s+$", "")
  return pipe:close() and text or nil
end

local function quote(text) return "'" .. text:gsub("'", [['\'']]) .. "'" end

-- As the library finds it.
local function directory(args)
  if args.dir then return args.dir, "--dir" end
  local given = os.getenv "MEMSHARE_DIR"
  if given and given ~= "" then return given, "$MEMSHARE_DIR" end
  local runtime = os.getenv "XDG_RUNTIME_DIR"
  if runtime and runtime ~= "" then return runtime .. "/memshare", "$XDG_RUNTIME_DIR" end
  return "/tmp/memshare-" .. (ask "id -u" or "?"), "the default"
end

local checks <const> = {}

---@param dir string
---@return string state "ok", "note" or "bad"
---@return string said
---@return string? cure
function checks.directory(dir, from)
  local facts = ask("ls -ldn " .. quote(dir))
  if not facts then
    return "note", ("%s (%s) is not there yet"):format(dir, from), "the first share makes it"
  end
  local mode, owner = facts:match "^(%S+)%s+%S+%s+(%S+)"
  if mode:sub(1, 1) ~= "d" then
    return "bad", dir .. " is no directory", "remove it, or set MEMSHARE_DIR to another place"
  elseif owner ~= ask "id -u" then
    return "bad", ("%s belongs to user %s"):format(dir, owner),
      "set MEMSHARE_DIR to a place of your own"
  elseif mode:sub(5, 10) ~= "------" then
    return "bad", ("%s is open to others: %s"):format(dir, mode), "chmod 700 " .. quote(dir)
  elseif mode:sub(2, 4) ~= "rwx" then
    return "bad", ("you may not write to %s: %s"):format(dir, mode), "chmod 700 " .. quote(dir)
  end
  return "ok", ("%s (%s) is yours alone"):format(dir, from)
end

function checks.space(dir)
  local free = ask(("df -Pk %s | awk 'NR == 2 { print $4 }'"):format(quote(dir)))
  local kibibytes = math.tointeger(tonumber(free or ""))
  if not kibibytes then return "note", "the free space is not known" end
  local said = ("%d MiB free where the logs lie"):format(kibibytes // 1024)
  if kibibytes < 128 * 1024 then
    return "bad", said, "a host's log takes 64 MiB: make room, or set MEMSHARE_DIR to another place"
  end
  return "ok", said
end

function checks.leftovers(dir)
  local listed = memshare.list { dir = dir } or {}
  local alive, dead = 0, {}
  for _, share in ipairs(listed) do
    if share.alive then alive = alive + 1 else dead[#dead + 1] = share.name end
  end
  table.sort(dead)
  if #dead == 0 then return "ok", ("%d shares live, none is left over"):format(alive) end
  return "note", ("%d shares live; left over: %s"):format(alive, table.concat(dead, ", ")),
    "nothing to do: whoever opens that name begins anew"
end

function checks.descriptors()
  local most = ask "ulimit -n"
  local count = math.tointeger(tonumber(most or ""))
  if not count then return "ok", ("descriptors a process may open: %s"):format(most or "?") end
  if count < DESCRIPTORS_LEAST then
    return "bad", ("only %d descriptors a process"):format(count),
      ("a host needs one a peer: ulimit -n %d"):format(DESCRIPTORS_LEAST)
  end
  return "ok", ("%d descriptors a process"):format(count)
end

function checks.version()
  return "ok", ("memshare %s, %s"):format(core.version, _VERSION)
end

local ORDER <const> = { "version", "directory", "space", "leftovers", "descriptors" }
local COLOURS <const> = { ok = "green", note = "yellow", bad = "red" }

function M.run(args)
  local dir, from = directory(args)
  local found, is_bad = {}, false
  for i, name in ipairs(ORDER) do
    local state, said, cure = checks[name](dir, from)
    found[i] = { check = name, state = state, said = said, cure = cure }
    is_bad = is_bad or state == "bad"
  end
  if args.json then
    output.json(memshare.array(found))
  else
    for _, one in ipairs(found) do
      output.line(("%s  %s"):format(output.paint(COLOURS[one.state], ("%-4s"):format(one.state)),
        one.said))
      if one.cure then output.line("      -> " .. one.cure) end
    end
  end
  return is_bad and 1 or 0
end

return M
