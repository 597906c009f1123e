#include "ops/sparse.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/allocate.h"
#include "kernels/dispatch.h"

namespace miniten {

namespace {
thread_local Sparse in_use = Sparse::automatic;
thread_local std::vector<SparseChoice>* listener = nullptr;

bool has_tiles() { return kernels::isa().find("amx") != std::string_view::npos; }
bool has_dots() {
  std::string_view isa = kernels::isa();
  return has_tiles() || isa.find("vnni") != isa.npos || isa.find("dotprod") != isa.npos || isa.find("i8mm") != isa.npos;
}
bool is_wide() { return kernels::isa().substr(0, 6) == "avx512"; }

// Of a dense step and of one that is left, and of each panel beside them, for a pixel. The dense kernels read an element of A for
// two panels at once, and hide the sums of a lone row behind more of them. With dot products of 64 bytes steps are so short that
// requantising counts: there a unit is 0.165 ns at 2.6 GHz, and a dense step of tiles a quarter of that.
struct Costs { double dense, dense_panel, step, panel, turning = 0; };         // turning: signed bytes, once for all panels, by step of K
Costs costs_of(const SparseQuestion& q) {
  const bool lone = q.pixels == 1, x86_dots = q.integers && has_dots() && kernels::isa().substr(0, 3) == "avx";
  if (x86_dots && lone) return {1, 2, 1.5, 3};
  if (x86_dots) return {has_tiles() && q.steps >= 6 ? 0.27 : 1, 12, q.outputs ? 1.15 : 2, 12, 0.2};     // without outputs: they are turned at every step
  const double cost = q.integers ? (has_dots() ? 1.45 : is_wide() ? 1.25 : 1.1) : is_wide() ? 1.4 : 1.05;
  return {1, 2, lone ? 1.4 * cost : cost, 3};
}
double gain_of(const SparseQuestion& q, int64_t kept) {
  const Costs c = costs_of(q);
  const double panels = double(q.panels);
  return (double(q.panels * q.steps) * c.dense * q.dense_share + c.dense_panel * panels) / (double(kept) * c.step + c.panel * panels + c.turning * double(q.steps));
}

// Single weights. Of many pixels, in products of the dense kernel: each weight is read for up to four vectors of pixels,
// which are transposed before and after. Of one, in cycles: one a weight, while dense weights come as fast as memory gives.
double gain_of_singles(const SparseQuestion& q, int64_t nonzero) {
  double inputs = double(q.integers ? 4 * q.steps : q.steps), outputs = double(q.outputs), weights = inputs * outputs;
  const bool wide = is_wide(), medium = kernels::isa().substr(0, 3) == "avx" && !wide;
  if (q.integers) {                                            // in floats, which dot products outrun
    const double each = (has_dots() ? (wide ? 9 : 5.6) : wide ? 3.1 : 1.9) * (inputs > 512 ? 1.2 : 1), ends = has_dots() ? (wide ? 80 : 50) : wide ? 22 : 16;
    return (weights * (has_tiles() ? 0.27 : 1) + (has_dots() ? (wide ? 42 : 20) : 10) * outputs) / (each * double(nonzero) + ends * (inputs + outputs));
  }
  if (q.pixels == 1) {
    const kernels::CpuInfo& cpu = kernels::cpu_info();
    double bytes = 4 * weights, floats_a_cycle = bytes > double(cpu.l2_bytes) ? 2 : bytes > double(cpu.l1d_bytes) ? 10 : 14;
    if (!wide && !medium) floats_a_cycle = std::min(floats_a_cycle, 4.5);
    return weights / floats_a_cycle / (1.5 * double(nonzero) + 4 * outputs);
  }
  double each = wide ? (inputs > 512 ? 5 : inputs > 256 ? 3.4 : 1.85) : medium ? (inputs > 512 ? 2.6 : inputs > 256 ? 2.1 : 1.9) : 1.2;
  return weights * q.dense_share / (each * double(nonzero) + (wide ? 16 : 10) * (inputs + outputs));
}
// Of weights [i, end).
int64_t count_nonzero(const SparseQuestion& q, int64_t i, int64_t end) {          // all weights of a model pass here as it is compiled: some at a time
  typedef float Floats __attribute__((vector_size(16)));
  typedef int32_t Counts __attribute__((vector_size(16)));
  int64_t n = 0;
  if (q.integers) for (; i < end; ++i) n += reinterpret_cast<const int8_t*>(q.weight)[i] != 0;
  else {
    const auto* w = reinterpret_cast<const float*>(q.weight);
    while (i + 4 <= end) {
      Counts zeros{};
      int64_t first = i;
      for (; i + 4 <= end && i - first < (int64_t{1} << 30); i += 4) {
        Floats some;
        std::memcpy(&some, w + i, sizeof some);
        zeros += some == 0.0f;                                       // -1 each
      }
      for (int l = 0; l < 4; ++l) n += zeros[l];
      n += i - first;
    }
    for (; i < end; ++i) n += w[i] != 0;
  }
  return n;
}
bool has_singles(const SparseQuestion& q) {
  if (q.outputs <= 0 || q.numel <= 0) return false;
  return q.integers ? q.pixels > 1 && 4 * q.steps <= kernels::csr_most : q.pixels == 1 || q.steps <= kernels::csr_most;
}
}  // namespace

SparseScope::SparseScope(Sparse use, std::vector<SparseChoice>* log) : use_(std::exchange(in_use, use)), log_(std::exchange(listener, log)) {}
SparseScope::~SparseScope() {
  in_use = use_;
  listener = log_;
}

bool may_be_sparse(const SparseQuestion& q) {
  if (!has_packed) return false;
  if (listener || in_use == Sparse::always) return true;
  if (in_use == Sparse::never) return false;
  int64_t nonzero = 0, counted = 0;
  auto gains = [&] { return gain_of(q, nonzero * q.panels * q.steps / (q.numel ? q.numel : 1)) > 1 || (has_singles(q) && gain_of_singles(q, nonzero) > 1); };
  while (gains()) {                                                  // the less, the more are counted
    if (counted >= q.numel) return true;
    const int64_t from = std::exchange(counted, std::min(q.numel, counted + 32768));
    nonzero += count_nonzero(q, from, counted);
  }
  return false;
}

SparseForm choose_sparse(const SparseQuestion& q, const std::byte* packed) {
  if (!has_packed) return {};
  SparseChoice c;
  c.weight = q.weight;
  c.kept = kernels::sparse_steps(packed, q.panels, q.steps);
  c.steps = q.panels * q.steps;
  c.gain = gain_of(q, c.kept);
  if (has_singles(q)) {
    int64_t nonzero = q.integers ? kernels::csr_qcount(packed, q.outputs, q.steps) : count_nonzero(q, 0, q.numel);
    c.nonzero = std::max<int64_t>(nonzero, 0);
    c.weights = q.numel;
    double gain = nonzero < 0 ? 0 : gain_of_singles(q, nonzero);
    c.single = gain > c.gain;
    c.gain = std::max(c.gain, gain);
  }
  c.used = in_use == Sparse::always || (in_use == Sparse::automatic && c.gain > 1);
  if (listener) listener->push_back(c);
  if (!c.used) return {};
  return c.single ? SparseForm{2, c.nonzero} : SparseForm{1, c.kept};
}

uint64_t pack_sparse(const SparseQuestion& q, const kernels::GemmShape& s, const FloatMatrix& m, const std::byte* panels, PreparedForm& form, std::byte* to) {
  SparseForm f = choose_sparse(q, panels);
  form.sparse = f.kind;
  if (!f.kind) return 0;
  uint64_t size = f.kind == 1 ? kernels::sparse_packed_bytes(q.panels, f.kept) : kernels::csr_packed_bytes(m.n, f.kept);
  std::vector<std::byte> tried(to || f.kind == 2 ? 0 : addressable(size));   // does every offset fit?
  if (f.kind == 1 && !kernels::sparse_pack(s, panels, to ? to : tried.data())) return form.sparse = 0;
  if (f.kind == 2 && to) kernels::csr_pack(m.b, m.k, m.n, m.b_k, m.b_n, to);
  return aligned(size);
}

}  // namespace miniten
