/*
 * memshare for programs that embed Lua 5.4.
 *
 * Link libmemshare_lua.a, libmemshare and the program's own liblua. The scripts then
 * find the module `memshare.core` inside the program, so that there is one copy of the
 * library in the process, and need only the pure Lua files of `memshare` on
 * package.path.
 */
#ifndef MEMSHARE_LUA_H
#define MEMSHARE_LUA_H

#include "memshare.h"

#include <lua.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Pushes the Lua object of a share that the program opened: what memshare.open() gives
 * to a script. It is the same object each time, as long as the script holds it.
 *
 *   share  retained: the Lua state drops its handle when the object is collected, closed
 *          by the script, or with the state. The program's handle stays open.
 *
 * One ms_runtime_poll() serves both sides: callbacks of the script run inside it,
 * protected, so no Lua error reaches the program. When the state has opened no runtime
 * of its own, shares that its scripts open later use the runtime of this share.
 *
 * The program closes the Lua state before the runtime.
 *
 * Returns MS_OK, or pushes nothing: MS_ENOMEM, MS_ECLOSED.
 * Thread: owner.
 */
ms_status ms_lua_push(lua_State *L, ms_share *share);

/*
 * For ms_share_config.validator of programs that link the binding: understands rules that are Lua chunks, as
 * memshare.open() does. They run in a Lua state of their own. Static. Thread: any.
 */
const ms_validator *ms_lua_validator(void);

/* The module `memshare.core`; ms_lua_push() preloads it. */
MS_API int luaopen_memshare_core(lua_State *L);

#ifdef __cplusplus
}
#endif
#endif
