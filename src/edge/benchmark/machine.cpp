#include <sched.h>
#include <sys/resource.h>
#include <filesystem>
#include <fstream>
#include "edge/benchmark/bench.h"
#include "miniten/base/cpu.h"

namespace miniten::edge {

namespace {

std::optional<double> number_in(const std::string& path) {
  std::ifstream f(path);
  double v = 0;
  return f >> v ? std::optional(v) : std::nullopt;
}
double megahertz() {                                           // of the core that this thread is on
  auto khz = number_in("/sys/devices/system/cpu/cpu" + std::to_string(std::max(0, sched_getcpu())) + "/cpufreq/scaling_cur_freq");
  return khz ? *khz / 1000 : 0;
}
std::optional<int64_t> throttle_count() {
  std::optional<int64_t> all;
  std::error_code unused;
  for (auto& entry : std::filesystem::directory_iterator("/sys/devices/system/cpu", unused))
    if (auto n = number_in(entry.path().string() + "/thermal_throttle/core_throttle_count")) all = all.value_or(0) + int64_t(*n);
  return all;
}

}  // namespace

std::optional<Events> events_now() {
  rusage u{};
  if (getrusage(RUSAGE_SELF, &u) != 0) return {};
  return Events{u.ru_nvcsw + u.ru_nivcsw, u.ru_minflt + u.ru_majflt};
}

MachineWatch::MachineWatch() : throttles(throttle_count()) {
  CpuInfo cpu = cpu_info();
  begun = {cpu.brand.empty() ? cpu.vendor : cpu.brand, cpu.isa, cpu.cores, megahertz(), 0, {}};
}
Machine MachineWatch::end() const {
  Machine m = begun;
  m.end_mhz = megahertz();
  if (throttles) m.throttled = throttle_count().value_or(*throttles) > *throttles;
  return m;
}

std::optional<double> celsius_now() {
  auto thousandths = number_in("/sys/class/thermal/thermal_zone0/temp");
  return thousandths ? std::optional(*thousandths / 1000) : std::nullopt;
}

}  // namespace miniten::edge
