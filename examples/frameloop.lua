-- The script of frameloop.cpp. The global `share` is the one that C++ opened; nothing is required.
-- luacheck: globals share step
local data = share.data

share:on("frames", function(new)
  if new % 30 == 0 then print("one second of frames more: " .. new) end
end)

-- Called once a frame by C++.
function step(frame)
  data.last_frame = frame
end
