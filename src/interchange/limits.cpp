#include "interchange/limits.h"

namespace miniten {

void check_declared(const Graph& g, std::string_view op, uint64_t limit) {
  auto check = [&](int id, std::string_view kind, const std::string& layer) {
    const Value& v = g.values[size_t(id)];
    if (v.spec.shape.is_static() && v.spec.bytes() > limit)
      MemoryLimit::refuse(op, limit, v.spec.text() + " as " + std::string(kind) + (layer.empty() ? "" : " \"" + layer + "\""));
  };
  for (int id : g.inputs) check(id, "input", g.values[size_t(id)].name);
  for (const Node& n : g.nodes) {
    for (int id : n.out) check(id, "output of " + std::string(n.op->name), n.name);
    for (const Graph& sub : n.subgraphs) check_declared(sub, op, limit);
  }
}

}  // namespace miniten
