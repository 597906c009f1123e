#include "kernels/ftable.h"
#include "kernels/simd-inl.h"

// Fixed point on 8 and 16 bits: the same results on every instruction set. Plain loops, made vectors by the compiler, but
// for pixels, which are narrower than a vector.
namespace miniten::kernels::MINITEN_TARGET {

namespace {

constexpr int64_t block = 256;  // elements: sums that stay in L1

MINITEN_INLINE int16_t high(int16_t a, int16_t b) { return (int16_t)(((int32_t)a * b) >> 16); }
MINITEN_INLINE uint16_t high(uint16_t a, uint16_t b) { return (uint16_t)(((uint32_t)a * b) >> 16); }

// Four numbers: y = a + (2 (b - a) w >> 16)
MINITEN_INLINE void blend_four(const int16_t* a, const int16_t* b, const int16_t* w, int16_t* y) {
#if defined(__SSE2__) && !MINITEN_SCALAR
  const auto four = [](const int16_t* p) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); };
  const __m128i from = four(a), step = _mm_sub_epi16(four(b), from);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(y), _mm_add_epi16(from, _mm_mulhi_epi16(_mm_add_epi16(step, step), four(w))));
#elif defined(__ARM_NEON) && !MINITEN_SCALAR
  const int16x4_t from = vld1_s16(a);
  vst1_s16(y, vadd_s16(from, vqdmulh_s16(vsub_s16(vld1_s16(b), from), vld1_s16(w))));
#else
  for (int i = 0; i < 4; ++i) y[i] = (int16_t)(a[i] + high((int16_t)(2 * (b[i] - a[i])), w[i]));
#endif
}

// y += high(a + b, w) + high(c + d, v) in units of 1/128
__attribute__((noinline)) void add_pairs(const uint8_t* __restrict a, const uint8_t* __restrict b, const uint8_t* __restrict c, const uint8_t* __restrict d,
               uint16_t w, uint16_t v, uint16_t* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint16_t s = (uint16_t)((uint16_t)(a[i] + b[i]) << 7), t = (uint16_t)((uint16_t)(c[i] + d[i]) << 7);
    y[i] = (uint16_t)(y[i] + high(s, w) + high(t, v));
  }
}
__attribute__((noinline)) void add_pairs(const uint16_t* __restrict a, const uint16_t* __restrict b, const uint16_t* __restrict c, const uint16_t* __restrict d,
               uint16_t w, uint16_t v, uint16_t* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = (uint16_t)(y[i] + high((uint16_t)(a[i] + b[i]), w) + high((uint16_t)(c[i] + d[i]), v));
}

// What the truncation of side + 1 products loses on average.
MINITEN_INLINE uint16_t lost(int side) { return (uint16_t)((side + 1) / 2); }

// (x / 255) a + b, the quotient rounded as by division: of its two factors the second holds what the first lacks.
MINITEN_INLINE float unit_scaled(uint8_t x, float a, float b) {
  const float v = (float)x;
  return (v * 0x1.0101p-8f + v * 0x1.0101p-32f) * a + b;
}
__attribute__((noinline)) void plane(const uint8_t* __restrict x, int64_t step, float a, float b, float* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = unit_scaled(x[i * step], a, b);
}
void three_planes(const uint8_t* __restrict x, const float* scale, const float* shift, float* __restrict r, float* __restrict g,
                  float* __restrict b, int64_t n) {
  const float sr = scale[0], sg = scale[1], sb = scale[2], tr = shift[0], tg = shift[1], tb = shift[2];
  for (int64_t i = 0; i < n; ++i) {
    r[i] = unit_scaled(x[3 * i], sr, tr);
    g[i] = unit_scaled(x[3 * i + 1], sg, tg);
    b[i] = unit_scaled(x[3 * i + 2], sb, tb);
  }
}

MINITEN_INLINE int16_t pick(int16_t mask, int16_t a, int16_t b) { return (int16_t)((mask & a) | (~mask & b)); }

}  // namespace

void image_bilinear(const uint8_t* __restrict a, const uint8_t* __restrict b, int16_t down, int64_t n, const int32_t* first,
                    const int16_t* across, int64_t channels, int16_t* __restrict line, uint8_t* __restrict y, int64_t width) {
  for (int64_t i = 0; i < n; ++i) line[i] = (int16_t)((a[i] << 6) + high((int16_t)((b[i] - a[i]) << 7), down));
  int16_t* sums = line + n + 4;
  int64_t done = 0;
#if MINITEN_LANES >= 8
  if (channels == 1) {  // both neighbours in one lane of 32 bits
    const __m256i signs = _mm256_set1_epi32(0x0001ffff), every = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (; done + 8 <= width; done += 8) {
      const __m256i pair = _mm256_i32gather_epi32(reinterpret_cast<const int*>(line), load_as<__m256i>(first + done), 2);
      const __m256i weight = _mm256_i32gather_epi32(reinterpret_cast<const int*>(across + 4 * done), every, 8);
      const __m256i step = _mm256_srai_epi32(_mm256_madd_epi16(pair, _mm256_sign_epi16(weight, signs)), 15);
      const __m256i sum = _mm256_add_epi32(_mm256_and_si256(pair, _mm256_set1_epi32(0xffff)), step);
      store_as<__m128i>(sums + done, _mm_packs_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)));
    }
  }
