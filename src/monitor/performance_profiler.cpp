#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include "miniten/base/error.h"
#include "miniten/monitor/profiler.h"

namespace miniten::monitor {

namespace {

using Clock = std::chrono::steady_clock;

struct Times {
  static constexpr size_t kept = 4096;
  int64_t count = 0;
  double total = 0, min = 0, max = 0;
  std::vector<float> drawn;                      // each time stands here with the same probability
  uint64_t random = 0x9e3779b97f4a7c15ull;

  void add(double t) {
    min = count ? std::min(min, t) : t;
    max = count ? std::max(max, t) : t;
    total += t;
    ++count;
    if (drawn.size() < kept) return drawn.push_back(float(t));
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    if (uint64_t at = random % uint64_t(count); at < kept) drawn[at] = float(t);
  }
  Timing timing() const {
    Timing r{count, total, min, max, 0, 0};
    std::vector<float> v = drawn;
    std::sort(v.begin(), v.end());
    auto percentile = [&](double p) {
      double at = p * double(v.size() - 1);
      size_t low = size_t(at), high = std::min(low + 1, v.size() - 1);
      return std::clamp(double(v[low]) + (double(v[high]) - double(v[low])) * (at - double(low)), min, max);
    };
    if (!v.empty()) r.p50 = percentile(0.5), r.p95 = percentile(0.95);
    return r;
  }
};

struct Node { std::string path, name; int depth; Times times; };
struct Open { uint64_t token; std::string path, name; int depth; Clock::time_point start; };

}  // namespace

struct PerformanceProfiler::Impl {
  mutable std::mutex lock;
  uint64_t next = 1;
  std::vector<Node> nodes;
  std::unordered_map<std::string, size_t> by_path;
  std::vector<std::pair<std::string, Times>> names;
  std::unordered_map<std::string, size_t> by_name;
  std::map<std::thread::id, std::vector<Open>> stacks;
  Clock::time_point started{}, stopped{};

