#include <numeric>
#include "edge/export/steps.h"
#include "edge/quantization/observe.h"
#include "edge/quantization/ranges.h"
#include "miniten/core/foreign_tflite.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

const TfliteRules* rules_of(const Node& n) { return static_cast<const TfliteRules*>(n.op->tflite.rules); }
bool is_float(const Graph& g, int id) { return g.values[size_t(id)].spec.dtype == DType::f32; }
bool is_activation(const Graph& g, int id) { return is_float(g, id) && !g.is_constant(id); }

struct Placing {
  Graph& g;
  DType dtype;
  std::vector<int> parent;                       // values that share a scale
  std::vector<bool> capable, passes, wanted;     // by node, by node, by group
  std::vector<std::shared_ptr<const Quantized>> fixed;     // by group

  Placing(Graph& graph, DType t) : g(graph), dtype(t), parent(graph.values.size()), capable(graph.nodes.size()), passes(graph.nodes.size()),
                                   wanted(graph.values.size()), fixed(graph.values.size()) {
    std::iota(parent.begin(), parent.end(), 0);
  }
  int group(int id) {
    while (parent[size_t(id)] != id) id = parent[size_t(id)] = parent[size_t(parent[size_t(id)])];
    return id;
  }

  bool computes_in_integers(const Node& n) const {
    const TfliteRules* r = rules_of(n);
    if (!r || r->integers == TfliteRules::none || (dtype == DType::i16 && r->integers != TfliteRules::i8_and_i16)) return false;
    if (n.out.size() != 1 || !is_float(g, n.out[0]) || n.op->traits.converts != Conversion::none) return false;
    bool any = false;
    for (int id : n.in) any |= is_activation(g, id);
    return any;
  }
  void decide() {
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      const Node& n = g.nodes[i];
      capable[i] = computes_in_integers(n);
      passes[i] = capable[i] && (n.op->quant.mode == QuantMode::passes_through || n.op->traits.movement || n.op == &pad_op);
      if (!passes[i]) continue;
      for (int id : n.in)
        if (is_float(g, id) && g.is_constant(id)) passes[i] = capable[i] = false;              // a constant has a scale of its own
      if (passes[i]) for (int id : n.in) if (is_activation(g, id)) parent[size_t(group(id))] = group(n.out[0]);
    }
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      if (!capable[i] || passes[i]) continue;
      for (int id : g.nodes[i].in) if (is_activation(g, id)) wanted[size_t(group(id))] = true;
      wanted[size_t(group(g.nodes[i].out[0]))] = true;
    }
  }

  // What integers a float value comes from or goes to already.
  std::shared_ptr<const Quantized> known(const Node& n) const {
    if (n.in.size() < 3 || !g.is_constant(n.in[1]) || !g.is_constant(n.in[2]) || g.values[size_t(n.in[1])].constant.numel() != 1) return nullptr;
    const Tensor &scale = g.values[size_t(n.in[1])].constant, &zero = g.values[size_t(n.in[2])].constant;
    Tensor wide = Tensor::empty({DType::i32, zero.shape()});
    copy_values(zero.view(), wide.view());
    return std::make_shared<Quantized>(Quantized{scale.to_vector<float>(), wide.to_vector<int32_t>(), -1, 0, zero.dtype()});
  }
  bool is_placed(int id) const {                 // an int8 meaning stands in the graph
    int p = g.producer(id);
    if (p >= 0 && g.nodes[size_t(p)].op->traits.converts == Conversion::to_floats) return true;
    auto readers = g.readers(id);
    return !readers.empty() && !std::count(g.outputs.begin(), g.outputs.end(), id) &&
           std::all_of(readers.begin(), readers.end(), [&](int r) { return g.nodes[size_t(r)].op->traits.converts == Conversion::to_integers; });
  }
  void find_fixed() {
    for (const Node& n : g.nodes) {
      bool from = n.op->traits.converts == Conversion::to_floats, to = n.op->traits.converts == Conversion::to_integers;
      if (from || to) if (auto q = known(n)) fixed[size_t(group(from ? n.out[0] : n.in[0]))] = q;
    }
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      const Node& n = g.nodes[i];
      if (!capable[i] || rules_of(n)->range == TfliteRules::free || fixed[size_t(group(n.out[0]))]) continue;
      bool wide = dtype == DType::i16, unit = rules_of(n)->range == TfliteRules::unit;
      fixed[size_t(group(n.out[0]))] = std::make_shared<Quantized>(Quantized{{wide ? 1 / 32768.0f : unit ? 1 / 256.0f : 1 / 128.0f}, {!wide && unit ? -128 : 0}, -1, 0, dtype});
    }
  }

  void calibrate(const Batches& batches) {
    QuantizationConfig config;
    std::map<int, std::unique_ptr<RangeObserver>> observers;
    Observed seen = observe("export_tflite", g, batches, [&](int id, const Tensor& t, int64_t batch) {
      int k = group(id);
      if (!is_activation(g, id) || !wanted[size_t(k)] || fixed[size_t(k)]) return;
      auto& o = observers[k];
      if (!o) o = std::make_unique<RangeObserver>(config);
      if (!o->see(t)) throw Error(ErrorKind::value, "export_tflite", "finite values while calibrating", "NaN or infinity in \"" + g.values[size_t(id)].name + "\", batch " + std::to_string(batch), "clean the calibration data");
    });
    if (seen.samples == 0) throw Error(ErrorKind::value, "export_tflite", "calibration data with at least one sample", std::to_string(seen.batches) + " batches without");
    for (auto& [k, o] : observers) {
      Range r = o->is_empty() ? Range{0, 0} : o->range(dtype, dtype == DType::i16);
      Affine a = affine_of(r, dtype, dtype == DType::i16);
      fixed[size_t(k)] = std::make_shared<Quantized>(Quantized{{a.scale}, {a.zero}, -1, 0, dtype});
    }
  }

  // quantize and dequantize behind every value of a wanted group that has none; readers get the floats of the integers.
  void place() {
    std::map<int, std::pair<int, int>> parameters;
    std::map<int, int> floats_of;
    std::vector<Node> nodes;
    auto put = [&](int id, const std::string& layer) {
      int k = group(id);
      if (!is_activation(g, id) || !wanted[size_t(k)] || !fixed[size_t(k)] || is_placed(id)) return;
      const Quantized q = *fixed[size_t(k)];
      if (!parameters.count(k)) {
        int scale = g.add_value({DType::f32, {}}, layer + ".scale", scale_tensor(q));
        parameters[k] = {scale, g.add_value({q.dtype, {}}, layer + ".zero_point", zero_tensor(q))};
      }
      auto [scale, zero] = parameters[k];
      Spec spec = g.values[size_t(id)].spec;
      auto attrs = std::make_shared<QuantizeAttrs>(QuantizeAttrs{q.dtype, -1});
      int integers = g.add_value({q.dtype, spec.shape}), floats = g.add_value(spec);
      nodes.push_back({&quantize_op, attrs, {id, scale, zero}, {integers}, layer, {}});
      nodes.push_back({&dequantize_op, attrs, {integers, scale, zero}, {floats}, layer, {}});
      floats_of[id] = floats;
    };
    std::vector<Node> old = g.nodes;             // put asks the graph as it was
    for (int id : g.inputs) put(id, g.values[size_t(id)].name);
    for (Node n : old) {
      for (int& id : n.in) if (auto f = floats_of.find(id); f != floats_of.end()) id = f->second;
      std::vector<int> out = n.out;
      std::string layer = n.name;
      nodes.push_back(std::move(n));
      for (int id : out) put(id, layer);
    }
    for (int& id : g.outputs)
      if (auto f = floats_of.find(id); f != floats_of.end()) {
        std::swap(g.values[size_t(f->second)].name, g.values[size_t(id)].name);
        id = f->second;
      }
    g.nodes = std::move(nodes);
  }
};

