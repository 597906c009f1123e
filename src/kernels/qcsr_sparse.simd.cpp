#include "kernels/ftable.h"
#include "kernels/qfinish-inl.h"
#include "kernels/qtable.h"
#include "kernels/sparse-inl.h"

// Single weights of integers, in floats: products of bytes and their sums are whole numbers below 2^24 (csr_qpack sees to it),
// so floats hold them exactly and their order does not matter.
namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kGroup = 16;               // columns that leave together
constexpr int kPixels = 4 * kLanes;      // at most side by side
constexpr int64_t kFloats = 16384;       // of A, transposed, on the stack
constexpr int64_t kSpan = 64;            // bytes of each pixel that are turned at once

// Pixels of k bytes as columns of floats, zeros behind the last pixel.
__attribute__((noinline)) void spread(const uint8_t* a, int64_t a_col, int64_t many, int64_t k, bool is_signed, int64_t width, float* x) {
  float some[kPixels * kSpan];
  if (many < width)
    for (int64_t i = 0; i < k * width; ++i) x[i] = 0;
  for (int64_t i = 0; i < k; i += kSpan) {
    const int64_t now = k - i < kSpan ? k - i : kSpan;
    for (int64_t p = 0; p < many; ++p)
      for_lanes(now, [&](int64_t b, int64_t n) { store(some + p * kSpan + b, to_float(load_bytes(a + p * a_col + i + b, n, is_signed))); });
    MINITEN_TARGET::transpose(some, kSpan, x + i * width, width, now, many);
  }
}

// 16 columns from j on of `many` pixels in x, with what they begin with: sums[pixel * 16 + column].
__attribute__((noinline)) void sum_up(const CsrColumns& w, int64_t j, int64_t n, const float* x, int vectors, int64_t many, const int32_t* of_columns, const int32_t* bias, int32_t x_zero,
                                      float* columns, int32_t* sums) {
  csr_columns(x, vectors, w.begin + j, w.row, w.value, n, nullptr, true, columns);
  float pixels[kPixels * kGroup];
  MINITEN_TARGET::transpose(columns, vectors * kLanes, pixels, kGroup, many, kGroup);
  for (int64_t v = 0; v < kGroup && v < n; v += kLanes) {
    I start = (I)(load_as<U>(of_columns + j + v) * (U)set_i(-x_zero));
    if (bias) start = add(start, load_ints(bias + j + v, n - v));
    for (int64_t p = 0; p < many; ++p) store_as<I>(sums + p * kGroup + v, add(__builtin_convertvector(load(pixels + p * kGroup + v), I), start));
  }
}

template <class Finish>
void run(const QGemmShape& s, const void* data, const int32_t* of_columns, const std::byte* packed, const int32_t* bias, int32_t x_zero, bool x_signed, const Finish& finish) {
  if (s.rows <= 0 || s.cols <= 0 || s.n <= 0) return;
  const CsrColumns w(packed, 0);
  const auto* a = static_cast<const uint8_t*>(data);
  const int64_t k = s.segment;
  int64_t most = kFloats / (k < 1 ? 1 : k) / kLanes;
  most = most >= 4 ? 4 : most >= 2 ? 2 : 1;
  float x[kFloats], columns[kGroup * kPixels] = {};
  int32_t sums[kPixels * kGroup];
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t q = 0; q < s.cols; q += most * kLanes) {
      const int64_t many = s.cols - q < most * kLanes ? s.cols - q : most * kLanes;
      const int vectors = many <= kLanes ? 1 : many <= 2 * kLanes ? 2 : 4;
      spread(a + r * s.a_row + q * s.a_col, s.a_col, many, k, x_signed, vectors * kLanes, x);
      for (int64_t j = 0; j < s.n; j += kGroup) {
        const int64_t group = s.n - j < kGroup ? s.n - j : kGroup;
        sum_up(w, j, group, x, vectors, many, of_columns, bias, x_zero, columns, sums);
        finish_sums(finish, sums, many, r, q, j, group);
      }
    }
}

}  // namespace

void csr_qgemm(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, void* c, const QEpilogue& e) {
  run(s, a, sums, packed, e.bias, e.x_zero, e.x_signed, ToBytes(Rounding(e.y_zero, e.lo, e.hi), e.multiplier, c, s.c_row, s.c_col));
}
void csr_qgemm_f32(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, float* c, const QEpilogueF32& e) {
  run(s, a, sums, packed, nullptr, e.x_zero, e.x_signed, ToFloats{e, c, s.c_row, s.c_col});
}

}  // namespace miniten::kernels::MINITEN_TARGET
