#include "kernels/ftable.h"
#include "kernels/simd-inl.h"
#include "kernels/sparse-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kGroup = 16;                     // columns that leave together
constexpr int kPixels = 4 * kLanes;            // at most side by side
constexpr int64_t kFloats = 16384;             // of A, transposed, on the stack

MINITEN_INLINE float multiply_add(float a, float b, float c) {
#if defined(__FMA__) || (defined(__aarch64__) && !MINITEN_SCALAR)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

// One pixel: some columns at a time, so that their sums hide each other's latency.
void one_pixel(const float* a, int64_t a_k, const CsrColumns& w, int64_t n, const Epilogue& e, float* c) {
  constexpr int kTogether = 4;
  for (int64_t j = 0; j < n; j += kTogether) {
    const int many = n - j < kTogether ? (int)(n - j) : kTogether;
    float sum[kTogether] = {};
    int32_t at[kTogether] = {}, shortest = 0x7fffffff;
    for (int t = 0; t < many; ++t) {
      if (e.bias) sum[t] = e.bias[j + t];
      at[t] = w.begin[j + t];
      const int32_t length = w.begin[j + t + 1] - at[t];
      if (length < shortest) shortest = length;
    }
    if (many == kTogether)
      for (int32_t i = 0; i < shortest; ++i)
        MINITEN_UNROLL(4)
        for (int t = 0; t < kTogether; ++t) {
          sum[t] = multiply_add(a[w.row[at[t]] * a_k], w.value[at[t]], sum[t]);
          ++at[t];
        }
    for (int t = 0; t < many; ++t) {
      for (; at[t] < w.begin[j + t + 1]; ++at[t]) sum[t] = multiply_add(a[w.row[at[t]] * a_k], w.value[at[t]], sum[t]);
      if (e.residual) sum[t] += e.residual[j + t];
      if (sum[t] < e.lo) sum[t] = e.lo;
      if (sum[t] > e.hi) sum[t] = e.hi;
      c[j + t] = sum[t];
    }
  }
}

// One column for NV vectors of pixels. Two sums of each hide more of their latency where the order is free.
template <int NV>
void one_column(const float* x, int64_t x_row, const int32_t* row, const float* value, int64_t count, float bias, bool exact, float* to) {
  V acc[NV];
  MINITEN_UNROLL(4)
  for (int v = 0; v < NV; ++v) acc[v] = set(bias);
  int64_t i = 0;
  if (exact) {
    V other[NV] = {};
    for (; i + 2 <= count; i += 2) {
      const V w = set(value[i]), u = set(value[i + 1]);
      const float *from = x + row[i] * x_row, *next = x + row[i + 1] * x_row;
      MINITEN_UNROLL(4)
      for (int v = 0; v < NV; ++v) {
        acc[v] = fma(load(from + v * kLanes), w, acc[v]);
        other[v] = fma(load(next + v * kLanes), u, other[v]);
      }
    }
    MINITEN_UNROLL(4)
    for (int v = 0; v < NV; ++v) acc[v] += other[v];
  }
  for (; i < count; ++i) {
    const V w = set(value[i]);
    const float* from = x + row[i] * x_row;
    MINITEN_UNROLL(4)
    for (int v = 0; v < NV; ++v) acc[v] = fma(load(from + v * kLanes), w, acc[v]);
  }
  MINITEN_UNROLL(4)
  for (int v = 0; v < NV; ++v) store(to + v * kLanes, acc[v]);
}

}  // namespace

void csr_columns(const float* x, int vectors, const int32_t* begin, const int32_t* row, const float* value, int64_t n, const float* bias, bool exact, float* to) {
  const int64_t width = vectors * kLanes;
  for (int64_t j = 0; j < n; ++j, to += width) {
    const int32_t at = begin[j];
    const int64_t count = begin[j + 1] - at;
    const float start = bias ? bias[j] : 0;
    vectors == 4 ? one_column<4>(x, width, row + at, value + at, count, start, exact, to)
    : vectors == 2 ? one_column<2>(x, width, row + at, value + at, count, start, exact, to)
                   : one_column<1>(x, width, row + at, value + at, count, start, exact, to);
  }
}

void csr_product(const int32_t* begin, const int32_t* column, const float* value, int64_t rows, const float* x, int64_t n, float* y) {
  for (int64_t r = 0; r < rows; ++r)
    for_lanes(n, [&](int64_t j, int64_t m) {
      V sum{};
      for (int32_t i = begin[r]; i < begin[r + 1]; ++i) sum = fma(load_n(x + column[i] * n + j, m), set(value[i]), sum);
      store_n(y + r * n + j, sum, m);
    });
}

void csr_gemm(const GemmShape& s, const float* a, const std::byte* packed, int64_t first, float* c, const Epilogue& e) {
  if (s.rows <= 0 || s.cols <= 0 || s.n <= 0) return;
  const CsrColumns w(packed, first);
  const int64_t k = s.segment;
  int64_t vectors = kFloats / (k < 1 ? 1 : k) / kLanes;
  vectors = vectors >= 4 ? 4 : vectors >= 2 ? 2 : 1;
  const int64_t width = vectors * kLanes;
  const V lo = set(e.lo), hi = set(e.hi);
  float x[kFloats], columns[kGroup * kPixels], pixels[kPixels * kGroup];
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t q = 0; q < s.cols; q += width) {
      const int64_t many = s.cols - q < width ? s.cols - q : width;
      const float* from = a + r * s.a_row + q * s.a_col;
      float* to = c + r * s.c_row + q * s.c_col;
      const float* residual = e.residual ? e.residual + r * s.r_row + q * s.r_col : nullptr;
      if (many == 1) {
        Epilogue one = e;
        one.residual = residual;
        one_pixel(from, s.a_k, w, s.n, one, to);
        continue;
      }
      if (many < width)
        for (int64_t i = 0; i < k * width; ++i) x[i] = 0;
      if (s.a_k == 1) MINITEN_TARGET::transpose(from, s.a_col, x, width, k, many);
      else
        for (int64_t i = 0; i < k; ++i)
          for (int64_t p = 0; p < many; ++p) x[i * width + p] = from[p * s.a_col + i * s.a_k];
      for (int64_t j = 0; j < s.n; j += kGroup) {
        const int64_t group = s.n - j < kGroup ? s.n - j : kGroup;
        csr_columns(x, (int)vectors, w.begin + j, w.row, w.value, group, e.bias ? e.bias + j : nullptr, false, columns);
        MINITEN_TARGET::transpose(columns, width, pixels, kGroup, many, group);
        for (int64_t p = 0; p < many; ++p)
          for_lanes(group, [&](int64_t i, int64_t m) {
            V v = load_n(pixels + p * kGroup + i, m);
            if (residual) v += load_n(residual + p * s.r_col + j + i, m);
            store_n(to + p * s.c_col + j + i, clamp(v, lo, hi), m);
          });
      }
    }
}

}  // namespace miniten::kernels::MINITEN_TARGET
