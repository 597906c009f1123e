#include "miniten/graph/passes.h"

namespace miniten {

// Law: a node becomes a constant only if it reads constants (or sizes) alone, has a known shape and neither writes nor draws. Constants
// that are trainable are folded too, so this runs on compiled copies, never on a graph that will be trained.
void fold_constants(Graph& g) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  std::erase_if(g.nodes, [&](const Node& n) {
    if (n.op->traits.writes.n || n.op->traits.random || !n.subgraphs.empty()) return false;
    if (n.op->traits.converts == Conversion::to_floats) return false;    // what stands for integers is lower_quantized's
    for (int id : n.out) if (!g.values[size_t(id)].spec.shape.is_static()) return false;
    for (int id : n.in)                                                  // indices into a codebook stay packed
      if (const Value& v = g.values[size_t(id)]; v.constant && v.codebook && is_integer(v.spec.dtype)) return false;
    bool by_shape = !n.in.empty();
    for (size_t i = 0; i < n.in.size(); ++i)
      by_shape &= (n.op->traits.shape_only >> i & 1) && g.values[size_t(n.in[i])].spec.shape.is_static();
    bool all_constant = !n.in.empty() && std::all_of(n.in.begin(), n.in.end(), [&](int id) { return g.is_constant(id); });
    if (!by_shape && !all_constant) return false;
    std::vector<Tensor> at;
    for (int id : n.in) at.push_back(all_constant ? g.values[size_t(id)].constant : Tensor::zeros(g.values[size_t(id)].spec.shape, g.values[size_t(id)].spec.dtype));
    std::vector<Input> in(at.begin(), at.end());
    std::vector<Tensor> out(n.out.size());
    apply(*n.op, in, n.attrs.get(), out);
    for (size_t i = 0; i < out.size(); ++i) {
      Value& v = g.values[size_t(n.out[i])];
      v.constant = out[i];
      v.spec = out[i].spec();
      bool moved = n.op->traits.movement && n.in.size() == 1;
      if (!moved) continue;
      const Value& from = g.values[size_t(n.in[0])];
      if (v.name.empty()) v.name = from.name;
      v.codebook = from.codebook;
      if (!from.mask) continue;
      Input mask = from.mask;
      apply(*n.op, {&mask, 1}, n.attrs.get(), {&v.mask, 1});
    }
    return true;
  });
}

}  // namespace miniten
