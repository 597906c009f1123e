#include "miniten/graph/passes.h"

namespace miniten {

// Law: a product with constant weights is computed by the op that stands for it at this precision, if there is one.
void narrow(Graph& g, Precision precision) {
  if (precision == Precision::float32) return;
  for (Node& n : g.nodes) {
    auto in = g.specs(n.in), out = g.specs(n.out);
    std::vector<Tensor> constants = g.constants(n.in);
    std::vector<Input> known(constants.begin(), constants.end());
    auto form = narrow_form({.op = *n.op, .attrs = n.attributes(), .in = in, .out = out, .known = known}, precision);
    if (!form) continue;
    std::vector<int> inputs;
    for (int i : form->inputs) inputs.push_back(n.in[size_t(i)]);
    for (Tensor& t : form->constants) inputs.push_back(g.add_value(t.spec(), "", t));
    n.op = form->op;
    if (form->attrs) n.attrs = form->attrs;
    n.in = std::move(inputs);
  }
  remove_dead(g);
  assign_layout(g);
  verify(g);
}

}  // namespace miniten
