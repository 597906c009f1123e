#include <set>
#include "miniten/graph/graph.h"

namespace miniten {

namespace {
[[noreturn]] void refuse(const Node* n, std::string want, std::string got) {
  std::string where = "verify";
  if (n) where += ": " + std::string(n->op->name) + (n->name.empty() ? "" : " \"" + n->name + "\"");
  throw Error(ErrorKind::value, where, std::move(want), std::move(got));
}
std::string id_text(const Graph& g, int id) {
  std::string s = "%" + std::to_string(id);
  if (id >= 0 && size_t(id) < g.values.size() && !g.values[size_t(id)].name.empty()) s += " \"" + g.values[size_t(id)].name + "\"";
  return s;
}
}  // namespace

void verify(const Graph& g) {
  auto valid = [&](int id) { return id >= 0 && size_t(id) < g.values.size(); };
  auto require_valid = [&](const std::vector<int>& ids, const Node* n) {
    for (int id : ids) if (!valid(id)) refuse(n, "a value id below " + std::to_string(g.values.size()), std::to_string(id));
  };
  require_valid(g.inputs, nullptr);
  require_valid(g.outputs, nullptr);
  std::vector<bool> known(g.values.size());
  std::vector<const Node*> overwritten_by(g.values.size());
  std::vector<int> memory(g.values.size());            // whose memory a value may be a view of
  for (size_t i = 0; i < g.values.size(); ++i) {
    const Value& v = g.values[i];
    known[i] = bool(v.constant);
    memory[i] = int(i);
    if (v.constant && v.constant.spec() != v.spec) refuse(nullptr, "constant " + id_text(g, int(i)) + " of " + v.spec.text(), v.constant.spec().text());
    if (v.mask && (v.mask.dtype() != DType::boolean || v.mask.shape() != v.spec.shape))
      refuse(nullptr, "a mask bool" + v.spec.shape.text() + " for " + id_text(g, int(i)), v.mask.spec().text());
    if (v.quantized && v.quantized->scale.size() != v.quantized->zero.size())
      refuse(nullptr, "a zero point for each scale of " + id_text(g, int(i)), std::to_string(v.quantized->zero.size()));
  }
  for (const State& s : g.states) {
    require_valid({s.entry, s.exit}, nullptr);
    if (!g.values[size_t(s.entry)].constant) refuse(nullptr, "a state with a home", id_text(g, s.entry) + " without");
    for (size_t i = 0; i < g.values.size(); ++i)
      if (int(i) != s.entry && g.values[i].constant && g.values[i].constant->storage.get() == g.values[size_t(s.entry)].constant->storage.get())
        refuse(nullptr, "a state with memory of its own", id_text(g, int(i)) + ", another look at " + id_text(g, s.entry));
  }
  for (int id : g.inputs) {
    if (known[size_t(id)]) refuse(nullptr, "an input once, and no constant", id_text(g, id));
    known[size_t(id)] = true;
  }
  for (const Node& n : g.nodes) {
    if (!n.op) refuse(nullptr, "an op in every node", "none");
    require_valid(n.in, &n);
    require_valid(n.out, &n);
    for (int id : n.in) {
      if (!known[size_t(id)]) refuse(&n, "inputs computed before", id_text(g, id));
      if (const Node* writer = overwritten_by[size_t(memory[size_t(id)])])
        refuse(&n, "a value that still stands", id_text(g, id) + ", overwritten by " + std::string(writer->op->name));
    }
    if (n.subgraphs.empty()) {
      auto in = g.specs(n.in);
      auto constants = g.constants(n.in);
      std::vector<Input> values(constants.begin(), constants.end());
      Specs specs;
      infer_outputs(*n.op, n.attributes(), in, specs, values);
      if (specs.n != int(n.out.size())) refuse(&n, std::to_string(specs.n) + " outputs", std::to_string(n.out.size()));
      for (int i = 0; i < specs.n; ++i)
        if (specs.at[i] != g.values[size_t(n.out[size_t(i)])].spec)
          refuse(&n, id_text(g, n.out[size_t(i)]) + " of " + specs.at[i].text(), g.values[size_t(n.out[size_t(i)])].spec.text());
    }
    for (const Graph& sub : n.subgraphs) {
      verify(sub);
      if (sub.outputs.size() != n.out.size()) refuse(&n, "subgraphs of " + std::to_string(n.out.size()) + " outputs", std::to_string(sub.outputs.size()));
      if (sub.inputs.size() + 1 != n.in.size()) refuse(&n, "subgraphs of " + std::to_string(n.in.size() - 1) + " inputs", std::to_string(sub.inputs.size()));
    }
    for (int id : n.out) {
      if (known[size_t(id)]) refuse(&n, "one writer per value", "two for " + id_text(g, id));
      known[size_t(id)] = true;
    }
    if (n.op->view && !n.in.empty()) memory[size_t(n.out[0])] = memory[size_t(n.in[0])];
    for (int i = 0; i < n.op->traits.writes.n; ++i) {
      int before = n.in[size_t(n.op->traits.writes.at[i])];
      overwritten_by[size_t(memory[size_t(before)])] = &n;
    }
  }
  for (int id : g.outputs) {
    if (!known[size_t(id)]) refuse(nullptr, "outputs that are computed", id_text(g, id));
    if (overwritten_by[size_t(memory[size_t(id)])]) refuse(nullptr, "an output that stands at the end", id_text(g, id) + ", overwritten");
  }
  for (const State& s : g.states) if (!known[size_t(s.exit)]) refuse(nullptr, "a state that is written", id_text(g, s.exit));
}

}  // namespace miniten
