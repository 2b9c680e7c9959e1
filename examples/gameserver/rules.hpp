// Rules in Lua files, which may change while the server runs.
#ifndef GAMESERVER_RULES_HPP
#define GAMESERVER_RULES_HPP

#include "world.hpp"

#include <memshare.h>

#include <lua.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>

namespace game {

// All *.lua files of a folder, in one Lua state. Each returns a table of functions, the hooks. Scripts
// have the globals `share`, which is the share that C++ opened, `zone`, its name, and `keep`: what is
// given to keep() is closed when the file changes. What a rule wants to remember beyond that, it
// leaves in the share.
//
// A file that does not load, or a hook that fails, is reported on stderr. The old rules stay when a new
// file is broken; a hook that fails is left out until its file changes.
class lua_rules final : public rules {
public:
  // share: borrowed; must outlive this object. Throws std::runtime_error.
  lua_rules(ms_share *share, const std::string &zone, std::string folder);

  // Loads what is new or has changed, drops what is gone. Call it now and then.
  void refresh();

  int speed(int hp) override;
  int damage(int distance, int hp) override;
  int regeneration(int hp) override;
  void second(); // once a second: whatever a script wants to do with the share

private:
  enum hook { SPEED, DAMAGE, REGENERATION, SECOND, HOOKS };
  struct script {
    std::filesystem::file_time_type time;
    std::uintmax_t bytes = 0;
    friend bool operator!=(const script &a, const script &b) {
      return a.time != b.time || a.bytes != b.bytes;
    }
  };
  struct close_lua {
    void operator()(lua_State *L) const { lua_close(L); }
  };

  void load(const std::string &path);
  void drop(const std::string &path);
  void find_hooks();
  int call(hook which, std::initializer_list<int> arguments, int most);
  void report(const char *what);

  std::string zone_, folder_;
  std::unique_ptr<lua_State, close_lua> lua_;
  std::map<std::string, script> scripts_; // by path: as they were when they were loaded
  std::array<int, HOOKS> hooks_;          // references in the registry, or LUA_NOREF
};

} // namespace game
#endif
