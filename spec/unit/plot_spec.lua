local plot = require "bench.plot"

local function count(text, pattern) return select(2, text:gsub(pattern, "")) end

describe("a plot of the benchmark", function()
  it("has a line and a name for each series, and marks on both axes", function()
    local svg = plot.draw {
      title = "one way", x = { label = "us", log = true },
      y = { label = "share", from = 0, to = 1 },
      series = {
        { name = "raw & fast", points = { { 2, 0.01 }, { 4, 0.5 }, { 90, 0.99 } } },
        { name = "ours", points = { { 20, 0.01 }, { 40, 0.5 }, { 90, 0.99 } } },
      },
    }
    assert.matches("^<svg [^>]+>", svg)
    assert.matches("</svg>\n$", svg)
    assert.equal(2, count(svg, "<polyline "))
    assert.matches("raw &amp; fast", svg)
    assert.matches(">ours<", svg)
    for _, mark in ipairs { "1", "10", "100", "0.2", "0.8" } do
      assert.truthy(svg:find(">" .. mark .. "<", 1, true), mark)
    end
    assert.equal(count(svg, "<text[ >]"), count(svg, "</text>"))
  end)

  it("puts values where the axes say", function()
    local svg = plot.draw {
      title = "", x = { label = "keys", log = true }, y = { label = "ns", from = 0, to = 100 },
      series = { { name = "set", points = { { 1, 0 }, { 10, 50 }, { 100, 100 } } } },
    }
    -- From the lower left corner of the field to the upper right one, through its middle.
    assert.truthy(svg:find('points="70.0,370.0 300.0,205.0 530.0,40.0"', 1, true), svg)
  end)

  it("refuses zero on a logarithmic axis", function()
    assert.has_error(function()
      plot.draw { title = "", x = { label = "", log = true }, y = { label = "" },
        series = { { name = "", points = { { 0, 1 } } } } }
    end, "a logarithmic axis needs values above 0")
  end)
end)
