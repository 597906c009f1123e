#include "miniten/core/observer.h"
#include "miniten/graph/graph.h"

namespace miniten {

std::vector<Tensor> replay(const Graph& g, const std::vector<Tensor>& inputs, const Replay& how) {
  if (inputs.size() != g.inputs.size())
    throw Error(ErrorKind::value, "replay", std::to_string(g.inputs.size()) + " inputs", std::to_string(inputs.size()));
  std::vector<Tensor> at(g.values.size());
  for (size_t i = 0; i < at.size(); ++i) {
    const Value& v = g.values[i];
    at[i] = v.constant;
    // A pruned weight is zero already; the product keeps its gradient zero, so no optimizer moves it.
    if (v.mask && v.constant.requires_grad() && mode().grad && (how.training || !mode().recorder)) {
      Tensor kept = Tensor::empty({v.spec.dtype, v.spec.shape});
      copy_values(v.mask.view(), kept.view());
      at[i] = apply(mul_op, {v.constant, kept});
    }
  }
  auto put = [&](int id, const Tensor& t) { at[size_t(id)] = how.gives ? how.gives(id, t) : t; };
  for (size_t i = 0; i < inputs.size(); ++i) put(g.inputs[i], inputs[i]);
  for (size_t k = 0; k < g.nodes.size(); ++k) {
    const Node& n = g.nodes[k];
    LayerScope layer(n.name);
    std::vector<Tensor> read;
    for (int id : n.in) read.push_back(at[size_t(id)]);
    if (how.reads) how.reads(int(k), read);
    std::vector<Input> in(read.begin(), read.end());
    std::vector<Tensor> out(n.out.size());
    if (how.training && n.op->train) n.op->train({*n.op, n.attributes(), read, how.frozen, out});
    else if (n.subgraphs.empty()) apply(*n.op, in, n.attrs.get(), out);
    else if (n.subgraphs.size() == 2 && !n.in.empty()) {       // a branch: condition, then what the chosen graph takes
      const Graph& chosen = n.subgraphs[at[size_t(n.in[0])].item() != 0 ? 0 : 1];
      std::vector<Tensor> arguments;
      for (size_t i = 1; i < n.in.size(); ++i) arguments.push_back(at[size_t(n.in[i])]);
      out = replay(chosen, arguments, {.training = how.training, .frozen = how.frozen});
    } else throw Error(ErrorKind::unsupported, n.op->name, "a branch of two graphs", std::to_string(n.subgraphs.size()) + " subgraphs");
    for (size_t i = 0; i < out.size(); ++i) put(n.out[i], out[i]);
  }
  std::vector<Tensor> result;
  for (int id : g.outputs) result.push_back(at[size_t(id)]);
  return result;
}

}  // namespace miniten
