// Starts the zones, kills one, starts it again, and checks what came of the players.
#ifndef GAMESERVER_LAUNCHER_HPP
#define GAMESERVER_LAUNCHER_HPP

#include "options.hpp"

namespace game {

// Returns the exit status: 0 when every player was in exactly one zone, at every moment.
int launch(const options &options);

} // namespace game
#endif
