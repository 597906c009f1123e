#pragma once
#include <cstddef>
#include <cstdint>

namespace miniten::kernels {
namespace {

// In front of the steps: the number of panels, count + 1 beginnings and an offset for each step.
inline __attribute__((always_inline)) int64_t sparse_header_bytes(int64_t count, int64_t kept) {
  return ((count + 2 + kept) * 4 + 63) / 64 * 64;
}

}  // namespace
}  // namespace miniten::kernels
