#include "kernels/transpose.h"

#include "kernels/ftable.h"

namespace miniten::kernels {

void transpose(const float* x, int64_t x_row, float* y, int64_t y_row, int64_t n, int64_t m) {
  ftable().transpose(x, x_row, y, y_row, n, m);
}

}  // namespace miniten::kernels
