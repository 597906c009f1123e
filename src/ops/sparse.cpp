#include "ops/sparse.h"

#include <utility>

#include "kernels/dispatch.h"

namespace miniten {

namespace {
thread_local Sparse in_use = Sparse::automatic;
thread_local std::vector<SparseChoice>* listener = nullptr;

// Time of a sparse step over that of a dense one: the dense kernels read an element of A for two panels at once, and hide
// the sums of a lone row behind more of them.
double step_cost(bool integers, bool lone) {
  std::string_view isa = kernels::isa();
  bool wide = isa.substr(0, 6) == "avx512", dots = isa.find("vnni") != isa.npos || isa.find("dotprod") != isa.npos || isa.find("i8mm") != isa.npos;
  double cost = integers ? (dots ? 1.45 : wide ? 1.25 : 1.1) : wide ? 1.4 : 1.05;
  return lone ? 1.4 * cost : cost;
}
double gain_of(const SparseQuestion& q, int64_t kept) {
  double panels = double(q.panels), dense = double(q.panels * q.steps) * q.dense_share + 2 * panels;
  return dense / (double(kept) * step_cost(q.integers, q.pixels == 1) + 3 * panels);
}
}  // namespace

SparseScope::SparseScope(Sparse use, std::vector<SparseChoice>* log) : use_(std::exchange(in_use, use)), log_(std::exchange(listener, log)) {}
SparseScope::~SparseScope() {
  in_use = use_;
  listener = log_;
}

bool may_be_sparse(const SparseQuestion& q) {
  if (listener || in_use == Sparse::always) return true;
  if (in_use == Sparse::never) return false;
  int64_t zeros = 0;
  if (q.integers) for (int64_t i = 0; i < q.numel; ++i) zeros += reinterpret_cast<const int8_t*>(q.weight)[i] == 0;
  else for (int64_t i = 0; i < q.numel; ++i) zeros += reinterpret_cast<const float*>(q.weight)[i] == 0;
  return gain_of(q, (q.numel - zeros) * q.panels * q.steps / (q.numel ? q.numel : 1)) > 1;
}

int64_t choose_sparse(const SparseQuestion& q, const std::byte* packed) {
  SparseChoice c{q.weight, kernels::sparse_steps(packed, q.panels, q.steps), q.panels * q.steps, 0, false};
  c.gain = gain_of(q, c.kept);
  c.used = in_use == Sparse::always || (in_use == Sparse::automatic && c.gain > 1);
  if (listener) listener->push_back(c);
  return c.used ? c.kept : -1;
}

}  // namespace miniten
