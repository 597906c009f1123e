#include "kernels/ftable.h"
#include "kernels/sum-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int64_t kRowBlock = 64;  // rows whose values stay in the first cache while its columns pass, and that are summed on their own

// For blocks of rows, f(first row, rows, column, lanes).
template <class F>
MINITEN_INLINE void for_blocks(int64_t rows, int64_t n, F f) {
  for (int64_t i = 0; i < rows; i += kRowBlock) {
    const int64_t block = rows - i < kRowBlock ? rows - i : kRowBlock;
    for_lanes(n, [&](int64_t j, int64_t m) { f(i, block, j, m); });
  }
}

template <bool Full>
void affine(const float* x, int64_t rows, int64_t n, V scale, V shift, float* y, int64_t lanes) {
  for (int64_t i = 0; i < rows; ++i) store_if<Full>(y + i * n, fma(load_if<Full>(x + i * n, lanes), scale, shift), lanes);
}
template <bool Full>
void blend(const float* g, const float* x, int64_t rows, int64_t n, V a, V b, V c, float* y, int64_t lanes) {
  for (int64_t i = 0; i < rows; ++i) {
    const V v = fma(load_if<Full>(x + i * n, lanes), b, c);
    store_if<Full>(y + i * n, fma(load_if<Full>(g + i * n, lanes), a, v), lanes);
  }
}
template <bool Full>
void moments(const float* g, const float* x, int64_t rows, int64_t n, V centre, V& sum, V& product, int64_t lanes) {
  constexpr int kChains = 4;
  V s[kChains] = {}, p[kChains] = {};
  int64_t i = 0;
  for (; i + kChains <= rows; i += kChains) {
    MINITEN_UNROLL(4)
    for (int k = 0; k < kChains; ++k) {
      const V v = load_if<Full>(g + (i + k) * n, lanes);
      s[k] += v;
      p[k] = fma(v, load_if<Full>(x + (i + k) * n, lanes) - centre, p[k]);
    }
  }
  for (; i < rows; ++i) {
    const V v = load_if<Full>(g + i * n, lanes);
    s[0] += v;
    p[0] = fma(v, load_if<Full>(x + i * n, lanes) - centre, p[0]);
  }
  sum = (s[0] + s[1]) + (s[2] + s[3]);
  product = (p[0] + p[1]) + (p[2] + p[3]);
}

}  // namespace

void affine_rows(const float* x, int64_t rows, int64_t n, const float* scale, const float* shift, float* y) {
  for_blocks(rows, n, [&](int64_t i, int64_t block, int64_t j, int64_t m) {
    (m == kLanes ? affine<true> : affine<false>)(x + i * n + j, block, n, load_n(scale + j, m), load_n(shift + j, m),
                                                 y + i * n + j, m);
  });
}

void layer_norm_rows(const float* x, int64_t rows, int64_t n, float eps, const float* weight, const float* bias, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const V mean = set(tree_sum(x, n, [](V a, V v) { return a + v; }) / (float)n);
    for_lanes(n, [&](int64_t j, int64_t m) { store_n(y + j, load_n(x + j, m) - mean, m); });
    const float square = tree_sum(y, n, [](V a, V v) { return fma(v, v, a); }) / (float)n;
    const V inverse = set(1 / __builtin_sqrtf(square + eps));
    for_lanes(n, [&](int64_t j, int64_t m) {
      store_n(y + j, fma(load_n(y + j, m) * inverse, load_n(weight + j, m), load_n(bias + j, m)), m);
    });
  }
}

void blend_rows(const float* g, const float* x, int64_t rows, int64_t n, const float* a, const float* b, const float* c,
                float* y) {
  for_blocks(rows, n, [&](int64_t i, int64_t block, int64_t j, int64_t m) {
    (m == kLanes ? blend<true> : blend<false>)(g + i * n + j, x + i * n + j, block, n, load_n(a + j, m),
                                               load_n(b + j, m), load_n(c + j, m), y + i * n + j, m);
  });
}

void moments_rows(const float* g, const float* x, int64_t rows, int64_t n, const float* centre, float* sum,
                  float* product) {
  for_blocks(rows, n, [&](int64_t i, int64_t block, int64_t j, int64_t m) {
    V s, p;
    (m == kLanes ? moments<true> : moments<false>)(g + i * n + j, x + i * n + j, block, n, load_n(centre + j, m), s, p,
                                                   m);
    store_n(sum + j, load_n(sum + j, m) + s, m);
    store_n(product + j, load_n(product + j, m) + p, m);
  });
}

}  // namespace miniten::kernels::MINITEN_TARGET
