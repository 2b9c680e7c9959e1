// memshare.hpp: what it converts, what it owns and when it lets go, over real shares of one process.
// The last line is what scripts/count-cases.awk counts.
#include <memshare.hpp>

#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

using memshare::value;
using memshare::view;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

int checks_failed = 0;

void check(bool held, const char *what, int line) {
  if (held) return;
  std::printf("%s:%d: does not hold: %s\n", __FILE__, line, what);
  checks_failed++;
}
#define CHECK(...) check((__VA_ARGS__), #__VA_ARGS__, __LINE__)

// The folder of the shares of all tests; its files go with it.
std::string folder;

memshare::runtime make_runtime() {
  ms_error error = {};
  auto runtime = memshare::runtime::make(nullptr, &error);
  if (!runtime) {
    std::printf("no runtime: %s\n", error.message);
    std::exit(1);
  }
  return std::move(*runtime);
}

memshare::share open_share(memshare::runtime &runtime, const char *name) {
  ms_share_config config = memshare::share_config();
  config.dir = folder.c_str();
  ms_error error = {};
  auto share = runtime.open(name, &config, &error);
  if (!share) {
    std::printf("no share: %s\n", error.message);
    std::exit(1);
  }
  return std::move(*share);
}

// Polls until `done()`, ten seconds at most.
template <typename F> bool poll_until(memshare::runtime &runtime, F done) {
  const auto end = std::chrono::steady_clock::now() + seconds(10);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    if (runtime.poll(milliseconds(20)) != MS_OK) return false;
  }
  return true;
}

// The same with the two ends of a talk.
template <typename F>
bool poll_both(memshare::runtime &one, memshare::runtime &other, F done) {
  return poll_until(one, [&] { return done() || other.poll(milliseconds(1)) != MS_OK; });
}

// ------------------------------------------------------------------ values

void test_values_are_made_of_what_cpp_has_and_read_back() {
  CHECK(value(true).type() == MS_BOOL && value(true).as<bool>() == true);
  CHECK(value(-7).type() == MS_INT && value(-7).as<int>() == -7);
  CHECK(value(1.5F).type() == MS_DOUBLE && value(1.5F).as<double>() == 1.5);
  CHECK(value("text").as<std::string_view>() == "text");
  CHECK(value(std::string("a\0b", 3)).as<std::string_view>() ==
        std::string_view("a\0b", 3));
  CHECK(value(std::string_view()).as<std::string_view>() == "");
  CHECK(value(nullptr).type() == MS_NULL && value(nullptr));
  CHECK(value::empty().type() == MS_EMPTY);
  CHECK(value(3).as<float>() == 3.0F); // integers are numbers, too
  CHECK(!value(3.0).as<int>() && !value("3").as<int>() && !value(1).as<bool>());
  CHECK(value(7).value_or(1) == 7 && value("x").value_or(1) == 1);
}

void test_integers_that_the_type_cannot_hold_are_not_there() {
  CHECK(value(255).as<std::uint8_t>() == 255 && !value(256).as<std::uint8_t>());
  CHECK(!value(-1).as<unsigned>() && value(-1).as<std::int8_t>() == -1);
  CHECK(!value(-129).as<std::int8_t>());
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  CHECK(value(most).as<std::uint64_t>() == static_cast<std::uint64_t>(most));
  bool threw = false;
  try {
    (void)value{std::numeric_limits<std::uint64_t>::max()};
  } catch (const std::out_of_range &) {
    threw = true;
  }
  CHECK(threw);
  value kept = 1;
  CHECK(value::make(std::numeric_limits<std::uint64_t>::max(), &kept) == MS_EARGUMENT);
  CHECK(kept.as<int>() == 1 && value::make("two", &kept) == MS_OK);
  CHECK(kept.as<std::string_view>() == "two");
}

