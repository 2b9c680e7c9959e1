// What the command line says.
#ifndef GAMESERVER_OPTIONS_HPP
#define GAMESERVER_OPTIONS_HPP

#include <cstdint>
#include <string>

namespace game {

struct options {
  std::string program; // how this process was started: zones are started the same way
  int seconds = 9;
  int players = 60;
  std::uint32_t seed = 1;
  std::string rules = "examples/gameserver/rules";
  std::string share;    // empty: a name of this run's own
  std::size_t zone = 0; // of a zone process: its index in ZONES
};

} // namespace game
#endif
