#include "launcher.hpp"

#include "document.hpp"
#include "world.hpp"

#include <memshare.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace game {

using namespace std::chrono_literals;
using memshare::value;
using memshare::view;

namespace {

using clock = std::chrono::steady_clock;
constexpr auto PATIENCE = 60s; // with what must happen, on a busy machine too

[[noreturn]] void fail(const std::string &what) { throw std::runtime_error(what); }

// ------------------------------------------------------------ processes

// The process of a zone. None of them outlives this object.
class zone_process {
public:
  zone_process(const options &options, std::size_t zone) : zone_(zone) {
    std::vector<std::string> words = {options.program,
                                      "--seconds",
                                      std::to_string(options.seconds),
                                      "--players",
                                      std::to_string(options.players),
                                      "--seed",
                                      std::to_string(options.seed),
                                      "--rules",
                                      options.rules,
                                      "--share",
                                      options.share,
                                      "--zone",
                                      ZONES[zone]};
    std::vector<char *> arguments;
    for (std::string &word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (posix_spawnp(&pid_, words[0].c_str(), nullptr, nullptr, arguments.data(),
                     environ) != 0) {
      fail("cannot start " + words[0]);
    }
  }
  zone_process(const zone_process &) = delete;
  zone_process &operator=(const zone_process &) = delete;
  ~zone_process() {
    if (has_ended()) return;
    kill();
  }
  int pid() const { return pid_; }
  std::size_t zone() const { return zone_; }
  // Asks the kernel, without waiting. status: as of waitpid().
  bool has_ended() {
    if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
    return ended_;
  }
  bool has_succeeded() { return has_ended() && status_ == 0; }
  void kill() {
    ::kill(pid_, SIGKILL);
    while (!ended_ && waitpid(pid_, &status_, 0) == -1 && errno == EINTR) {
    }
    ended_ = true;
  }

private:
  std::size_t zone_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

// ------------------------------------------------------------- launcher

class launcher {
public:
  explicit launcher(const options &options);
  bool run(); // whether all went well

private:
  template <typename F> void wait_for(const char *what, F done);
  template <typename F> void play_until(clock::time_point end, F done);
  void listen();
  void populate();
  void set_phase(const char *phase);
  bool is_served(std::size_t zone) const;
  bool is_stopped() const { return share_.get<bool>("stop") == true; }
  void kill_host();
  void start_again();
  bool print_results() const;
  std::int64_t number(const char *path) const {
    return share_.get<int>(path).value_or(0);
  }

  const options options_;
  std::vector<std::unique_ptr<zone_process>> zones_; // one for each of ZONES
  memshare::runtime runtime_;
  memshare::share share_;
  std::optional<memshare::subscription> sub_;
  std::int64_t checks_ = 0, faults_ = 0;
  int kills_ = 0;
};

launcher::launcher(const options &options) : options_(options) {
  for (std::size_t i = 0; i < ZONES.size(); i++)
    zones_.push_back(std::make_unique<zone_process>(options_, i));

  ms_error error = {};
  auto runtime = memshare::runtime::make(nullptr, &error);
  if (!runtime) fail(error.message);
  runtime_ = std::move(*runtime);
  // It takes part, but the zones keep the world: it neither hosts nor founds.
  ms_share_config config = memshare::share_config();
  config.no_host = true;
  config.timeout_ms = std::chrono::milliseconds(PATIENCE).count();
  // Nothing to join until the first zone has founded the share.
  wait_for("the first zone", [&] {
    auto share = runtime_.open(options_.share, &config, &error);
    if (!share && error.status != MS_ENOENT) fail(error.message);
    if (share) share_ = std::move(*share);
    return static_cast<bool>(share_);
  });
}

// Polls until done().
template <typename F> void launcher::wait_for(const char *what, F done) {
  const auto deadline = clock::now() + PATIENCE;
  while (!done()) {
    if (clock::now() > deadline) fail(std::string("waited in vain for ") + what);
    for (const auto &zone : zones_) {
      if (zone->has_ended() && !zone->has_succeeded())
        fail(std::string(ZONES[zone->zone()]) + " has ended");
    }
    if (runtime_.poll(20ms) != MS_OK) fail("poll failed");
  }
}

// Lets time pass, until `end` at the latest or until somebody asks to stop.
template <typename F> void launcher::play_until(clock::time_point end, F is_over) {
  wait_for("time to pass", [&] { return is_over() || clock::now() >= end; });
}

bool launcher::is_served(std::size_t zone) const {
  return share_.get(zone_path(ZONES[zone]) + ".server").has_value();
}

// In a callback the view shows the change whole, so this looks at the players after each patch of
// anybody that moved some: at every state of the world that there ever was.
void launcher::listen() {
  ms_error error = {};
  sub_ = share_.on(
      "zones.*.players.*",
      [this](const ms_change &change) {
        if (change.old_value != nullptr && change.new_value != nullptr) return;
        const value root = share_.root();
        checks_++;
        if (!is_complete(root["zones"], static_cast<std::size_t>(options_.players)))
          faults_++;
      },
      0, &error);
  if (!sub_) fail(error.message);
}

// All players, and the start signal, in one patch.
void launcher::populate() {
  randomness random(options_.seed);
  const auto below = [&](int end) {
    return static_cast<int>(random() % static_cast<unsigned>(end));
  };
  std::array<value, ZONES.size()> players;
  for (value &each : players) each = value::object();
  for (int i = 1; i <= options_.players; i++) {
    char id[16];
    std::snprintf(id, sizeof id, "p%04d", i);
    entity player;
    player.x = below(WORLD_WIDTH);
    player.y = below(WORLD_HEIGHT);
    player.dx = below(201) - 100;
    player.dy = below(201) - 100;
    if (players[zone_at(player.x)].put(id, player_of(player)) != MS_OK)
      fail("out of memory");
  }
  value set = value::object({{"phase", "play"}});
  for (std::size_t i = 0; i < ZONES.size(); i++) {
    if (set.put(players_path(ZONES[i]), players[i]) != MS_OK) fail("out of memory");
  }
  memshare::receipt receipt;
  ms_error error = {};
  if (share_.patch(value::object({{"$set", set}}), nullptr, &receipt, &error) != MS_OK ||
      receipt.wait(PATIENCE, &error) != MS_OK) {
    fail(error.message);
  }
}

void launcher::set_phase(const char *phase) {
  ms_error error = {};
  if (share_.set("phase", phase) != MS_OK) fail("phase: refused");
  if (share_.flush(PATIENCE, &error) != MS_OK) fail(error.message);
}

// The zone whose process is host at the moment; any zone's while there is none.
void launcher::kill_host() {
  const std::string host = id_text(share_.info().host);
  std::size_t victim = 0;
  for (std::size_t i = 0; i < ZONES.size(); i++) {
    if (share_.get<std::string_view>(zone_path(ZONES[i]) + ".server") == host) victim = i;
  }
  const std::size_t players = share_.root()["zones"][ZONES[victim]]["players"].size();
  const auto began = clock::now();
  zones_[victim]->kill();
  kills_++;
  const int pid = zones_[victim]->pid();
  zones_.erase(zones_.begin() + static_cast<std::ptrdiff_t>(victim));
  wait_for("the others to take over", [&] { return !is_served(victim); });
  const double ms = static_cast<double>((clock::now() - began) / 1us) / 1000;
  std::printf("kill -9 of %s (pid %d), the host, with %zu players in it: the others have "
              "them after %.0f ms\n",
              ZONES[victim], pid, players, ms);
  std::fflush(stdout);
}

void launcher::start_again() {
  for (std::size_t i = 0; i < ZONES.size(); i++) {
    if (is_served(i)) continue;
    zones_.push_back(std::make_unique<zone_process>(options_, i));
    wait_for("the zone to come back", [&] { return is_served(i); });
    std::printf("%s is back (pid %d)\n", ZONES[i], zones_.back()->pid());
    std::fflush(stdout);
  }
}

bool launcher::run() {
  std::printf("share %s: %d players, %zu zones, %d s\n", options_.share.c_str(),
              options_.players, ZONES.size(), options_.seconds);
  std::fflush(stdout);
  wait_for("the zones", [&] { return is_served(0) && is_served(1) && is_served(2); });
  populate();
  listen();

  const auto began = clock::now();
  const auto third = std::chrono::milliseconds(options_.seconds * 1000 / 3);
  const auto stopped = [&] { return is_stopped(); };
  play_until(began + third, stopped);
  if (!is_stopped()) kill_host();
  play_until(began + 2 * third, stopped);
  start_again();
  play_until(began + 3 * third, stopped);

  set_phase("finish");
  wait_for("the reports", [&] {
    const value root = share_.root();
    return root["reports"].size() == ZONES.size();
  });
  set_phase("leave");
  wait_for("the end of all", [&] {
    return std::all_of(zones_.begin(), zones_.end(),
                       [](const auto &zone) { return zone->has_ended(); });
  });
  return print_results();
}

// -------------------------------------------------------------- results

std::vector<std::int64_t> samples(view reports, const char *which) {
  std::vector<std::int64_t> all;
  for (const memshare::item &report : reports.items()) {
    for (const memshare::item &each : report.value[which].items())
      all.push_back(each.value.value_or<std::int64_t>(0));
  }
  std::sort(all.begin(), all.end());
  return all;
}

void print_times(const char *title, const std::vector<std::int64_t> &sorted) {
  const auto at = [&](double part) {
    if (sorted.empty()) return 0.0;
    const auto last = static_cast<double>(sorted.size() - 1);
    return static_cast<double>(sorted[static_cast<std::size_t>(part * last)]) / 1000;
  };
  std::printf("  %-18s %9.1f %9.1f %9.1f %9.1f\n", title, at(0.5), at(0.95), at(0.99),
              at(1));
}

bool launcher::print_results() const {
  const value root = share_.root();
  const view reports = root["reports"];
  std::int64_t frames = 0, faults = faults_;
  for (const memshare::item &each : reports.items()) {
    frames += each.value["frames"].value_or<std::int64_t>(0);
    faults += each.value["faults"].value_or<std::int64_t>(0);
  }
  std::printf("frame times in microseconds, of the %d that a frame has; %lld frames\n",
              1000000 / FRAMES_PER_SECOND, static_cast<long long>(frames));
  std::printf("  %-18s %9s %9s %9s %9s\n", "", "p50", "p95", "p99", "max");
  print_times("with memshare", samples(reports, "with"));
  print_times("the same without", samples(reports, "without"));

  const auto players = static_cast<std::size_t>(options_.players);
  const bool complete = is_complete(root["zones"], players);
  std::printf("%lld hand-overs, %lld players taken over, %d kills\n",
              static_cast<long long>(number("handovers")),
              static_cast<long long>(number("takeovers")), kills_);
  std::printf(
      "%zu of %d players, each in one zone: %s; %lld looks on the way, %lld faults\n",
      count_players(root["zones"]), options_.players, complete ? "yes" : "NO",
      static_cast<long long>(checks_), static_cast<long long>(faults));
  return complete && faults == 0;
}

} // namespace

int launch(const options &options) try {
  launcher launcher(options);
  return launcher.run() ? 0 : 1;
} catch (const std::exception &problem) {
  std::fprintf(stderr, "gameserver: %s\n", problem.what());
  return 1;
}

} // namespace game
