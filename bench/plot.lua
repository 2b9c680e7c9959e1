-- A line plot as SVG text: both axes with round marks, one line a series, a legend.
--
--   plot.draw {
--     title = "...", x = { label = "ns", log = true }, y = { label = "share", from = 0, to = 1 },
--     series = { { name = "raw", points = { { 1, 0.5 }, ... } } },
--   }
local M = {}

local WIDTH <const>, HEIGHT <const> = 720, 420
local LEFT <const>, RIGHT <const>, TOP <const>, BOTTOM <const> = 70, 190, 40, 50
local COLOURS <const> = { "#0b62a4", "#c44e00", "#2e7d32", "#8e24aa", "#5d4037", "#00838f" }
local ESCAPES <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escape(text) return (text:gsub('[&<>"]', ESCAPES)) end

local function text_at(x, y, anchor, text)
  return ('<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>'):format(x, y, anchor, escape(text))
end

local function line(x1, y1, x2, y2)
  return ('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#d0d0d0"/>'):format(x1, y1, x2, y2)
end

-- The range of one coordinate over all points, or what the axis says.
local function range(axis, series, coordinate)
  local from, to = math.huge, -math.huge
  for _, one in ipairs(series) do
    for _, point in ipairs(one.points) do
      from, to = math.min(from, point[coordinate]), math.max(to, point[coordinate])
    end
  end
  from, to = axis.from or from, axis.to or to
  if axis.log then
    assert(from > 0, "a logarithmic axis needs values above 0")
    return 10 ^ math.floor(math.log(from, 10)), 10 ^ math.ceil(math.log(to, 10))
  end
  return from, to > from and to or from + 1
end

local function marks(axis, from, to)
  local values = {}
  if axis.log then
    for power = math.floor(math.log(from, 10) + 0.5), math.floor(math.log(to, 10) + 0.5) do
      values[#values + 1] = 10.0 ^ power
    end
  else
    for i = 0, 5 do values[#values + 1] = from + (to - from) * i / 5 end
  end
  return values
end

local function mark_text(value)
  if value >= 1e6 then return ("%gM"):format(value / 1e6) end
  if value >= 1e3 then return ("%gk"):format(value / 1e3) end
  return ("%g"):format(value)
end

-- A function from values to places between `low` and `high`.
local function scale(axis, from, to, low, high)
  local function position(value) return axis.log and math.log(value) or value end
  local first, last = position(from), position(to)
  if first == last then last = first + 1 end
  return function(value)
    return low + (position(value) - first) / (last - first) * (high - low)
  end
end

local function draw_axes(out, plot, x_range, y_range, place_x, place_y)
  for _, value in ipairs(marks(plot.x, x_range[1], x_range[2])) do
    out[#out + 1] = line(place_x(value), TOP, place_x(value), HEIGHT - BOTTOM)
    out[#out + 1] = text_at(place_x(value), HEIGHT - BOTTOM + 18, "middle", mark_text(value))
  end
  for _, value in ipairs(marks(plot.y, y_range[1], y_range[2])) do
    out[#out + 1] = line(LEFT, place_y(value), WIDTH - RIGHT, place_y(value))
    out[#out + 1] = text_at(LEFT - 8, place_y(value) + 4, "end", mark_text(value))
  end
  out[#out + 1] = text_at((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "middle", plot.x.label)
  local turned <const> = '<text transform="translate(18 %.1f) rotate(-90)" %s>%s</text>'
  out[#out + 1] = turned:format((TOP + HEIGHT - BOTTOM) / 2, 'text-anchor="middle"',
    escape(plot.y.label))
end

local function draw_series(out, number, one, place_x, place_y)
  local colour, points = COLOURS[(number - 1) % #COLOURS + 1], {}
  for i, point in ipairs(one.points) do
    points[i] = ("%.1f,%.1f"):format(place_x(point[1]), place_y(point[2]))
  end
  out[#out + 1] = ('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>'):format(
    colour, table.concat(points, " "))
  local y = TOP + 18 * number
  out[#out + 1] = ('<rect x="%d" y="%d" width="14" height="4" fill="%s"/>'):format(
    WIDTH - RIGHT + 12, y - 6, colour)
  out[#out + 1] = text_at(WIDTH - RIGHT + 32, y, "start", one.name)
end

---The plot as the text of an SVG file.
---@param plot { title: string, x: table, y: table, series: table[] }
---@return string
function M.draw(plot)
  local x_range = { range(plot.x, plot.series, 1) }
  local y_range = { range(plot.y, plot.series, 2) }
  local place_x = scale(plot.x, x_range[1], x_range[2], LEFT, WIDTH - RIGHT)
  local place_y = scale(plot.y, y_range[1], y_range[2], HEIGHT - BOTTOM, TOP)
  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"'):format(
      WIDTH, HEIGHT, WIDTH, HEIGHT) .. ' font-family="sans-serif" font-size="12">',
    '<rect width="100%" height="100%" fill="white"/>',
    text_at(LEFT, 22, "start", plot.title),
  }
  draw_axes(out, plot, x_range, y_range, place_x, place_y)
  for number, one in ipairs(plot.series) do draw_series(out, number, one, place_x, place_y) end
  out[#out + 1] = "</svg>\n"
  return table.concat(out, "\n")
end

return M
