/*
 * The rules of a share as a Lua chunk, run by whichever peer is host: the validator of the binding (memshare.h).
 *
 *     rule("players.*.hp", function(new, old, path, change) return new >= 0, "hp below zero" end)
 *
 * The chunk runs in a Lua state of its own, which nothing else touches, on the thread that drives the host's loop.
 * It has bounds on instructions and memory, and no way to the world: no files, no loading, no coroutines, no
 * metatables, and of `string` no function that searches with patterns, since one call of those can take for ever.
 */
#ifndef MSL_RULES_H
#define MSL_RULES_H

#include "memshare_lua.h" /* ms_lua_validator() */

enum {
  MSL_RULES_STEPS = 1000000, /* instructions for one patch, or for the chunk itself */
  MSL_RULES_MS = 500,        /* of a processor, likewise */
  MSL_RULES_BYTES = 16 * 1024 * 1024 /* of the Lua state */
};

#endif
