#include "kernels/ftable.h"
#include "kernels/qsimd-inl.h"

// Plain loops, most of them: the compiler turns them into this instruction set's vectors.
namespace miniten::kernels::MINITEN_TARGET {

namespace {

constexpr int64_t block = 512;  // elements: an accumulator that stays in L1

template <class T>
void rows(const T* const* x, const float* weight, int taps, float* y, int64_t n) {
  for (int64_t at = 0; at < n; at += block) {
    const int64_t count = n - at < block ? n - at : block;
    float* __restrict to = y + at;
    const T* __restrict first = x[0] + at;
    if (taps == 1) {
      for (int64_t i = 0; i < count; ++i) to[i] = weight[0] * (float)first[i];
      continue;
    }
    const T* __restrict second = x[1] + at;
    const float w0 = weight[0], w1 = weight[1];
    for (int64_t i = 0; i < count; ++i) to[i] = w0 * (float)first[i] + w1 * (float)second[i];
    int k = 2;
    for (; k + 1 < taps; k += 2) {
      const T *__restrict a = x[k] + at, *__restrict b = x[k + 1] + at;
      const float wa = weight[k], wb = weight[k + 1];
      for (int64_t i = 0; i < count; ++i) to[i] += wa * (float)a[i] + wb * (float)b[i];
    }
    if (k < taps) {
      const T* __restrict a = x[k] + at;
      const float wa = weight[k];
      for (int64_t i = 0; i < count; ++i) to[i] += wa * (float)a[i];
    }
  }
}

MINITEN_INLINE V floats(const uint8_t* p) { return to_float(widen(p, false)); }
MINITEN_INLINE V floats(const float* p) { return load(p); }

template <class T>
void scale(const T* __restrict x, const float* factor, const float* shift, int64_t period, float* __restrict y, int64_t n) {
  constexpr int64_t width = 48;  // holds whole periods of 1, 2, 3, 4, 6, 8
  float f[width], s[width];
  if (width % period) {
    for (int64_t i = 0; i < n; ++i) y[i] = (float)x[i] * factor[i % period] + shift[i % period];
    return;
  }
  for (int64_t i = 0; i < width; ++i) {
    f[i] = factor[i % period];
    s[i] = shift[i % period];
  }
  int64_t at = 0;
  for (; at + width <= n; at += width)
    MINITEN_UNROLL(12)
    for (int64_t i = 0; i < width; i += kLanes) store(y + at + i, floats(x + at + i) * load(f + i) + load(s + i));
  for (int64_t i = 0; at + i < n; ++i) y[at + i] = (float)x[at + i] * f[i] + s[i];
}

template <int C>
void columns(const float* __restrict x, const int32_t* __restrict first, const float* __restrict weight, int taps,
             float* __restrict y, int64_t width) {
  if (taps == 2) {
    for (int64_t j = 0; j < width; ++j) {
      const float* a = x + (int64_t)first[j] * C;
      const float w0 = weight[2 * j], w1 = weight[2 * j + 1];
      for (int c = 0; c < C; ++c) y[j * C + c] = w0 * a[c] + w1 * a[C + c];
    }
    return;
  }
  for (int64_t j = 0; j < width; ++j) {
    const float* a = x + (int64_t)first[j] * C;
    const float* w = weight + j * taps;
    float sum[C] = {};
    for (int k = 0; k < taps; ++k)
      for (int c = 0; c < C; ++c) sum[c] += w[k] * a[k * C + c];
    for (int c = 0; c < C; ++c) y[j * C + c] = sum[c];
  }
}

}  // namespace

void image_rows_u8(const uint8_t* const* x, const float* weight, int taps, float* y, int64_t n) {
  rows(x, weight, taps, y, n);
}
void image_rows_u16(const uint16_t* const* x, const float* weight, int taps, float* y, int64_t n) {
  rows(x, weight, taps, y, n);
}
void image_rows_f32(const float* const* x, const float* weight, int taps, float* y, int64_t n) {
  rows(x, weight, taps, y, n);
}

void image_taps(const float* x, const float* weight, int taps, int64_t step, float* y, int64_t n) {
  for (int64_t at = 0; at < n; at += block) {
    const int64_t count = n - at < block ? n - at : block;
    float* __restrict to = y + at;
    const float* __restrict from = x + at;
    for (int64_t i = 0; i < count; ++i) to[i] = weight[0] * from[i];
    int k = 1;
    for (; k + 1 < taps; k += 2) {
      const float *__restrict a = from + k * step, *__restrict b = a + step;
      const float wa = weight[k], wb = weight[k + 1];
      for (int64_t i = 0; i < count; ++i) to[i] += wa * a[i] + wb * b[i];
    }
    if (k < taps) {
      const float* __restrict a = from + k * step;
      const float wa = weight[k];
      for (int64_t i = 0; i < count; ++i) to[i] += wa * a[i];
    }
  }
}

void image_columns(const float* x, const int32_t* first, const float* weight, int taps, int64_t channels, float* y,
                   int64_t width) {
  switch (channels) {
    case 1: columns<1>(x, first, weight, taps, y, width); return;
    case 3: columns<3>(x, first, weight, taps, y, width); return;
    case 4: columns<4>(x, first, weight, taps, y, width); return;
    default: break;
  }
  for (int64_t j = 0; j < width; ++j)
    for (int64_t c = 0; c < channels; ++c) {
      float sum = 0;
      for (int k = 0; k < taps; ++k) sum += weight[j * taps + k] * x[(first[j] + k) * channels + c];
      y[j * channels + c] = sum;
    }
}

void image_store(const float* __restrict x, uint8_t* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float v = x[i] + 0.5f;
    v = 0.0f < v ? v : 0.0f;
    v = v < 255.25f ? v : 255.25f;
    y[i] = (uint8_t)(int32_t)v;
  }
}

void image_scale_u8(const uint8_t* x, const float* factor, const float* shift, int64_t period, float* y, int64_t n) {
  scale(x, factor, shift, period, y, n);
}
void image_scale_f32(const float* x, const float* factor, const float* shift, int64_t period, float* y, int64_t n) {
  scale(x, factor, shift, period, y, n);
}

void image_sobel(const uint8_t* __restrict a, const uint8_t* __restrict b, const uint8_t* __restrict e, int64_t channels,
                 int16_t* __restrict gx, int16_t* __restrict gy, int64_t n) {
  const int64_t c = channels, c2 = 2 * channels;
  for (int64_t i = 0; i < n; ++i) {
    gx[i] = (int16_t)(a[i + c2] - a[i] + 2 * (b[i + c2] - b[i]) + e[i + c2] - e[i]);
    gy[i] = (int16_t)(e[i] - a[i] + 2 * (e[i + c] - a[i + c]) + e[i + c2] - a[i + c2]);
  }
}

}  // namespace miniten::kernels::MINITEN_TARGET