  Node& node(const Open& o) {
    auto [at, fresh] = by_path.try_emplace(o.path, nodes.size());
    if (fresh) nodes.push_back({o.path, o.name, o.depth, {}});
    return nodes[at->second];
  }
  Times& name(const std::string& n) {
    auto [at, fresh] = by_name.try_emplace(n, names.size());
    if (fresh) names.emplace_back(n, Times{});
    return names[at->second].second;
  }
};

PerformanceProfiler::PerformanceProfiler() : impl_(std::make_unique<Impl>()) {}
PerformanceProfiler::~PerformanceProfiler() = default;

void PerformanceProfiler::start() {
  std::lock_guard guard(impl_->lock);
  impl_->started = Clock::now();
  impl_->stopped = {};
}
void PerformanceProfiler::stop() {
  std::lock_guard guard(impl_->lock);
  impl_->stopped = Clock::now();
}

uint64_t PerformanceProfiler::begin(std::string_view name) {
  std::lock_guard guard(impl_->lock);
  auto& stack = impl_->stacks[std::this_thread::get_id()];
  std::string path = stack.empty() ? std::string(name) : stack.back().path + "/" + std::string(name);
  stack.push_back({impl_->next++, std::move(path), std::string(name), int(stack.size()), {}});
  impl_->node(stack.back());
  impl_->name(stack.back().name);
  stack.back().start = Clock::now();             // last: what the profiler does itself is not in the time
  return stack.back().token;
}
void PerformanceProfiler::end(uint64_t token) {
  auto now = Clock::now();
  std::lock_guard guard(impl_->lock);
  auto found = impl_->stacks.find(std::this_thread::get_id());
  if (found == impl_->stacks.end() || found->second.back().token != token)
    throw Error(ErrorKind::value, "PerformanceProfiler", "the innermost open timer of this thread to end first",
                found == impl_->stacks.end() ? "none open" : "\"" + found->second.back().path + "\" still open", "nest timers as with-blocks");
  Open o = std::move(found->second.back());
  found->second.pop_back();
  if (found->second.empty()) impl_->stacks.erase(found);
  double seconds = std::chrono::duration<double>(now - o.start).count();
  impl_->node(o).times.add(seconds);
  impl_->name(o.name).add(seconds);
}

std::vector<PerformanceProfiler::Row> PerformanceProfiler::tree() const {
  std::lock_guard guard(impl_->lock);
  std::vector<Row> rows;
  auto below = [&](auto& self, const std::string& parent, int depth) -> void {
    for (const Node& n : impl_->nodes)
      if (n.depth == depth && (depth == 0 || (n.path.size() == parent.size() + 1 + n.name.size() && n.path.compare(0, parent.size(), parent) == 0))) {
        rows.push_back({n.path, n.name, n.depth, n.times.timing()});
        self(self, n.path, depth + 1);
      }
  };
  below(below, "", 0);
  return rows;
}
std::vector<std::pair<std::string, Timing>> PerformanceProfiler::stats() const {
  std::lock_guard guard(impl_->lock);
  std::vector<std::pair<std::string, Timing>> out;
  for (auto& [name, times] : impl_->names) out.emplace_back(name, times.timing());
  return out;
}
Timing PerformanceProfiler::get_timing(std::string_view name) const {
  std::lock_guard guard(impl_->lock);
  if (auto at = impl_->by_name.find(std::string(name)); at != impl_->by_name.end()) return impl_->names[at->second].second.timing();
  if (auto at = impl_->by_path.find(std::string(name)); at != impl_->by_path.end()) return impl_->nodes[at->second].times.timing();
  std::string known;
  for (auto& [n, times] : impl_->names) if (known.size() < 300) known += (known.empty() ? "" : ", ") + n;
  throw Error(ErrorKind::value, "get_timing", known.empty() ? "a timer that ran" : "one of: " + known, "\"" + std::string(name.substr(0, 200)) + "\"");
}

std::string PerformanceProfiler::summary() const {
  std::vector<Row> rows = tree();
  double all = 0;
  for (const Row& r : rows) all += r.depth == 0 ? r.timing.total : 0;
  {
    std::lock_guard guard(impl_->lock);
    if (impl_->started != Clock::time_point{})
      all = std::chrono::duration<double>((impl_->stopped == Clock::time_point{} ? Clock::now() : impl_->stopped) - impl_->started).count();
  }
  size_t width = 5;
  for (const Row& r : rows) width = std::max(width, std::min<size_t>(60, size_t(2 * r.depth) + r.name.size()));
  char line[512];
  std::snprintf(line, sizeof line, "%-*s %9s %12s %12s %12s %12s %7s\n", int(width), "timer", "count", "total ms", "mean ms", "p50 ms", "p95 ms", "share");
  std::string out = line;
  for (const Row& r : rows) {
    std::string name = std::string(size_t(2 * std::min(r.depth, 20)), ' ') + r.name.substr(0, 60);
    std::snprintf(line, sizeof line, "%-*s %9lld %12.3f %12.4f %12.4f %12.4f %6.1f%%\n", int(width), name.c_str(), static_cast<long long>(r.timing.count), r.timing.total * 1e3, r.timing.mean() * 1e3,
                  r.timing.p50 * 1e3, r.timing.p95 * 1e3, all > 0 ? 100 * r.timing.total / all : 0);
    out += line;
  }
  std::snprintf(line, sizeof line, "each timer costs about %.2f us here, mostly outside its own time\n", overhead() * 1e6);
  return out + line;
}
void PerformanceProfiler::reset() {
  std::lock_guard guard(impl_->lock);
  impl_->nodes.clear();
  impl_->by_path.clear();
  impl_->names.clear();
  impl_->by_name.clear();
  impl_->started = impl_->stopped = {};
}
double PerformanceProfiler::overhead() {
  static const double seconds = [] {
    PerformanceProfiler p;
    auto start = Clock::now();
    for (int i = 0; i < 1000; ++i) p.end(p.begin("timer"));
    return std::chrono::duration<double>(Clock::now() - start).count() / 1000;
  }();
  return seconds;
}

}  // namespace miniten::monitor
