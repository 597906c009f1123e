#include "graph/layout.h"
#include "miniten/graph/passes.h"

namespace miniten {

// Law: values keep their meaning; an op that wants another memory order reads a copy, made once per value and order.
// Constants are copied now. Needs known sizes: a graph with symbolic ones is left alone.
void assign_layout(Graph& g) {
  if (!g.is_static()) return;
  Layouts l = layouts_of(g);
  struct Copied { int value; Layout layout; int copy; };
  std::vector<Copied> copies;
  std::vector<Node> nodes;
  auto matches = [&](int id, Layout wanted) {
    const Shape& shape = g.values[size_t(id)].spec.shape;
    return same_layout(shape, l.strides[size_t(id)], wanted == Layout::dense ? contiguous(shape) : channels_last(shape));
  };
  for (Node& n : g.nodes) {
    for (size_t i = 0; i < n.in.size(); ++i) {
      Layout wanted = wanted_layout(*n.op, int(i));
      int id = n.in[i];
      if (wanted == Layout::any || matches(id, wanted)) continue;
      auto known = std::find_if(copies.begin(), copies.end(), [&](const Copied& c) { return c.value == id && c.layout == wanted; });
      if (known == copies.end()) {
        Spec spec = g.values[size_t(id)].spec;
        const OpDef& op = wanted == Layout::dense ? copy_op : to_channels_last_op;
        int copy = g.add_value(spec);
        Value& v = g.values[size_t(copy)];
        v.name = g.values[size_t(id)].name;
        v.quantized = g.values[size_t(id)].quantized;
        l.strides.push_back(wanted == Layout::dense ? contiguous(spec.shape) : channels_last(spec.shape));
        if (g.is_constant(id)) {
          Tensor laid = Tensor::empty(spec, l.strides.back());
          copy_values(g.values[size_t(id)].constant.view(), laid.view());
          v.constant = laid;
        } else nodes.push_back({&op, nullptr, {id}, {copy}, n.name, {}});
        copies.push_back({id, wanted, copy});
        known = copies.end() - 1;
      }
      n.in[i] = known->copy;
    }
    // A state may be overwritten here: copies of its old contents must not serve later readers.
    for (int w = 0; w < n.op->traits.writes.n; ++w)
      std::erase_if(copies, [&](const Copied& c) { return c.value == n.in[size_t(n.op->traits.writes.at[w])]; });
    nodes.push_back(std::move(n));
    Node& placed = nodes.back();                       // what it writes may lie differently now
    auto in = g.specs(placed.in), out = g.specs(placed.out);
    Call call{*placed.op, placed.attributes(), in, out};
    int64_t offset = 0;
    std::optional<Strides> view = placed.op->view ? placed.op->view(call, l.strides[size_t(placed.in[0])], offset) : std::nullopt;
    std::vector<Strides> operands;
    for (int id : placed.in) operands.push_back(l.strides[size_t(id)]);
    for (size_t i = 0; i < placed.out.size(); ++i)
      l.strides[size_t(placed.out[i])] = view && i == 0 ? *view
          : int(i) < placed.op->traits.writes.n ? operands[size_t(placed.op->traits.writes.at[i])] : output_strides(call, operands, int(i));
  }
  g.nodes = std::move(nodes);
}

}  // namespace miniten
