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

}  // namespace
}  // namespace miniten::kernels
