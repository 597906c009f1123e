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

// Of a float input that quantize nodes alone read, all alike: their scale.
std::shared_ptr<const Quantized> scale_of_input(const Graph& g, int id) {
  if (std::count(g.outputs.begin(), g.outputs.end(), id) || g.values[size_t(id)].spec.dtype != DType::f32) return nullptr;
  std::shared_ptr<const Quantized> q;
  for (int reader : g.readers(id)) {
    const Node& n = g.nodes[size_t(reader)];
    auto own = n.op->traits.converts == Conversion::to_integers && n.in[0] == id ? one_scale(g, n) : nullptr;
    if (!own || (q && !same(own, q))) return nullptr;
    q = own;
  }
  return q;
}
// Of an output that a dequantize node computes.
std::shared_ptr<const Quantized> scale_of_output(const Graph& g, int id) {
  int by = g.producer(id);
  if (by < 0 || g.nodes[size_t(by)].op->traits.converts != Conversion::to_floats) return nullptr;
  return std::count(g.outputs.begin(), g.outputs.end(), g.nodes[size_t(by)].in[0]) ? nullptr : one_scale(g, g.nodes[size_t(by)]);
}
void strip_inputs(Graph& g, std::vector<CPort>& ports, const std::vector<bool>& kept) {
  for (size_t i = 0; i < g.inputs.size(); ++i) {
    int id = g.inputs[i];
    auto q = kept[i] ? nullptr : scale_of_input(g, id);
    if (!q) continue;
    Value& v = g.values[size_t(id)];
    v.spec.dtype = q->dtype;
    v.quantized = ports[i].quantized = q;
    ports[i].spec = v.spec;
    std::vector<int> gone;
    std::vector<Node> nodes;
    for (Node& n : g.nodes) {
      if (n.op->traits.converts == Conversion::to_integers && n.in[0] == id) gone.push_back(n.out[0]);
      else nodes.push_back(std::move(n));
    }
    g.nodes = std::move(nodes);
    auto rename = [&](std::vector<int>& ids) { for (int& k : ids) if (std::count(gone.begin(), gone.end(), k)) k = id; };
    for (Node& n : g.nodes) rename(n.in);
    rename(g.outputs);
  }
}
void strip_outputs(Graph& g, std::vector<CPort>& ports, const std::vector<bool>& kept) {
  for (size_t i = 0; i < g.outputs.size(); ++i) {
    auto q = kept[i] ? nullptr : scale_of_output(g, g.outputs[i]);
    if (!q) continue;
    int integers = g.nodes[size_t(g.producer(g.outputs[i]))].in[0];
    g.outputs[i] = integers;
    ports[i].quantized = q;
    ports[i].spec = g.values[size_t(integers)].spec;
  }
}

