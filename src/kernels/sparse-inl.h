#pragma once
#include <cstddef>
#include <cstdint>

namespace miniten::kernels {
namespace {

// In front of the steps: the number of panels, count + 1 beginnings and an offset for each step.
inline __attribute__((always_inline)) int64_t sparse_header_bytes(int64_t count, int64_t kept) {
  return ((count + 2 + kept) * 4 + 63) / 64 * 64;
}

// What csr_pack and csr_qpack write, from column `first` on.
struct CsrColumns {
  const int32_t *begin, *row;
  const float* value;
  inline __attribute__((always_inline)) CsrColumns(const std::byte* packed, int64_t first) {
    const auto* header = reinterpret_cast<const int32_t*>(packed);
    const int64_t n = header[0];
    begin = header + 1;
    row = begin + n + 1;
    value = reinterpret_cast<const float*>(row + begin[n]);
    begin += first;
  }
};

}  // namespace

#ifdef MINITEN_TARGET
namespace MINITEN_TARGET {
// Sums of `n` columns for 1, 2 or 4 vectors of pixels, which are x[row of B * width + pixel]: to[column * width + pixel], width
// being those vectors' lanes. exact: sums are whole numbers that floats hold, so they may be added in any order.
void csr_columns(const float* x, int vectors, const int32_t* begin, const int32_t* row, const float* value, int64_t n, const float* bias, bool exact, float* to);
}  // namespace MINITEN_TARGET
#endif

}  // namespace miniten::kernels
