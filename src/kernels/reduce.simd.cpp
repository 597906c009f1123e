#include "kernels/ftable.h"
#include "kernels/sum-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int64_t kRowBlock = 128;  // rows summed before they join the total

template <class F>
MINITEN_INLINE float extreme(const float* x, int64_t n, float none, F better) {
  V acc[4] = {set(none), set(none), set(none), set(none)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    MINITEN_UNROLL(4)
    for (int j = 0; j < 4; ++j) acc[j] = better(acc[j], load(x + i + j * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) acc[0] = better(acc[0], load(x + i));
  const V v = better(better(acc[0], acc[1]), better(acc[2], acc[3]));
  float best = fold_lanes(v, better);
  for (; i < n; ++i) best = better(set(best), set(x[i]))[0];
  return best;
}

const auto larger = [](V a, V b) __attribute__((always_inline)) { return max_nan(a, b); };
const auto smaller = [](V a, V b) __attribute__((always_inline)) { return min_nan(a, b); };

// y[j] = f(y[j], x[0, j], x[1, j], ...) for N vectors of columns.
template <int N, class F>
MINITEN_INLINE void fold_rows(const float* x, int64_t rows, int64_t row_stride, float* y, int64_t lanes, F f) {
  V acc[N];
  MINITEN_UNROLL(4)
  for (int k = 0; k < N; ++k) acc[k] = load_n(y + k * kLanes, N == 1 ? lanes : kLanes);
  for (int64_t i = 0; i < rows; ++i) {
    MINITEN_UNROLL(4)
    for (int k = 0; k < N; ++k)
      acc[k] = f(acc[k], load_n(x + i * row_stride + k * kLanes, N == 1 ? lanes : kLanes));
  }
  MINITEN_UNROLL(4)
  for (int k = 0; k < N; ++k) store_n(y + k * kLanes, acc[k], N == 1 ? lanes : kLanes);
}

template <class F>
MINITEN_INLINE void extreme_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y, F f) {
  for (int64_t i = 0; i < rows; i += kRowBlock) {
    const int64_t count = rows - i < kRowBlock ? rows - i : kRowBlock;
    const float* from = x + i * row_stride;
    int64_t j = 0;
    for (; j + 4 * kLanes <= n; j += 4 * kLanes) fold_rows<4>(from + j, count, row_stride, y + j, kLanes, f);
    for (; j < n; j += kLanes) fold_rows<1>(from + j, count, row_stride, y + j, n - j, f);
  }
}

// y[j] += sum over one block of rows of term(x[i, j]), summed from zero.
template <int N, class F>
MINITEN_INLINE void add_block(const float* x, int64_t rows, int64_t row_stride, float* y, int64_t lanes, F term) {
  V acc[N] = {};
  for (int64_t i = 0; i < rows; ++i) {
    MINITEN_UNROLL(4)
    for (int k = 0; k < N; ++k)
      acc[k] += term(load_n(x + i * row_stride + k * kLanes, N == 1 ? lanes : kLanes));
  }
  MINITEN_UNROLL(4)
  for (int k = 0; k < N; ++k) {
    const int64_t m = N == 1 ? lanes : kLanes;
    store_n(y + k * kLanes, load_n(y + k * kLanes, m) + acc[k], m);
  }
}

// R rows, each in four sums.
template <int R>
MINITEN_INLINE void dot_together(const float* a, int64_t a_row, int64_t n, const float* x, float* y) {
  V acc[R][4] = {};
  int64_t j = 0;
  for (; j + 4 * kLanes <= n; j += 4 * kLanes) {
    MINITEN_UNROLL(4)
    for (int l = 0; l < 4; ++l) {
      const V v = load(x + j + l * kLanes);
      MINITEN_UNROLL(4)
      for (int r = 0; r < R; ++r) acc[r][l] = fma(load(a + r * a_row + j + l * kLanes), v, acc[r][l]);
    }
  }
  for_lanes(n - j, [&](int64_t l, int64_t m) {
    const V v = load_n(x + j + l, m);
    for (int r = 0; r < R; ++r) acc[r][0] = fma(load_n(a + r * a_row + j + l, m), v, acc[r][0]);
  });
  for (int r = 0; r < R; ++r) y[r] = fold_lanes((acc[r][0] + acc[r][1]) + (acc[r][2] + acc[r][3]), [](V p, V q) { return p + q; });
}

}  // namespace

float sum(const float* x, int64_t n) {
  return tree_sum(x, n, [](V a, V v) { return a + v; });
}

float sum_squares(const float* x, int64_t n) {
  return tree_sum(x, n, [](V a, V v) { return fma(v, v, a); });
}

double sum_f64(const float* x, int64_t n) {
  D acc[kChains] = {};
  int64_t i = 0;
  for (; i + kChains * kHalf <= n; i += kChains * kHalf) {
    MINITEN_UNROLL(8)
    for (int j = 0; j < kChains; ++j) acc[j] += to_double(load_as<H>(x + i + j * kHalf));
  }
  for (int j = 1; j < kChains; ++j) acc[0] += acc[j];
  double total = 0;
  for (int j = 0; j < kHalf; ++j) total += acc[0][j];
  for (; i < n; ++i) total += x[i];
  return total;
}

float max(const float* x, int64_t n) { return extreme(x, n, -__builtin_inff(), larger); }
float min(const float* x, int64_t n) { return extreme(x, n, __builtin_inff(), smaller); }

void add_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y) {
  const auto term = [](V v) { return v; };
  for (int64_t i = 0; i < rows; i += kRowBlock) {
    const int64_t count = rows - i < kRowBlock ? rows - i : kRowBlock;
    const float* from = x + i * row_stride;
    int64_t j = 0;
    for (; j + 4 * kLanes <= n; j += 4 * kLanes) add_block<4>(from + j, count, row_stride, y + j, kLanes, term);
    for (; j < n; j += kLanes) add_block<1>(from + j, count, row_stride, y + j, n - j, term);
  }
}

void max_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y) {
  extreme_rows(x, rows, row_stride, n, y, larger);
}
void min_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y) {
  extreme_rows(x, rows, row_stride, n, y, smaller);
}

void mean_var_rows(const float* x, int64_t rows, int64_t row_stride, int64_t n, float* mean, float* var) {
  for (int64_t j = 0; j < n; ++j) mean[j] = var[j] = 0;
  add_rows(x, rows, row_stride, n, mean);
  const V count = set((float)rows);
  for_lanes(n, [&](int64_t j, int64_t m) { store_n(mean + j, load_n(mean + j, m) / count, m); });
  for (int64_t i = 0; i < rows; i += kRowBlock) {
    const int64_t block = rows - i < kRowBlock ? rows - i : kRowBlock;
    for_lanes(n, [&](int64_t j, int64_t m) {
      const V centre = load_n(mean + j, m);
      add_block<1>(x + i * row_stride + j, block, row_stride, var + j, m,
                   [&](V v) { return (v - centre) * (v - centre); });
    });
  }
  for_lanes(n, [&](int64_t j, int64_t m) { store_n(var + j, load_n(var + j, m) / count, m); });
}

void dot_rows(const float* a, int64_t a_row, int64_t rows, int64_t n, const float* x, float* y) {
  constexpr int kTogether = kLanes == 16 ? 4 : 2;
  int64_t i = 0;
  for (; i + kTogether <= rows; i += kTogether) dot_together<kTogether>(a + i * a_row, a_row, n, x, y + i);
  for (; i < rows; ++i) dot_together<1>(a + i * a_row, a_row, n, x, y + i);
}

}  // namespace miniten::kernels::MINITEN_TARGET