// Weights become the floats that their integers stand for: what is written is what was measured.
void round_weights(Graph& g, const std::vector<bool>& capable) {
  std::map<int, int> rounded;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    if (i >= capable.size() || !capable[i]) continue;
    for (size_t k = 0; k < n.in.size(); ++k) {
      if (!(n.op->traits.weights >> k & 1) || !g.is_constant(n.in[k]) || !is_float(g, n.in[k])) continue;
      auto [at, fresh] = rounded.try_emplace(n.in[k], -1);
      if (fresh) {
        const Value v = g.values[size_t(n.in[k])];
        int axis = n.op->traits.channel_axis;
        Range r;
        if (!finite_range(v.constant, r)) throw Error(ErrorKind::value, "export_tflite", "finite weights", "NaN or infinity in \"" + v.name + "\"");
        Quantized q = quantized_constant(v.constant, DType::i8, true, axis);
        Tensor integers = quantize(v.constant, scale_tensor(q), zero_tensor(q), axis);
        at->second = g.add_value(v.spec, v.name, dequantize(integers, scale_tensor(q), zero_tensor(q), axis));
      }
      n.in[k] = at->second;
    }
  }
}

}  // namespace

void quantize_islands(Graph& g, DType t, const Batches& batches, std::vector<std::string>& stays_float) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Placing p(g, t);
  p.decide();
  p.find_fixed();
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    bool floats = false;
    for (int id : n.in) floats |= is_activation(g, id);
    if (!p.capable[i] && floats && n.op->traits.converts == Conversion::none) {
      std::string text = n.name.empty() ? std::string(n.op->name) : n.name + " (" + std::string(n.op->name) + ")";
      if (!std::count(stays_float.begin(), stays_float.end(), text)) stays_float.push_back(text);
    }
  }
  bool any = false;
  for (size_t i = 0; i < g.values.size(); ++i) any |= p.wanted[i] && !p.fixed[i];
  for (size_t i = 0; i < g.nodes.size(); ++i) any |= p.capable[i];
  if (!any) return;
  p.calibrate(batches);
  round_weights(g, p.capable);
  p.place();
  verify(g);
}

}  // namespace miniten::edge
