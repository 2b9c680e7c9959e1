---What the command prints: lines and JSON to stdout, messages and progress to stderr.
---
---Whoever cannot go on raises with `fail`, which `memshare.cli` turns into a message and an exit
---status. A reader that closed the pipe early has seen enough: that ends the command with status 0.
local memshare = require "memshare"

local M = {}

local EPIPE <const> = 32

---@class memshare.cli.Failure
---@field status integer
---@field message string? nothing is printed when nil

---End the command.
---@param message string what is wrong and what to do next
---@param status integer? 1 when nil
function M.fail(message, status)
  error({ status = status or 1, message = message }, 0)
end

local function check(done, message, errno)
  if done then return end
  if errno == EPIPE then error({ status = 0 }, 0) end
  M.fail("cannot write to stdout: " .. tostring(message))
end

---@param line string
function M.line(line)
  check(io.stdout:write(line, "\n"))
end

---What was written leaves now.
function M.flush()
  check(io.stdout:flush())
end

---One line of JSON.
---@param value any
function M.json(value)
  M.line(memshare.to_json(value))
end

---@param message string
function M.note(message)
  io.stderr:write("memshare: ", message, "\n")
end

local terminals = {}

---Is descriptor 1 (stdout) or 2 (stderr) a terminal?
---@param descriptor integer
---@return boolean
function M.is_terminal(descriptor)
  if terminals[descriptor] == nil then
    terminals[descriptor] = os.execute(("test -t %d"):format(descriptor)) == true
  end
  return terminals[descriptor]
end

local colours <const> = { red = 31, green = 32, yellow = 33, dim = 2 }

---Coloured when stdout is a terminal and NO_COLOR is not set.
---@param colour string
---@param text string
---@return string
function M.paint(colour, text)
  local no_color = os.getenv "NO_COLOR"
  if (no_color and no_color ~= "") or not M.is_terminal(1) then return text end
  return ("\27[%dm%s\27[0m"):format(colours[colour], text)
end

---Left-aligned columns.
---@param header string[]
---@param rows string[][]
function M.table(header, rows)
  local widths = {}
  for column, title in ipairs(header) do
    widths[column] = #title
    for _, row in ipairs(rows) do widths[column] = math.max(widths[column], #row[column]) end
  end
  local function print_row(row)
    local cells = {}
    for column, text in ipairs(row) do
      cells[column] = text .. (" "):rep(widths[column] - #text)
    end
    M.line((table.concat(cells, "  "):gsub(" +$", "")))
  end
  print_row(header)
  for _, row in ipairs(rows) do print_row(row) end
end

---A line that rewrites itself, on a terminal only.
---@param text string? nil ends it
function M.progress(text)
  if not M.is_terminal(2) then return end
  io.stderr:write("\r\27[K", text or "")
end

return M
