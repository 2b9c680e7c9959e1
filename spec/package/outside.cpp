// A C++17 program outside the tree: opens a share of its own, writes, hears of it, and leaves.
#include <memshare.hpp>

#include <cstdio>
#include <string>

static int complain(const ms_error &error) {
  std::fprintf(stderr, "%s: %s\n", ms_status_name(error.status), error.message);
  return 1;
}

int main() {
  using std::chrono::seconds;
  ms_error error = {};
  auto runtime = memshare::runtime::make(nullptr, &error);
  if (!runtime) return complain(error);
  auto share = runtime->open("outside", nullptr, &error);
  if (!share) return complain(error);

  int heard = 0;
  auto sub = share->on("round", [&heard](const ms_change &) { heard++; });
  if (!sub || share->set("round", 40) != MS_OK) return 1;
  if (share->inc("round", 1, nullptr, &error) != MS_OK) return complain(error);
  if (share->flush(seconds(5), &error) != MS_OK) return complain(error);
  const ms_status status = share->transact(
      [](memshare::draft &draft) {
        return draft.set("round", draft.get<int>("round").value_or(0) + 1);
      },
      nullptr, &error);
  if (status != MS_OK) return complain(error);
  const int round = share->get<int>("round").value_or(-1);
  std::printf("memshare %s: round %d, heard of it: %s\n", ms_version(), round,
              heard > 0 ? "yes" : "no");
  return share->close(seconds(5)) == MS_OK ? 0 : 1;
}
