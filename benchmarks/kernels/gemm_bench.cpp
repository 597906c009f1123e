#include "kernels/gemm.h"

#include "kernel_bench.h"

namespace miniten::kernels::benchmarks {
namespace {

void dense(benchmark::State& state, int64_t m, int64_t k, int64_t n) {
  const auto a = filled(m * k), b = filled(k * n);
  Floats packed(gemm_packed_floats(k, n)), c(m * n);
  gemm_pack(b.data(), k, n, n, 1, packed.data());
  GemmShape s;
  s.cols = m, s.n = n, s.segment = k, s.a_col = k, s.c_col = n;
  for (auto _ : state) {
    gemm(s, a.data(), packed.data(), c.data(), {});
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * m * k * n);
}

void convolution(benchmark::State& state, int64_t size, int64_t channels, int64_t n) {
  const int64_t width = size + 2, k = 9 * channels;
  const auto a = filled(width * width * channels), b = filled(k * n);
  Floats packed(gemm_packed_floats(k, n)), c(size * size * n);
  gemm_pack(b.data(), k, n, n, 1, packed.data());
  GemmShape s;
  s.rows = s.cols = size, s.n = n;
  s.a_row = width * channels, s.a_col = channels;
  s.inner = 3, s.inner_stride = width * channels, s.segment = 3 * channels;
  s.c_col = n, s.c_row = size * n;
  Epilogue relu;
  relu.lo = 0;
  for (auto _ : state) {
    gemm(s, a.data(), packed.data(), c.data(), relu);
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * size * size * k * n);
}

void weight_gradient(benchmark::State& state, int64_t size, int64_t channels, int64_t n) {
  const int64_t pixels = size * size;
  const auto x = filled(pixels * channels), dy = filled(pixels * n);
  Floats packed(gemm_packed_floats(pixels, n)), dw(channels * n);
  GemmShape s;
  s.cols = channels, s.n = n, s.a_col = 1, s.a_k = channels, s.segment = pixels, s.c_col = n;
  Epilogue add;
  add.accumulate = true;
  for (auto _ : state) {
    gemm_pack(dy.data(), pixels, n, n, 1, packed.data());
    gemm(s, x.data(), packed.data(), dw.data(), add);
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * pixels * channels * n);
}

const bool registered = [] {
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{256, 256, 256}, {1024, 1024, 1024}, {1, 1024, 1024},
                                {4, 512, 512}, {3136, 27, 24}, {3136, 16, 96}, {3136, 144, 24}, {49, 960, 160}, {3136, 64, 17}, {3136, 576, 3}})
    on_every_isa("gemm/" + std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n),
                 [m = m, k = k, n = n](benchmark::State& state) { dense(state, m, k, n); });
  for (const auto& [size, channels, n] : {std::array<int64_t, 3>{32, 16, 16}, {16, 32, 32}, {8, 64, 64}, {56, 64, 64}, {28, 128, 128}, {14, 256, 256}, {7, 512, 512}})
    on_every_isa("conv3x3/" + std::to_string(size) + "/" + std::to_string(channels) + "/" + std::to_string(n),
                 [size = size, channels = channels, n = n](benchmark::State& state) {
                   convolution(state, size, channels, n);
                 });
  on_every_isa("weight_gradient/56/64/64", [](benchmark::State& state) { weight_gradient(state, 56, 64, 64); });
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
