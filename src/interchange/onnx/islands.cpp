#include "interchange/onnx/run.h"
#include "miniten/graph/session.h"

namespace miniten {

namespace onnx_run {

namespace M = onnx_model;

constexpr size_t most_kept = 8;

// Nodes [first, first + count) as one graph, for inputs of these specs and everything else as it stood.
struct Island {
  size_t count = 0;
  std::vector<std::pair<std::string, Spec>> inputs;
  std::vector<std::pair<std::string, Tensor>> fixed;            // read, and the same from run to run: known by identity
  std::vector<std::string> outputs;
  std::vector<std::pair<std::string, Tensor>> known;            // outputs that follow from sizes alone
  Graph graph;
  std::unique_ptr<Session> session;
  uint64_t version = 0;
};
struct Start {
  std::vector<std::unique_ptr<Island>> islands;
  size_t built = 0, count = 1, failed = 0;                      // count: nodes of the last one
};

class Islands {
 public:
  std::map<const M::Node*, Start> starts;
  int compiled = 0;
};

namespace {

void names_read(const M::Node& n, std::set<std::string, std::less<>>& names) {
  for (const std::string& name : n.in) if (!name.empty()) names.insert(name);
  for (auto& [key, a] : n.attributes)
    if (a.g) {
      for (const M::Node& inner : a.g->nodes) names_read(inner, names);
      names.insert(a.g->outputs.begin(), a.g->outputs.end());
    }
}
uint64_t version_of(const Graph& g) {
  uint64_t sum = 0;
  for (const Value& v : g.values) if (v.constant) sum += v.constant->storage->version;
  return sum;
}

// As many nodes from `first` on as can be traced, applied to traced inputs; none where the first one cannot.
std::unique_ptr<Island> build(const std::vector<M::Node>& nodes, size_t first, const std::vector<std::string>& outputs, const Scope& s) {
  auto island = std::make_unique<Island>();
  auto inputs_of = [&](size_t end) {
    std::set<std::string, std::less<>> names;
    for (size_t i = first; i < end; ++i) names_read(nodes[i], names);
    island->inputs.clear();
    island->fixed.clear();
    for (const std::string& name : names)
      if (const Tensor* t = s.find(name); t && *t) {
        if (s.is_computed(name)) island->inputs.emplace_back(name, t->spec());
        else island->fixed.emplace_back(name, *t);
      }
  };
  size_t end = nodes.size();
  for (int pass = 0; pass < 2; ++pass) {                       // how far it goes, then with what these nodes read
    inputs_of(end);
    std::vector<Spec> specs;
    TraceNames names;
    for (auto& [name, spec] : island->inputs) {
      specs.push_back(spec);
      names.inputs.push_back(name);
    }
    if (specs.empty()) return nullptr;
    size_t reached = first;
    island->graph = trace(specs, [&](const std::vector<Tensor>& in) {
      Scope inner{s.model, s.opsets, s.nodes_left, false, nullptr, &s, s.depth};
      for (size_t i = 0; i < in.size(); ++i) inner.values[island->inputs[i].first] = in[i];
      for (; reached < end; ++reached) try {
        run_node(nodes[reached], inner);
        bool sized = true;
        for (const std::string& name : nodes[reached].out) if (!name.empty()) sized &= inner.values[name].shape().is_static();
        if (!sized) break;
      } catch (const Error&) {
        break;
      }
      std::set<std::string, std::less<>> later(outputs.begin(), outputs.end());
      for (size_t i = reached; i < nodes.size(); ++i) names_read(nodes[i], later);
      island->outputs.clear();
      island->known.clear();
      std::vector<Tensor> results;
      for (size_t i = first; i < reached; ++i)
        for (const std::string& name : nodes[i].out) {
          if (name.empty() || !later.contains(name)) continue;
          const Tensor& t = inner.values[name];
          if (t.has_data()) island->known.emplace_back(name, t);
          else {
            island->outputs.push_back(name);
            results.push_back(t);
          }
        }
      return results;
    }, names);
    if (reached == first) return nullptr;
    bool same = reached == end;
    end = reached;
    if (same) break;
  }
  island->count = end - first;
  if (!island->outputs.empty()) island->session = std::make_unique<Session>(island->graph);
  island->version = version_of(island->graph);
  return island;
}
std::unique_ptr<Island> try_build(const std::vector<M::Node>& nodes, size_t first, const std::vector<std::string>& outputs, const Scope& s) {
  try {
    return build(nodes, first, outputs, s);
  } catch (const Error&) {                                      // of the inputs, if it is one: running the node says so
    return nullptr;
  }
}

bool fits(const Island& island, const Scope& s) {
  for (auto& [name, spec] : island.inputs)
    if (const Tensor* t = s.find(name); !t || !s.is_computed(name) || t->spec() != spec) return false;
  for (auto& [name, fixed] : island.fixed)
    if (const Tensor* t = s.find(name); !t || s.is_computed(name) || !t->same(fixed)) return false;
  return true;
}

}  // namespace

void run_islands(const std::vector<M::Node>& nodes, const std::vector<std::string>& outputs, Scope& s, Islands& all) {
  for (size_t i = 0; i < nodes.size();) {
    Start& start = all.starts[&nodes[i]];
    auto at = std::find_if(start.islands.begin(), start.islands.end(), [&](auto& island) { return fits(*island, s); });
    if (at == start.islands.end() && (start.built >= 2 * most_kept || start.failed > 1)) {      // sizes that never come back
      for (size_t end = i + start.count; i < end; ++i) run_node(nodes[i], s);
      continue;
    }
    if (at == start.islands.end()) {
      auto island = try_build(nodes, i, outputs, s);
      if (!island) {
        ++start.failed;
        run_node(nodes[i++], s);
        continue;
      }
      ++start.built;
      ++all.compiled;
      start.count = island->count;
      if (start.islands.size() >= most_kept) start.islands.erase(start.islands.begin());
      start.islands.push_back(std::move(island));
      at = start.islands.end() - 1;
    }
    Island& island = **at;
    if (!island.outputs.empty()) {
      uint64_t version = version_of(island.graph);
      if (island.version != version) island.session = std::make_unique<Session>(island.graph);
      island.version = version;
      std::vector<Tensor> in;
      for (auto& [name, spec] : island.inputs) in.push_back(*s.find(name));
      std::vector<Tensor> out = island.session->run(in);
      for (size_t k = 0; k < out.size(); ++k) {
        s.values.emplace(island.outputs[k], out[k]);
        s.computed.insert(island.outputs[k]);
      }
    }
    for (auto& [name, t] : island.known) s.values.emplace(name, t);
    i += island.count;
  }
}

}  // namespace onnx_run

OnnxIslands::OnnxIslands() : all(std::make_unique<onnx_run::Islands>()) {}
OnnxIslands::~OnnxIslands() = default;
int OnnxIslands::compiled() const { return all->compiled; }

}  // namespace miniten
