#include "kernels/convert.h"

#include "kernels/ftable.h"

namespace miniten::kernels {

void narrow_floats(Narrow to, const float* x, uint16_t* y, int64_t n) { ftable().narrow_floats(to, x, y, n); }
void narrow_pairs(const float* a, const float* b, uint32_t* y, int64_t n) { ftable().narrow_pairs(a, b, y, n); }
void widen_floats(Narrow from, const uint16_t* x, float* y, int64_t n) { ftable().widen_floats(from, x, y, n); }

}  // namespace miniten::kernels