void test_containers_are_built_walked_and_changed() {
  value doc = value::object(
      {{"hp", 100}, {"name", "ada"}, {"list", value::array({1, 2.5, "x"})}});
  CHECK(doc.size() == 3 && doc["hp"].as<int>() == 100);
  CHECK(doc["list"].at(2).as<std::string_view>() == "x");
  CHECK(!doc["nothing"] && !doc["hp"]["deeper"]["still"] && !doc["list"].at(3));

  std::set<std::string> keys;
  for (const memshare::item &each : doc.items()) {
    keys.emplace(each.key);
    CHECK(each.value == doc[each.key]);
  }
  CHECK(keys == std::set<std::string>({"hp", "list", "name"}));
  std::size_t expected = 0;
  for (const memshare::item &each : doc["list"].items()) {
    CHECK(each.key.empty() && each.index == expected);
    expected++;
  }
  CHECK(expected == 3);
  for (const memshare::item &each : view().items()) CHECK(!each.value);
  for (const memshare::item &each : value(1).items()) CHECK(!each.value);

  const value before = doc; // another reference: the change makes a new value
  CHECK(doc.put("hp", value(90)) == MS_OK && doc.erase("name") == MS_OK);
  CHECK(before["hp"].as<int>() == 100 && doc["hp"].as<int>() == 90 && doc.size() == 2);
  CHECK(doc.append(value(1)) == MS_ETYPE && doc.size() == 2);
  CHECK(doc.put("x", view()) == MS_EARGUMENT);
  value list(doc["list"]);
  CHECK(list.insert(0, value(0)) == MS_OK && list.replace(1, value("one")) == MS_OK &&
        list.erase_at(3) == MS_OK);
  CHECK(list == value::array({0, "one", 2.5}) && list != doc["list"]);
  CHECK(list.erase_at(9) == MS_ENOENT);

  bool threw = false;
  try {
    value::object({{std::string(MS_KEY_MAX + 1, 'k'), 1}});
  } catch (const std::length_error &) {
    threw = true;
  }
  CHECK(threw);
}

void test_nothing_reads_as_nothing() {
  const view nothing;
  CHECK(!nothing && nothing.type() == MS_NULL && nothing.size() == 0);
  CHECK(!nothing["key"] && !nothing.at(0) && !nothing.as<int>() && !nothing.as<view>());
  CHECK(nothing == view() && nothing != value(nullptr));
  value none;
  CHECK(none.put("a", value(1)) == MS_EARGUMENT && none.append(value(1)) == MS_EARGUMENT);
  CHECK(!none.to_json() && !none.encode());
  const value copy = none;
  CHECK(!copy);
}

void test_values_travel_as_json_and_messagepack() {
  ms_error error = {};
  const auto read = value::from_json(R"({"a": [1, 2.5, "x", null, true]})", &error);
  CHECK(read.has_value() && (*read)["a"].size() == 5);
  CHECK(read->to_json()->as<std::string_view>() == R"({"a":[1,2.5,"x",null,true]})");
  const auto packed = read->encode();
  const std::string_view bytes = *packed->as<std::string_view>();
  CHECK(*value::decode(bytes.data(), bytes.size()) == *read);
  CHECK(!value::from_json("{", &error) && error.status == MS_EARGUMENT);
  CHECK(!value::decode("\xc1", 1));
}

void test_paths_updates_and_queries_are_compiled_once() {
  const auto path = memshare::path::parse("players.7.hp");
  CHECK(path.has_value() && path->size() == 3 && (*path)[1] == "7");
  CHECK((*path->join("a.b"))[3] == "a.b");
  const memshare::path kept = memshare::path::keep(path->native());
  CHECK(kept.size() == 3);
  ms_error error = {};
  CHECK(!memshare::path::parse("a..b", &error) && error.status == MS_EPATH);

  const value doc = value::object({{"n", 1}});
  const auto update =
      memshare::update::parse(value::object({{"$inc", value::object({{"n", 2}})}}));
  CHECK(update.has_value() && (*update->apply(doc, 0))["n"].as<int>() == 3);
  CHECK(!update->apply(value::object({{"n", "text"}}), 0, &error) &&
        error.status == MS_ETYPE);
  CHECK(!memshare::update::parse(value::object({{"$what", 1}}), nullptr, &error) &&
        error.status == MS_EOPERATOR);
  CHECK(!memshare::update::parse(view(), nullptr, &error) &&
        error.status == MS_EARGUMENT);

  const auto query =
      memshare::query::parse(value::object({{"n", value::object({{"$gt", 0}})}}));
  CHECK(query.has_value() && query->matches(doc) && !query->matches(view()));
  memshare::query copy = *query;
  copy = memshare::query();
  CHECK(!copy && query->matches(doc));
}

// ------------------------------------------------------------------ shares

