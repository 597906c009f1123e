#include "kernels/qgemm16.h"

#include "kernels/qtable.h"

namespace miniten::kernels {

static constexpr int64_t panel = 16;

bool qgemm16_is_narrow(const int16_t* w, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    if (w[i] < -255 || w[i] > 255) return false;
  return true;
}

uint64_t qgemm16_packed_bytes(int64_t segments, int64_t segment, int64_t n, bool narrow) {
  return uint64_t((n + panel - 1) / panel * segments * ((segment + 1) / 2) * panel * 4 * (narrow ? 1 : 2));
}

template <class T>
static void pack(const T* w, int64_t segments, int64_t segment, int64_t n, int64_t w_segment, int64_t w_k, int64_t w_n, bool narrow,
                 std::byte* packed) {
  auto* to = reinterpret_cast<int16_t*>(packed);
  for (int64_t j0 = 0; j0 < n; j0 += panel)
    for (int64_t s = 0; s < segments; ++s)
      for (int64_t k = 0; k < segment; k += 2) {
        if (narrow && j0 + panel <= n && k + 2 <= segment) {
          const T* from = w + s * w_segment + k * w_k + j0 * w_n;
          for (int64_t j = 0; j < panel; ++j, from += w_n) {
            *to++ = from[0];
            *to++ = from[w_k];
          }
          continue;
        }
        for (int plane = narrow ? 1 : 0; plane < 2; ++plane)
          for (int64_t j = j0; j < j0 + panel; ++j)
            for (int64_t i = k; i < k + 2; ++i) {
              const int value = i < segment && j < n ? w[s * w_segment + i * w_k + j * w_n] : 0;
              const int upper = (value + 128) >> 8;                        // the rest lies in [-128, 127]
              *to++ = int16_t(narrow ? value : plane == 0 ? upper : value - upper * 256);
            }
      }
}

void qgemm16_pack(const int16_t* w, int64_t segments, int64_t segment, int64_t n, int64_t w_segment, int64_t w_k, int64_t w_n,
                  bool narrow, std::byte* packed) {
  pack(w, segments, segment, n, w_segment, w_k, w_n, narrow, packed);
}
void qgemm16_pack(const int8_t* w, int64_t segments, int64_t segment, int64_t n, int64_t w_segment, int64_t w_k, int64_t w_n,
                  bool narrow, std::byte* packed) {
  pack(w, segments, segment, n, w_segment, w_k, w_n, narrow, packed);
}

void qgemm16(const QGemmShape& shape, const int16_t* a, const std::byte* packed, bool narrow, void* c, const Q16Epilogue& e) {
  qtable().qgemm16(shape, a, packed, narrow, c, e);
}
void qgemm16_f32(const QGemmShape& shape, const int16_t* a, const std::byte* packed, bool narrow, float* c, const Q16EpilogueF32& e) {
  qtable().qgemm16_f32(shape, a, packed, narrow, c, e);
}

}  // namespace miniten::kernels
