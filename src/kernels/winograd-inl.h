#pragma once
#include "kernels/winograd.h"

namespace miniten::kernels {
namespace {

struct WinogradGrid {
  int64_t products, down, across, tiles;
  explicit WinogradGrid(const WinogradShape& s)
      : products((s.tile + 2) * (s.tile + 2)),
        down((s.out_h + s.tile - 1) / s.tile),
        across((s.out_w + s.tile - 1) / s.tile),
        tiles(s.images * down * across) {}
};

// Tiles worked on together, and where their transforms lie in the scratch memory. For each product the inputs are
// [tiles][channels], the outputs [tiles][n]; a line between products keeps them out of one another's cache sets.
struct WinogradBlock {
  static constexpr int64_t kLine = 16, kFloats = 128 * 1024;  // half of a small second-level cache
  int64_t tiles, input_stride, output_stride, zeros, floats;
  explicit WinogradBlock(const WinogradShape& s) {
    const WinogradGrid grid(s);
    tiles = kFloats / (grid.products * (s.channels + s.n));
    if (tiles < 14) tiles = 14;
    if (grid.tiles < tiles) tiles = grid.tiles;
    input_stride = (tiles * s.channels + kLine - 1) / kLine * kLine + kLine;
    output_stride = (tiles * s.n + kLine - 1) / kLine * kLine + kLine;
    zeros = (s.channels + kLine - 1) / kLine * kLine;
    floats = zeros + grid.products * (input_stride + output_stride);
  }
};

}  // namespace
}  // namespace miniten::kernels
