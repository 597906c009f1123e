#include <map>
#include "miniten/graph/passes.h"

namespace miniten {

// Law: every state gets what it got, after all that is computed.
void defer_writes(Graph& g) {
  std::map<int, int> stands_for;                 // what was read of a state after it was overwritten
  auto now = [&](int id) { auto at = stands_for.find(id); return at == stands_for.end() ? id : at->second; };
  std::map<int, Node> assigns;                   // by what they write
  std::vector<Node> nodes;
  std::vector<int> order;
  const OpDef* assign = find_op("assign");
  for (Node& n : g.nodes) {
    if (n.op == assign) {
      stands_for[n.out[0]] = now(n.in[1]);
      order.push_back(n.out[0]);
      assigns.emplace(n.out[0], std::move(n));
      continue;
    }
    for (int& id : n.in) id = now(id);
    nodes.push_back(std::move(n));
  }
  for (int& id : g.outputs) id = now(id);
  for (int id : order)
    for (const State& s : g.states)
      if (s.exit == id) {
        Node n = std::move(assigns.at(id));
        n.in = {s.entry, now(id)};
        nodes.push_back(std::move(n));
      }
  g.nodes = std::move(nodes);
}

}  // namespace miniten
