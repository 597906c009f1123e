#include "kernels/qpointwise.h"

#include "kernels/qtable.h"

namespace miniten::kernels {

void quantize(const float* x, void* q, int64_t n, float scale, int32_t zero, int32_t lo, int32_t hi) {
  qtable().quantize(x, q, n, scale, zero, lo, hi);
}
void dequantize(const void* q, float* x, int64_t n, float scale, int32_t zero, bool is_signed) {
  qtable().dequantize(q, x, n, scale, zero, is_signed);
}
void requantize(const void* x, void* y, int64_t n, const QRequantizeParams& params) { qtable().requantize(x, y, n, params); }
void qadd(const void* a, const void* b, void* y, int64_t n, const QAddParams& params) { qtable().qadd(a, b, y, n, params); }
bool minmax(const float* x, int64_t n, float& lo, float& hi) { return qtable().minmax(x, n, lo, hi); }

void table_lookup(const uint8_t* x, const uint8_t* table, uint8_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = table[x[i]];
}

}  // namespace miniten::kernels
