/* The Lua module memshare.core: puts together what the other files hold. */
#include "core.h"

int luaopen_memshare_core(lua_State *L) {
  msl_open(L);
  lua_newtable(L);
  msl_register_state(L);
  msl_register_timer(L);
  msl_register_task(L);
  msl_register_values(L);
  msl_register_operator(L);
  msl_register_share(L);
  msl_register_write(L);
  msl_register_roster(L);
  msl_register_signal(L);
  lua_pushstring(L, ms_version());
  lua_setfield(L, -2, "version");
  return 1;
}
