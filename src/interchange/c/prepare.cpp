#include "interchange/c/prepare.h"
#include "miniten/core/c_form.h"
#include "miniten/graph/passes.h"

namespace miniten {

namespace {

// What a quantize or dequantize node with one constant scale and zero point of 8 or 16 bits does.
std::shared_ptr<const Quantized> one_scale(const Graph& g, const Node& n) {
  if (n.in.size() != 3 || !g.is_constant(n.in[1]) || !g.is_constant(n.in[2])) return nullptr;
  const Tensor &scale = g.values[size_t(n.in[1])].constant, &zero = g.values[size_t(n.in[2])].constant;
  if (scale.numel() != 1 || bits_of(zero.dtype()) > 16) return nullptr;
  auto q = std::make_shared<Quantized>();
  q->scale = {float(scale.item())};
  q->zero = {int32_t(zero.item())};
  q->dtype = zero.dtype();
  return q;
}
bool same(const std::shared_ptr<const Quantized>& a, const std::shared_ptr<const Quantized>& b) { return a && b && *a == *b; }

// A float input that quantize nodes alone read, all alike, becomes their integers.
void strip_inputs(Graph& g, std::vector<CPort>& ports) {
  for (size_t i = 0; i < g.inputs.size(); ++i) {
    int id = g.inputs[i];
    std::shared_ptr<const Quantized> q;
    bool all = std::count(g.outputs.begin(), g.outputs.end(), id) == 0 && g.values[size_t(id)].spec.dtype == DType::f32;
    for (int reader : g.readers(id)) {
      const Node& n = g.nodes[size_t(reader)];
      auto own = n.op->traits.converts == Conversion::to_integers && n.in[0] == id ? one_scale(g, n) : nullptr;
      all = all && own && (!q || same(own, q));
      q = own;
    }
    if (!all || !q) continue;
    Value& v = g.values[size_t(id)];
    v.spec.dtype = q->dtype;
    v.quantized = ports[i].quantized = q;
    ports[i].spec = v.spec;
    std::vector<int> gone;
    std::vector<Node> kept;
    for (Node& n : g.nodes) {
      if (n.op->traits.converts == Conversion::to_integers && n.in[0] == id) gone.push_back(n.out[0]);
      else kept.push_back(std::move(n));
    }
    g.nodes = std::move(kept);
    auto rename = [&](std::vector<int>& ids) { for (int& k : ids) if (std::count(gone.begin(), gone.end(), k)) k = id; };
    for (Node& n : g.nodes) rename(n.in);
    rename(g.outputs);
  }
}
// An output that a dequantize node computes becomes its integers.
void strip_outputs(Graph& g, std::vector<CPort>& ports) {
  for (size_t i = 0; i < g.outputs.size(); ++i) {
    int by = g.producer(g.outputs[i]);
    if (by < 0 || g.nodes[size_t(by)].op->traits.converts != Conversion::to_floats) continue;
    auto q = one_scale(g, g.nodes[size_t(by)]);
    int integers = g.nodes[size_t(by)].in[0];
    if (!q || std::count(g.outputs.begin(), g.outputs.end(), integers)) continue;
    g.outputs[i] = integers;
    ports[i].quantized = q;
    ports[i].spec = g.values[size_t(integers)].spec;
  }
}

// What calls begin with becomes states that stand from one call of the C function to the next.
void keep_states(Graph& g) {
  std::vector<Node> nodes;
  size_t before = g.states.size();
  for (const Node& n : g.nodes) {
    auto* rules = static_cast<const CRules*>(n.op->c.rules);
    nodes.push_back(n);
    if (!rules || !rules->stream) continue;
    std::vector<Spec> in = g.specs(n.in), out = g.specs(n.out);
    std::vector<Tensor> constants = g.constants(n.in);
    std::vector<Input> known(constants.begin(), constants.end());
    CStream s = rules->stream({{*n.op, n.attributes(), in, out, known}, {}, {}, n.name});
    if (s.carried.empty()) continue;
    std::vector<int> entries;
    for (const CStream::Carried& c : s.carried) entries.push_back(g.add_value(c.first.spec(), n.name, c.first));
    nodes.back().attrs = s.attrs;
    nodes.back().in.clear();
    for (int i : s.in) nodes.back().in.push_back(i < 0 ? entries[size_t(~i)] : n.in[size_t(i)]);
    for (size_t k = 0; k < entries.size(); ++k) {
      int exit = g.add_value(s.carried[k].first.spec());
      nodes.push_back({find_op("assign"), nullptr, {entries[k], n.out[size_t(s.carried[k].out)]}, {exit}, n.name, {}});
      g.states.push_back({entries[k], exit});
    }
  }
  if (g.states.size() == before) throw Error(ErrorKind::value, "export_c", "a recurrent layer for a stream", "none that begins with constants", "export it without streaming");
  g.nodes = std::move(nodes);
}

std::vector<CPort> ports_of(const Graph& g, const std::vector<int>& ids) {
  std::vector<CPort> ports;
  for (int id : ids) ports.push_back({g.values[size_t(id)].name, g.values[size_t(id)].spec, g.values[size_t(id)].quantized});
  return ports;
}

}  // namespace

PreparedForC prepare_for_c(const Graph& given, bool streaming) {
  PreparedForC p{given, {}, {}};
  Graph& g = p.graph;
  for (int id : g.inputs)
    if (!g.values[size_t(id)].spec.shape.is_static())
      throw Error(ErrorKind::value, "export_c", "known sizes", "input \"" + g.values[size_t(id)].name + "\" of " + g.values[size_t(id)].spec.text(), "pass input_shape with every size");
  verify(g);
  for (const Pass& pass : passes()) {
    if (pass.use == Pass::session) continue;
    if (pass.name == "assign_layout") {
      p.inputs = ports_of(g, g.inputs);
      p.outputs = ports_of(g, g.outputs);
      strip_inputs(g, p.inputs);
      strip_outputs(g, p.outputs);
      make_tables(g);
      remove_dead(g);
      if (streaming) keep_states(g);
    }
    pass.run(g);
  }
  verify(g);
  if (!g.is_static())
    throw Error(ErrorKind::value, "export_c", "sizes that the inputs' shapes tell", "a size known only at run time", "replace what depends on values, as nonzero, before exporting");
  return p;
}

}  // namespace miniten
