#include "kernels/reduce.h"

#include "kernel_bench.h"
#include "kernels/softmax.h"

namespace miniten::kernels::benchmarks {
namespace {

constexpr int64_t kSize = 65536;

template <class F>
void add(const char* name, double bytes, F f) {
  on_every_isa(name, [=](benchmark::State& state) {
    const auto x = filled(kSize);
    Floats y(kSize), z(kSize);
    for (auto _ : state) {
      f(x.data(), y.data(), z.data());
      benchmark::ClobberMemory();
    }
    count_bytes(state, bytes);
  });
}

const bool registered = [] {
  constexpr double kRead = 4.0 * kSize;
  add("reduce/sum", kRead, [](const float* x, float* y, float*) { *y = sum(x, kSize); });
  add("reduce/sum_squares", kRead, [](const float* x, float* y, float*) { *y = sum_squares(x, kSize); });
  add("reduce/max", kRead, [](const float* x, float* y, float*) { *y = max(x, kSize); });
  add("reduce/add_rows/64", kRead, [](const float* x, float* y, float*) { add_rows(x, kSize / 64, 64, 64, y); });
  add("reduce/max_rows/64", kRead, [](const float* x, float* y, float*) { max_rows(x, kSize / 64, 64, 64, y); });
  add("reduce/mean_var_rows/64", 2 * kRead,
      [](const float* x, float* y, float* z) { mean_var_rows(x, kSize / 64, 64, 64, y, z); });
  add("softmax/1024", 2 * kRead, [](const float* x, float* y, float*) { softmax(x, y, kSize / 1024, 1024); });
  add("softmax/16", 2 * kRead, [](const float* x, float* y, float*) { softmax(x, y, kSize / 16, 16); });
  add("softmax_parts/1024", 2 * kRead, [](const float* x, float* y, float* z) { softmax_parts(x, y, z, kSize / 1024, 1024); });
  add("log_softmax/1024", 2 * kRead, [](const float* x, float* y, float*) { log_softmax(x, y, kSize / 1024, 1024); });
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
