#include "kernels/norm.h"

#include "kernel_bench.h"

namespace miniten::kernels::benchmarks {
namespace {

const bool registered = [] {
  for (const int64_t n : {16, 256}) {
    const int64_t rows = 65536 / n;
    on_every_isa("affine_rows/" + std::to_string(n), [=](benchmark::State& state) {
      const auto x = filled(rows * n), a = filled(n);
      Floats y(rows * n);
      for (auto _ : state) {
        affine_rows(x.data(), rows, n, a.data(), a.data(), y.data());
        benchmark::ClobberMemory();
      }
      count_bytes(state, 8.0 * rows * n);
    });
    on_every_isa("layer_norm_rows/" + std::to_string(n), [=](benchmark::State& state) {
      const auto x = filled(rows * n), a = filled(n);
      Floats y(rows * n);
      for (auto _ : state) {
        layer_norm_rows(x.data(), rows, n, 1e-5f, a.data(), a.data(), y.data());
        benchmark::ClobberMemory();
      }
      count_bytes(state, 8.0 * rows * n);
    });
    on_every_isa("moments_rows/" + std::to_string(n), [=](benchmark::State& state) {
      const auto x = filled(rows * n), g = filled(rows * n), a = filled(n);
      Floats s(n), p(n);
      for (auto _ : state) {
        moments_rows(g.data(), x.data(), rows, n, a.data(), s.data(), p.data());
        benchmark::ClobberMemory();
      }
      count_bytes(state, 8.0 * rows * n);
    });
  }
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
