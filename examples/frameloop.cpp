// A game loop in C++ at 30 frames a second that shares one table with its Lua scripts and with every
// other process on the machine.
//
//   frameloop SCRIPT.lua [FRAMES]          for instance examples/frameloop.lua
//
// C++ opens the share, the script gets it as the global `share`, and one poll a frame serves
// both. The poll gets a time budget: changes that do not fit into this frame are reported in the
// next. While the frame computes or sleeps, memshare's own thread goes on hosting and answering.
#include <memshare.h>
#include <memshare_lua.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include <lauxlib.h>
#include <lualib.h>

namespace {

const int64_t POLL_BUDGET_US = 2000; // of the 33,333 that a frame has
const std::chrono::microseconds FRAME(1000000 / 30);

// Owners in the order of need: C++ destroys them in reverse, the share before its runtime, and the
// Lua state before both.
struct free_runtime {
  void operator()(ms_runtime *runtime) const { ms_runtime_close(runtime); }
};
struct close_share {
  void operator()(ms_share *share) const {
    ms_share_close(share, 1000); // leaves in good order: a host hands over first
    ms_share_free(share);
  }
};
struct close_lua {
  void operator()(lua_State *L) const { lua_close(L); }
};

[[noreturn]] void fail(const char *what, const char *why) {
  std::fprintf(stderr, "frameloop: %s: %s\n", what, why);
  std::exit(1);
}

// Calls the script's function `step(frame)`.
void run_script(lua_State *L, int frame) {
  lua_getglobal(L, "step");
  lua_pushinteger(L, frame);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) fail("script", lua_tostring(L, -1));
}

// Hears of every change of `frames` by whichever process, inside ms_runtime_poll.
void on_frames(void *ud, const ms_change *change) {
  (void)change;
  ++*static_cast<int *>(ud);
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2) fail("usage", "frameloop SCRIPT.lua [FRAMES]");
  const int frames = argc > 2 ? std::atoi(argv[2]) : 300;
  ms_error error;

  ms_runtime *opened_runtime = nullptr;
  if (ms_runtime_open(nullptr, &opened_runtime, &error) != MS_OK)
    fail("runtime", error.message);
  std::unique_ptr<ms_runtime, free_runtime> runtime(opened_runtime);

  ms_share *opened_share = nullptr;
  if (ms_share_open(runtime.get(), "frameloop", nullptr, &opened_share, &error) !=
      MS_OK) {
    fail("share", error.message);
  }
  std::unique_ptr<ms_share, close_share> share(opened_share);

  // C++ listens, and the script may as well.
  int heard = 0;
  ms_path *path = nullptr;
  ms_sub *sub = nullptr; // ends with the share
  if (ms_path_parse_pattern(nullptr, "frames", 6, &path, &error) != MS_OK ||
      ms_share_on(share.get(), path, 0, on_frames, &heard, &sub) != MS_OK) {
    fail("hook", "cannot listen");
  }
  ms_path_release(path);

  std::unique_ptr<lua_State, close_lua> lua(luaL_newstate());
  if (!lua) fail("lua", "out of memory");
  luaL_openlibs(lua.get());
  if (ms_lua_push(lua.get(), share.get()) != MS_OK) fail("lua", "cannot push the share");
  lua_setglobal(lua.get(), "share");
  if (luaL_dofile(lua.get(), argv[1]) != LUA_OK)
    fail("script", lua_tostring(lua.get(), -1));

  auto next = std::chrono::steady_clock::now();
  for (int frame = 1; frame <= frames; frame++) {
    bool more = false; // true: the budget is used up and changes wait for the next frame
    if (ms_runtime_poll(runtime.get(), 0, POLL_BUDGET_US, &more) != MS_OK)
      fail("poll", "failed");

    // The engine's part of the frame; counting never loses a step, whoever else counts.
    if (ms_share_inc(share.get(), "frames", 1, nullptr, &error) != MS_OK) {
      fail("inc", error.message);
    }
    run_script(lua.get(), frame); // the script's part

    next += FRAME;
    std::this_thread::sleep_until(next);
  }

  if (ms_share_flush(share.get(), 5000, &error) != MS_OK) fail("flush", error.message);
  int64_t total = 0;
  if (ms_share_get_int(share.get(), "frames", &total) != MS_OK) fail("get", "no frames");
  std::printf("%d frames, %d changes heard, %lld frames by all processes\n", frames,
              heard, static_cast<long long>(total));
  return 0;
}
