-- A settings file shared by workers that pick up changes while they run.
--
--   memshare run examples/config.lua watch settings.json [SECONDS BETWEEN]   one reads the file
--   memshare run examples/config.lua work                                    as many as you like
--
-- Edit the file: all workers have the new settings a moment later. Workers need no file, may start
-- before or after, and keep the settings when the watching process ends.
local memshare = require "memshare"

local role <const>, path <const>, pause <const> = arg[1], arg[2], tonumber(arg[3]) or 0.5

local function read(name)
  local file, message = io.open(name, "rb")
  if not file then return nil, message end
  local text = file:read "a"
  file:close()
  return text
end

local function watch(share)
  local last
  memshare.every(pause, function()
    local text, message = read(path)
    if text == last then return end
    last = text
    local settings
    if text then settings, message = memshare.from_json(text) end
    if memshare.type(settings) ~= "object" then
      -- A file that is being edited may be broken for a moment: the workers keep what they have.
      print(("%s: %s"):format(path, message or "not a JSON object"))
      return
    end
    share:replace(settings) -- one patch: nobody ever sees half of the new settings
    print(("%s: %d settings"):format(path, memshare.count(settings)))
  end)
end

local function work(share)
  -- `**` is every setting at any depth; `immediate` also reports what is there already. Replacing
  -- the document reports only what really changed.
  share:on("**", function(new, old, name)
    print(("%s: %s -> %s"):format(name, tostring(old), tostring(new)))
  end, { immediate = true })
end

local roles <const> = { watch = watch, work = work }
if not roles[role] or role == "watch" and not path then
  io.stderr:write("usage: config.lua watch FILE.json [SECONDS] | work\n")
  os.exit(2)
end

local share <close> = assert(memshare.open "config")
roles[role](share)
memshare.run() -- polls until memshare.stop(); under `memshare run` also until SIGINT or SIGTERM
