-- A peer that does what its parent says. Line by line, JSON both ways:
--
--   in    {"id": 7, "code": "return data.round", "args": "{n=0}"}     args is a Lua literal
--   out   {"id": 7, "ok": true, "values": "{...}"} or {"id": 7, "ok": false, "error": "..."}
--   in    {"id": 8, "code": "return data.round == 3", "args": "{n=0}", "await": true}
--         is tried after each poll and answered once it returns something true
--
-- Between two commands it polls its shares in luv's loop. Global functions below are the vocabulary
-- of the commands. End of file on stdin ends it, so it never outlives the spec that started it.
-- luacheck: globals memshare share data
local cjson = require "cjson"
local uv = require "luv"
memshare = require "memshare"
local literal = require "spec.support.literal"
local process = require "spec.support.process"

warn "@on" -- what the library warns of belongs to the log of this peer

local inbox, done = {}, false
local jobs = {}

-- luacheck: push globals open leave job journal text
---Open the share of the cluster: globals `share` and `data`.
function open(name, defaults, options)
  share = assert(memshare.open(name, defaults, options))
  data = share.data
  return share.id
end

---Leave the share but stay a process.
function leave()
  local left = share
  share = nil
  return left:close(10)
end

---Call `step` between polls until it returns false.
function job(step) jobs[#jobs + 1] = step end

---The whole document, equal for equal documents.
function text() return memshare.to_json(data) end

-- What this peer wrote, kept outside the share: `accepted <n>` in a file for each receipt that
-- settled well, so that the file never claims more than was promised. Every write is one patch: it
-- counts `count.<who>` up and appends n to `log.<who>`.
function journal(who, path)
  local file = assert(io.open(path, "a"))
  file:setvbuf "no"
  local open_receipts, first, next_number = {}, 1, 1
  local written = 0
  local self = {}
  function self.note()
    while first < next_number and open_receipts[first].state ~= "pending" do
      file:write(open_receipts[first].state, " ", first, "\n")
      open_receipts[first] = nil
      first = first + 1
    end
  end
  function self.write()
    local n = next_number
    open_receipts[n] = share:patch {
      ["$inc"] = { ["count." .. who] = 1 }, ["$push"] = { ["log." .. who] = n },
    }
    next_number = n + 1
  end
  function self.pending() return next_number - first end
  job(function()
    self.note()
    -- A thousand a second: the machine is to be busy with what the spec does to the peers.
    local now = uv.hrtime()
    if not self.stopped and now - written >= 1e6 and self.pending() < 64 then
      written = now
      self.write()
    end
    return not (self.stopped and self.pending() == 0)
  end)
  return self
end
-- luacheck: pop

local stdin = uv.new_pipe(false)
stdin:open(0)
local split = process.splitter(function(line) inbox[#inbox + 1] = line end)
stdin:read_start(function(_, chunk)
  if chunk then split(chunk) else done = true end
end)

local function reply(id, ok, ...)
  local message = { id = id, ok = ok }
  if ok then
    message.values = literal.write { n = select("#", ...), ... }
  else
    message.error = tostring(...)
  end
  io.stdout:write(cjson.encode(message), "\n")
  io.stdout:flush()
end

local awaited = {}

-- Keeps a request to await while what it awaits has not come.
local function attempt(request, ok, ...)
  if ok and request.await and not (...) then
    awaited[#awaited + 1] = request
  else
    reply(request.id, ok, ...)
  end
end

local function serve(request)
  local args = literal.read(request.args)
  attempt(request, xpcall(request.chunk, debug.traceback, table.unpack(args, 1, args.n)))
end

local function accept(line)
  local request = cjson.decode(line)
  local message
  request.chunk, message = load(request.code, "=command", "t")
  if request.chunk then serve(request) else reply(request.id, false, message) end
end

local function serve_awaited()
  local requests = awaited
  awaited = {}
  for _, request in ipairs(requests) do serve(request) end
end

local function step_jobs()
  for i = #jobs, 1, -1 do
    if not jobs[i]() then table.remove(jobs, i) end
  end
end

-- Sleeps in luv's loop until stdin or memshare has something.
local watch
local timer = uv.new_timer()
local function rest_in_loop()
  if share and not watch then
    watch = uv.new_poll(memshare.fd())
    watch:start("r", function() end)
  end
  local seconds = #jobs > 0 and 0.001 or share and share:timeout()
  if seconds then
    local ms = math.max(1, math.ceil(seconds * 1000))
    uv.update_time()
    timer:start(ms, ms, function() end) -- repeats: `run "once"` sleeps on after a timer that is due
  else
    timer:stop()
  end
  uv.run "once"
end

while not done do
  if inbox[1] then
    accept(table.remove(inbox, 1))
  else
    if share then memshare.poll(0) end
    step_jobs()
    serve_awaited()
    if not inbox[1] then rest_in_loop() end
  end
end
if share then share:close(1) end
os.exit(0, true)
