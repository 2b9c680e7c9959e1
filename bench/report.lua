-- Figures, the table that shows them, and the JSON file that keeps them.
local cjson = require "cjson"
local uv = require "luv"
local plot = require "bench.plot"

---@class bench.Report
local Report = {}
Report.__index = Report

local M = {}

function M.new() return setmetatable({ figures = {}, raw = {}, plots = {} }, Report) end

local function number(value)
  if not value then return "" end
  if value >= 1000 then
    local text = ("%.0f"):format(value):reverse():gsub("(%d%d%d)", "%1,"):reverse()
    return (text:gsub("^,", ""))
  end
  return (value >= 100 and "%.0f" or value >= 10 and "%.1f" or "%.2f"):format(value)
end

local ROW <const> = "%-9s %-56s %12s %-4s %12s %8s  %s"

local function print_row(row)
  print(ROW:format(row.where, row.name, number(row.value), row.unit, number(row.raw),
    row.factor and "x" .. number(row.factor) or "", row.goal or ""))
  io.stdout:flush()
end

function M.print_head()
  print(ROW:format("where", "figure", "value", "unit", "raw", "factor", "goal"))
end

---Keep what the kernel alone allows.
function Report:limit(where, name, value) self.raw[where .. " " .. name] = value end

---Keep a figure that is printed elsewhere.
function Report:keep(where, name, value, unit)
  self.figures[#self.figures + 1] = { where = where, name = name, value = value, unit = unit }
end

---Keep and print one figure.
---@param where string "one core", "free" or "-"
---@param name string
---@param value number
---@param unit string
---@param limit string|number? the raw figure to hold it against
---@param goal string? what was promised
function Report:add(where, name, value, unit, limit, goal)
  local raw = type(limit) == "number" and limit or self.raw[where .. " " .. (limit or "")]
  -- Of rates more is better, of all others less: the factor says how far the limit is away.
  local is_rate = unit == "1/s" or unit == "MB/s"
  local factor = raw and (is_rate and raw / value or value / raw)
  self.figures[#self.figures + 1] = {
    where = where, name = name, value = value, unit = unit, raw = raw, factor = factor,
    goal = goal,
  }
  print_row(self.figures[#self.figures])
end

---Keep a line of a plot.
---@param title string "latency, ...": share of messages over time; "updates, ...": time over keys
---@param name string
---@param points number[][]
function Report:curve(title, name, points)
  if not self.plots[title] then
    self.plots[#self.plots + 1], self.plots[title] = title, {}
  end
  table.insert(self.plots[title], { name = name, points = points })
end

local AXES <const> = {
  latency = { { label = "microseconds, one way", log = true },
    { label = "share of messages", from = 0, to = 1 } },
  updates = { { label = "keys in the document", log = true },
    { label = "nanoseconds for one update", log = true } },
}

---Draw what plots have lines into files of a directory.
function Report:draw(directory)
  for _, title in ipairs(self.plots) do
    local axes = AXES[title:match "^%a+"]
    local file <close> = assert(io.open(("%s/%s.svg"):format(directory,
      (title:gsub("%W+", "-"))), "w"))
    file:write(plot.draw { title = title, x = axes[1], y = axes[2], series = self.plots[title] })
  end
end

-- Title to lines, without the order.
function Report:lines()
  local all = {}
  for _, title in ipairs(self.plots) do all[title] = self.plots[title] end
  return next(all) and all or nil
end

---Write all figures, with what they were measured on.
function Report:save(path, details)
  local cpus = uv.cpu_info()
  local system = uv.os_uname()
  local file <close> = assert(io.open(path, "w"))
  file:write(cjson.encode {
    date = os.date "!%Y-%m-%dT%H:%M:%SZ",
    cpu = cpus[1] and cpus[1].model,
    cores = #cpus,
    system = system.sysname .. " " .. system.release,
    details = details,
    figures = self.figures,
    plots = self:lines(),
  }, "\n")
end

return M
