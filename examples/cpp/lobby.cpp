// A lobby in C++17 with memshare.hpp: the processes that are started take seats at one table, hear of
// each other, and begin together once all are ready.
//
//   lobby NAME [SEATS]          start it SEATS times, with different names
//
// Two processes may grab the same free seat at once: they do so in transactions, so one of them gets
// it and the other one looks again. Nobody is the server; whoever comes first hosts the share, and if
// that process dies another one goes on.
#include <memshare.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

using namespace std::chrono_literals;

namespace {

[[noreturn]] void fail(const char *what, const ms_error &error) {
  std::fprintf(stderr, "lobby: %s: %s\n", what, error.message);
  std::exit(1);
}

// Takes the first free seat; runs again when somebody else has just taken it. MS_EBUSY: none is free.
ms_status sit_down(memshare::draft &lobby, const std::string &name, int seats) {
  for (int seat = 1; seat <= seats; seat++) {
    const std::string path = "seats." + std::to_string(seat);
    if (lobby.get(path)) continue;
    if (const ms_status status = lobby.set(path + ".name", name); status != MS_OK)
      return status;
    return lobby.set(path + ".ready", false);
  }
  return MS_EBUSY;
}

// Where `name` sits, and how many are ready. Reads the local copy.
struct table {
  int own_seat = 0, ready = 0;
};
table look(const memshare::share &share, const std::string &name, int seats) {
  table seen;
  for (int seat = 1; seat <= seats; seat++) {
    const std::string path = "seats." + std::to_string(seat);
    if (share.get<std::string_view>(path + ".name") == name) seen.own_seat = seat;
    if (share.get<bool>(path + ".ready") == true) seen.ready++;
  }
  return seen;
}

} // namespace

int main(int argc, char **argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  const int seats = argc > 2 ? std::atoi(argv[2]) : 3;
  if (name.empty() || seats < 1) {
    std::fprintf(stderr, "usage: lobby NAME [SEATS]\n");
    return 2;
  }
  ms_error error = {};

  // Destroyed in reverse: the subscription, then the share, then the runtime.
  auto runtime = memshare::runtime::make(nullptr, &error);
  if (!runtime) fail("runtime", error);
  auto share = runtime->open("lobby", nullptr, &error);
  if (!share) fail("share", error);
  auto sub = share->on(
      "seats.*.name",
      [&](const ms_change &change) {
        const auto who = memshare::view(change.new_value).as<std::string_view>();
        if (!who || *who == name) return;
        std::printf("%.*s sits down\n", static_cast<int>(who->size()), who->data());
        std::fflush(stdout);
      },
      MS_ON_IMMEDIATE, &error); // also who sits there already
  if (!sub) fail("subscription", error);

  const auto sit = [&](memshare::draft &lobby) { return sit_down(lobby, name, seats); };
  if (share->transact(sit, nullptr, &error) != MS_OK) fail("no seat", error);
  const int own = look(*share, name, seats).own_seat;
  std::printf("%s has seat %d\n", name.c_str(), own);
  std::fflush(stdout);
  if (share->set("seats." + std::to_string(own) + ".ready", true) != MS_OK) return 1;

  while (look(*share, name, seats).ready < seats) {
    if (runtime->poll(1s) != MS_OK) return 1;
  }
  std::printf("all %d are ready\n", seats);
  return share->close(5s) == MS_OK ? 0 : 1;
}
