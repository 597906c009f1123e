#include "kernels/winograd.h"

#include <cstring>

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

// A line between products keeps them out of one another's cache sets.
constexpr int64_t kLine = 16, kFloats = 128 * 1024;  // half of a small second-level cache
int64_t lined(int64_t floats) { return (floats + kLine - 1) / kLine * kLine + kLine; }

// Tiles worked on together, and where their transforms lie in the scratch memory.
struct Block {
  int64_t tiles, input_stride, output_stride, zeros, floats;
  explicit Block(const WinogradShape& s) {
    const WinogradGrid grid(s);
    tiles = kFloats / (grid.products * (s.channels + s.n));
    if (tiles < 14) tiles = 14;
    if (grid.tiles < tiles) tiles = grid.tiles;
    input_stride = lined(tiles * s.channels);
    output_stride = lined(tiles * s.n);
    zeros = lined(s.channels);
    floats = zeros + grid.products * (input_stride + output_stride);
  }
};

// Calls make(first, last) for about equal parts of [begin, end), none longer than `most`.
template <class Make> void in_blocks(int64_t begin, int64_t end, int64_t most, Make make) {
  const int64_t blocks = (end - begin + most - 1) / most;
  for (int64_t i = 0; i < blocks; ++i)
    make(begin + (end - begin) * i / blocks, begin + (end - begin) * (i + 1) / blocks);
}

}  // namespace

int64_t winograd_tiles(const WinogradShape& s) { return WinogradGrid(s).tiles; }

int64_t winograd_packed_floats(const WinogradShape& s) {
  return WinogradGrid(s).products * gemm_packed_floats(s.channels, s.n);
}

int64_t winograd_scratch_floats(const WinogradShape& s) { return Block(s).floats; }

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

void winograd(const WinogradShape& s, const float* x, const float* packed, const Epilogue& e, float* y, int64_t begin,
              int64_t end, float* scratch) {
  if (end <= begin || s.n <= 0) return;
  const Block block(s);
  std::memset(scratch, 0, size_t(s.channels) * sizeof(float));
  float *inputs = scratch + block.zeros, *outputs = inputs + WinogradGrid(s).products * block.input_stride;
  in_blocks(begin, end, block.tiles, [&](int64_t first, int64_t last) {
    ftable().winograd_inputs(s, x, first, last, scratch, inputs, block.input_stride);
    ftable().winograd_outputs(s, {first, last - first, 0, s.n, inputs, block.input_stride, outputs, block.output_stride}, packed, e, y);
  });
}

int64_t winograd_input_floats(const WinogradShape& s) {
  const WinogradGrid grid(s);
  return grid.products * lined(grid.tiles * s.channels);
}
void winograd_transform(const WinogradShape& s, const float* x, int64_t begin, int64_t end, float* inputs, float* scratch) {
  std::memset(scratch, 0, size_t(s.channels) * sizeof(float));
  ftable().winograd_inputs(s, x, begin, end, scratch, inputs + begin * s.channels, lined(WinogradGrid(s).tiles * s.channels));
}
void winograd_columns(const WinogradShape& s, const float* inputs, const float* packed, const Epilogue& e, float* y, int64_t begin,
                      int64_t end, float* scratch) {
  const WinogradGrid grid(s);
  if (end <= begin || !grid.tiles) return;
  const Block block(s);                                // all its memory holds outputs here
  in_blocks(0, grid.tiles, (block.input_stride + block.output_stride - 2 * kLine) / (end - begin), [&](int64_t first, int64_t last) {
    ftable().winograd_outputs(s, {first, last - first, begin, end, inputs + first * s.channels, lined(grid.tiles * s.channels), scratch,
                                  lined((last - first) * (end - begin))}, packed, e, y);
  });
}

}  // namespace miniten::kernels
