#include "kernels/gemm_bf16.h"

#include <array>

#include "kernel_bench.h"

namespace miniten::kernels::benchmarks {
namespace {

// Shares are of float32's peak: instructions for bfloat16 go beyond it.
void dense(benchmark::State& state, int64_t m, int64_t k, int64_t n, bool keep_a) {
  const auto a = filled(m * k), b = filled(k * n);
  Floats c(m * n);
  std::vector<std::byte, LineAllocator<std::byte>> packed(bf16_packed_bytes(k, n));
  bf16_pack(b.data(), k, n, n, 1, packed.data());
  GemmShape s;
  s.cols = m, s.n = n, s.segment = k, s.a_col = k, s.c_col = n;
  for (auto _ : state) {
    gemm_bf16(s, a.data(), packed.data(), c.data(), {}, keep_a);
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * m * k * n);
}

void convolution(benchmark::State& state, int64_t size, int64_t channels, int64_t n) {
  const int64_t width = size + 2, k = 9 * channels;
  const auto a = filled(width * width * channels), b = filled(k * n);
  Floats c(size * size * n);
  std::vector<std::byte, LineAllocator<std::byte>> packed(bf16_packed_bytes(k, n));
  bf16_pack(b.data(), k, n, n, 1, packed.data());
  const GemmShape s{.rows = size, .cols = size, .n = n, .a_row = width * channels, .a_col = channels, .c_row = size * n, .c_col = n,
                    .inner = 3, .inner_stride = width * channels, .segment = 3 * channels};
  for (auto _ : state) {
    gemm_bf16(s, a.data(), packed.data(), c.data(), {}, false);
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * size * size * k * n);
}

const bool registered = [] {
  for (const auto& [size, channels, n] : {std::array<int64_t, 3>{56, 64, 64}, {32, 16, 16}, {14, 256, 256}, {7, 512, 512}})
    on_every_isa("gemm_bf16_conv3x3/" + std::to_string(size) + "x" + std::to_string(channels) + "x" + std::to_string(n),
                 [size, channels, n](benchmark::State& s) { convolution(s, size, channels, n); });
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{1, 1024, 1024}, {128, 384, 1536}, {3136, 64, 64}, {784, 144, 32}, {3136, 24, 144}, {196, 1024, 256}, {128, 128, 512}})
    for (const bool keep_a : {false, true})
      if (!keep_a || m == 1)
        on_every_isa("gemm_bf16/" + std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n) + (keep_a ? " weights" : ""),
                     [m, k, n, keep_a](benchmark::State& s) { dense(s, m, k, n, keep_a); });
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
