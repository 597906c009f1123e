#include "miniten/base/parallel.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>
#include "base/quota.h"
#include "base/relax.h"
#include "miniten/base/error.h"
#ifdef MINITEN_OPENMP
#include <omp.h>
#endif

namespace miniten {

namespace {

thread_local bool inside_region = false;


std::atomic<int>& thread_limit() {
  static std::atomic<int> limit{[] {
    const char* text = std::getenv("MINITEN_NUM_THREADS");
    int n = text ? std::atoi(text) : 0;
    return n > 0 ? n : available_cores();
  }()};
  return limit;
}

#ifdef MINITEN_OPENMP
class Team {
 public:
  void run(int threads, void (*region)(void*, int), void* argument) {
#pragma omp parallel num_threads(threads)
    {
      inside_region = true;
      region(argument, omp_get_thread_num());
      inside_region = false;
    }
  }
};
#else
// Workers watch one word, the gate, which doubles as the futex they sleep on: how many regions there were, whether the
// current one is open, and how many workers are inside. A worker that comes late finds the gate shut: the caller never
// waits for a thread that the system has put aside.
class Team {
 public:
  ~Team() {
    stop_ = true;
    open_gate();
    for (auto& t : threads_) t.join();
  }
  void run(int threads, void (*region)(void*, int), void* argument) {
    while (int(threads_.size()) < threads - 1) threads_.emplace_back([this, w = int(threads_.size()) + 1] { serve(w); });
    region_ = region;
    argument_ = argument;
    wanted_ = threads;
    open_gate();
    inside_region = true;
    region(argument, 0);
    inside_region = false;
    gate_.fetch_and(~is_open);
    for (int spins = 0; gate_.load(std::memory_order_acquire) & inside; ++spins)
      relax(spins);
  }

 private:
  static constexpr uint32_t inside = 511, is_open = 512, one_region = 1024;
  void open_gate() {
    gate_.store((gate_.load() / one_region + 1) * one_region | is_open);
    if (sleepers_.load() > 0) syscall(SYS_futex, &gate_, FUTEX_WAKE_PRIVATE, 1 << 20, nullptr, nullptr, 0);
  }
  void serve(int worker) {
    inside_region = true;
    for (uint32_t seen = 0;;) {
      uint32_t gate = gate_.load(std::memory_order_acquire);
      for (int spins = 0; gate / one_region == seen && spins < 6000; ++spins) {
        relax(0);
        gate = gate_.load(std::memory_order_acquire);
      }
      while (gate / one_region == seen) {
        sleepers_.fetch_add(1);
        syscall(SYS_futex, &gate_, FUTEX_WAIT_PRIVATE, gate, nullptr, nullptr, 0);
        sleepers_.fetch_sub(1);
        gate = gate_.load();
      }
      seen = gate / one_region;
      if (stop_) return;
      bool entered = false;
      while (gate / one_region == seen && (gate & is_open) && !entered) entered = gate_.compare_exchange_weak(gate, gate + 1);
      if (!entered) continue;
      if (worker < wanted_.load()) region_.load()(argument_.load(), worker);
      gate_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> threads_;
  std::atomic<void (*)(void*, int)> region_{nullptr};
  std::atomic<void*> argument_{nullptr};
  alignas(64) std::atomic<uint32_t> gate_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<int> wanted_{0};
  std::atomic<bool> stop_{false};
};
#endif

// One region at a time. After a fork the child has none of the parent's workers: it starts a team of its own.
struct Shared {
  std::mutex mutex;
  Team* team = new Team;
  ~Shared() { delete team; }
};
Shared* shared = nullptr;
std::mutex making;

Shared& the_team() {
  std::lock_guard lock(making);
  if (!shared) {
    static bool hooked = false;
    static struct AtExit { ~AtExit() { delete shared; shared = nullptr; } } at_exit;
    shared = new Shared;
    if (!hooked) {
      pthread_atfork([] { making.lock(); shared->mutex.lock(); }, [] { shared->mutex.unlock(); making.unlock(); },
                     [] { shared = nullptr; new (&making) std::mutex; });
      hooked = true;
    }
  }
  return *shared;
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : int(std::thread::hardware_concurrency());
  std::string self;
  if (FILE* f = std::fopen("/proc/self/cgroup", "r")) {
    char some[4096];
    while (size_t n = std::fread(some, 1, sizeof some, f)) self.append(some, n);
    std::fclose(f);
  }
  if (double quota = cpu_quota(self, "/sys/fs/cgroup"); quota > 0) cores = std::min(cores, int(std::ceil(quota)));
  return std::max(cores, 1);
}

int get_num_threads() { return thread_limit().load(); }
void set_num_threads(int n) {
  if (n < 1) throw Error(ErrorKind::value, "set_num_threads", "1 or more threads", std::to_string(n));
  thread_limit() = n;
}
bool in_region() { return inside_region; }

void run_team(int threads, void (*region)(void*, int), void* argument) {
  threads = std::min({threads, get_num_threads(), 255});
  if (threads > 1 && !inside_region) {
    Shared& s = the_team();
    if (std::unique_lock lock(s.mutex, std::try_to_lock); lock) return s.team->run(threads, region, argument);
  }
  region(argument, 0);
}

}  // namespace miniten
