#include "kernels/depthwise.h"

#include "kernel_bench.h"
#include "kernels/pool.h"

namespace miniten::kernels::benchmarks {
namespace {

enum class Pass { forward, input, weight };

void convolution(benchmark::State& state, int64_t size, int64_t channels, int64_t kernel, int64_t stride, Pass pass) {
  DepthwiseShape s;
  s.channels = channels, s.out_h = s.out_w = size;
  s.kernel_h = s.kernel_w = kernel, s.stride_h = s.stride_w = stride;
  s.x_col = s.y_col = channels;
  s.x_row = ((size - 1) * stride + kernel) * channels, s.y_row = size * channels;
  Floats x = filled(((size - 1) * stride + kernel) * s.x_row), y = filled(size * s.y_row),
                     w = filled(kernel * kernel * channels), bias = filled(channels);
  for (auto _ : state) {
    if (pass == Pass::forward) depthwise(s, x.data(), w.data(), bias.data(), 0, 6, y.data());
    if (pass == Pass::input) depthwise_input(s, y.data(), w.data(), x.data());
    if (pass == Pass::weight) depthwise_weight(s, x.data(), y.data(), w.data());
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * size * size * channels * kernel * kernel);
}

void pooling(benchmark::State& state, bool largest) {
  PoolShape s;
  s.channels = 64, s.in_h = s.in_w = 112, s.out_h = s.out_w = 56;
  s.kernel_h = s.kernel_w = 3, s.stride_h = s.stride_w = 2, s.pad_h = s.pad_w = 1;
  s.x_col = s.y_col = 64, s.x_row = 112 * 64, s.y_row = 56 * 64;
  const auto x = filled(112 * s.x_row);
  Floats y(56 * s.y_row);
  for (auto _ : state) {
    largest ? max_pool(s, x.data(), y.data(), 0, 56) : avg_pool(s, x.data(), y.data(), 0, 56);
    benchmark::ClobberMemory();
  }
  count_bytes(state, 4.0 * (x.size() + y.size()));
}

const bool registered = [] {
  const std::pair<const char*, Pass> passes[] = {
      {"depthwise", Pass::forward}, {"depthwise_input", Pass::input}, {"depthwise_weight", Pass::weight}};
  for (const auto& [name, pass] : passes)
    for (const auto& [size, channels, kernel, stride] :
         {std::array<int64_t, 4>{56, 96, 3, 1}, {14, 384, 3, 1}, {28, 144, 3, 2}, {48, 8, 3, 1}, {6, 128, 3, 1}, {14, 240, 5, 1}, {7, 576, 5, 1}})
      on_every_isa(std::string(name) + "/" + std::to_string(size) + "/c" + std::to_string(channels) + "/k" +
                       std::to_string(kernel) + "/s" + std::to_string(stride),
                   [=, size = size, channels = channels, kernel = kernel, stride = stride,
                    pass = pass](benchmark::State& state) {
                     convolution(state, size, channels, kernel, stride, pass);
                   });
  on_every_isa("max_pool/112/c64/k3/s2", [](benchmark::State& state) { pooling(state, true); });
  on_every_isa("avg_pool/112/c64/k3/s2", [](benchmark::State& state) { pooling(state, false); });
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
