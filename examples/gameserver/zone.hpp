// The server of one zone.
#ifndef GAMESERVER_ZONE_HPP
#define GAMESERVER_ZONE_HPP

#include "document.hpp"
#include "options.hpp"
#include "rules.hpp"
#include "world.hpp"

#include <memshare.hpp>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace game {

// Simulates the players that the share says are in its zone, 30 frames a second. One frame is: take in
// what others wrote, step, hand over who has left, and publish what has changed. None of it waits.
//
// Who is where is decided by the share alone, and the simulation follows. Players come and go only by
// transactions of this zone or another one; each reads what it relies on, so of two zones that want the
// same player one gets it, and the other one hears of that and looks again.
class zone_server {
public:
  // Both are borrowed. Throws std::runtime_error.
  zone_server(const options &options, memshare::runtime &runtime, memshare::share &share);
  // Serves until the launcher says "leave". Throws std::runtime_error.
  void run();

private:
  using clock = std::chrono::steady_clock;

  bool is_phase(std::string_view phase) const;
  void claim();
  void on_player(const ms_change &change);
  void play();
  void frame();
  void count();
  void settle();
  void look_after_zones();
  void adopt();
  void adopt_zone(std::size_t dead);
  void hand_over();
  bool move_player(memshare::draft &draft, const entity &leaving, std::size_t target);
  bool commit(memshare::transaction &transaction, const char *counter, int moved);
  void publish();
  clock::duration time_plain_step();
  void report();

  const options options_;
  const std::string name_;
  const int parent_;
  memshare::runtime &runtime_;
  memshare::share &share_;

  std::string server_; // this process in the share: the id of its peer
  roster roster_;
  memshare::receipt moving_; // of the transaction under way: one at a time
  std::array<std::string, ZONES.size()>
      dead_; // the peer ids of servers that are gone, or ""
  randomness random_;
  std::uint64_t frame_ = 0;
  int faults_ = 0; // frames in which the share held too many or too few players

  std::vector<entity> plain_; // the copy that is stepped without memshare, for comparison
  std::vector<std::int64_t> with_ns_, without_ns_;

  lua_rules rules_; // its Lua state ends before the share, as it must
  std::optional<memshare::subscription> players_sub_;
};

// The zone process. Returns its exit status.
int serve_zone(const options &options);

} // namespace game
#endif