void test_share_is_written_and_read_with_types() {
  memshare::runtime runtime = make_runtime();
  memshare::share share = open_share(runtime, "types");
  CHECK(share.name() == "types" && share.info().state == MS_SHARE_HOST);
  CHECK(share.set("bool", true) == MS_OK && share.set("int", 5) == MS_OK);
  CHECK(share.set("double", 0.5) == MS_OK && share.set("text", "ada") == MS_OK);
  CHECK(share.set("text2", std::string("bob")) == MS_OK);
  CHECK(share.set("doc", value::object({{"x", 1}})) == MS_OK);
  CHECK(share.get<bool>("bool") == true && share.get<int>("int") == 5);
  CHECK(share.get<double>("double") == 0.5 && share.get<double>("int") == 5.0);
  CHECK(share.get<std::string_view>("text") == "ada");
  CHECK((*share.get("doc"))["x"].as<int>() == 1 && share.get<int>("doc.x") == 1);
  CHECK(!share.get<int>("text") && !share.get("nothing") && !share.get<int>("a..b"));

  CHECK(share.set("big", std::numeric_limits<std::uint64_t>::max()) == MS_EARGUMENT);
  CHECK(share.set("none", view()) == MS_EARGUMENT);
  ms_error error = {};
  CHECK(share.set(std::string_view("a\0b", 3), value(1), nullptr, &error) == MS_EPATH);
  CHECK(error.status == MS_EPATH && std::string(error.message) != "");
  CHECK(!share.get(std::string_view("int\0x", 5)));
  const std::string longest(1000, 'k'); // longer than what stands on the stack
  CHECK(share.set(longest, 1) == MS_OK && share.get<int>(longest) == 1);
  CHECK(!share.get(std::string_view(longest).substr(1)));
  CHECK(share.get<int>(std::string_view("intx").substr(0, 3)) == 5);

  CHECK(share.inc("int", -2) == MS_OK && share.push("list", value("e")) == MS_OK);
  CHECK(share.unset("bool") == MS_OK && !share.get("bool"));
  CHECK(share.patch(value::object({{"$mul", value::object({{"int", 10}})}})) == MS_OK);
  CHECK(share.get<int>("int") == 30 && share.get("list")->size() == 1);
  const value root = share.root();
  CHECK(share.replace(value::object({{"only", 1}})) == MS_OK);
  CHECK(root["int"].as<int>() == 30 && share.root() == value::object({{"only", 1}}));
  CHECK(share.flush(seconds(5)) == MS_OK && share.sync(seconds(5)) == MS_OK);
  CHECK(share.close(seconds(5)) == MS_OK && share.set("x", 1) == MS_ECLOSED);
}

void test_operators_and_compiled_paths_reach_their_places() {
  memshare::runtime runtime = make_runtime();
  memshare::share share = open_share(runtime, "operators");
  CHECK(share.replace(*value::from_json(R"({"n": 3, "list": [1, 2]})")) == MS_OK);
  CHECK(share.mul("n", value(2)) == MS_OK && share.get<int>("n") == 6);
  CHECK(share.min("n", value(4)) == MS_OK && share.get<int>("n") == 4);
  CHECK(share.max("n", value(9)) == MS_OK && share.get<int>("n") == 9);
  CHECK(share.add_to_set("list", value(2)) == MS_OK);
  CHECK(share.insert("list", 0, value("a")) == MS_OK);
  CHECK(share.remove("list", 1) == MS_OK);
  CHECK(share.remove("list", 7) == MS_EPATH);
  CHECK(share.push("list", value(5)) == MS_OK && share.pop("list") == MS_OK);
  CHECK(share.root() == *value::from_json(R"({"n": 9, "list": ["a", 2]})"));
  CHECK(share.pull("list", value("a")) == MS_OK && share.pop("list", true) == MS_OK);
  CHECK(share.rename("n", "m") == MS_OK && share.get<int>("m") == 9);
  CHECK(share.mul("m", view()) == MS_EARGUMENT && share.insert("l", 0, view()) != MS_OK);

  const auto place = memshare::path::parse("list")->join("a.b");
  CHECK(share.set("list", *value::from_json("{}")) == MS_OK);
  CHECK(share.set(*place, 7) == MS_OK && share.get<int>(*place) == 7);
  CHECK(share.set(*place, "seven") == MS_OK);
  CHECK(share.get<std::string_view>(*place) == "seven");
  CHECK(!share.get(memshare::path()) && share.set(memshare::path(), 1) == MS_EARGUMENT);

  int asked = 0;
  const auto is_eight = [&](view found) {
    asked++;
    return found.as<int>() == 8;
  };
  CHECK(share.wait_for(*place, is_eight, milliseconds(0)) == MS_ETIMEDOUT);
  auto timer =
      runtime.after(milliseconds(0), [&] { CHECK(share.set(*place, 8) == MS_OK); });
  CHECK(timer && asked > 0 && share.wait_for(*place, is_eight, seconds(10)) == MS_OK);
}

