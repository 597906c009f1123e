#include "ops/quantized/sparse.h"

namespace miniten {

static size_t aligned(size_t n) { return (n + 63) / 64 * 64; }

size_t pack_form(const kernels::QGemmShape& s, SparseQuestion q, size_t dense_bytes, const std::function<void(std::byte*)>& dense, std::byte* to) {
  std::byte* weights = to ? to + sizeof(PreparedForm) : nullptr;
  size_t sums = size_t((s.n + 15) / 16) * 64, sparse = 0;
  q.panels = (s.n + 15) / 16;
  q.steps = s.outer * s.inner * ((s.segment + 3) / 4);
  if (s.n && may_be_sparse(q)) {
    std::vector<std::byte> packed(dense_bytes);
    dense(packed.data());
    SparseForm f = choose_sparse(q, packed.data() + sums);
    if (f.kind) {
      sparse = aligned(sums + kernels::sparse_packed_bytes(q.panels, f.kept));
      std::vector<std::byte> tried(to ? 0 : sparse);             // does every offset fit?
      std::byte* at = to ? weights : tried.data();
      if (!kernels::sparse_qpack(s, packed.data() + sums, at + sums)) sparse = 0;
      if (to && sparse) std::memcpy(weights, packed.data(), sums);
    }
  }
  size_t bytes = sparse ? sparse : dense_bytes;
  if (to) new (to) PreparedForm{sparse != 0, int64_t(bytes)};
  if (to && !sparse) dense(weights);
  return sizeof(PreparedForm) + bytes;
}

template <class Y, class E>
static void run(const Context& c, const kernels::QGemmShape& s, const void* x, const std::byte* weights, Y* y, const E& e, auto dense, auto sparse) {
  if (!c.prepared || !form_of(c.prepared).sparse) return dense(s, x, weights, y, e);
  sparse(s, x, reinterpret_cast<const int32_t*>(weights), weights + (s.n + 15) / 16 * 64, y, e);
}
void multiply(const Context& c, const kernels::QGemmShape& s, const void* x, const std::byte* weights, void* y, const kernels::QEpilogue& e) {
  run(c, s, x, weights, y, e, kernels::qgemm, kernels::sparse_qgemm);
}
void multiply(const Context& c, const kernels::QGemmShape& s, const void* x, const std::byte* weights, float* y, const kernels::QEpilogueF32& e) {
  run(c, s, x, weights, y, e, kernels::qgemm_f32, kernels::sparse_qgemm_f32);
}

}  // namespace miniten
