#include "kernels/qpool.h"

#include "kernels/qtable.h"

namespace miniten::kernels {

void qavg_pool(const PoolShape& shape, const void* x, void* y, const QPoolParams& params, int64_t row_begin, int64_t row_end) {
  qtable().qavg_pool(shape, x, y, params, row_begin, row_end);
}
void qmax_pool(const PoolShape& shape, const void* x, void* y, bool is_signed, int64_t row_begin, int64_t row_end) {
  qtable().qmax_pool(shape, x, y, is_signed, row_begin, row_end);
}

}  // namespace miniten::kernels
