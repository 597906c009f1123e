#include "kernels/qdepthwise16.h"

#include "kernels/qtable.h"

namespace miniten::kernels {

void qdepthwise16(const QDepthwiseShape& shape, const int16_t* x, const int16_t* w, bool narrow, int16_t* y, const Q16Epilogue& e) {
  qtable().qdepthwise16(shape, x, w, narrow, y, e);
}
void qdepthwise16_f32(const QDepthwiseShape& shape, const int16_t* x, const int16_t* w, bool narrow, float* y, const Q16EpilogueF32& e) {
  qtable().qdepthwise16_f32(shape, x, w, narrow, y, e);
}

}  // namespace miniten::kernels