void test_receipts_tell_what_became_of_a_write() {
  memshare::runtime runtime = make_runtime();
  memshare::share share = open_share(runtime, "receipts");
  memshare::receipt receipt;
  uint64_t accepted = 0;
  auto patches = share.on_patch([&accepted](const ms_patch &patch) {
    if (patch.is_local && patch.path_count == 1) accepted = patch.version;
  });
  CHECK(patches.has_value());
  CHECK(!receipt && share.set("n", value(1), &receipt) == MS_OK && receipt);
  CHECK(receipt.wait(seconds(5)) == MS_OK && receipt.state() == MS_ACCEPTED);
  CHECK(receipt.version() > 0 && receipt.number() == 1 && !receipt.rejection());
  CHECK(poll_until(runtime, [&] { return accepted == receipt.version(); }));

  int heard = 0;
  auto sub = share.on_reject([&heard](const ms_rejection &why) {
    heard += why.status == MS_ECONDITION ? 1 : 0;
  });
  CHECK(sub.has_value());
  ms_update_options options;
  ms_update_options_init(&options);
  const value where = value::object({{"n", 2}});
  options.where = where.native();
  const value update = value::object({{"$set", value::object({{"n", 3}})}});
  CHECK(share.patch(update, &options, &receipt) == MS_OK);
  memshare::receipt copy = receipt;
  CHECK(copy.wait(seconds(5)) == MS_ECONDITION && copy.state() == MS_REJECTED);
  CHECK(receipt.rejection().has_value() && receipt.rejection()->status == MS_ECONDITION &&
        share.get<int>("n") == 1);
  CHECK(poll_until(runtime, [&heard] { return heard == 1; }));
  // A write that fails leaves the receipt alone.
  CHECK(share.set("a..b", value(1), &copy) == MS_EPATH && copy.state() == MS_REJECTED);
}

// A capture that can only be moved, and that tells when it is destroyed.
struct token {
  explicit token(int *count) : lives(count) { ++*lives; }
  token(const token &) = delete;
  token &operator=(const token &) = delete;
  ~token() { --*lives; }
  int *lives;
};

void test_subscriptions_own_their_lambda_and_end_with_it() {
  memshare::runtime runtime = make_runtime();
  memshare::share share = open_share(runtime, "subscriptions");
  int lives = 0, heard = 0, last = 0;
  {
    auto sub = share.on(
        "n", [&, own = std::make_unique<token>(&lives)](const ms_change &change) {
          heard++;
          last = view(change.new_value).value_or(-1);
        });
    CHECK(sub.has_value() && lives == 1);
    CHECK(share.set("n", 5) == MS_OK && poll_until(runtime, [&] { return heard == 1; }));
    CHECK(last == 5);
    memshare::subscription moved = std::move(*sub);
    sub.reset();
    CHECK(lives == 1 && share.set("n", 6) == MS_OK);
    CHECK(poll_until(runtime, [&] { return heard == 2; }));
    moved = memshare::subscription(); // ends what it had
    CHECK(lives == 0);
    CHECK(share.set("n", 7) == MS_OK && share.flush(seconds(5)) == MS_OK);
    CHECK(runtime.poll() == MS_OK && heard == 2);
  }
  CHECK(!share.on("a..b", [](const ms_change &) {}));

  // Ended by its own callback, whose captures live until it returns.
  memshare::subscription own;
  own = std::move(
      *share.on("n", [&, held = std::make_unique<token>(&lives)](const ms_change &) {
        own.close();
        CHECK(lives == 1 && held->lives == &lives);
        heard = 100;
      }));
  CHECK(share.set("n", 8) == MS_OK && share.set("n", 9) == MS_OK);
  CHECK(poll_until(runtime, [&] { return heard == 100; }) && lives == 0);

  int matches = 0;
  const auto pattern = memshare::path::parse_pattern("players.*");
  auto some = share.on(
      *pattern, [&](const ms_change &) { matches++; }, MS_ON_COALESCE);
  auto states = share.on_state([](const ms_share_info &) {});
  CHECK(some && states && share.set("players.ada", 1) == MS_OK);
  CHECK(share.set("players.bob", 1) == MS_OK);
  CHECK(poll_until(runtime, [&] { return matches == 2; }));
}

