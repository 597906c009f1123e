#include "ops/quantized/sparse.h"
#include "base/allocate.h"

namespace miniten {

uint64_t pack_form(const kernels::QGemmShape& s, SparseQuestion q, uint64_t dense_bytes, const std::function<void(std::byte*)>& dense, std::byte* to) {
  std::byte* weights = to ? to + sizeof(PreparedForm) : nullptr;
  uint64_t sums = uint64_t((s.n + 15) / 16) * 64, sparse = 0;
  q.panels = (s.n + 15) / 16;
  q.steps = s.outer * s.inner * ((s.segment + 3) / 4);
  if (s.outer * s.inner == 1) q.outputs = s.n;
  int kind = 0;
  if (has_packed && s.n && may_be_sparse(q)) {
    std::vector<std::byte> packed(addressable(dense_bytes));
    dense(packed.data());
    SparseForm f = choose_sparse(q, packed.data() + sums);
    kind = f.kind;
    if (kind) {
      sparse = aligned(sums + (kind == 1 ? kernels::sparse_packed_bytes(q.panels, f.kept) : kernels::csr_packed_bytes(s.n, f.kept)));
      std::vector<std::byte> tried(to || kind == 2 ? 0 : addressable(sparse));             // does every offset fit?
      if (kind == 1 && !kernels::sparse_qpack(s, packed.data() + sums, (to ? weights : tried.data()) + sums)) sparse = 0, kind = 0;
      if (kind == 2 && to) kernels::csr_qpack(packed.data() + sums, s.n, q.steps, weights + sums);
      if (to && sparse) std::memcpy(weights, packed.data(), size_t(sums));
    }
  }
  uint64_t bytes = sparse ? sparse : dense_bytes;
  if (to) new (to) PreparedForm{kind, int64_t(bytes)};
  if (to && !sparse) dense(weights);
  return sizeof(PreparedForm) + bytes;
}

template <class Y, class E>
static void run(const Context& c, const kernels::QGemmShape& s, const void* x, const std::byte* weights, Y* y, const E& e, auto dense, auto steps, auto singles) {
  const int64_t kind = c.prepared ? form_of(c.prepared).sparse : 0;
  if (!has_packed || !kind) return dense(s, x, weights, y, e);
  (kind == 1 ? steps : singles)(s, x, reinterpret_cast<const int32_t*>(weights), weights + (s.n + 15) / 16 * 64, y, e);
}
void multiply(const Context& c, const kernels::QGemmShape& s, const void* x, const std::byte* weights, void* y, const kernels::QEpilogue& e) {
  run(c, s, x, weights, y, e, kernels::qgemm, kernels::sparse_qgemm, kernels::csr_qgemm);
}
void multiply(const Context& c, const kernels::QGemmShape& s, const void* x, const std::byte* weights, float* y, const kernels::QEpilogueF32& e) {
  run(c, s, x, weights, y, e, kernels::qgemm_f32, kernels::sparse_qgemm_f32, kernels::csr_qgemm_f32);
}

}  // namespace miniten
