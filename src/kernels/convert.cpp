#include "kernels/convert.h"

#include "kernels/ftable.h"

namespace miniten::kernels {

void from_floats(Stored to, const float* x, void* y, int64_t n) { ftable().from_floats(to, x, y, n); }
void to_floats(Stored from, const void* x, float* y, int64_t n) { ftable().to_floats(from, x, y, n); }
void narrow_pairs(const float* a, const float* b, uint32_t* y, int64_t n) { ftable().narrow_pairs(a, b, y, n); }

}  // namespace miniten::kernels
