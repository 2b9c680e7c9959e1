-- Feature flags: switch something on for some users while all processes run.
--
--   memshare run examples/flags.lua serve            a process that asks them; start several
--   memshare run examples/flags.lua dark_mode 25     on for a quarter of the users
--   memshare run examples/flags.lua dark_mode off
local memshare = require "memshare"

local share <close> = assert(memshare.open("flags", { flags = memshare.object {} }))
local flags = share.data.flags

-- The same user gets the same answer in each process, and keeps it when the share of users grows.
local function bucket(flag, user)
  local hash = 0
  for _, byte in ipairs { (flag .. user):byte(1, -1) } do hash = (hash * 31 + byte) % 10007 end
  return hash % 100
end

-- A read of a shared table: cheap enough for every request, and never stale for longer than a poll.
local function enabled(flag, user)
  return bucket(flag, user) < (flags[flag] or 0)
end

local function serve()
  print(("%d flags are set"):format(memshare.count(flags)))
  share:on("flags.*", function(percent, _, path)
    local users = 0
    for user = 1, 1000 do
      if enabled(path:match "[^.]+$", "user " .. user) then users = users + 1 end
    end
    print(("%s: %d%%, on for %d of 1000 users"):format(path, percent or 0, users))
  end, { immediate = true })
  memshare.run()
end

if arg[1] == "serve" then
  serve()
elseif arg[1] and arg[2] then
  flags[arg[1]] = tonumber(arg[2]) or (arg[2] == "on" and 100) or nil
  assert(share:flush(5))
else
  io.stderr:write("usage: flags.lua serve | FLAG PERCENT | FLAG on | FLAG off\n")
  os.exit(2)
end
