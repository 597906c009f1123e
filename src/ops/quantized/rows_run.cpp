#include "ops/quantized/rows.h"

namespace miniten {

void quantize_run(const float* __restrict x, int64_t n, int64_t x_step, float inverse, float offset, float least, uint8_t* __restrict q, int64_t q_step) {
  for (int64_t i = 0; i < n; ++i) {
    float v = x[i * x_step] * inverse + offset;
    v = v > least ? v : least;
    v = v < 127.0f ? v : 127.0f;
    auto t = int32_t(v);
    float rest = v - float(t);
    t += rest >= 0.5f ? 1 : 0;
    t -= rest <= -0.5f ? 1 : 0;
    q[i * q_step] = uint8_t(t + 128);
  }
}

}  // namespace miniten