void test_timers_fire_once_or_are_called_off() {
  memshare::runtime runtime = make_runtime();
  int lives = 0, fired = 0;
  auto first = runtime.after(milliseconds(1),
                             [&, own = std::make_unique<token>(&lives)] { fired++; });
  auto never = runtime.after(milliseconds(1), [&] { fired += 100; });
  CHECK(first && never && runtime.timeout().has_value());
  never.reset();
  CHECK(poll_until(runtime, [&] { return fired > 0; }) && fired == 1 && lives == 1);
  first.reset(); // what has fired is gone in C, and the lambda goes now
  CHECK(lives == 0);
  memshare::timer own;
  own = std::move(*runtime.after(
      milliseconds(0), [&, held = std::make_unique<token>(&lives)] { own.close(); }));
  CHECK(poll_until(runtime, [&] { return lives == 0; }));
  CHECK(runtime.fd() >= 0);
}

void test_batches_are_one_patch_or_nothing() {
  memshare::runtime runtime = make_runtime();
  memshare::share share = open_share(runtime, "batches");
  memshare::receipt receipt;
  {
    auto batch = share.begin_batch();
    CHECK(batch && share.set("a", 1) == MS_OK && share.set("b", 2) == MS_OK);
    CHECK(!share.begin_batch());
    CHECK(batch->commit(&receipt) == MS_OK && receipt);
  }
  CHECK(receipt.wait(seconds(5)) == MS_OK && receipt.number() == 1);
  {
    auto batch = share.begin_batch();
    CHECK(batch && share.set("a", 10) == MS_OK && share.get<int>("a") == 10);
  }
  CHECK(share.get<int>("a") == 1 && share.get<int>("b") == 2);
}

void test_transactions_commit_what_they_wrote_or_nothing() {
  memshare::runtime runtime = make_runtime();
  memshare::share share = open_share(runtime, "transactions");
  CHECK(share.set("ada", 10) == MS_OK && share.set("bob", 0) == MS_OK);
  const auto move = [](memshare::draft &draft, int amount) -> ms_status {
    const int ada = draft.get<int>("ada").value_or(0);
    const int bob = draft.get<int>("bob").value_or(0);
    if (const ms_status status = draft.set("ada", ada - amount); status != MS_OK)
      return status;
    return ada < amount ? MS_EDENIED : draft.set("bob", bob + amount);
  };
  CHECK(share.transact([&](memshare::draft &draft) { return move(draft, 7); }) == MS_OK);
  CHECK(share.get<int>("ada") == 3 && share.get<int>("bob") == 7);
  ms_error error = {};
  CHECK(share.transact([&](memshare::draft &draft) { return move(draft, 7); }, nullptr,
                       &error) == MS_EDENIED);
  CHECK(error.status == MS_EDENIED && share.get<int>("ada") == 3);
  int runs = 0;
  CHECK(share.transact([&](memshare::draft &) { runs++; }) == MS_OK && runs == 1);

  {
    auto dropped = share.begin_transaction();
    CHECK(dropped && dropped->set("ada", 1000) == MS_OK && dropped->writes() == 1);
    CHECK(dropped->root()["ada"].as<int>() == 1000);
    CHECK(dropped->set("ada", std::numeric_limits<std::uint64_t>::max()) == MS_EARGUMENT);
  }
  CHECK(share.get<int>("ada") == 3);
  memshare::receipt receipt;
  {
    auto kept = share.begin_transaction();
    CHECK(kept &&
          kept->patch(value::object({{"$inc", value::object({{"ada", 1}})}})) == MS_OK);
    CHECK(kept->unset("bob") == MS_OK && !kept->get("bob"));
    CHECK(kept->set("name", "x") == MS_OK);
    memshare::transaction moved = std::move(*kept);
    CHECK(moved.commit(&receipt) == MS_OK && receipt);
  }
  CHECK(receipt.wait(seconds(5)) == MS_OK && share.get<int>("ada") == 4);
  CHECK(!share.get("bob") && share.get<std::string_view>("name") == "x");
}

