#include "kernels/fold-inl.h"
#include "kernels/ftable.h"
#include "kernels/math-inl.h"
#include "kernels/square-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kTogether = MINITEN_LANES == 16 ? 4 : 2;  // rows whose latencies overlap; each is summed as if alone

constexpr int32_t kPlaces[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
MINITEN_INLINE I first_places(int64_t n) { return load_as<I>(kPlaces) < (int32_t)n; }

// A NaN need not be seen here: its exponential is one, and so is the sum.
template <int R>
MINITEN_INLINE void tops(const float* x, int64_t n, V (&top)[R]) {
  const auto larger = [](V a, V b) __attribute__((always_inline)) { return max_keep(a, b); };
  V best[R];
  for (int r = 0; r < R; ++r) best[r] = set(-__builtin_inff());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int r = 0; r < R; ++r) best[r] = larger(best[r], load(x + r * n + i));
  if (i < n)
    for (int r = 0; r < R; ++r)
      best[r] = larger(best[r], select(first_places(n - i), load_part(x + r * n + i, n - i), set(-__builtin_inff())));
  for (int r = 0; r < R; ++r) top[r] = set(fold_lanes(best[r], larger));
}
MINITEN_INLINE void tops(const float* x, int64_t n, V (&top)[1]) { top[0] = set(max(x, n)); }

// exp(x) for x <= 0: an error of 2^-24 |x|, which its share in a row outweighs.
MINITEN_INLINE V share(V x) { return exp2_negative(x * 1.44269504f); }

// Sums of exp(x - top), which go to y unless it is null; in short blocks, so that long rows stay precise.
template <int R>
MINITEN_INLINE void exp_sums(const float* x, const V (&top)[R], float* y, int64_t n, float (&sums)[R]) {
  constexpr int64_t kBlock = 256;
  double total[R] = {};
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = n - begin < kBlock ? n : begin + kBlock;
    V a[R] = {}, b[R] = {};
    int64_t i = begin;
    for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
      V p[R], q[R];                              // all before any is stored, so that their chains go side by side
      for (int r = 0; r < R; ++r) {
        p[r] = share(load(x + r * n + i) - top[r]);
        q[r] = share(load(x + r * n + i + kLanes) - top[r]);
        a[r] += p[r];
        b[r] += q[r];
      }
      for (int r = 0; y && r < R; ++r) {
        store(y + r * n + i, p[r]);
        store(y + r * n + i + kLanes, q[r]);
      }
    }
    for (; i < end; i += kLanes)
      for (int r = 0; r < R; ++r) {
        const V p = share(load_n(x + r * n + i, end - i) - top[r]);
        if (y) store_n(y + r * n + i, p, end - i);
        a[r] += select(first_places(end - i), p, V{});
      }
    for (int r = 0; r < R; ++r) total[r] += fold_lanes(a[r] + b[r], [](V p, V q) { return p + q; });
  }
  for (int r = 0; r < R; ++r) sums[r] = (float)total[r];
}

template <int R>
void exp_together(const float* x, float* y, int64_t n, float (&shares)[R]) {
  V top[R];
  tops(x, n, top);
  exp_sums(x, top, y, n, shares);
  for (int r = 0; r < R; ++r) shares[r] = 1 / shares[r];
}

template <int R>
void softmax_together(const float* x, float* y, int64_t n) {
  float shares[R];
  exp_together(x, y, n, shares);
  for_lanes(n, [&](int64_t i, int64_t m) {
    for (int r = 0; r < R; ++r) store_n(y + r * n + i, load_n(y + r * n + i, m) * shares[r], m);
  });
}

#if MINITEN_LANES == 16
__attribute__((noinline)) void turn_rows(V (&v)[kLanes]) { turn(v); }
#endif
// Rows of at most a vector are turned, so that lanes are rows: then nothing is folded. As softmax, or with shares as softmax_parts,
// or log_softmax.
bool turned(const float* x, float* y, float* shares, int64_t rows, int64_t n, bool logarithm) {
#if MINITEN_LANES == 16
  if (kLanes < n) return false;
  for (int64_t r = 0; r < rows; r += kLanes) {
    const int64_t m = rows - r < kLanes ? rows - r : kLanes;
    V v[kLanes] = {};
    MINITEN_UNROLL(1)
    for (int64_t i = 0; i < m; ++i) v[i] = load_n(x + (r + i) * n, n);
    turn_rows(v);
    V top = v[0], sum{};
    MINITEN_UNROLL(1)
    for (int64_t k = 1; k < n; ++k) top = max_keep(top, v[k]);
    MINITEN_UNROLL(1)
    for (int64_t k = 0; k < n; ++k) {
      const V part = share(v[k] - top);
      sum += part;
      if (!logarithm) v[k] = part;
    }
    const V by = logarithm ? log(sum) : 1 / sum;
    if (shares) store_n(shares + r, by, m);
    MINITEN_UNROLL(1)
    for (int64_t k = 0; !shares && k < n; ++k) v[k] = logarithm ? v[k] - top - by : v[k] * by;
    turn_rows(v);
    MINITEN_UNROLL(1)
    for (int64_t i = 0; i < m; ++i) store_n(y + (r + i) * n, v[i], n);
  }
  return true;
#else
  return (void)x, (void)y, (void)shares, (void)rows, (void)n, (void)logarithm, false;
#endif
}

}  // namespace

void softmax(const float* x, float* y, int64_t rows, int64_t n) {
  if (turned(x, y, nullptr, rows, n, false)) return;
  int64_t r = 0;
  for (; r + kTogether <= rows; r += kTogether) softmax_together<kTogether>(x + r * n, y + r * n, n);
  for (; r < rows; ++r) softmax_together<1>(x + r * n, y + r * n, n);
}

void softmax_parts(const float* x, float* y, float* shares, int64_t rows, int64_t n) {
  if (turned(x, y, shares, rows, n, false)) return;
  int64_t r = 0;
  for (; r + kTogether <= rows; r += kTogether) exp_together(x + r * n, y + r * n, n, *reinterpret_cast<float(*)[kTogether]>(shares + r));
  for (; r < rows; ++r) exp_together(x + r * n, y + r * n, n, *reinterpret_cast<float(*)[1]>(shares + r));
}

void scale_rows(float* y, const float* by, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r, y += n) for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, load_n(y + i, m) * by[r], m); });
}

void log_softmax(const float* x, float* y, int64_t rows, int64_t n) {
  if (turned(x, y, nullptr, rows, n, true)) return;
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    V top[1];
    float sums[1];
    tops(x, n, top);
    exp_sums(x, top, nullptr, n, sums);
    const V rest = log(set(sums[0]));
    for_lanes(n, [&](int64_t i, int64_t m) { store_n(y + i, load_n(x + i, m) - top[0] - rest, m); });
  }
}

}  // namespace miniten::kernels::MINITEN_TARGET
