// The share's document, as all processes of the game know it:
//
//   phase       "wait", then "play", "finish", "leave": the launcher leads through these
//   zones
//     west      (and centre, east)
//       server  the peer id of the process that serves the zone; absent while none does
//       players
//         p0001
//           at    { x, y, dx, dy }: where a player is and walks to; one value, so one write a frame
//           hp
//   handovers   players that changed their zone, counted
//   takeovers   players whose zone had died, counted
//   reports     of each zone at the end: { frames, faults, with = [...], without = [...] }, frame
//               times in nanoseconds
//   stop        true ends the run early; anybody may write it
#ifndef GAMESERVER_DOCUMENT_HPP
#define GAMESERVER_DOCUMENT_HPP

#include "world.hpp"

#include <memshare.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

namespace game {

inline std::string zone_path(std::string_view zone) {
  return "zones." + std::string(zone);
}
inline std::string players_path(std::string_view zone) {
  return zone_path(zone) + ".players";
}

// Peer ids are 64 bits without a sign, which values have not: they travel as text.
inline std::string id_text(std::uint64_t peer) { return std::to_string(peer); }

// The document before anybody plays.
inline memshare::value first_document() {
  using memshare::value;
  value zones = value::object();
  for (const char *zone : ZONES) {
    const value made = value::object({{"players", value::object()}});
    if (zones.put(zone, made) != MS_OK) return value();
  }
  return value::object({{"phase", "wait"},
                        {"zones", zones},
                        {"handovers", 0},
                        {"takeovers", 0},
                        {"reports", value::object()}});
}

inline memshare::value place_of(const entity &player) {
  return memshare::value::object(
      {{"x", player.x}, {"y", player.y}, {"dx", player.dx}, {"dy", player.dy}});
}
inline memshare::value player_of(const entity &player) {
  return memshare::value::object({{"at", place_of(player)}, {"hp", player.hp}});
}
// The other way round: what is missing is 0.
inline entity read_player(std::string_view id, memshare::view player) {
  const memshare::view at = player["at"];
  entity read;
  read.id = id;
  read.x = at["x"].value_or(0);
  read.y = at["y"].value_or(0);
  read.dx = at["dx"].value_or(0);
  read.dy = at["dy"].value_or(0);
  read.hp = player["hp"].value_or(0);
  return read;
}

// Players in all zones together: cheap enough to be asked at every change.
inline std::size_t count_players(memshare::view zones) {
  std::size_t count = 0;
  for (const char *zone : ZONES) count += zones[zone]["players"].size();
  return count;
}

// Is every player in exactly one zone?
inline bool is_complete(memshare::view zones, std::size_t players) {
  std::unordered_set<std::string_view> seen;
  for (const char *zone : ZONES) {
    for (const memshare::item &each : zones[zone]["players"].items()) {
      if (!seen.insert(each.key).second) return false;
    }
  }
  return seen.size() == players;
}

} // namespace game
#endif
