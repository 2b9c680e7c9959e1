#include "zone.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include <unistd.h>

namespace game {

using namespace std::chrono_literals;
using memshare::value;
using memshare::view;

namespace {

constexpr std::chrono::nanoseconds FRAME(1000000000 / FRAMES_PER_SECOND);
constexpr auto POLL_BUDGET =
    4ms;                       // changes that do not fit are taken in by the next frame
constexpr int LOOK_FRAMES = 8; // between looks for zones whose process is gone
constexpr int LATE_FRAMES_MAX = 5; // who is later than that gives up what is missed
constexpr int MOVES_MAX = 500; // players in one transaction; the rest is for the next one

[[noreturn]] void fail(const char *what, const char *why) {
  throw std::runtime_error(std::string(what) + ": " + why);
}

} // namespace

zone_server::zone_server(const options &options, memshare::runtime &runtime,
                         memshare::share &share)
    : options_(options), name_(ZONES[options.zone]), parent_(getppid()),
      runtime_(runtime), share_(share),
      random_(options.seed + static_cast<std::uint32_t>(options.zone)),
      rules_(share.native(), name_, options.rules) {
  ms_error error = {};
  // Immediate: a process that is started again finds players in its zone.
  players_sub_ = share_.on(
      players_path(name_) + ".*", [this](const ms_change &change) { on_player(change); },
      MS_ON_IMMEDIATE, &error);
  if (!players_sub_) fail("subscription", error.message);
  with_ns_.reserve(static_cast<std::size_t>(options_.seconds) * FRAMES_PER_SECOND * 2);
  without_ns_.reserve(with_ns_.capacity());
}

bool zone_server::is_phase(std::string_view phase) const {
  return share_.get<std::string_view>("phase") == phase;
}

void zone_server::run() {
  rules_.refresh();
  claim();
  // Without its launcher a zone has nothing to serve.
  const auto wait_while = [&](std::string_view phase) {
    while (is_phase(phase)) {
      if (runtime_.poll(100ms) != MS_OK) fail("poll", "failed");
      if (getppid() != parent_) fail("launcher", "is gone");
    }
  };
  wait_while("wait");
  play();
  ms_error error = {};
  if (share_.flush(10s, &error) != MS_OK) fail("flush", error.message);
  report();
  wait_while("finish");
}

// Says that this process serves the zone. Players that are in it already are taken along.
void zone_server::claim() {
  server_ = id_text(share_.info().peer);
  if (share_.set(zone_path(name_) + ".server", server_) != MS_OK)
    fail("claim", "refused");
}

// Runs inside polls, for each change of a player of this zone, by whomever.
void zone_server::on_player(const ms_change &change) {
  const ms_key key = ms_path_key(change.path, ms_path_count(change.path) - 1);
  const std::string id(key.bytes, key.length);
  if (change.new_value == nullptr) {
    roster_.remove(id);
    return;
  }
  entity *known = roster_.find(id);
  // What this process wrote it knows; what a rejection took back the next frame writes again.
  if (known != nullptr && (change.is_local || change.kind == MS_CHANGE_ROLLBACK)) return;

  entity read = read_player(id, view(change.new_value));
  if (known != nullptr) { // a script has written, here or elsewhere
    read.is_leaving = known->is_leaving;
    *known = read;
    return;
  }
  roster_.add(std::move(read));
}

// Fixed steps: each frame has its time, and one that took too long shortens the wait for the next.
void zone_server::play() {
  auto next = clock::now();
  while (is_phase("play")) {
    if (frame_ % FRAMES_PER_SECOND == 0) {
      rules_.refresh();
      if (getppid() != parent_) fail("launcher", "is gone");
    }
    // Whoever comes second finds the data in the processor's caches: so they take turns.
    const bool plain_first = frame_ % 2 == 0;
    clock::duration plain{};
    plain_ = roster_.entities();
    if (plain_first) plain = time_plain_step();
    const auto began = clock::now();
    frame();
    const auto ended = clock::now();
    if (!plain_first) plain = time_plain_step();
    if (with_ns_.size() < with_ns_.capacity()) {
      with_ns_.push_back((ended - began) / 1ns);
      without_ns_.push_back(plain / 1ns);
    }
    frame_++;
    next += FRAME;
    if (clock::now() > next + LATE_FRAMES_MAX * FRAME) next = clock::now();
    std::this_thread::sleep_until(next); // memshare's own thread works on meanwhile
  }
}

// The same step on plain data: what the frame would take without memshare.
zone_server::clock::duration zone_server::time_plain_step() {
  randomness random = random_;
  const auto began = clock::now();
  step(plain_, rules_, frame_, random);
  return clock::now() - began;
}

void zone_server::frame() {
  if (runtime_.poll(0ms, POLL_BUDGET) != MS_OK) fail("poll", "failed");
  count();
  if (frame_ % FRAMES_PER_SECOND == 0) rules_.second();
  step(roster_.entities(), rules_, frame_, random_);
  settle();
  if (frame_ % LOOK_FRAMES == 0) look_after_zones();
  adopt();
  hand_over();
  publish();
}

// Once the host has decided on the last transaction, those it concerned go on: elsewhere, or, where it
// lost to something newer, here.
void zone_server::settle() {
  if (!moving_ || moving_.state() == MS_PENDING) return;
  moving_ = memshare::receipt();
  const value root = share_.root();
  const view here = root["zones"][name_]["players"];
  for (entity &each : roster_.entities()) {
    // Who is gone from the share leaves the roster when the callback runs: now or in the next poll.
    if (each.is_leaving) each.is_leaving = !here[each.id];
  }
}

// Whoever moves players, no view ever shows too many of them or too few: a patch is seen whole.
void zone_server::count() {
  const value root = share_.root();
  const auto players = static_cast<std::size_t>(options_.players);
  if (count_players(root["zones"]) != players) faults_++;
}

// Notes which processes are gone. A process that was killed is no peer any more a moment later.
void zone_server::look_after_zones() {
  std::vector<std::string> living;
  const auto keep_id = [&](const ms_peer &peer) { living.push_back(id_text(peer.id)); };
  if (share_.peers(keep_id) != MS_OK) return;
  const value root = share_.root();
  for (std::size_t i = 0; i < ZONES.size(); i++) {
    const auto server = root["zones"][ZONES[i]]["server"].as<std::string_view>();
    const bool is_alive =
        server && std::find(living.begin(), living.end(), *server) != living.end();
    dead_[i] = server && !is_alive ? std::string(*server) : std::string();
    // This process was taken for dead, as after a stay in a debugger, and is back under another id.
    if (i != options_.zone || server == id_text(share_.info().peer)) continue;
    if (is_alive) fail(name_.c_str(), "another process serves it");
    claim();
  }
}

// Takes over the players of a zone whose process is gone. The survivors race for them, and the first
// one gets all.
void zone_server::adopt() {
  for (std::size_t i = 0; i < ZONES.size() && !moving_; i++) {
    if (i != options_.zone && !dead_[i].empty()) adopt_zone(i);
  }
}

void zone_server::adopt_zone(std::size_t dead) {
  auto transaction = share_.begin_transaction();
  if (!transaction) return; // busy: the next frame tries again
  // All of the zone counts as read, so whatever changes in it meanwhile makes this try void.
  const auto zone = transaction->get<value>(zone_path(ZONES[dead]));
  if (!zone) return;
  if ((*zone)["server"].as<std::string_view>() != dead_[dead]) { // another one was first
    dead_[dead].clear();
    return;
  }
  const view orphans = (*zone)["players"];
  for (const memshare::item &each : orphans.items()) {
    const std::string path = players_path(name_) + "." + std::string(each.key);
    if (transaction->set(path, each.value) != MS_OK) return;
  }
  if (transaction->unset(zone_path(ZONES[dead]) + ".server") != MS_OK) return;
  if (transaction->set(players_path(ZONES[dead]), view(value::object())) != MS_OK) return;
  commit(*transaction, "takeovers", static_cast<int>(orphans.size()));
}

// Players who walked into another zone go there, as many as there are in one transaction, unless
// nobody serves that zone: then they stay here until somebody does.
void zone_server::hand_over() {
  if (moving_) return;
  std::optional<memshare::transaction> transaction;
  std::vector<entity *> moved;
  for (entity &each : roster_.entities()) {
    const std::size_t target = zone_at(each.x);
    if (target == options_.zone || each.is_leaving || moved.size() == MOVES_MAX) continue;
    if (!dead_[target].empty() || !share_.get(zone_path(ZONES[target]) + ".server"))
      continue;
    if (!transaction) transaction = share_.begin_transaction();
    if (!transaction || !move_player(*transaction, each, target)) return;
    moved.push_back(&each);
  }
  if (moved.empty()) return;
  if (!commit(*transaction, "handovers", static_cast<int>(moved.size()))) return;
  for (entity *each : moved) each->is_leaving = true;
}

// It relies on this: the player is here, untouched by others, and the other zone's process lives.
bool zone_server::move_player(memshare::draft &draft, const entity &leaving,
                              std::size_t target) {
  const std::string from = players_path(name_) + "." + leaving.id;
  const std::string to = players_path(ZONES[target]) + "." + leaving.id;
  if (!draft.get(zone_path(ZONES[target]) + ".server")) return false;
  auto player = draft.get<value>(from);
  if (!player) return false;
  // Put, not replaced: what scripts have added to a player goes with it.
  if (player->put("at", place_of(leaving)) != MS_OK) return false;
  if (player->put("hp", value(leaving.hp)) != MS_OK) return false;
  return draft.unset(from) == MS_OK && draft.set(to, *player) == MS_OK;
}

// `counter` goes up in the same patch, so it is right whoever dies in between.
bool zone_server::commit(memshare::transaction &transaction, const char *counter,
                         int moved) {
  const value count = value::object({{"$inc", value::object({{counter, moved}})}});
  if (transaction.patch(count) != MS_OK) return false;
  return transaction.commit(&moving_) == MS_OK;
}

// One patch with all that differs from what others see. What the view shows includes what is still
// under way, so comparing with it is all the book-keeping there is: also after a rejection.
void zone_server::publish() {
  const value root = share_.root(); // held: what is compared with stays as it is
  const view here = root["zones"][name_]["players"];
  const std::string prefix = players_path(name_) + ".";
  value set = value::object();
  for (const entity &each : roster_.entities()) {
    if (each.is_leaving) continue;
    const view shown = here[each.id];
    if (!shown) continue; // gone since the poll, which the next one will tell
    const entity seen = read_player(each.id, shown);
    const bool is_there =
        seen.x == each.x && seen.y == each.y && seen.dx == each.dx && seen.dy == each.dy;
    const std::string path = prefix + each.id;
    if (!is_there && set.put(path + ".at", place_of(each)) != MS_OK) return;
    if (seen.hp != each.hp && set.put(path + ".hp", value(each.hp)) != MS_OK) return;
  }
  if (set.size() == 0) return;
  // The host looks whether this process still serves the zone: if it was taken for dead, its players
  // are elsewhere, and must not come back to life here as {hp = 5}.
  const value still_ours = value::object({{zone_path(name_) + ".server", server_}});
  ms_update_options options;
  ms_update_options_init(&options);
  options.where = still_ours.native();
  // Refused, or the queue is full: the next frame finds the same difference.
  (void)share_.patch(value::object({{"$set", set}}), &options);
}

void zone_server::report() {
  const auto array_of = [](const std::vector<std::int64_t> &samples) {
    value array = value::array();
    for (const std::int64_t each : samples) {
      if (array.append(value(each)) != MS_OK) fail("report", "out of memory");
    }
    return array;
  };
  const value report = value::object({{"frames", frame_},
                                      {"faults", faults_},
                                      {"with", array_of(with_ns_)},
                                      {"without", array_of(without_ns_)}});
  memshare::receipt receipt;
  ms_error error = {};
  if (share_.set("reports." + name_, report, &receipt, &error) != MS_OK ||
      receipt.wait(10s, &error) != MS_OK) {
    fail("report", error.message);
  }
}

int serve_zone(const options &options) try {
  ms_error error = {};
  auto runtime = memshare::runtime::make(nullptr, &error);
  if (!runtime) fail("runtime", error.message);
  const value defaults = first_document();
  ms_share_config config = memshare::share_config();
  config.defaults = defaults.native(); // whoever comes first brings the document along
  auto share = runtime->open(options.share, &config, &error);
  if (!share) fail("share", error.message);
  {
    zone_server server(options, *runtime, *share);
    server.run();
  }
  return share->close(5s) == MS_OK ? 0 : 1;
} catch (const std::exception &problem) {
  std::fprintf(stderr, "%s: %s\n", ZONES[options.zone], problem.what());
  return 1;
}

} // namespace game
