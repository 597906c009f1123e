#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace miniten::monitor {

// ---- memory ----
struct MemorySample {
  std::string label;
  double seconds = 0;                            // since start()
  size_t resident = 0, allocated = 0;            // of the process; live blocks of the C allocator (0: it does not tell)
};
struct MemoryReport {
  size_t start = 0, end = 0, peak = 0;           // resident bytes
  size_t allocated_start = 0, allocated_end = 0;
  double seconds = 0;
  bool peak_is_sampled = false;                  // the system's mark cannot be reset: the greatest sample stands for it
  std::vector<MemorySample> samples;
  int64_t increase() const { return int64_t(end) - int64_t(start); }
  std::string to_text() const;
  void plot(const std::string& path) const;      // samples over time and the peak, as .svg, .png, .html or .txt
  std::string to_json() const;                   // start_memory_mb, end_memory_mb, peak_memory_mb, memory_increase_mb, samples, ...
};
// Resident memory of the process between start and stop. The peak is the system's own, begun anew at start(), so what was
// freed before does not count and what lives shortly between two samples does.
class MemoryProfiler {
 public:
  void start();                                  // again: begins anew
  MemorySample sample(std::string label = "");
  MemoryReport stop();
  MemoryReport report() const;                   // of the last stop, else so far
  bool running() const { return running_; }

 private:
  MemoryReport report_;
  double begun_ = 0;
  bool running_ = false;
};

// ---- timers ----
struct Timing {
  int64_t count = 0;
  double total = 0, min = 0, max = 0, p50 = 0, p95 = 0;   // seconds; percentiles from at most 4096 evenly drawn times
  double mean() const { return count ? total / double(count) : 0; }
};
// Named timers that nest, on any number of threads; each thread has its own stack.
class PerformanceProfiler {
 public:
  PerformanceProfiler();
  ~PerformanceProfiler();
  void start();
  void stop();                                   // timers outside start and stop count too; both only bound summary's share
  uint64_t begin(std::string_view name);         // -> token
  void end(uint64_t token);                      // throws for any but this thread's innermost open timer
  struct Scope {
    PerformanceProfiler& profiler;
    uint64_t token;
    ~Scope() { profiler.end(token); }
  };
  [[nodiscard]] Scope timer(std::string_view name) { return {*this, begin(name)}; }

  struct Row { std::string path, name; int depth = 0; Timing timing; };
  std::vector<Row> tree() const;                 // parents before children, in order of first beginning
  std::vector<std::pair<std::string, Timing>> stats() const;   // by name, wherever it is nested
  Timing get_timing(std::string_view name_or_path) const;      // throws naming the timers there are
  std::string summary() const;
  void reset();                                  // open timers count when they end
  static double overhead();                      // seconds that one timer costs here, measured

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// ---- ops ----
struct ProfileRow {                              // all applications of one op in one layer and stage
  std::string stage;                             // "forward", "backward", "optimizer"
  std::string layer, op;
  int64_t calls = 0;
  double nanoseconds = 0;                        // without ops that ran inside it
  int64_t macs = 0, flops = 0, bytes = 0;        // flops beside macs; bytes read and written
  std::string shapes;                            // of the first call: "(1, 3) (3, 4) -> (1, 4)"
};
struct ProfileEvent { std::string stage, layer, op, shapes; double start = 0, nanoseconds = 0; };   // start: ns since the profile began
struct Profile {
  std::vector<ProfileRow> rows;                  // most time first
  std::vector<ProfileEvent> events;              // in order of ending
  int64_t dropped_events = 0;                    // beyond 200,000; rows count them all
  double wall_nanoseconds = 0;                   // from start to stop, what is between the ops included
  double op_nanoseconds() const;
  std::string to_text() const;
  std::string to_json() const;
  std::string chrome_trace() const;              // JSON that Perfetto and chrome://tracing open
  std::string flame_graph(double width = 1200) const;   // SVG: stage, layers, op; widths are time
};
// Watches every op that this thread applies between start and stop, eager, backward or in a Session.
class Profiler {
 public:
  Profiler();
  ~Profiler();                                   // stops
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;
  void start();                                  // throws while another profiler watches this thread
  Profile stop();                                // on the thread that started
  bool running() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Watches what ops give, and keeps the first that is NaN or infinite though its inputs were not looked at before.
class NanFinder {
 public:
  NanFinder();
  ~NanFinder();
  NanFinder(const NanFinder&) = delete;
  NanFinder& operator=(const NanFinder&) = delete;
  void start();
  void stop();
  std::string found() const;                     // "" or "layer 3.conv, op div: NaN in float32(1, 3) (forward)"

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace miniten::monitor
