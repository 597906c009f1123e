#include "miniten/graph/graph.h"
#include <set>

namespace miniten {

bool Graph::is_state(int value) const {
  for (const State& s : states) if (s.entry == value) return true;
  return false;
}
std::vector<int> Graph::readers(int value) const {
  std::vector<int> r;
  for (size_t n = 0; n < nodes.size(); ++n)
    if (std::count(nodes[n].in.begin(), nodes[n].in.end(), value)) r.push_back(int(n));
  return r;
}
int Graph::producer(int value) const {
  for (size_t n = 0; n < nodes.size(); ++n)
    if (std::count(nodes[n].out.begin(), nodes[n].out.end(), value)) return int(n);
  return -1;
}
std::vector<Spec> Graph::specs(const std::vector<int>& ids) const {
  std::vector<Spec> s;
  for (int id : ids) s.push_back(values[size_t(id)].spec);
  return s;
}
std::vector<Tensor> Graph::constants(const std::vector<int>& ids) const {
  std::vector<Tensor> t;
  for (int id : ids) t.push_back(is_constant(id) ? values[size_t(id)].constant : Tensor::spec_only(values[size_t(id)].spec));
  return t;
}
int Graph::add_value(Spec spec, std::string value_name, Tensor constant) {
  Value v;
  v.spec = spec;
  v.name = std::move(value_name);
  v.constant = std::move(constant);
  values.push_back(std::move(v));
  return int(values.size()) - 1;
}
bool Graph::is_static() const {
  std::set<int> used(inputs.begin(), inputs.end());
  for (const Node& n : nodes) {
    if (!n.subgraphs.empty()) return false;
    used.insert(n.in.begin(), n.in.end());
    used.insert(n.out.begin(), n.out.end());
  }
  for (int id : used) if (!values[size_t(id)].spec.shape.is_static()) return false;
  return true;
}

static std::string ids_text(const std::vector<int>& ids) {
  std::string s;
  for (int id : ids) s += (s.empty() ? "%" : ", %") + std::to_string(id);
  return s;
}
static std::string quoted(const std::string& name) { return name.empty() ? "" : " \"" + name + "\""; }

static void append_text(const Graph& g, const std::string& indent, std::string& s) {
  for (int id : g.inputs) s += indent + "input %" + std::to_string(id) + " " + g.values[size_t(id)].spec.text() + quoted(g.values[size_t(id)].name) + "\n";
  for (size_t i = 0; i < g.values.size(); ++i) {
    const Value& v = g.values[i];
    bool is_output = std::count(g.outputs.begin(), g.outputs.end(), int(i)) > 0;
    if (!v.constant || (g.readers(int(i)).empty() && !is_output)) continue;
    s += indent + (g.is_state(int(i)) ? "state %" : v.trainable ? "parameter %" : "constant %") + std::to_string(i) + " " + v.spec.text() + quoted(v.name);
    if (v.quantized) s += " quantized(" + std::to_string(v.quantized->scale.size()) + ")";
    if (v.mask) s += " masked";
    if (v.codebook) s += " clustered(" + std::to_string(v.codebook.numel()) + ")";
    s += "\n";
  }
  for (const Node& n : g.nodes) {
    s += indent + ids_text(n.out) + " = " + std::string(n.op->name) + "(" + ids_text(n.in) + ")" + attrs_to_text(n.op->attrs, n.attributes());
    for (int id : n.out) s += " " + g.values[size_t(id)].spec.text();
    s += quoted(n.name) + "\n";
    for (const Graph& sub : n.subgraphs) {
      s += indent + "  {\n";
      append_text(sub, indent + "    ", s);
      s += indent + "  }\n";
    }
  }
  for (const State& st : g.states) s += indent + "next %" + std::to_string(st.entry) + " = %" + std::to_string(st.exit) + "\n";
  s += indent + "return " + ids_text(g.outputs) + "\n";
}
std::string Graph::to_text() const {
  std::string s;
  append_text(*this, "", s);
  return s;
}

int source_constant(const Graph& g, int value) {
  for (;;) {
    if (g.values[size_t(value)].constant) return value;
    int n = g.producer(value);
    if (n < 0 || !g.nodes[size_t(n)].op->traits.movement || g.nodes[size_t(n)].in.size() != 1) return -1;
    value = g.nodes[size_t(n)].in[0];
  }
}

Cost cost_of(const Graph& g, const Node& n) {
  if (!n.op->cost) return {};
  auto in = g.specs(n.in), out = g.specs(n.out);
  for (const std::vector<Spec>* specs : {&in, &out})
    for (const Spec& s : *specs)
      if (!s.shape.is_static())
        throw Error(ErrorKind::value, n.op->name, "known sizes to count", s.text(), "bind the symbolic sizes first");
  return n.op->cost({*n.op, n.attributes(), in, out});
}
Cost cost_of(const Graph& g) {
  Cost total;
  for (const Node& n : g.nodes) {
    Cost c = cost_of(g, n);
    total.macs += c.macs;
    total.flops += c.flops;
  }
  return total;
}

}  // namespace miniten
