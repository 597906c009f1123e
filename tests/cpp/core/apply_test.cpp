// How the pieces of an op are shared out.
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <thread>
#include "miniten/base/parallel.h"
#include "miniten/core/op.h"

namespace miniten {
namespace {

struct Seen {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  int pieces = 0;
} seen;
void note(const Context&) {
  std::lock_guard lock(seen.mutex);
  seen.threads.insert(std::this_thread::get_id());
  ++seen.pieces;
}
const OpDef noting{.name = "noting", .eval = note};

TEST(Pieces, StayWithinTheThreadsAskedFor) {
  int before = get_num_threads();
  set_num_threads(4);
  run_pieces({noting, nullptr, {}, {}}, {.pieces = 500, .phases = 2}, 1);
  EXPECT_EQ(seen.threads, std::set{std::this_thread::get_id()});
  EXPECT_EQ(seen.pieces, 1000);
  run_pieces({noting, nullptr, {}, {}}, {.pieces = 500});
  EXPECT_EQ(seen.pieces, 1500);
  EXPECT_LE(seen.threads.size(), 4u);
  set_num_threads(before);
}

}  // namespace
}  // namespace miniten