void test_transactions_go_in_steps_that_do_not_wait() {
  memshare::runtime runtime = make_runtime();
  memshare::share share = open_share(runtime, "steps");
  int lives = 0, runs = 0;
  CHECK(share.set("n", 1) == MS_OK && share.set("list", value::array()) == MS_OK);
  {
    auto add = [&, own = std::make_unique<token>(&lives)](memshare::draft &draft) {
      runs++;
      if (const ms_status status = draft.inc("n", 4); status != MS_OK) return status;
      return draft.push("list", value("x"));
    };
    ms_error error = {};
    auto steps = share.begin_transact(std::move(add), nullptr, &error);
    CHECK(steps.has_value() && lives == 1 && runs == 0);
    bool over = false;
    ms_status status = MS_OK;
    CHECK(poll_until(runtime, [&] {
      if (!over) status = steps->step(&over, &error);
      return over;
    }));
    CHECK(status == MS_OK && runs == 1 && share.get<int>("n") == 5);
    CHECK(share.get("list")->at(0).as<std::string_view>() == "x");
  }
  CHECK(lives == 0);
  {
    const auto refuse = [](memshare::draft &) { return MS_EDENIED; };
    auto steps = share.begin_transact(refuse);
    bool over = false;
    CHECK(steps && steps->step(&over) == MS_EDENIED && over);
  }
  const auto n = memshare::path::of({"n"});
  const auto reads = [&](memshare::draft &draft) {
    CHECK(draft.get<int>(*n) == 5 && !draft.get(*n->join("deeper")));
  };
  CHECK(share.transact(reads) == MS_OK);
}

void test_shares_start_later_and_sync_without_waiting() {
  memshare::runtime runtime = make_runtime();
  ms_share_config config = memshare::share_config();
  config.dir = folder.c_str();
  auto share = runtime.make_share("later", &config);
  CHECK(share.has_value() && share->info().state == MS_SHARE_NEW);
  CHECK(share->set("n", 1) == MS_ENOHOST && !share->begin_sync());
  CHECK(share->start(seconds(5)) == MS_OK && share->info().state == MS_SHARE_HOST);
  CHECK(share->set("n", 1) == MS_OK);
  const auto ticket = share->begin_sync();
  CHECK(ticket.has_value());
  CHECK(runtime.wait([&] { return share->sync_done(*ticket) == MS_OK; }, seconds(10)) ==
        MS_OK);
  CHECK(runtime.wait([] { return false; }, milliseconds(1)) == MS_ETIMEDOUT);

  int rounds = 0;
  auto round = runtime.on_round([&] { rounds++; });
  CHECK(round.has_value() && runtime.poll() == MS_OK && rounds == 1);
  round->close();
  CHECK(runtime.poll() == MS_OK && rounds == 1);

  const auto place = memshare::path::of({"a.b", ""});
  CHECK(place && place->size() == 2 && (*place)[0] == "a.b" && (*place)[1].empty());
  CHECK(memshare::path::of({"a", "b"})->text()->as<std::string_view>() == "a.b");
  const auto deep = memshare::path::of({"a.b"});
  CHECK(share->set(*deep, value::object({{"", 1}})) == MS_OK);
  CHECK(share->get<int>(*place) == 1 && share->unset(*place) == MS_OK);
  CHECK(!share->get(*place) && share->set(*deep, view()) == MS_EARGUMENT);
  CHECK(share->inc_double("n", 0.5) == MS_OK && share->get<double>("n") == 1.5);
  CHECK(share->current_date("seen") == MS_OK);
  CHECK(share->get<std::int64_t>("seen") > std::int64_t{1600000000000});
}

void test_peers_are_heard_coming_and_leaving() {
  memshare::runtime first = make_runtime(), second = make_runtime();
  memshare::share host = open_share(first, "peers");
  std::vector<std::pair<ms_peer_event, std::uint64_t>> events;
  auto sub = host.on_peer([&](ms_peer_event event, const ms_peer &peer) {
    events.emplace_back(event, peer.id);
  });
  CHECK(sub.has_value());
  std::uint64_t guest = 0;
  {
    memshare::share peer = open_share(second, "peers");
    guest = peer.info().peer;
    CHECK(poll_until(first, [&] { return events.size() == 1; }));
  }
  CHECK(poll_until(first, [&] { return events.size() == 2; }));
  CHECK(events[0] == std::make_pair(MS_PEER_JOIN, guest) &&
        events[1] == std::make_pair(MS_PEER_LEAVE, guest));
}

