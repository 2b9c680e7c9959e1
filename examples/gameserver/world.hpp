// The simulation: plain data, plain C++. Nothing here knows of memshare, so the same step also runs on
// a copy of the data when the frame without memshare is timed.
#ifndef GAMESERVER_WORLD_HPP
#define GAMESERVER_WORLD_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace game {

inline constexpr int FRAMES_PER_SECOND = 30;
inline constexpr int PACE = 100; // coordinates count hundredths of a pace: whole numbers
inline constexpr int HP_MAX = 100;

// The world is a strip of zones from west to east, one process for each.
inline constexpr std::array<const char *, 3> ZONES = {"west", "centre", "east"};
inline constexpr int ZONE_WIDTH = 100 * PACE;
inline constexpr int WORLD_WIDTH = static_cast<int>(ZONES.size()) * ZONE_WIDTH;
inline constexpr int WORLD_HEIGHT = 100 * PACE;

// The index in ZONES of the zone that x lies in.
std::size_t zone_at(int x);

// A player as its zone simulates it.
struct entity {
  std::string id;
  int x = 0, y = 0;   // hundredths of a pace
  int dx = 0, dy = 0; // the direction it walks in: -100 to 100
  int hp = HP_MAX;
  bool is_leaving = false; // a hand-over is under way: it stands still meanwhile
};

// What the designers decide. The server's rules are Lua functions: see rules.hpp.
class rules {
public:
  virtual ~rules() = default;
  virtual int speed(int hp) = 0; // hundredths of a pace per second
  virtual int damage(int distance, int hp) = 0;
  virtual int regeneration(int hp) = 0; // per second
};

using randomness = std::minstd_rand; // small: it is copied with the data

// One step of 1/30 of a second.
void step(std::vector<entity> &entities, rules &rules, std::uint64_t frame,
          randomness &random);

// The players of one zone: found by id, and packed for the step.
class roster {
public:
  std::vector<entity> &entities() { return entities_; }
  entity *find(const std::string &id);
  void add(entity added);
  void remove(const std::string &id); // nothing happens when it is not there

private:
  std::vector<entity> entities_;
  std::unordered_map<std::string, std::size_t> index_;
};

} // namespace game
#endif
