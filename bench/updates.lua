-- Applying one compiled update, for each operator and three sizes of documents: runs updates.c,
-- which says what exactly is timed, and prints a table of its own.
local SIZES <const> = { "100", "10,000", "1,000,000" }
local HEAD <const> = "%-5s %-31s %11s %11s %11s %7s %7s %9s %6s"
local ROW <const> = "%-5s %-31s %11s %11s %11s %7.0f %7.0f %9.0f %6.2f"
local PLOTTED <const> = {
  ["given $set"] = true, ["given $push"] = true, ["given $inc, random keys"] = true,
  ["kept $set"] = true, ["kept $push"] = true, ["kept $inc, random keys"] = true,
}
local LINE <const> = "(%S+)\t([^\t]+)\t(%S+)\t(%S+)\t(%S+)\n"

local function thousands(number)
  local text = ("%.0f"):format(number):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

local function print_head(where)
  print(("\nupdates applied, %s: per second, and ns for one, in a document of so many keys"):format(
    where))
  print(HEAD:format("held", "update", "1/s " .. SIZES[1], SIZES[2], SIZES[3], "ns " .. SIZES[1],
    SIZES[2], SIZES[3], "ratio"))
end

---@param report bench.Report
---@param where string "one core" or "free"
---@param scale table
---@param program fun(name: string, ...: string): string  runs it and returns what it printed
return function(report, where, scale, program)
  local out = program("bench_updates", ("%d"):format(scale.update_rounds))
  print_head(where)
  for held, name, small, middle, large in out:gmatch(LINE) do
    local ns = { tonumber(small), tonumber(middle), tonumber(large) }
    local rates = {}
    for i, size in ipairs(SIZES) do
      rates[i] = 1e9 / ns[i]
      report:keep(where, ("apply %s, %s, %s keys"):format(name, held, size), rates[i], "1/s")
    end
    local ratio = rates[3] / rates[1]
    report:keep(where, ("apply %s, %s, ratio"):format(name, held), ratio, "")
    if PLOTTED[held .. " " .. name] then
      report:curve("updates, " .. where, held .. " " .. name,
        { { 100, ns[1] }, { 10000, ns[2] }, { 1000000, ns[3] } })
    end
    print(ROW:format(held, name, thousands(rates[1]), thousands(rates[2]), thousands(rates[3]),
      ns[1], ns[2], ns[3], ratio))
  end
end
