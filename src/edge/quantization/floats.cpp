#include "edge/quantization/steps.h"
#include "miniten/graph/passes.h"
#include "miniten/ops/ops.h"
#include "ops/quantized/lowering.h"

namespace miniten::edge {

bool holds_integers(const Graph& g) {
  for (const Value& v : g.values) if (v.constant && (v.quantized || v.spec.dtype == DType::i4)) return true;
  return std::any_of(g.nodes.begin(), g.nodes.end(), [](const Node& n) { return n.op->traits.converts != Conversion::none || has_float_form(*n.op); });
}

namespace {

struct Raiser {
  const Graph& from;
  Graph g;
  std::map<int, int> floats;                       // an integer value, or a float one that is gone -> the floats it stands for

  explicit Raiser(const Graph& given) : from(given), g(given) { g.nodes.clear(); }
  const Value& value(int id) const { return g.values[size_t(id)]; }
  int at(int id) const { auto known = floats.find(id); return known == floats.end() ? id : known->second; }

  int weight(const Tensor& t, const std::string& name, bool trains) {
    int id = g.add_value(t.spec(), name, t);
    g.values[size_t(id)].trainable = trains;
    return id;
  }
  // Integers that are known as the floats that they stand for; -1: what they stand for is not told.
  int floats_of_constant(int id) {
    const Value v = value(id);
    if (!v.constant || !v.quantized || is_float(v.spec.dtype)) return -1;
    return floats[id] = weight(dequantize(v.constant, scale_tensor(*v.quantized), zero_tensor(*v.quantized), v.quantized->axis), v.name, true);
  }
  void give(int id, int result) {
    floats[id] = result;
    if (std::count(from.outputs.begin(), from.outputs.end(), id) && value(result).name.empty() && !value(result).constant) g.values[size_t(result)].name = value(id).name;
  }

  void add(const Node& n) {
    if (n.op->traits.converts == Conversion::to_integers && !from.is_constant(n.in[0])) {
      give(n.out[0], cut(n, at(n.in[0])));
      return;
    }
    if (n.op->traits.converts == Conversion::to_floats) {
      if (floats.count(n.in[0])) return give(n.out[0], floats[n.in[0]]);
      if (std::all_of(n.in.begin(), n.in.end(), [&](int id) { return from.is_constant(id); })) {
        Tensor t;
        std::vector<Tensor> known = from.constants(n.in);
        std::vector<Input> in(known.begin(), known.end());
        apply(*n.op, in, n.attributes(), {&t, 1});
        return give(n.out[0], weight(t, value(n.in[0]).name, true));
      }
    }
    auto specs = from.specs(n.in), out = from.specs(n.out);
    auto values = from.constants(n.in);
    std::vector<Input> known(values.begin(), values.end());
    const auto forms = float_form({*n.op, n.attributes(), specs, out, known});
    if (!forms.empty()) return replace(n, forms);
    bool reads_integers = false;
    Node moved = n;
    moved.stays_float = false;
    for (int& id : moved.in) {
      if (value(id).quantized && from.is_constant(id) && !floats.count(id) && n.op->quant.mode == QuantMode::passes_through) floats_of_constant(id);
      reads_integers |= floats.count(id) && !is_float(value(id).spec.dtype);
      id = at(id);
    }
    if (!reads_integers) { g.nodes.push_back(std::move(moved)); return; }
    if (n.op->quant.mode == QuantMode::passes_through && n.out.size() == 1) {
      moved.out[0] = g.add_value({DType::f32, value(n.out[0]).spec.shape}, value(n.out[0]).name);
      floats[n.out[0]] = moved.out[0];
      g.nodes.push_back(std::move(moved));
      return;
    }
    throw Error(ErrorKind::unsupported, "quantize_model", "layers whose integers have a float form", "\"" + layer_of(n) + "\" (" + std::string(n.op->name) + ")", "quantise the float model that it came from");
  }
  // A range that ends at 0 tells of a ReLU which a file left to the integers; only ops that take cuts in can have given it.
  int cut(const Node& n, int floats_of_it) {
    const Value zero = value(n.in[2]);
    const int producer = from.producer(n.in[0]);
    if (!zero.constant || zero.constant.numel() != 1 || producer < 0 || !from.nodes[size_t(producer)].op->absorb) return floats_of_it;
    const Limits limits = limits_of(zero.spec.dtype);
    if (cast(zero.constant, DType::f64).item() != limits.lo) return floats_of_it;
    int result = g.add_value(value(floats_of_it).spec);
    g.nodes.push_back({&relu_op, nullptr, {floats_of_it}, {result}, n.name, {}});
    return result;
  }
  void replace(const Node& n, const std::vector<Lowered>& forms) {
    int result = -1;
    const int last_weight = [&] { for (int k = int(n.in.size()); k-- > 0;) if (from.is_constant(n.in[size_t(k)]) && value(n.in[size_t(k)]).spec.shape.rank == 1) return k; return -1; }();
    for (const Lowered& form : forms) {
      if (!form.op) { result = at(n.in[size_t(form.inputs[0])]); break; }
      Node floating{form.op, form.attrs, {}, {}, n.name, {}};
      for (int k : form.inputs) {
        int id = n.in[size_t(k)];
        if (result < 0 && from.is_constant(id) && !floats.count(id)) floats_of_constant(id);
        floating.in.push_back(result >= 0 ? result : at(id));
      }
      for (size_t k = 0; k < form.constants.size(); ++k) {
        const bool is_weight = k < 2 && form.op->traits.weights;
        std::string name;
        if (is_weight && k == 0) for (int id : n.in) if (name.empty() && from.is_constant(id) && value(id).spec.shape.rank > 1) name = value(id).name;
        if (is_weight && k == 1 && last_weight >= 0) name = value(n.in[size_t(last_weight)]).name;
        floating.in.push_back(weight(form.constants[k], name, is_weight));
      }
      result = g.add_value({DType::f32, value(n.out[0]).spec.shape});
      floating.out = {result};
      g.nodes.push_back(std::move(floating));
    }
    if (value(n.out[0]).spec.dtype == DType::f32 && forms.back().op) {         // of dynamic products: the same value
      g.nodes.back().out = n.out;
      return;
    }
    give(n.out[0], result);
  }
};

}  // namespace

Graph floats_of(const Graph& given, std::vector<std::string>& notes) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Raiser r(given);
  for (const Node& n : given.nodes) {
    if (!n.subgraphs.empty() || n.op->traits.writes.n)
      throw Error(ErrorKind::unsupported, "quantize_model", "a graph without control flow and states", std::string(n.op->name) + " in layer \"" + layer_of(n) + "\"");
    r.add(n);
  }
  for (int& id : r.g.outputs) id = r.at(id);
  remove_dead(r.g);
  verify(r.g);
  notes.push_back("the model given was quantised: what its first rounding lost stays lost. Quantise the float model where there is one");
  return std::move(r.g);
}

}  // namespace miniten::edge
