#include "base/features.h"
#include "miniten/graph/passes.h"

namespace miniten {

// Law: the producer does what its only reader did, by the rule in its own row; neither writes, and nothing between
// them writes what the producer reads. into_constants: only where the reader goes up in new constants (a batch norm in weights).
enum class Absorbing { plain, into_constants, sums, chains };
// Is a constant with `handles` on it held by this graph alone, for one reader?
static bool is_own(const Graph& g, int id, uintptr_t handles) {
  const Tensor& t = g.values[size_t(id)].constant;
  if (!g.is_constant(id) || t->references() != handles || !t.has_data() || t->storage->refs != 1 || !t->storage->writable) return false;
  return g.readers(id).size() == 1 && !std::count(g.outputs.begin(), g.outputs.end(), id);
}
static void absorb(Graph& g, Absorbing how) {
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& first = g.nodes[i];
    if (!first.op->absorb || first.out.size() != 1 || first.op->traits.writes.n) continue;
    auto readers = g.readers(first.out[0]);
    if (readers.size() != 1 || std::count(g.outputs.begin(), g.outputs.end(), first.out[0])) continue;
    auto last = size_t(readers[0]);
    Node& next = g.nodes[last];
    if (next.out.size() != 1 || next.op->traits.writes.n || std::count(next.in.begin(), next.in.end(), first.out[0]) != 1) continue;
    bool written = false;
    for (size_t k = i + 1; k < last; ++k)
      for (int w = 0; w < g.nodes[k].op->traits.writes.n; ++w)
        written |= std::count(first.in.begin(), first.in.end(), g.nodes[k].in[size_t(g.nodes[k].op->traits.writes.at[w])]) > 0;
    if (written) continue;
    int slot = int(std::find(next.in.begin(), next.in.end(), first.out[0]) - next.in.begin());
    auto first_in = g.specs(first.in), first_out = g.specs(first.out), next_in = g.specs(next.in), next_out = g.specs(next.out);
    auto first_values = g.constants(first.in), next_values = g.constants(next.in);
    std::vector<Input> first_known(first_values.begin(), first_values.end()), next_known(next_values.begin(), next_values.end());
    const bool own = has_in_place && how == Absorbing::into_constants && first.in.size() > 1 && is_own(g, first.in[1], 2);       // its value and first_values
    auto absorbed = first.op->absorb({{*first.op, first.attributes(), first_in, first_out, first_known},
                                      {*next.op, next.attributes(), next_in, next_out, next_known}, slot, how == Absorbing::sums, how == Absorbing::chains, own});
    if (!absorbed || (how == Absorbing::into_constants && absorbed->constants.empty())) continue;
    Node merged = first;
    for (int k : absorbed->inputs_of_next) merged.in.push_back(next.in[size_t(k)]);
    for (auto& [input, constant] : absorbed->constants) {
      const int old = size_t(input) < merged.in.size() ? merged.in[size_t(input)] : -1;
      const int id = g.add_value(constant.spec(), old < 0 ? "" : g.values[size_t(old)].name, constant);
      g.values[size_t(id)].trainable = g.values[size_t(first.in[1])].trainable;
      if (old < 0) { merged.in.push_back(id); continue; }
      merged.in[size_t(input)] = id;
      Value& from = g.values[size_t(old)];
      if (from.mask && from.mask.shape() == constant.shape()) g.values[size_t(id)].mask = from.mask;       // zeros stay zeros
      if (from.constant.same(constant)) from.constant = {};
    }
    merged.attrs = absorbed->attrs;
    if (absorbed->op) {
      merged.op = absorbed->op;
      if (merged.op == next.op) merged.name = next.name;
      else if (!next.name.empty() && next.name != first.name) merged.name += " + " + next.name;
    }
    merged.out = next.out;
    g.nodes[last] = std::move(merged);                 // stands where its last input is known
    g.nodes.erase(g.nodes.begin() + int64_t(i));
    --i;
  }
}
void fuse(Graph& g) { absorb(g, Absorbing::plain); }
void fuse_sums(Graph& g) { absorb(g, Absorbing::sums); }
void fuse_chains(Graph& g) { absorb(g, Absorbing::chains); }
void fold_batch_norm(Graph& g) { absorb(g, Absorbing::into_constants); }

}  // namespace miniten
