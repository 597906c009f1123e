#include <set>
#include "miniten/graph/passes.h"

namespace miniten {

// Law: what an output, a state or a write needs stays, in order.
void remove_dead(Graph& g) {
  std::set<int> wanted(g.outputs.begin(), g.outputs.end());
  std::vector<Node> kept;
  for (size_t i = g.nodes.size(); i-- > 0;) {
    Node& n = g.nodes[i];
    bool needed = n.op->traits.writes.n > 0;
    for (int id : n.out) needed |= wanted.count(id) > 0;
    if (!needed) continue;
    wanted.insert(n.in.begin(), n.in.end());
    kept.push_back(std::move(n));
  }
  std::reverse(kept.begin(), kept.end());
  g.nodes = std::move(kept);
}

}  // namespace miniten
