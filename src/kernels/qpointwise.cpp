#include "kernels/qpointwise.h"
#include <cmath>
#include "kernels/dispatch.h"
#include "kernels/qtable.h"

namespace miniten::kernels {

void quantize(const float* x, void* q, int64_t n, float scale, int32_t zero, int32_t lo, int32_t hi) { qtable().quantize(x, q, n, scale, zero, lo, hi); }
void dequantize(const void* q, float* x, int64_t n, float scale, int32_t zero, bool is_signed) { qtable().dequantize(q, x, n, scale, zero, is_signed); }
void qadd(const void* a, const void* b, void* y, int64_t n, const QAddParams& params) { qtable().qadd(a, b, y, n, params); }
void qdepthwise(const QDepthwiseShape& shape, const void* x, const int8_t* w, void* y, const QEpilogue& e) { qtable().qdepthwise(shape, x, w, y, e); }
void qdepthwise_f32(const QDepthwiseShape& shape, const void* x, const int8_t* w, float* y, const QEpilogueF32& e) { qtable().qdepthwise_f32(shape, x, w, y, e); }

bool minmax(const float* x, int64_t n, float& lo, float& hi) {
  lo = INFINITY;
  hi = -INFINITY;
  bool finite = true;
  for (int64_t i = 0; i < n; ++i) {
    finite &= std::isfinite(x[i]);
    if (!std::isfinite(x[i])) continue;
    lo = x[i] < lo ? x[i] : lo;
    hi = x[i] > hi ? x[i] : hi;
  }
  return finite;
}

void table_lookup(const uint8_t* x, const uint8_t* table, uint8_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = table[x[i]];
}

}  // namespace miniten::kernels
