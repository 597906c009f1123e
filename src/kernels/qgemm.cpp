#include "kernels/qgemm.h"
#include <cstring>
#include "kernels/dispatch.h"
#include "kernels/qtable.h"

namespace miniten::kernels {

static constexpr int64_t panel = 16;
static int64_t panels_of(int64_t n) { return (n + panel - 1) / panel; }
static int64_t groups_of(int64_t segment) { return (segment + 3) / 4; }

uint64_t qgemm_packed_bytes(int64_t segments, int64_t segment, int64_t n) {
  return uint64_t(panels_of(n) * panel * (4 + segments * groups_of(segment) * 4));
}

void qgemm_pack(const int8_t* w, int64_t segments, int64_t segment, int64_t n, int64_t w_segment, int64_t w_k, int64_t w_n,
                std::byte* packed) {
  auto* sums = reinterpret_cast<int32_t*>(packed);
  auto* to = reinterpret_cast<int8_t*>(packed) + panels_of(n) * panel * 4;
  std::memset(sums, 0, size_t(panels_of(n) * panel) * 4);
  for (int64_t p = 0; p < panels_of(n); ++p)
    for (int64_t s = 0; s < segments; ++s)
      for (int64_t g = 0; g < groups_of(segment); ++g)
        for (int64_t c = 0; c < panel; ++c)
          for (int64_t i = 0; i < 4; ++i) {
            int64_t k = g * 4 + i, j = p * panel + c;
            int8_t value = k < segment && j < n ? w[s * w_segment + k * w_k + j * w_n] : int8_t(0);
            sums[j] += value;
            *to++ = value;
          }
}

void qgemm(const QGemmShape& shape, const void* a, const std::byte* packed, void* c, const QEpilogue& e) {
  qtable().qgemm(shape, a, packed, c, e);
}
void qgemm_f32(const QGemmShape& shape, const void* a, const std::byte* packed, float* c, const QEpilogueF32& e) {
  qtable().qgemm_f32(shape, a, packed, c, e);
}

int64_t qgemm_flips_from() { return qtable().qgemm_flips_from(); }
void flip_signs(uint8_t* x, int64_t n) { qtable().flip_signs(x, n); }

}  // namespace miniten::kernels
