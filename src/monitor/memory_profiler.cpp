#include <malloc.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include "miniten/base/error.h"
#include "miniten/monitor/profiler.h"
#include "miniten/viz/figure.h"
#include "monitor/environment.h"

namespace miniten::monitor {

namespace {

double steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

size_t allocated_bytes() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  struct mallinfo2 m = mallinfo2();
  return m.uordblks + m.hblkhd;
#else
  return 0;
#endif
}

size_t resident_bytes(const char* who) {
  size_t bytes = status_bytes("VmRSS");
  if (!bytes) throw Error(ErrorKind::unsupported, who, "a system that tells the resident set in /proc/self/status", "none here");
  return bytes;
}

}  // namespace

void MemoryProfiler::start() {
  report_ = {};
  report_.start = report_.end = report_.peak = resident_bytes("MemoryProfiler");
  report_.allocated_start = report_.allocated_end = allocated_bytes();
  report_.peak_is_sampled = !reset_peak();
  begun_ = steady_seconds();
  running_ = true;
}
MemorySample MemoryProfiler::sample(std::string label) {
  if (!running_) throw Error(ErrorKind::value, "MemoryProfiler.sample", "a profiler that was started", "one that was not", "call start() first");
  MemorySample s{std::move(label), steady_seconds() - begun_, resident_bytes("MemoryProfiler"), allocated_bytes()};
  report_.peak = std::max(report_.peak, s.resident);
  report_.samples.push_back(s);
  return s;
}
MemoryReport MemoryProfiler::stop() {
  if (!running_) throw Error(ErrorKind::value, "MemoryProfiler.stop", "a profiler that was started", "one that was not", "call start() first");
  report_ = report();
  running_ = false;
  return report_;
}
MemoryReport MemoryProfiler::report() const {
  if (!running_) return report_;
  MemoryReport r = report_;
  r.end = resident_bytes("MemoryProfiler");
  r.allocated_end = allocated_bytes();
  r.seconds = steady_seconds() - begun_;
  r.peak = std::max({r.peak, r.end, r.peak_is_sampled ? 0 : status_bytes("VmHWM")});
  return r;
}

static double mb(double bytes) { return bytes / 1048576; }

std::string MemoryReport::to_text() const {
  char line[256];
  std::snprintf(line, sizeof line, "resident memory: %.2f MB at the start, %.2f at the end (%+.2f), peak %.2f%s\n", mb(double(start)), mb(double(end)), mb(double(increase())), mb(double(peak)),
                peak_is_sampled ? " (of the samples)" : "");
  std::string out = line;
  if (allocated_start) {
    std::snprintf(line, sizeof line, "live allocations: %.2f MB at the start, %.2f at the end\n", mb(double(allocated_start)), mb(double(allocated_end)));
    out += line;
  }
  size_t before = start;
  for (const MemorySample& s : samples) {
    std::snprintf(line, sizeof line, "  %9.3f s %10.2f MB %+10.2f  ", s.seconds, mb(double(s.resident)), mb(double(s.resident) - double(before)));
    out += line + s.label.substr(0, 200) + "\n";
    before = s.resident;
  }
  return out;
}
void MemoryReport::plot(const std::string& path) const {
  std::vector<double> x{0}, resident{mb(double(start))}, held{mb(double(allocated_start))};
  for (const MemorySample& s : samples) {
    x.push_back(s.seconds);
    resident.push_back(mb(double(s.resident)));
    held.push_back(mb(double(s.allocated)));
  }
  x.push_back(seconds);
  resident.push_back(mb(double(end)));
  held.push_back(mb(double(allocated_end)));
  viz::Figure figure({.width = 7, .height = 3.5});
  viz::Axes& axes = figure.add_subplot();
  axes.plot(x, resident, {.marker = "o", .markersize = 4, .label = "resident"});
  if (allocated_start) axes.plot(x, held, {.marker = "o", .markersize = 4, .label = "allocated"});
  axes.axhline(mb(double(peak)), {.linestyle = "--", .label = "peak"});
  axes.set_xlabel("seconds");
  axes.set_ylabel("MB");
  axes.set_title("Memory of the process");
  axes.grid();
  axes.legend();
  figure.save(path);
}
std::string MemoryReport::to_json() const {
  Json list = Json::array();
  for (const MemorySample& s : samples)
    list.push_back({{"label", valid_utf8(s.label)}, {"seconds", s.seconds}, {"memory_mb", mb(double(s.resident))}, {"allocated_mb", mb(double(s.allocated))}});
  return Json{{"start_memory_mb", mb(double(start))}, {"end_memory_mb", mb(double(end))}, {"peak_memory_mb", mb(double(peak))}, {"memory_increase_mb", mb(double(increase()))},
              {"allocated_start_mb", mb(double(allocated_start))}, {"allocated_end_mb", mb(double(allocated_end))}, {"seconds", seconds}, {"peak_is_sampled", peak_is_sampled},
              {"samples", list}}.dump();
}

}  // namespace miniten::monitor
