#include "kernels/winograd.h"

#include "kernel_bench.h"

namespace miniten::kernels::benchmarks {
namespace {

// FLOP/s are those of the direct form, so they may exceed the machine's peak.
void convolution(benchmark::State& state, int64_t tile, int64_t size, int64_t channels, int64_t n) {
  const WinogradShape s{.tile = tile, .channels = channels, .n = n, .height = size, .width = size,
                        .out_h = size, .out_w = size, .top = 1, .left = 1};
  const auto x = filled(size * size * channels), w = filled(9 * channels * n);
  Floats packed(winograd_packed_floats(s)), y(size * size * n), scratch(winograd_scratch_floats(s));
  winograd_pack(s, w.data(), 9 * channels, channels, 1, 0, n, packed.data());
  Epilogue relu;
  relu.lo = 0;
  for (auto _ : state) {
    winograd(s, x.data(), packed.data(), relu, y.data(), 0, winograd_tiles(s), scratch.data());
    benchmark::ClobberMemory();
  }
  count_flops(state, 18.0 * size * size * channels * n);
}

const bool registered = [] {
  for (const auto& [size, channels, n] :
       {std::array<int64_t, 3>{32, 16, 16}, {16, 32, 32}, {8, 64, 64}, {56, 64, 64}, {28, 128, 128}, {14, 256, 256}, {7, 512, 512}})
    for (const int64_t tile : {2, 4})
      on_every_isa("winograd" + std::to_string(tile) + "/" + std::to_string(size) + "/" + std::to_string(channels) + "/" + std::to_string(n),
                   [=, size = size, channels = channels, n = n](benchmark::State& state) { convolution(state, tile, size, channels, n); });
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
