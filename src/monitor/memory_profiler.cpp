#include <malloc.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include "miniten/base/error.h"
#include "miniten/monitor/profiler.h"
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
std::string MemoryReport::to_json() const {
  Json list = Json::array();
  for (const MemorySample& s : samples)
    list.push_back({{"label", valid_utf8(s.label)}, {"seconds", s.seconds}, {"memory_mb", mb(double(s.resident))}, {"allocated_mb", mb(double(s.allocated))}});
  return Json{{"start_memory_mb", mb(double(start))}, {"end_memory_mb", mb(double(end))}, {"peak_memory_mb", mb(double(peak))}, {"memory_increase_mb", mb(double(increase()))},
              {"allocated_start_mb", mb(double(allocated_start))}, {"allocated_end_mb", mb(double(allocated_end))}, {"seconds", seconds}, {"peak_is_sampled", peak_is_sampled},
              {"samples", list}}.dump();
}

}  // namespace miniten::monitor