#endif
  if (channels <= 4) {
    for (int64_t j = done; j < width; ++j) {
      const int16_t* p = line + first[j];
      blend_four(p, p + channels, across + 4 * j, sums + j * channels);
    }
  } else {
    for (int64_t j = 0; j < width; ++j)
      for (int64_t k = 0; k < channels; k += 4) {
        const int64_t c = k + 4 < channels ? k : channels - 4;
        const int16_t* p = line + first[j] + c;
        blend_four(p, p + channels, across + 4 * j, sums + j * channels + c);
      }
  }
  // 33: half, and what two truncations lose on average
  for (int64_t i = 0; i < width * channels; ++i) y[i] = (uint8_t)((sums[i] + 33) >> 6);
}

void image_blur_rows(const uint8_t* const* rows, const uint16_t* weight, int side, uint16_t* y, int64_t n) {
  for (int64_t at = 0; at < n; at += block) {
    const int64_t count = n - at < block ? n - at : block;
    uint16_t* __restrict to = y + at;
    const uint8_t* __restrict middle = rows[side] + at;
    const uint16_t w = weight[0], start = lost(side);
    for (int64_t i = 0; i < count; ++i) to[i] = (uint16_t)(start + high((uint16_t)(middle[i] << 7), w));
    for (int k = 1; k <= side; k += 2) {
      const int next = k < side ? k + 1 : k;
      add_pairs(rows[side - k] + at, rows[side + k] + at, rows[side - next] + at, rows[side + next] + at, weight[k],
                k < side ? weight[next] : (uint16_t)0, to, count);
    }
  }
}

void image_blur_taps(const uint16_t* x, const uint16_t* weight, int side, int64_t step, uint8_t* y, int64_t n) {
  uint16_t sums[block];
  for (int64_t at = 0; at < n; at += block) {
    const int64_t count = n - at < block ? n - at : block;
    const uint16_t* middle = x + at + side * step;
    const uint16_t w = weight[0], start = (uint16_t)(lost(side) + 64);
    for (int64_t i = 0; i < count; ++i) sums[i] = (uint16_t)(start + high(middle[i], w));
    for (int k = 1; k <= side; k += 2) {
      const int64_t a = k * step, b = k < side ? a + step : a;
      add_pairs(middle - a, middle + a, middle - b, middle + b, weight[k], k < side ? weight[k + 1] : (uint16_t)0, sums, count);
    }
    uint8_t* __restrict to = y + at;
    for (int64_t i = 0; i < count; ++i) to[i] = (uint8_t)((sums[i] < 32767 ? sums[i] : 32767) >> 7);
  }
}

void image_planes(const uint8_t* x, int64_t channels, const float* scale, const float* shift, float* y, int64_t n) {
  if (channels == 3) return three_planes(x, scale, shift, y, y + n, y + 2 * n, n);
  if (channels == 1) return plane(x, 1, scale[0], shift[0], y, n);
  for (int64_t c = 0; c < channels; ++c) plane(x + c, channels, scale[c], shift[c], y + c * n, n);
}

void image_luma(const uint8_t* __restrict x, int64_t channels, uint8_t* __restrict y, int64_t n) {
  if (channels == 3) {
    for (int64_t i = 0; i < n; ++i) y[i] = (uint8_t)((x[3 * i] * 19595u + x[3 * i + 1] * 38470u + x[3 * i + 2] * 7471u + 0x8000u) >> 16);
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = (uint8_t)((x[4 * i] * 19595u + x[4 * i + 1] * 38470u + x[4 * i + 2] * 7471u + 0x8000u) >> 16);
  }
}

void image_magnitude(const int16_t* __restrict gx, const int16_t* __restrict gy, int16_t* __restrict m, int64_t n) {
  for (int64_t i = 0; i < n; ++i) m[i] = (int16_t)((gx[i] < 0 ? -gx[i] : gx[i]) + (gy[i] < 0 ? -gy[i] : gy[i]));
}

void image_canny(const int16_t* __restrict above, const int16_t* __restrict m, const int16_t* __restrict below,
                 const int16_t* __restrict gx, const int16_t* __restrict gy, int16_t low, int16_t up, uint8_t* __restrict mark,
                 int64_t n) {
  for (int64_t at = 0; at < n; at += 64) {
    const int64_t end = at + 64 < n ? at + 64 : n;
    int16_t any = 0;
    for (int64_t i = at; i < end; ++i) any |= (int16_t)(m[i] > low ? -1 : 0);
    if (!any) {
      for (int64_t i = at; i < end; ++i) mark[i] = 0;
      continue;
    }
    for (int64_t i = at; i < end; ++i) {
      const int16_t v = m[i], x = (int16_t)(gx[i] < 0 ? -gx[i] : gx[i]), y = (int16_t)(gy[i] < 0 ? -gy[i] : gy[i]);
      const int16_t tan = high((int16_t)(2 * x), (int16_t)13573);  // floor(x tan(pi/8)); that of 3 pi/8 is 2 more
      const int16_t side = y <= tan ? -1 : 0, upright = y > (int16_t)(2 * x + tan) ? -1 : 0;
      const int16_t falling = (int16_t)(gx[i] ^ gy[i]) >= 0 ? -1 : 0;
      const int16_t before = pick(side, m[i - 1], pick(upright, above[i], pick(falling, above[i - 1], above[i + 1])));
      const int16_t after = pick(side, m[i + 1], pick(upright, below[i], pick(falling, below[i + 1], below[i - 1])));
      const int16_t peak = (int16_t)((v > low ? -1 : 0) & (v > before ? -1 : 0) & (v > (int16_t)(after + (side | upright)) ? -1 : 0));
      mark[i] = (uint8_t)(peak & (v > up ? 255 : 1));
    }
  }
}

}  // namespace miniten::kernels::MINITEN_TARGET
