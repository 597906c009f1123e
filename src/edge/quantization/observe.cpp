#include "edge/quantization/observe.h"

namespace miniten::edge {

Observed observe(const char* who, const Graph& g, const Batches& batches, const std::function<void(int, const Tensor&, int64_t)>& see) {
  std::vector<int> last_reader(g.values.size(), -1);
  for (size_t k = 0; k < g.nodes.size(); ++k) for (int id : g.nodes[k].in) last_reader[size_t(id)] = int(k);
  Observed seen;
  Graph bound;
  std::vector<Spec> bound_to;
  for (std::vector<Tensor> inputs = batches(); !inputs.empty(); inputs = batches(), ++seen.batches) {
    std::vector<Spec> specs;
    for (const Tensor& t : inputs) specs.push_back(t.spec());
    if (seen.batches == 0 || specs != bound_to) {
      try {
        bound = bind_inputs(g, specs);
      } catch (const Error& e) {
        throw Error(e.kind(), who, e.want(), e.got(), "calibration batch " + std::to_string(seen.batches) + " does not fit the model");
      }
      bound_to = specs;
    }
    if (inputs[0].numel() == 0) continue;
    seen.samples += inputs[0].rank() ? inputs[0].dim(0) : 1;
    std::vector<Tensor> at(bound.values.size());
    for (size_t i = 0; i < at.size(); ++i) at[i] = bound.values[i].constant;
    for (size_t i = 0; i < inputs.size(); ++i) {
      at[size_t(bound.inputs[i])] = inputs[i];
      see(bound.inputs[i], inputs[i], seen.batches);
    }
    for (size_t k = 0; k < bound.nodes.size(); ++k) {
      const Node& n = bound.nodes[k];
      std::vector<Input> in;
      for (int id : n.in) in.push_back(at[size_t(id)]);
      std::vector<Tensor> out(n.out.size());
      apply(*n.op, in, n.attrs.get(), out);
      for (size_t i = 0; i < out.size(); ++i) {
        see(n.out[i], out[i], seen.batches);
        at[size_t(n.out[i])] = out[i];
      }
      for (int id : n.in) if (last_reader[size_t(id)] == int(k)) at[size_t(id)] = {};
    }
  }
  return seen;
}

}  // namespace miniten::edge