// What calls begin with becomes inputs, and what they end with outputs.
std::vector<CarriedValue> open_states(Graph& g) {
  std::vector<CarriedValue> carried;
  for (size_t at = 0; at < g.nodes.size(); ++at) {
    const Node n = g.nodes[at];
    auto* rules = static_cast<const CRules*>(n.op->c.rules);
    if (!rules || !rules->stream) continue;
    std::vector<Spec> in = g.specs(n.in), out = g.specs(n.out);
    std::vector<Tensor> constants = g.constants(n.in);
    std::vector<Input> known(constants.begin(), constants.end());
    CStream s = rules->stream({{*n.op, n.attributes(), in, out, known}, {}, {}, n.name});
    if (s.carried.empty()) continue;
    std::vector<int> entries;
    for (const CStream::Carried& c : s.carried) {
      entries.push_back(g.add_value(c.first.spec(), n.name));
      carried.push_back({int(g.inputs.size()), int(g.outputs.size()), c.first});
      g.inputs.push_back(entries.back());
      g.outputs.push_back(n.out[size_t(c.out)]);
    }
    Node& changed = g.nodes[at];
    changed.attrs = s.attrs;
    changed.in.clear();
    for (int i : s.in) changed.in.push_back(i < 0 ? entries[size_t(~i)] : n.in[size_t(i)]);
  }
  if (carried.empty()) throw Error(ErrorKind::value, "export_c", "a recurrent layer for a stream", "none that begins with constants", "export it without streaming");
  return carried;
}
// Integers of both scales alike, or floats.
std::vector<bool> floats_carried(const Graph& g, std::vector<CarriedValue>& carried) {
  std::vector<bool> kept(carried.size());
  for (size_t k = 0; k < carried.size(); ++k) {
    int id = g.inputs[size_t(carried[k].input)];
    auto q = scale_of_input(g, id);
    kept[k] = !same(q, scale_of_output(g, g.outputs[size_t(carried[k].output)]));
    if (kept[k]) continue;
    const Node& quantize = g.nodes[size_t(g.readers(id)[0])];
    Input in[] = {carried[k].first, g.values[size_t(quantize.in[1])].constant, g.values[size_t(quantize.in[2])].constant};
    Tensor integers;
    apply(*quantize.op, in, quantize.attributes(), {&integers, 1});
    carried[k].first = integers;
  }
  return kept;
}
// Such inputs and outputs become states that stand from one call of the C function to the next.
void close_states(Graph& g, std::vector<CPort>& inputs, std::vector<CPort>& outputs, const std::vector<CarriedValue>& carried) {
  std::vector<bool> in(g.inputs.size()), out(g.outputs.size());
  for (const CarriedValue& c : carried) {
    int entry = g.inputs[size_t(c.input)], last = g.outputs[size_t(c.output)], exit = g.add_value(c.first.spec());
    g.values[size_t(entry)].constant = c.first;
    g.nodes.push_back({find_op("assign"), nullptr, {entry, last}, {exit}, g.values[size_t(entry)].name, {}});
    g.states.push_back({entry, exit});
    in[size_t(c.input)] = out[size_t(c.output)] = true;
  }
  auto keep = [](auto& all, const std::vector<bool>& gone) {
    size_t k = 0;
    std::erase_if(all, [&](const auto&) { return bool(gone[k++]); });
  };
  keep(g.inputs, in);
  keep(inputs, in);
  keep(g.outputs, out);
  keep(outputs, out);
}

std::vector<CPort> ports_of(const Graph& g, const std::vector<int>& ids) {
  std::vector<CPort> ports;
  for (int id : ids) ports.push_back({g.values[size_t(id)].name, g.values[size_t(id)].spec, g.values[size_t(id)].quantized});
  return ports;
}

}  // namespace

CarryingGraph carrying_graph(const Graph& given) {
  CarryingGraph c{given, {}};
  for (const Pass& pass : passes()) if (pass.name == "fold_constants") pass.run(c.graph);
  c.carried = open_states(c.graph);
  verify(c.graph);
  return c;
}

PreparedForC prepare_for_c(const Graph& given, bool streaming, std::vector<CarriedValue> carried) {
  PreparedForC p{given, {}, {}};
  Graph& g = p.graph;
  for (int id : g.inputs)
    if (!g.values[size_t(id)].spec.shape.is_static())
      throw Error(ErrorKind::value, "export_c", "known sizes", "input \"" + g.values[size_t(id)].name + "\" of " + g.values[size_t(id)].spec.text(), "pass input_shape with every size");
  verify(g);
  for (const Pass& pass : passes()) {
    if (pass.use == Pass::session) continue;
    if (pass.name == "assign_layout") {
      if (streaming && carried.empty()) carried = open_states(g);
      p.inputs = ports_of(g, g.inputs);
      p.outputs = ports_of(g, g.outputs);
      std::vector<bool> floats = floats_carried(g, carried), in(g.inputs.size()), out(g.outputs.size());
      for (size_t k = 0; k < carried.size(); ++k) in[size_t(carried[k].input)] = out[size_t(carried[k].output)] = floats[k];
      strip_inputs(g, p.inputs, in);
      strip_outputs(g, p.outputs, out);
      make_tables(g);
      remove_dead(g);
      if (!carried.empty()) close_states(g, p.inputs, p.outputs, carried);
    }
    pass.run(g);
  }
  verify(g);
  if (!g.is_static())
    throw Error(ErrorKind::value, "export_c", "sizes that the inputs' shapes tell", "a size known only at run time", "replace what depends on values, as nonzero, before exporting");
  return p;
}

}  // namespace miniten