void test_events_and_calls_go_to_lambdas() {
  memshare::runtime first = make_runtime(), second = make_runtime();
  memshare::share host = open_share(first, "messages");
  memshare::share peer = open_share(second, "messages");
  int heard = 0, any = 0;
  auto on_ping = host.on_event("ping", [&](const ms_event &event) {
    heard += static_cast<int>(memshare::view(event.value).as<int>().value_or(0));
  });
  auto on_any = host.on_event("", [&](const ms_event &) { any++; });
  CHECK(on_ping && on_any);
  CHECK(peer.emit("ping", memshare::value(5)) == MS_OK && peer.emit("pong") == MS_OK);
  CHECK(poll_both(first, second, [&] { return any == 2; }));
  CHECK(heard == 5);

  std::optional<memshare::request> kept;
  auto answering = host.handle("add", [&](memshare::request asked) {
    if (asked.content()["later"]) {
      kept = asked;
    } else if (auto n = asked.content()["n"].as<int>()) {
      CHECK(asked.reply(memshare::value(*n + 1)) == MS_OK);
    } else {
      CHECK(asked.fail("ETYPE", "no number") == MS_OK);
    }
  });
  CHECK(answering.has_value());
  ms_status status = MS_EBUSY;
  int answer = 0;
  const auto ask = [&](memshare::value content) {
    status = MS_EBUSY;
    return peer.call(MS_CALL_HOST, "add", content, seconds(10),
                     [&](const ms_reply &reply) {
                       status = reply.status;
                       answer = memshare::view(reply.value).as<int>().value_or(-1);
                     });
  };
  const auto is_told = [&] { return status != MS_EBUSY; };
  memshare::value content = memshare::value::object({});
  CHECK(content.put("n", memshare::value(41)) == MS_OK);
  CHECK(ask(content) == MS_OK && poll_both(first, second, is_told));
  CHECK(status == MS_OK && answer == 42);
  CHECK(ask(memshare::value::object({})) == MS_OK && poll_both(first, second, is_told));
  CHECK(status == MS_ETYPE);
  CHECK(content.put("later", memshare::value(true)) == MS_OK && ask(content) == MS_OK);
  CHECK(poll_both(first, second, [&] { return kept.has_value(); }));
  kept.reset(); /* lets go of it */
  CHECK(poll_both(first, second, is_told) && status == MS_ECLOSED);
}

void test_schemas_roles_and_times_bind_writers() {
  memshare::runtime runtime = make_runtime();
  memshare::share share = open_share(runtime, "bound");
  memshare::receipt receipt;
  const auto schema =
      memshare::value::from_json(R"({"n": {"type": "integer", "max": 9}})");
  CHECK(schema && share.set_schema(*schema, &receipt) == MS_OK);
  CHECK(receipt.wait(seconds(10)) == MS_OK);
  CHECK(share.set("n", memshare::value(10), &receipt) == MS_OK &&
        receipt.wait(seconds(10)) == MS_EDENIED);
  CHECK(share.set("n", memshare::value(9), &receipt) == MS_OK &&
        receipt.wait(seconds(10)) == MS_OK);
  CHECK(share.set_schema({}, &receipt) == MS_OK && receipt.wait(seconds(10)) == MS_OK);
  CHECK(share.set("n", memshare::value(10), &receipt) == MS_OK &&
        receipt.wait(seconds(10)) == MS_OK);
  CHECK(share.set_rules("text", &receipt) == MS_OK); // no validator here
  CHECK(receipt.wait(seconds(10)) == MS_EDENIED);
  CHECK(share.set_rules(std::nullopt, &receipt) == MS_OK);
  CHECK(receipt.wait(seconds(10)) == MS_OK);
  CHECK(share.grant("zone", "n", &receipt) == MS_OK &&
        receipt.wait(seconds(10)) == MS_OK);
  CHECK(share.set("n", memshare::value(1), &receipt) == MS_OK &&
        receipt.wait(seconds(10)) == MS_EDENIED);
  CHECK(share.revoke("zone", "n", &receipt) == MS_OK &&
        receipt.wait(seconds(10)) == MS_OK);
  const auto path = memshare::path::parse("n");
  CHECK(path && share.expire(*path, milliseconds(20)) == MS_OK);
  CHECK(poll_until(runtime, [&] { return !share.get<int>("n"); }));
  CHECK(share.set_max_writers(1, &receipt) == MS_OK &&
        receipt.wait(seconds(10)) == MS_OK);
}

