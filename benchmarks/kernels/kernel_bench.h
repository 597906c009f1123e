#pragma once
#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "kernels/dispatch.h"
#include "peak.h"

// Registers body(state) once per available instruction set, as name/isa. Units of work are stated as counters: flops
// and bytes per second, and the share of this core's peak where it is known.
namespace miniten::kernels::benchmarks {

inline void on_every_isa(const std::string& name, std::function<void(benchmark::State&)> body) {
  for (const std::string_view isa : available_isas()) {
    if (isa == "scalar") continue;
    benchmark::RegisterBenchmark((name + "/" + std::string(isa)).c_str(), [isa, body](benchmark::State& state) {
      set_isa(isa);
      body(state);
    });
  }
}

inline void count_work(benchmark::State& state, const char* unit, double per_iteration, double peak) {
  state.counters[unit] =
      benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
  if (peak > 0) state.counters["of peak"] = benchmark::Counter(per_iteration / peak, benchmark::Counter::kIsIterationInvariantRate);
}
inline void count_flops(benchmark::State& state, double per_iteration) {
  count_work(state, "FLOP/s", per_iteration, peak_flops(isa()));
}
inline void count_bytes(benchmark::State& state, double per_iteration) {
  state.counters["B/s"] =
      benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

// Aligned to cache lines, as the planner's buffers are.
template <class T>
struct LineAllocator {
  using value_type = T;
  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64))); }
  void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t(64)); }
  bool operator==(const LineAllocator&) const { return true; }
};
using Floats = std::vector<float, LineAllocator<float>>;

inline Floats filled(int64_t n) {
  Floats values(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(i % 31 - 15) * 0.1f;
  return values;
}

}  // namespace miniten::kernels::benchmarks
