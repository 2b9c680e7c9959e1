// A game server of three processes, one for each zone of the world, that share their players through
// memshare; README.md beside this file explains it.
//
//   gameserver [--seconds N] [--players N] [--seed N] [--rules FOLDER] [--share NAME]
//
// Started like this it is the launcher, which starts itself again for each zone with `--zone NAME`.
#include "launcher.hpp"
#include "options.hpp"
#include "world.hpp"
#include "zone.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <unistd.h>

namespace {

constexpr long SECONDS_MAX = 3600;
constexpr long PLAYERS_MAX = 600;
constexpr long SEED_MAX = 1000000000;

// A whole number from 1 to `most`.
bool read_number(const char *text, long most, long *out) {
  char *end = nullptr;
  errno = 0;
  const long number = std::strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || number < 1 || number > most)
    return false;
  *out = number;
  return true;
}

// One option and its value; false: there is no such option, or the value is none.
bool read_option(const std::string &name, const char *text, game::options *options,
                 bool *is_zone) {
  long number = 0;
  if (name == "--seconds" && read_number(text, SECONDS_MAX, &number)) {
    options->seconds = static_cast<int>(number);
  } else if (name == "--players" && read_number(text, PLAYERS_MAX, &number)) {
    options->players = static_cast<int>(number);
  } else if (name == "--seed" && read_number(text, SEED_MAX, &number)) {
    options->seed = static_cast<std::uint32_t>(number);
  } else if (name == "--rules") {
    options->rules = text;
  } else if (name == "--share") {
    options->share = text;
  } else if (name == "--zone") {
    for (std::size_t i = 0; i < game::ZONES.size(); i++) {
      if (std::strcmp(game::ZONES[i], text) != 0) continue;
      options->zone = i;
      *is_zone = true;
      return true;
    }
    return false;
  } else {
    return false;
  }
  return true;
}

int usage() {
  std::fprintf(stderr,
               "usage: gameserver [--seconds 1-%ld] [--players 1-%ld] [--seed 1-%ld]\n"
               "                  [--rules FOLDER] [--share NAME]\n",
               SECONDS_MAX, PLAYERS_MAX, SEED_MAX);
  return 2;
}

} // namespace

int main(int argc, char **argv) {
  game::options options;
  options.program = argv[0];
  bool is_zone = false;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc || !read_option(argv[i], argv[i + 1], &options, &is_zone))
      return usage();
  }
  if (options.share.empty()) options.share = "gameserver-" + std::to_string(getpid());
  return is_zone ? game::serve_zone(options) : game::launch(options);
}
