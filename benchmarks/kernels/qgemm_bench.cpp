#include "kernels/qgemm.h"

#include <array>

#include "kernel_bench.h"
#include "kernels/qdepthwise.h"
#include "kernels/qgemm16.h"
#include "kernels/qpointwise.h"
#include "kernels/qpool.h"

// Operations per second count a multiplication and an addition as two.
namespace miniten::kernels::benchmarks {
namespace {

template <class T>
using Lined = std::vector<T, LineAllocator<T>>;

template <class T>
Lined<T> bytes(int64_t n) {
  Lined<T> values(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) values[i] = static_cast<T>(i * 7919 % 251 - 125);
  return values;
}

struct Requantisation {
  std::vector<int32_t> bias;
  std::vector<float> multiplier;
  explicit Requantisation(int64_t n) : bias(static_cast<size_t>(n), 99), multiplier(static_cast<size_t>(n), 0.0013f) {}
  QEpilogue epilogue() const {
    QEpilogue e;
    e.bias = bias.data(), e.multiplier = multiplier.data(), e.x_zero = 3, e.y_zero = -7, e.lo = -7;
    return e;
  }
};

void count_ops(benchmark::State& state, double per_iteration) { count_work(state, "OP/s", per_iteration, peak_byte_ops(isa())); }

void dense(benchmark::State& state, int64_t m, int64_t k, int64_t n) {
  const auto a = bytes<int8_t>(m * k + 16), w = bytes<int8_t>(k * n);
  Lined<std::byte> packed(qgemm_packed_bytes(1, k, n));
  Lined<int8_t> c(m * n);
  qgemm_pack(w.data(), 1, k, n, 0, n, 1, packed.data());
  QGemmShape s;
  s.cols = m, s.n = n, s.segment = k, s.a_col = k, s.c_col = n;
  const Requantisation r(n);
  for (auto _ : state) {
    qgemm(s, a.data(), packed.data(), c.data(), r.epilogue());
    benchmark::ClobberMemory();
  }
  count_ops(state, 2.0 * m * k * n);
}

void dense16(benchmark::State& state, int64_t m, int64_t k, int64_t n, bool narrow) {
  const auto a = bytes<int16_t>(m * k);
  auto w = bytes<int16_t>(k * n);
  if (!narrow) for (int16_t& v : w) v = static_cast<int16_t>(v * 255);
  Lined<std::byte> packed(qgemm16_packed_bytes(1, k, n, narrow));
  Lined<int16_t> c(m * n);
  qgemm16_pack(w.data(), 1, k, n, 0, n, 1, narrow, packed.data());
  QGemmShape s;
  s.cols = m, s.n = n, s.segment = k, s.a_col = k, s.c_col = n;
  const std::vector<int64_t> bias(static_cast<size_t>(n), 99);
  const std::vector<float> multiplier(static_cast<size_t>(n), 0.0013f);
  Q16Epilogue e;
  e.bias = bias.data(), e.multiplier = multiplier.data();
  for (auto _ : state) {
    qgemm16(s, a.data(), packed.data(), narrow, c.data(), e);
    benchmark::ClobberMemory();
  }
  count_work(state, "OP/s", 2.0 * m * k * n, 0);
}

void convolution(benchmark::State& state, int64_t size, int64_t channels, int64_t n) {
  const int64_t width = size + 2, k = 9 * channels;
  const auto a = bytes<int8_t>(width * width * channels + 16), w = bytes<int8_t>(k * n);
  Lined<std::byte> packed(qgemm_packed_bytes(3, 3 * channels, n));
  Lined<int8_t> c(size * size * n);
  qgemm_pack(w.data(), 3, 3 * channels, n, 3 * channels * n, n, 1, packed.data());
  QGemmShape s;
  s.rows = s.cols = size, s.n = n;
  s.a_row = width * channels, s.a_col = channels;
  s.inner = 3, s.inner_stride = width * channels, s.segment = 3 * channels;
  s.c_col = n, s.c_row = size * n;
  const Requantisation r(n);
  for (auto _ : state) {
    qgemm(s, a.data(), packed.data(), c.data(), r.epilogue());
    benchmark::ClobberMemory();
  }
  count_ops(state, 2.0 * size * size * k * n);
}

void depthwise(benchmark::State& state, int64_t size, int64_t channels, int64_t kernel, int64_t stride) {
  QDepthwiseShape s;
  s.channels = channels, s.out_h = s.out_w = size;
  s.kernel_h = s.kernel_w = kernel, s.stride_h = s.stride_w = stride;
  s.x_col = s.y_col = channels;
  s.x_row = ((size - 1) * stride + kernel) * channels, s.y_row = size * channels;
  const auto x = bytes<int8_t>(((size - 1) * stride + kernel) * s.x_row), w = bytes<int8_t>(kernel * kernel * channels);
  Lined<int8_t> y(size * s.y_row);
  const Requantisation r(channels);
  for (auto _ : state) {
    qdepthwise(s, x.data(), w.data(), y.data(), r.epilogue());
    benchmark::ClobberMemory();
  }
  count_ops(state, 2.0 * size * size * channels * kernel * kernel);
}

void pointwise(benchmark::State& state, int64_t n, int which) {
  const auto x = filled(n);
  auto a = bytes<int8_t>(n), b = bytes<int8_t>(n), y = bytes<int8_t>(n);
  Floats f(static_cast<size_t>(n));
  float lo, hi;
  const QAddParams add{.a_scale = 0.03f, .b_scale = 0.05f, .y_scale = 0.07f};
  for (auto _ : state) {
    if (which == 0) quantize(x.data(), y.data(), n, 0.02f, 3, -128, 127);
    if (which == 1) dequantize(a.data(), f.data(), n, 0.02f, 3, true);
    if (which == 2) qadd(a.data(), b.data(), y.data(), n, add);
    if (which == 3) requantize(a.data(), y.data(), n, {.multiplier = 0.7f});
    if (which == 4) benchmark::DoNotOptimize(minmax(x.data(), n, lo, hi));
    benchmark::ClobberMemory();
  }
  const double per_value[] = {5, 5, 3, 2, 4};
  count_bytes(state, per_value[which] * static_cast<double>(n));
}

void pooling(benchmark::State& state, bool largest) {
  PoolShape s;
  s.channels = 64, s.in_h = s.in_w = 112, s.out_h = s.out_w = 56;
  s.kernel_h = s.kernel_w = 3, s.stride_h = s.stride_w = 2, s.pad_h = s.pad_w = 1;
  s.x_col = s.y_col = 64, s.x_row = 112 * 64, s.y_row = 56 * 64;
  const auto x = bytes<int8_t>(112 * s.x_row);
  Lined<int8_t> y(56 * s.y_row);
  for (auto _ : state) {
    largest ? qmax_pool(s, x.data(), y.data(), true, 0, 56) : qavg_pool(s, x.data(), y.data(), {}, 0, 56);
    benchmark::ClobberMemory();
  }
  count_bytes(state, static_cast<double>(x.size() + y.size()));
}

const bool registered = [] {
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{256, 256, 256}, {1024, 1024, 1024}, {1, 1024, 1024}, {4, 512, 512},
                                {3136, 28, 24}, {3136, 16, 96}, {3136, 144, 24}, {49, 960, 160}})
    on_every_isa("qgemm/" + std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n),
                 [m = m, k = k, n = n](benchmark::State& state) { dense(state, m, k, n); });
  for (const bool narrow : {true, false})
    for (const auto& [m, k, n] : {std::array<int64_t, 3>{256, 256, 256}, {1, 1024, 1024}, {3136, 16, 96}, {49, 960, 160}})
      on_every_isa((narrow ? "qgemm16x8/" : "qgemm16/") + std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n),
                   [narrow, m = m, k = k, n = n](benchmark::State& state) { dense16(state, m, k, n, narrow); });
  for (const auto& [size, channels, n] : {std::array<int64_t, 3>{56, 64, 64}, {28, 128, 128}, {7, 512, 512}})
    on_every_isa("qconv3x3/" + std::to_string(size) + "/" + std::to_string(channels) + "/" + std::to_string(n),
                 [size = size, channels = channels, n = n](benchmark::State& state) {
                   convolution(state, size, channels, n);
                 });
  for (const auto& [size, channels, kernel, stride] :
       {std::array<int64_t, 4>{56, 96, 3, 1}, {14, 384, 3, 1}, {28, 144, 3, 2}, {48, 8, 3, 1}, {14, 240, 5, 1}})
    on_every_isa("qdepthwise/" + std::to_string(size) + "/c" + std::to_string(channels) + "/k" + std::to_string(kernel) +
                     "/s" + std::to_string(stride),
                 [size = size, channels = channels, kernel = kernel, stride = stride](benchmark::State& state) {
                   depthwise(state, size, channels, kernel, stride);
                 });
  const char* const names[] = {"quantize", "dequantize", "qadd", "requantize", "minmax"};
  for (int which = 0; which < 5; ++which)
    on_every_isa(names[which] + std::string("/65536"), [which](benchmark::State& state) { pointwise(state, 65536, which); });
  on_every_isa("qmax_pool/112/c64/k3/s2", [](benchmark::State& state) { pooling(state, true); });
  on_every_isa("qavg_pool/112/c64/k3/s2", [](benchmark::State& state) { pooling(state, false); });
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
