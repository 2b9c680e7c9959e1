---Who writes, by id: the program and process, as long as the peer is known, and afterwards.
local M = {}

---@param share table
---@return fun(id: string?): string name what stands for it in lines for people
---@return fun(id: string?): memshare.Peer? find
function M.of(share)
  local known = {}
  local function find(id)
    if id and not known[id] then
      for _, peer in ipairs(share:peers() or {}) do known[peer.id] = peer end
    end
    return id and known[id]
  end
  share:on_peer(function(_, peer) known[peer.id] = known[peer.id] or peer end)
  find "" -- those who are here
  return function(id)
    local peer = find(id)
    if peer then return ("%s %d"):format(peer.program, peer.pid) end
    return id or "unknown"
  end, find
end

return M
