#include "miniten/base/parallel.h"
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>
#include "base/quota.h"
#include "miniten/base/temporary.h"

namespace miniten {
namespace {

struct Threads {
  int before = get_num_threads();
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
};
struct Counted {
  std::atomic<int> by_worker[8] = {}, all = 0, nested = 0;
};
void count(void* argument, int worker) {
  static_cast<Counted*>(argument)->by_worker[worker]++;
  static_cast<Counted*>(argument)->all++;
}
void nest(void* argument, int worker) {
  count(argument, worker);
  EXPECT_TRUE(in_region());
  run_team(4, [](void* a, int w) { EXPECT_EQ(w, 0); static_cast<Counted*>(a)->nested++; }, argument);    // alone
}

TEST(Parallel, EveryWorkerRunsOnceAtMostAndTheCallerAlways) {
  Threads four(4);
  for (int i = 0; i < 200; ++i) {
    Counted c;
    run_team(4, nest, &c);
    EXPECT_EQ(c.by_worker[0], 1);
    for (int w = 1; w < 8; ++w) EXPECT_LE(c.by_worker[w], w < 4 ? 1 : 0);
    EXPECT_EQ(c.nested, c.all);
  }
  EXPECT_FALSE(in_region());
}

TEST(Parallel, ManyCallersAtOnceAreSafe) {
  Threads two(2);
  std::atomic<int> done{0};
  std::vector<std::thread> hosts;
  for (int h = 0; h < 4; ++h)
    hosts.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        Counted c;
        run_team(2, count, &c);
        done += c.by_worker[0];
      }
    });
  for (std::thread& t : hosts) t.join();
  EXPECT_EQ(done, 800);
}

#ifndef MINITEN_OPENMP  // libgomp's own threads do not survive a fork
TEST(Parallel, AForkedChildHasATeamOfItsOwn) {
  Threads two(2);
  Counted before;
  run_team(2, count, &before);
  pid_t child = fork();
  if (child == 0) {
    bool right = true;
    for (int i = 0; i < 50; ++i) {
      Counted c;
      run_team(2, count, &c);
      right &= c.by_worker[0] == 1;
    }
    _exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  Counted after;
  run_team(2, count, &after);
  EXPECT_EQ(after.by_worker[0], 1);
}
#endif

TEST(Parallel, CoresAreThoseThatAffinityLeaves) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  EXPECT_LE(available_cores(), CPU_COUNT(&all));
  std::thread([&] {
    for (int i = 0, kept = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &all) && kept++) CPU_CLR(i, &all);
    ASSERT_EQ(sched_setaffinity(0, sizeof all, &all), 0);
    EXPECT_EQ(available_cores(), 1);
  }).join();
}

TEST(Parallel, QuotasOfControlGroups) {
  TemporaryFolder folder("parallel");
  auto write = [&](const std::string& name, const std::string& text) {
    std::filesystem::path path = folder.file(name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  };
  EXPECT_EQ(cpu_quota("0::/\n", folder.path()), 0);
  write("a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(cpu_quota("0::/a/b\n", folder.path()), 0);
  write("a/cpu.max", "250000 100000\n");
  EXPECT_EQ(cpu_quota("0::/a/b\n", folder.path()), 2.5);             // the group above limits too
  write("a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(cpu_quota("0::/a/b\n", folder.path()), 0.5);
  write("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  write("cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  const char* first = "7:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n";
  EXPECT_EQ(cpu_quota(first, folder.path()), 0);
  write("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "150000\n");
  EXPECT_EQ(cpu_quota(first, folder.path()), 1.5);
  write("cpu.max", "100000 100000\n");                               // a container's own root
  EXPECT_EQ(cpu_quota("", folder.path()), 1);
  EXPECT_EQ(cpu_quota("nonsense", folder.path()), 1);
}

}  // namespace
}  // namespace miniten
