#include "rules.hpp"

#include <memshare_lua.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace game {

namespace {

namespace fs = std::filesystem;

const std::array<const char *, 4> HOOK_NAMES = {"speed", "damage", "regeneration",
                                                "second"};

// Loading in Lua itself: errors and the closing of subscriptions are shortest there. A file is in
// effect as a whole or not at all.
const char LOADER[] = R"lua(
local files = {} -- path -> { hooks = {}, kept = {} }
local loader = {}

local function close(kept)
  for _, resource in ipairs(kept) do resource:close() end
end

function loader.load(path)
  local kept = {}
  local environment = setmetatable({
    keep = function(resource)
      kept[#kept + 1] = resource
      return resource
    end,
  }, { __index = _G })
  local chunk, message = loadfile(path, "t", environment)
  if not chunk then return message end
  local loaded, hooks = xpcall(chunk, debug.traceback)
  if loaded and type(hooks) ~= "table" then
    loaded, hooks = false, path .. ": a table of hooks expected, got " .. type(hooks)
  end
  if not loaded then
    close(kept)
    return tostring(hooks)
  end
  loader.drop(path)
  files[path] = { hooks = hooks, kept = kept }
end

function loader.drop(path)
  local old = files[path]
  files[path] = nil
  if old then close(old.kept) end
end

function loader.find(name)
  for _, file in pairs(files) do
    if type(file.hooks[name]) == "function" then return file.hooks[name] end
  end
end

return loader
)lua";

} // namespace

lua_rules::lua_rules(ms_share *share, const std::string &zone, std::string folder)
    : zone_(zone), folder_(std::move(folder)), lua_(luaL_newstate()) {
  hooks_.fill(LUA_NOREF);
  lua_State *L = lua_.get();
  if (L == nullptr) throw std::runtime_error("out of memory");
  luaL_openlibs(L);
  if (ms_lua_push(L, share) != MS_OK) throw std::runtime_error("cannot push the share");
  lua_setglobal(L, "share");
  lua_pushstring(L, zone_.c_str());
  lua_setglobal(L, "zone");
  if (luaL_dostring(L, LOADER) != LUA_OK) throw std::runtime_error(lua_tostring(L, -1));
  // The loader stays at index 1; everything else leaves the stack as it was.
}

void lua_rules::refresh() {
  std::error_code
      problem; // a folder that is gone for a moment leaves the rules as they are
  std::map<std::string, script> found;
  for (fs::directory_iterator at(folder_, problem), end; !problem && at != end;
       at.increment(problem)) {
    if (at->path().extension() != ".lua") continue;
    std::error_code gone;
    script seen;
    seen.time = at->last_write_time(gone);
    if (!gone) seen.bytes = at->file_size(gone);
    if (!gone) found[at->path().string()] = seen;
  }
  if (problem) return report((folder_ + ": " + problem.message()).c_str());

  bool is_changed = false;
  for (const auto &[path, seen] : found) {
    const auto known = scripts_.find(path);
    if (known != scripts_.end() && !(known->second != seen)) continue;
    load(path);
    is_changed = true;
  }
  for (const auto &[path, seen] : scripts_) {
    if (found.count(path) != 0) continue;
    drop(path);
    is_changed = true;
  }
  scripts_ = std::move(found); // also what is broken: it is tried again when it changes
  if (is_changed) find_hooks();
}

void lua_rules::load(const std::string &path) {
  lua_State *L = lua_.get();
  lua_getfield(L, 1, "load");
  lua_pushstring(L, path.c_str());
  lua_pcall(L, 1, 1, 0); // the reason, in either case; nil: it is loaded
  if (!lua_isnil(L, -1)) report(luaL_tolstring(L, -1, nullptr));
  lua_settop(L, 1);
}

void lua_rules::drop(const std::string &path) {
  lua_State *L = lua_.get();
  lua_getfield(L, 1, "drop");
  lua_pushstring(L, path.c_str());
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) report(luaL_tolstring(L, -1, nullptr));
  lua_settop(L, 1);
}

void lua_rules::find_hooks() {
  lua_State *L = lua_.get();
  for (std::size_t i = 0; i < hooks_.size(); i++) {
    luaL_unref(L, LUA_REGISTRYINDEX, hooks_[i]);
    hooks_[i] = LUA_NOREF;
    lua_getfield(L, 1, "find");
    lua_pushstring(L, HOOK_NAMES[i]);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_isfunction(L, -1))
      hooks_[i] = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_settop(L, 1);
  }
}

// What the hook returns, between 0 and `most`; 0 where there is no such hook or it fails.
int lua_rules::call(hook which, std::initializer_list<int> arguments, int most) {
  int &reference = hooks_[which];
  if (reference == LUA_NOREF) return 0;
  lua_State *L = lua_.get();
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
  for (const int argument : arguments) lua_pushinteger(L, argument);
  if (lua_pcall(L, static_cast<int>(arguments.size()), 1, 0) != LUA_OK) {
    report(luaL_tolstring(L, -1, nullptr));
    luaL_unref(L, LUA_REGISTRYINDEX, reference);
    reference = LUA_NOREF;
    lua_settop(L, 1);
    return 0;
  }
  const lua_Number result = lua_tonumber(L, -1); // 0 for what is no number
  lua_settop(L, 1);
  if (!(result > 0)) return 0; // also NaN
  return static_cast<int>(std::min<lua_Number>(result, most));
}

int lua_rules::speed(int hp) { return call(SPEED, {hp}, 100 * PACE); }
int lua_rules::damage(int distance, int hp) {
  return call(DAMAGE, {distance, hp}, HP_MAX);
}
int lua_rules::regeneration(int hp) { return call(REGENERATION, {hp}, HP_MAX); }
void lua_rules::second() { call(SECOND, {}, 0); }

void lua_rules::report(const char *what) {
  std::fprintf(stderr, "%s: rules: %s\n", zone_.c_str(), what);
}

} // namespace game
