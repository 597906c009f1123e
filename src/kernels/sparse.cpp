#include "kernels/sparse.h"

#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/ftable.h"
#include "kernels/qtable.h"
#include "kernels/sparse-inl.h"

namespace miniten::kernels {
namespace {

constexpr int64_t kStep = 64;  // bytes

bool holds(const std::byte* step) {
  uint64_t words[kStep / 8], any = 0;
  std::memcpy(words, step, kStep);
  for (uint64_t w : words) any |= w;
  return any != 0;
}

// s of either kind; unit: elements of A that a step takes.
template <class Shape>
bool pack(const Shape& s, int64_t unit, const std::byte* panels, std::byte* to) {
  const int64_t count = (s.n + 15) / 16, along = (s.segment + unit - 1) / unit, each = s.outer * s.inner * along;
  const int64_t kept = sparse_steps(panels, count, each);
  if (count + kept != static_cast<int32_t>(count + kept)) return false;
  auto* begin = reinterpret_cast<int32_t*>(to) + 1;
  int32_t* offset = begin + count + 1;
  begin[-1] = static_cast<int32_t>(count);
  std::byte* values = to + sparse_header_bytes(count, kept);
  *begin = 0;
  for (int64_t p = 0; p < count; ++p) {
    begin[1] = begin[0];
    ++begin;
    for (int64_t o = 0; o < s.outer; ++o)
      for (int64_t i = 0; i < s.inner; ++i)
        for (int64_t k = 0; k < along; ++k, panels += kStep) {
          if (!holds(panels)) continue;
          const int64_t at = o * s.outer_stride + i * s.inner_stride + k * unit;
          if (at != static_cast<int32_t>(at)) return false;
          *offset++ = static_cast<int32_t>(at);
          std::memcpy(values, panels, kStep);
          values += kStep;
          ++*begin;
        }
  }
  return true;
}

}  // namespace

int64_t sparse_steps(const std::byte* panels, int64_t count, int64_t steps) {
  int64_t kept = 0;
  for (int64_t i = 0; i < count * steps; ++i, panels += kStep) kept += holds(panels);
  return kept;
}

uint64_t sparse_packed_bytes(int64_t count, int64_t kept) { return static_cast<uint64_t>(sparse_header_bytes(count, kept) + kept * kStep); }

bool sparse_pack(const GemmShape& s, const std::byte* panels, std::byte* to) { return pack(s, 1, panels, to); }
bool sparse_qpack(const QGemmShape& s, const std::byte* panels, std::byte* to) { return pack(s, 4, panels, to); }

uint64_t csr_packed_bytes(int64_t n, int64_t nonzero) { return static_cast<uint64_t>((n + 2 + 2 * nonzero) * 4); }

void csr_pack(const float* b, int64_t k, int64_t n, int64_t b_k, int64_t b_n, std::byte* to) {
  auto* begin = reinterpret_cast<int32_t*>(to) + 1;
  begin[-1] = static_cast<int32_t>(n);
  begin[0] = 0;
  for (int64_t j = 0; j < n; ++j) {
    begin[j + 1] = begin[j];
    for (int64_t i = 0; i < k; ++i) begin[j + 1] += b[i * b_k + j * b_n] != 0;
  }
  int32_t* row = begin + n + 1;
  auto* value = reinterpret_cast<float*>(row + begin[n]);
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < k; ++i)
      if (const float w = b[i * b_k + j * b_n]; w != 0) *row++ = static_cast<int32_t>(i), *value++ = w;
}
void csr_product(const int32_t* begin, const int32_t* column, const float* value, int64_t rows, const float* x, int64_t n, float* y) {
  ftable().csr_product(begin, column, value, rows, x, n, y);
}
void csr_gemm(const GemmShape& s, const float* a, const std::byte* packed, int64_t first, float* c, const Epilogue& e) {
  ftable().csr_gemm(s, a, packed, first, c, e);
}

// f(column, row, weight), column by column.
template <class F>
static void each_weight(const std::byte* panels, int64_t n, int64_t steps, F f) {
  const auto* w = reinterpret_cast<const int8_t*>(panels);
  for (int64_t j = 0; j < n; ++j)
    for (int64_t k = 0; k < 4 * steps; ++k) f(j, k, w[(j / 16 * steps + k / 4) * kStep + j % 16 * 4 + k % 4]);
}
int64_t csr_qcount(const std::byte* panels, int64_t n, int64_t steps) {
  int64_t all = 0, own = 0, column = 0, most = 0;
  each_weight(panels, n, steps, [&](int64_t j, int64_t, int8_t w) {
    if (j != column) column = j, own = 0;
    own += w != 0;
    all += w != 0;
    most = own > most ? own : most;
  });
  return most <= csr_exact ? all : -1;
}
void csr_qpack(const std::byte* panels, int64_t n, int64_t steps, std::byte* to) {
  auto* begin = reinterpret_cast<int32_t*>(to) + 1;
  begin[-1] = static_cast<int32_t>(n);
  for (int64_t j = 0; j <= n; ++j) begin[j] = 0;
  each_weight(panels, n, steps, [&](int64_t j, int64_t, int8_t w) { begin[j + 1] += w != 0; });
  for (int64_t j = 0; j < n; ++j) begin[j + 1] += begin[j];
  int32_t* row = begin + n + 1;
  auto* value = reinterpret_cast<float*>(row + begin[n]);
  each_weight(panels, n, steps, [&](int64_t, int64_t k, int8_t w) {
    if (w) *row++ = static_cast<int32_t>(k), *value++ = w;
  });
}
void csr_qgemm(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, void* c, const QEpilogue& e) {
  qtable().csr_qgemm(s, a, sums, packed, c, e);
}
void csr_qgemm_f32(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, float* c, const QEpilogueF32& e) {
  qtable().csr_qgemm_f32(s, a, sums, packed, c, e);
}

void sparse_gemm(const GemmShape& s, const float* a, const std::byte* packed, int64_t panel, float* c, const Epilogue& e) {
  ftable().sparse_gemm(s, a, packed, panel, c, e);
}
void sparse_qgemm(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, void* c, const QEpilogue& e) {
  qtable().sparse_qgemm(s, a, sums, packed, c, e);
}
void sparse_qgemm_f32(const QGemmShape& s, const void* a, const int32_t* sums, const std::byte* packed, float* c, const QEpilogueF32& e) {
  qtable().sparse_qgemm_f32(s, a, sums, packed, c, e);
}

}  // namespace miniten::kernels
