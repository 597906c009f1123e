#include <unistd.h>
#include "base/json.h"
#include "edge/benchmark/bench.h"

namespace miniten::edge {

namespace {

// A line of /proc/self/status, in kB there.
size_t status_bytes(const char* who, const char* key) {
  size_t kb = 0;
  bool found = false;
  if (FILE* f = std::fopen("/proc/self/status", "r")) {
    char line[256], format[32];
    std::snprintf(format, sizeof format, "%s: %%zu", key);
    while (!found && std::fgets(line, sizeof line, f)) found = std::sscanf(line, format, &kb) == 1;
    std::fclose(f);
  }
  if (!found) throw Error(ErrorKind::unsupported, who, "a system that tells the resident set in /proc/self/status", "none here");
  return kb * 1024;
}

// The system's mark of the greatest resident set begins anew (proc(5), clear_refs). False: it may not be reset.
bool reset_peak() {
  FILE* f = std::fopen("/proc/self/clear_refs", "w");
  if (!f) return false;
  bool written = std::fputs("5", f) >= 0;
  return std::fclose(f) == 0 && written;
}

}  // namespace

size_t resident_bytes(const char* who) { return status_bytes(who, "VmRSS"); }

MemoryResult memory_benchmark(nn::Module& m, const std::vector<Spec>& inputs) {
  MemoryResult r;
  r.start_bytes = status_bytes("memory_benchmark", "VmRSS");
  r.peak_is_sampled = !reset_peak();
  Bench b("memory_benchmark", m, inputs, 0);
  size_t sampled = status_bytes("memory_benchmark", "VmRSS");
  for (int i = 0; i < 3; ++i) {
    b.run();
    sampled = std::max(sampled, status_bytes("memory_benchmark", "VmRSS"));
  }
  r.current_bytes = status_bytes("memory_benchmark", "VmRSS");
  r.peak_bytes = std::max({sampled, r.current_bytes, r.peak_is_sampled ? 0 : status_bytes("memory_benchmark", "VmHWM")});
  r.arena_bytes = b.session.arena_bytes();
  r.weight_bytes = b.session.weight_bytes();
  for (const Buffer& buffer : b.session.plan().buffers) if (buffer.value < 0) r.scratch_bytes = std::max(r.scratch_bytes, size_t(buffer.bytes));
  r.measured_arena_bytes = b.session.measured_arena_bytes(b.inputs);
  return r;
}

std::string MemoryResult::to_json() const {
  auto mb = [](size_t bytes) { return double(bytes) / 1048576; };
  return nlohmann::ordered_json{{"current_memory_mb", mb(current_bytes)}, {"peak_memory_mb", mb(peak_bytes)}, {"start_memory_mb", mb(start_bytes)},
                                {"arena_bytes", arena_bytes}, {"measured_arena_bytes", measured_arena_bytes}, {"scratch_bytes", scratch_bytes}, {"weight_bytes", weight_bytes},
                                {"peak_is_sampled", peak_is_sampled}}.dump();
}

}  // namespace miniten::edge
