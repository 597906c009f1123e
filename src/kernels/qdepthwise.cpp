#include "kernels/qdepthwise.h"

#include "kernels/qtable.h"

namespace miniten::kernels {

void qdepthwise(const QDepthwiseShape& shape, const void* x, const int8_t* w, void* y, const QEpilogue& epilogue) {
  qtable().qdepthwise(shape, x, w, y, epilogue);
}
void qdepthwise_f32(const QDepthwiseShape& shape, const void* x, const int8_t* w, float* y, const QEpilogueF32& epilogue) {
  qtable().qdepthwise_f32(shape, x, w, y, epilogue);
}

}  // namespace miniten::kernels
