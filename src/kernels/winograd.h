#pragma once
#include <cstdint>

#include "kernels/gemm.h"

namespace miniten::kernels {

// Convolution 3x3 with stride 1 by minimal filtering (Winograd; Lavin and Gray 2016): (tile + 2)^2 products make
// tile x tile outputs, 4 times (tile 4) or 2.25 times (tile 2) fewer than the direct form. It rounds differently:
// the largest error, in parts of the largest output, stays below 1e-5 (tile 4) and 2e-6 (tile 2) for values of one size.
//
// x [images][height][width][channels] is taken without its padding: beyond it x reads as 0. Output (i, j) reads rows
// i - top to i - top + 2 and columns j - left to j - left + 2. y, and residual if given, are [images][out_h][out_w][n].
struct WinogradShape {
  int64_t tile = 4;  // 2 or 4
  int64_t channels = 0, n = 0;
  int64_t images = 1, height = 0, width = 0, out_h = 0, out_w = 0, top = 0, left = 0;
};

int64_t winograd_tiles(const WinogradShape& shape);
int64_t winograd_packed_floats(const WinogradShape& shape);
int64_t winograd_scratch_floats(const WinogradShape& shape);

// Weights at w[output*w_n + (3*row + column)*w_tap + channel*w_c], for outputs [begin, end): begin is a multiple of 16.
void winograd_pack(const WinogradShape& shape, const float* w, int64_t w_n, int64_t w_tap, int64_t w_c, int64_t begin,
                   int64_t end, float* packed);

// Tiles [begin, end) of winograd_tiles, row by row; no bit of an output depends on where the tiles are cut. accumulate
// is not supported; the residual is laid out as y and may be y.
void winograd(const WinogradShape& shape, const float* x, const float* packed, const Epilogue& epilogue, float* y,
              int64_t begin, int64_t end, float* scratch);

// The same bits in two steps, to cut few tiles by their outputs: the transforms of tiles [begin, end) go to their place
// in `inputs`, of winograd_input_floats; from all of them come outputs [begin, end), begin a multiple of 16, of every tile.
int64_t winograd_input_floats(const WinogradShape& shape);
void winograd_transform(const WinogradShape& shape, const float* x, int64_t begin, int64_t end, float* inputs, float* scratch);
void winograd_columns(const WinogradShape& shape, const float* inputs, const float* packed, const Epilogue& epilogue, float* y,
                      int64_t begin, int64_t end, float* scratch);

// What a target's kernel makes at a time: outputs [begin, end) of `tiles` tiles from the one numbered `tile` on. For each
// product the inputs are [tiles][channels] and the outputs [tiles][end - begin], a stride apart.
struct WinogradPart {
  int64_t tile, tiles, begin, end;
  const float* inputs;
  int64_t input_stride;
  float* outputs;
  int64_t output_stride;
};

}  // namespace miniten::kernels
