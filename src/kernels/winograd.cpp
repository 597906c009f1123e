#include "kernels/winograd.h"

#include "kernels/ftable.h"
#include "kernels/winograd-inl.h"

namespace miniten::kernels {
namespace {

// Filters of the nested products at the points 0, 1, -1 and, for tile 4, 2, -2; the last is infinity.
constexpr double kFilter2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
constexpr double kFilter4[6][3] = {{1 / 4.0, 0, 0},
                                   {-1 / 6.0, -1 / 6.0, -1 / 6.0},
                                   {-1 / 6.0, 1 / 6.0, -1 / 6.0},
                                   {1 / 24.0, 1 / 12.0, 1 / 6.0},
                                   {1 / 24.0, -1 / 12.0, 1 / 6.0},
                                   {0, 0, 1}};

}  // namespace

int64_t winograd_tiles(const WinogradShape& s) { return WinogradGrid(s).tiles; }

int64_t winograd_packed_floats(const WinogradShape& s) {
  return WinogradGrid(s).products * gemm_packed_floats(s.channels, s.n);
}

int64_t winograd_scratch_floats(const WinogradShape& s) { return WinogradBlock(s).floats; }

void winograd_pack(const WinogradShape& s, const float* w, int64_t w_n, int64_t w_tap, int64_t w_c, int64_t begin,
                   int64_t end, float* packed) {
  const int64_t each = gemm_packed_floats(s.channels, s.n), edge = s.tile + 2;
  const auto* filter = s.tile == 4 ? kFilter4 : kFilter2;
  for (int64_t j = begin; j < (end == s.n ? (s.n + 15) / 16 * 16 : end); ++j) {
    for (int64_t c = 0; c < s.channels; ++c) {
      double taps[9], rows[6][3];
      for (int t = 0; t < 9; ++t) taps[t] = j < s.n ? w[j * w_n + t * w_tap + c * w_c] : 0.0f;
      for (int64_t a = 0; a < edge; ++a)
        for (int q = 0; q < 3; ++q)
          rows[a][q] = filter[a][0] * taps[q] + filter[a][1] * taps[3 + q] + filter[a][2] * taps[6 + q];
      float* to = packed + j / 16 * 16 * s.channels + c * 16 + j % 16;
      for (int64_t a = 0; a < edge; ++a)
        for (int64_t b = 0; b < edge; ++b, to += each)
          *to = float(rows[a][0] * filter[b][0] + rows[a][1] * filter[b][1] + rows[a][2] * filter[b][2]);
    }
  }
}

void winograd(const WinogradShape& shape, const float* x, const float* packed, const Epilogue& epilogue, float* y,
              int64_t begin, int64_t end, float* scratch) {
  ftable().winograd(shape, x, packed, epilogue, y, begin, end, scratch);
}

}  // namespace miniten::kernels
