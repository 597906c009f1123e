#include "kernels/qpointwise16.h"

#include "kernels/qtable.h"

namespace miniten::kernels {

void quantize16(const float* x, int16_t* q, int64_t n, float scale, int32_t zero) { qtable().quantize16(x, q, n, scale, zero); }
void dequantize16(const int16_t* q, float* x, int64_t n, float scale, int32_t zero) { qtable().dequantize16(q, x, n, scale, zero); }
void qadd16(const int16_t* a, const int16_t* b, int16_t* y, int64_t n, const QAddParams& p) { qtable().qadd16(a, b, y, n, p); }
void qmul(const void* a, const void* b, void* y, int64_t n, const QMulParams& p) { qtable().qmul(a, b, y, n, p); }
void qmul16(const int16_t* a, const int16_t* b, int16_t* y, int64_t n, const QMulParams& p) { qtable().qmul16(a, b, y, n, p); }

void table_line16(const int16_t* x, const int16_t* table, int shift, int16_t* y, int64_t n) {
  const int32_t half = shift ? 1 << (shift - 1) : 0;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t u = x[i] + 32768, k = u >> shift, rest = u - (k << shift);
    y[i] = int16_t(table[k] + (((int32_t(table[k + 1]) - table[k]) * rest + half) >> shift));
  }
}

}  // namespace miniten::kernels