void test_locks_and_places_go_with_their_holder() {
  memshare::runtime first = make_runtime(), second = make_runtime();
  memshare::share host = open_share(first, "locks");
  memshare::path place;
  {
    memshare::share peer = open_share(second, "locks");
    auto door = peer.lock("door");
    CHECK(door.has_value() && door->name() == "door");
    CHECK(
        poll_until(first, [&] { return second.poll() == MS_OK && door->is_decided(); }));
    CHECK(door->is_held() && door->fence() > 0 && peer.is_locked("door"));
    CHECK(door->wait(seconds(1)) == MS_OK);
    auto mine = peer.me();
    CHECK(mine.has_value() && peer.set(*mine->join("hp"), 5) == MS_OK);
    CHECK(peer.set("job", 1) == MS_OK &&
          peer.bind(*memshare::path::of({"job"})) == MS_OK);
    CHECK(peer.unbind(*memshare::path::of({"other"})) == MS_OK);
    CHECK(poll_until(first, [&] {
      return second.poll() == MS_OK && host.get<int>(*mine->join("hp")) == 5 &&
             host.get<int>("job") == 1;
    }));
    place = *mine;
    memshare::lease moved = std::move(*door);
    CHECK(moved.give_back() == MS_OK && moved.state() == MS_LEASE_GONE);
  }
  CHECK(poll_until(first, [&] { return !host.get("job") && !host.get(place); }));
  auto door = host.lock("door");
  CHECK(door && door->wait(seconds(10)) == MS_OK && !host.lock(""));
}

void test_two_runtimes_see_the_same_share() {
  memshare::runtime first = make_runtime(), second = make_runtime();
  memshare::share host = open_share(first, "two");
  memshare::share peer = open_share(second, "two");
  CHECK(host.set("n", 1) == MS_OK);
  CHECK(poll_until(second, [&] { return peer.get<int>("n") == 1; }));
  std::vector<bool> hosts;
  CHECK(peer.peers([&](const ms_peer &each) { hosts.push_back(each.is_host); }) == MS_OK);
  CHECK(hosts.size() == 2 && hosts[0] != hosts[1]);
  std::vector<std::string> names;
  CHECK(memshare::list([&](const ms_listing &each) { names.emplace_back(each.name); },
                       folder) == MS_OK);
  CHECK(std::set<std::string>(names.begin(), names.end()).count("two") == 1);
  ms_error error = {};
  CHECK(!first.open(std::string_view("a\0b", 3), nullptr, &error) &&
        error.status == MS_EARGUMENT);
  CHECK(!first.open("not a name", nullptr, &error) && error.status == MS_EARGUMENT);
}

} // namespace

int main() {
  char place[] = "/tmp/memshare-wrapper-XXXXXX";
  if (mkdtemp(place) == nullptr) return 1;
  folder = place;
  const struct {
    const char *name;
    void (*run)();
  } tests[] = {
#define TEST(name) {#name, name}
      TEST(test_values_are_made_of_what_cpp_has_and_read_back),
      TEST(test_integers_that_the_type_cannot_hold_are_not_there),
      TEST(test_containers_are_built_walked_and_changed),
      TEST(test_nothing_reads_as_nothing),
      TEST(test_values_travel_as_json_and_messagepack),
      TEST(test_paths_updates_and_queries_are_compiled_once),
      TEST(test_share_is_written_and_read_with_types),
      TEST(test_operators_and_compiled_paths_reach_their_places),
      TEST(test_receipts_tell_what_became_of_a_write),
      TEST(test_subscriptions_own_their_lambda_and_end_with_it),
      TEST(test_timers_fire_once_or_are_called_off),
      TEST(test_batches_are_one_patch_or_nothing),
      TEST(test_transactions_commit_what_they_wrote_or_nothing),
      TEST(test_transactions_go_in_steps_that_do_not_wait),
      TEST(test_shares_start_later_and_sync_without_waiting),
      TEST(test_peers_are_heard_coming_and_leaving),
      TEST(test_events_and_calls_go_to_lambdas),
      TEST(test_schemas_roles_and_times_bind_writers),
      TEST(test_locks_and_places_go_with_their_holder),
      TEST(test_two_runtimes_see_the_same_share),
  };
  int passed = 0, failed = 0;
  for (const auto &test : tests) {
    checks_failed = 0;
    test.run();
    if (checks_failed != 0) std::printf("FAILED: %s\n", test.name);
    ++(checks_failed == 0 ? passed : failed);
  }
  std::system(("rm -rf '" + folder + "'").c_str());
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
