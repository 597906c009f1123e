#include "graph/layout.h"

namespace miniten {

Layouts layouts_of(const Graph& g) {
  Layouts l;
  for (size_t i = 0; i < g.values.size(); ++i) {
    const Value& v = g.values[i];
    l.strides.push_back(v.constant ? v.constant.strides() : contiguous(v.spec.shape));
    l.owner.push_back(int(i));
    l.offset.push_back(0);
  }
  for (const Node& n : g.nodes) {
    auto in = g.specs(n.in), out = g.specs(n.out);
    Call call{*n.op, n.attributes(), in, out};
    if (n.op->view) {
      auto from = size_t(n.in[0]), to = size_t(n.out[0]);
      int64_t offset = 0;
      if (auto strides = n.op->view(call, l.strides[from], offset)) {
        l.strides[to] = *strides;
        l.owner[to] = l.owner[from];
        l.offset[to] = l.offset[from] + offset;
        continue;
      }
    }
    std::vector<Strides> operands;
    for (size_t i = 0; i < n.in.size(); ++i) operands.push_back(l.strides[size_t(n.in[i])]);
    for (size_t i = 0; i < n.out.size(); ++i) {
      auto to = size_t(n.out[i]);
      if (int(i) < n.op->traits.writes.n) {
        auto from = size_t(n.in[size_t(n.op->traits.writes.at[i])]);
        l.strides[to] = l.strides[from];
        l.owner[to] = l.owner[from];
        l.offset[to] = l.offset[from];
      } else l.strides[to] = output_strides(call, operands, int(i));
    }
  }
  return l;
}

}  // namespace miniten
