// Every integer kernel on every instruction set against arithmetic in 64 bits, byte for byte.
#include <array>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmath>
#include <cstring>
#include <random>
#include "kernels/dispatch.h"
#include "kernels/qdepthwise.h"
#include "kernels/qgemm.h"
#include "kernels/qpointwise.h"
#include "kernels/qpool.h"

namespace miniten::kernels {
namespace {

template <class F> void on_every_isa(F f) {
  std::string before(isa());
  for (std::string_view name : available_isas()) {
    ASSERT_TRUE(set_isa(name));
    SCOPED_TRACE(std::string(name));
    f();
  }
  set_isa(before);
}

// n bytes whose end touches a page that may not be read.
struct Guarded {
  uint8_t* data;
  explicit Guarded(size_t n) {
    size_t page = size_t(sysconf(_SC_PAGESIZE)), pages = (n + page - 1) / page + 1;
    size = pages * page;
    base = static_cast<uint8_t*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base + size - page, page, PROT_NONE);
    data = base + size - page - n;
  }
  ~Guarded() { munmap(base, size); }
  Guarded(const Guarded&) = delete;
  uint8_t* base;
  size_t size;
};

int32_t requantized(int64_t acc, float multiplier, int zero, int lo, int hi) {
  float f = float(int32_t(acc)) * multiplier;
  f = std::min(std::max(f, float(lo - zero)), float(hi - zero));
  return std::clamp(int(std::nearbyintf(f)) + zero, lo, hi);
}

struct Case { int64_t rows, cols, n, outer, inner, segment; bool x_signed, y_signed; };

void check_qgemm(const Case& k, uint32_t seed) {
  std::mt19937 rng(seed);
  auto in = [&](int lo, int hi) { return int(rng() % uint32_t(hi - lo + 1)) + lo; };
  int64_t slack = k.segment % 4 ? 3 : 0;
  QGemmShape s{.rows = k.rows, .cols = k.cols, .n = k.n, .outer = k.outer, .inner = k.inner, .segment = k.segment};
  s.inner_stride = k.segment + in(0, 3);
  s.outer_stride = s.inner_stride * k.inner;
  s.a_col = s.outer_stride * k.outer;
  s.a_row = s.a_col * k.cols + in(0, 2);
  s.c_col = k.n + in(0, 2);
  s.c_row = s.c_col * k.cols;
  int64_t a_last = (k.rows - 1) * s.a_row + (k.cols - 1) * s.a_col + (k.outer - 1) * s.outer_stride + (k.inner - 1) * s.inner_stride + k.segment;
  Guarded a(size_t(a_last + slack)), c(size_t((k.rows - 1) * s.c_row + (k.cols - 1) * s.c_col + k.n));
  for (int64_t i = 0; i < a_last + slack; ++i) a.data[i] = uint8_t(rng());
  int64_t segments = k.outer * k.inner, depth = segments * k.segment;
  std::vector<int8_t> w(size_t(depth * k.n));
  for (auto& v : w) v = int8_t(in(-127, 127));
  std::vector<int32_t> bias(size_t(k.n));
  std::vector<float> multiplier(size_t(k.n)), bias_f(size_t(k.n));
  for (int64_t j = 0; j < k.n; ++j) {
    bias[size_t(j)] = in(-5000, 5000);
    multiplier[size_t(j)] = std::ldexp(1.0f + float(rng() % 1000) / 1000, in(-14, -4));
    bias_f[size_t(j)] = float(in(-100, 100)) / 7;
  }
  std::vector<std::byte> packed(qgemm_packed_bytes(segments, k.segment, k.n) + 64);
  std::byte* aligned = packed.data() + (64 - reinterpret_cast<uintptr_t>(packed.data()) % 64) % 64;
  qgemm_pack(w.data(), segments, k.segment, k.n, k.segment * k.n, k.n, 1, aligned);
  int x_zero = k.x_signed ? in(-128, 127) : in(0, 255), lo = k.y_signed ? -128 : 0, y_zero = in(lo, lo + 255);
  QEpilogue e{.bias = bias.data(), .multiplier = multiplier.data(), .x_zero = x_zero, .x_signed = k.x_signed, .y_zero = y_zero,
              .lo = in(0, 1) ? y_zero : lo, .hi = lo + 255};
  on_every_isa([&] {
    std::memset(c.data, 0x5a, size_t((k.rows - 1) * s.c_row + (k.cols - 1) * s.c_col + k.n));
    std::vector<float> f(size_t(k.rows * s.c_row));
    qgemm(s, a.data, aligned, c.data, e);
    qgemm_f32(s, a.data, aligned, f.data(), {.bias = bias_f.data(), .multiplier = multiplier.data(), .x_zero = x_zero, .x_signed = k.x_signed, .lo = -50});
    for (int64_t r = 0; r < k.rows; ++r)
      for (int64_t q = 0; q < k.cols; ++q)
        for (int64_t j = 0; j < k.n; ++j) {
          int64_t acc = 0;
          for (int64_t o = 0; o < k.outer; ++o)
            for (int64_t i = 0; i < k.inner; ++i)
              for (int64_t d = 0; d < k.segment; ++d) {
                uint8_t byte = a.data[r * s.a_row + q * s.a_col + o * s.outer_stride + i * s.inner_stride + d];
                acc += (int64_t(k.x_signed ? int8_t(byte) : byte) - x_zero) * w[size_t(((o * k.inner + i) * k.segment + d) * k.n + j)];
              }
          uint8_t got = c.data[r * s.c_row + q * s.c_col + j];
          ASSERT_EQ(k.y_signed ? int(int8_t(got)) : int(got), requantized(acc + bias[size_t(j)], multiplier[size_t(j)], y_zero, e.lo, e.hi))
              << r << " " << q << " " << j;
          float want = float(int32_t(acc)) * multiplier[size_t(j)];
          want = std::max(want + bias_f[size_t(j)], -50.0f);
          ASSERT_EQ(f[size_t(r * s.c_row + q * s.c_col + j)], want);
        }
  });
}

TEST(Qgemm, EqualsArithmeticIn64BitsOnEveryIsa) {
  uint32_t seed = 1;
  for (int64_t n : {1, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 48, 70})
    for (int64_t cols : {1, 2, 3, 7, 8, 13})
      check_qgemm({.rows = 1 + n % 3, .cols = cols, .n = n, .outer = 1 + cols % 2, .inner = 1 + n % 3, .segment = 1 + (n * cols) % 21,
                   .x_signed = seed % 2 == 0, .y_signed = seed % 3 != 0}, seed), ++seed;
  check_qgemm({1, 2, 40, 1, 1, 3000, true, true}, 99);
  check_qgemm({2, 3, 16, 1, 1, 0, false, true}, 100);       // nothing to sum
}

TEST(Qgemm, SaturatesAndRoundsHalfToEven) {
  int8_t w[4] = {1, 0, 0, 0};
  std::vector<std::byte> packed(qgemm_packed_bytes(1, 4, 1));
  qgemm_pack(w, 1, 4, 1, 4, 1, 1, packed.data());
  struct { int32_t bias; float multiplier; int want; } cases[] = {
      {5, 0.5f, 2}, {7, 0.5f, 4}, {-5, 0.5f, -2}, {2147483647, 1.0f, 127}, {-2147483647, 1.0f, -128}, {2147483647, 1e30f, 127}, {1, 1e-38f, 0}, {-3, 0.5f, -2}};
  for (auto& k : cases)
    on_every_isa([&] {
      int8_t a[4] = {0, 9, 9, 9}, c = 99;
      qgemm({.n = 1, .segment = 4}, a, packed.data(), &c, {.bias = &k.bias, .multiplier = &k.multiplier});
      EXPECT_EQ(int(c), k.want) << k.bias << " * " << k.multiplier;
    });
}

TEST(Qdepthwise, EqualsArithmeticIn64BitsOnEveryIsa) {
  std::mt19937 rng(5);
  for (int64_t channels : {1, 3, 8, 16, 17, 40})
    for (auto [kernel, stride, dilation] : {std::array<int64_t, 3>{3, 1, 1}, {3, 2, 1}, {5, 1, 2}, {1, 1, 1}, {2, 3, 1}})
      for (bool is_signed : {false, true}) {
        QDepthwiseShape s{.channels = channels, .out_h = 3, .out_w = 6, .kernel_h = kernel, .kernel_w = kernel, .stride_h = stride, .stride_w = stride,
                          .dilation_h = dilation, .dilation_w = dilation};
        int64_t h = (s.out_h - 1) * stride + (kernel - 1) * dilation + 1, width = (s.out_w - 1) * stride + (kernel - 1) * dilation + 1;
        s.x_col = channels;
        s.x_row = width * channels;
        s.y_col = channels;
        s.y_row = s.out_w * channels;
        Guarded x(size_t(h * s.x_row)), y(size_t(s.out_h * s.y_row)), w(size_t(kernel * kernel * channels));
        for (int64_t i = 0; i < h * s.x_row; ++i) x.data[i] = uint8_t(rng());
        for (int64_t i = 0; i < kernel * kernel * channels; ++i) w.data[i] = uint8_t(int8_t(int(rng() % 255) - 127));
        std::vector<int32_t> bias(size_t(channels), 77);
        std::vector<float> multiplier(size_t(channels), 0.0013f);
        int zero = is_signed ? -5 : 250;
        on_every_isa([&] {
          qdepthwise(s, x.data, reinterpret_cast<int8_t*>(w.data), y.data,
                     {.bias = bias.data(), .multiplier = multiplier.data(), .x_zero = zero, .x_signed = is_signed, .y_zero = 3});
          for (int64_t p = 0; p < s.out_h; ++p)
            for (int64_t q = 0; q < s.out_w; ++q)
              for (int64_t c = 0; c < channels; ++c) {
                int64_t acc = 77;
                for (int64_t u = 0; u < kernel; ++u)
                  for (int64_t v = 0; v < kernel; ++v) {
                    uint8_t byte = x.data[(p * stride + u * dilation) * s.x_row + (q * stride + v * dilation) * channels + c];
                    acc += (int64_t(is_signed ? int8_t(byte) : byte) - zero) * int8_t(w.data[(u * kernel + v) * channels + c]);
                  }
                ASSERT_EQ(int(int8_t(y.data[p * s.y_row + q * channels + c])), requantized(acc, 0.0013f, 3, -128, 127));
              }
        });
      }
}

TEST(Qpointwise, QuantizesByTrueDivisionAndBack) {
  std::vector<float> x{0.f, 0.05f, -0.05f, 0.15f, 0.25f, -0.25f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN, 12.7f, 12.75f, -12.8f, -12.85f, 3.14159f, 1e-40f, 0.35f, 9.95f};
  for (bool is_signed : {true, false})
    on_every_isa([&] {
      for (int64_t n : {1, 5, 16, 19}) {
        Guarded q(static_cast<size_t>(n));
        int lo = is_signed ? -128 : 0, zero = is_signed ? 4 : 131;
        quantize(x.data(), q.data, n, 0.1f, zero, lo, lo + 255);
        std::vector<float> back(static_cast<size_t>(n));
        dequantize(q.data, back.data(), n, 0.1f, zero, is_signed);
        for (int64_t i = 0; i < n; ++i) {
          double want = std::isnan(x[size_t(i)]) ? 0 : std::nearbyint(double(std::clamp(x[size_t(i)] / 0.1f, -1000.0f, 1000.0f)));
          int stored = std::clamp(int(want) + zero, lo, lo + 255), got = is_signed ? int(int8_t(q.data[i])) : int(q.data[i]);
          EXPECT_EQ(got, stored) << x[size_t(i)];
          EXPECT_EQ(back[size_t(i)], float(stored - zero) * 0.1f);
        }
      }
    });
}

// Beside each half, where a product with the inverse would round another way.
TEST(Qpointwise, QuantizesHalvesByTrueDivision) {
  on_every_isa([] {
    int differ = 0;
    for (const float scale : {0.1f, 0.0123456f, 3.7f, 1.0f / 255, 7.3e-5f, 1e-39f, 1.5e38f, 1e-45f}) {
      std::vector<float> x;
      for (int k = -300; k < 300; ++k) {
        float v = (float(k) + 0.5f) * scale;
        for (int step = 0; step < 3; ++step) v = std::nextafter(v, -INFINITY);
        for (int step = 0; step < 7; ++step, v = std::nextafter(v, INFINITY)) x.push_back(v);
      }
      std::vector<uint8_t> q(x.size());
      quantize(x.data(), q.data(), int64_t(x.size()), scale, 5, -128, 127);
      for (size_t i = 0; i < x.size(); ++i) {
        const float quotient = x[i] / scale, product = x[i] * (1 / scale);
        differ += std::nearbyint(quotient) != std::nearbyint(product);
        ASSERT_EQ(int(int8_t(q[i])), std::clamp(int(std::nearbyint(std::clamp(quotient, -1000.0f, 1000.0f))) + 5, -128, 127)) << x[i] << " / " << scale;
      }
    }
    EXPECT_GT(differ, 100);
  });
}

TEST(Qpointwise, AddsWithRescaling) {
  std::vector<uint8_t> a(256 * 256), b(a.size());
  for (size_t i = 0; i < a.size(); ++i) a[i] = uint8_t(i), b[i] = uint8_t(i >> 8);
  for (auto [sa, sb, sy] : {std::array{0.03f, 0.11f, 0.07f}, {0.5f, 1.0f, 1.0f}, {0.7f, 2.1f, 1.4f}, {1e-39f, 3e-39f, 2e-39f}})
    on_every_isa([&, sa = sa, sb = sb, sy = sy] {
      QAddParams p{.a_scale = sa, .b_scale = sb, .y_scale = sy, .a_zero = 3, .b_zero = -20, .y_zero = -7, .lo = -7};
      Guarded y(a.size());
      qadd(a.data(), b.data(), y.data, int64_t(a.size()), p);
      for (size_t i = 0; i < a.size(); ++i) {
        float left = float(int8_t(a[i]) - 3) * sa, right = float(int8_t(b[i]) + 20) * sb, sum = left + right;
        int want = std::clamp(int(std::nearbyintf(std::clamp(sum / sy, -300.0f, 300.0f))) - 7, -7, 127);
        ASSERT_EQ(int(int8_t(y.data[i])), want) << i << " " << sa;
      }
    });
}

TEST(Qpool, AveragesWithPadding) {
  PoolShape s{.channels = 2, .in_h = 3, .in_w = 3, .out_h = 2, .out_w = 2, .kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2,
              .pad_h = 1, .pad_w = 1, .x_row = 6, .x_col = 2, .y_row = 4, .y_col = 2, .count_include_pad = false};
  int8_t x[18], y[8];
  for (int i = 0; i < 18; ++i) x[i] = int8_t(i * 7 - 60);
  qavg_pool(s, x, y, {.x_scale = 0.5f, .y_scale = 0.25f, .x_zero = -3, .y_zero = 10}, 0, 2);
  int sum = x[0] + x[2] + x[6] + x[8] + 12;
  EXPECT_EQ(int(y[0]), std::clamp(int(std::nearbyint(double(float(sum) * (2.0f / 4.0f)))) + 10, -128, 127));
}

TEST(Qpointwise, MinmaxReportsWhatIsNotFinite) {
  float x[] = {1, -2, NAN, 5}, lo, hi;
  EXPECT_FALSE(minmax(x, 4, lo, hi));
  EXPECT_EQ(lo, -2);
  EXPECT_EQ(hi, 5);
  EXPECT_TRUE(minmax(x, 2, lo, hi));
}

}  // namespace
}  // namespace miniten::kernels
