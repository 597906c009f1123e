#include <map>
#include <tuple>
#include "edge/quantization/steps.h"
#include "miniten/ops/ops.h"
#include "ops/quantized/lowering.h"

namespace miniten::edge {

namespace {

// Builds a graph beside the float one: values keep their ids, nodes are appended in order.
struct Builder {
  const Graph& from;
  Placed placed;
  std::map<std::pair<int, std::vector<float>>, std::pair<int, std::shared_ptr<const Quantized>>> weights;   // value and scales -> integers

  const std::map<int, Tensor>& rounded;

  Builder(const Graph& g, const Decisions& d) : from(g), rounded(d.rounded) {
    placed.graph = g;
    placed.graph.nodes.clear();
    placed.result.assign(g.nodes.size(), -1);
    placed.refusals.resize(g.nodes.size());
  }
  Graph& g() { return placed.graph; }
  const Value& value(int id) const { return placed.graph.values[size_t(id)]; }

  int constant(const Tensor& t, std::string name) { return g().add_value(t.spec(), std::move(name), t); }
  int convert(const OpDef& op, int x, DType to, const Quantized& q, int scale, int zero, const std::string& layer, int into = -1) {
    int out = into >= 0 ? into : g().add_value({to, value(x).spec.shape});
    g().nodes.push_back({&op, std::make_shared<QuantizeAttrs>(QuantizeAttrs{q.dtype, q.axis}), {x, scale, zero}, {out}, layer, {}});
    return out;
  }

  // Integers of a constant weight; the same ones for every node that wants the same scales.
  struct Stored { int integers; std::shared_ptr<const Quantized> q; };
  Stored store(int id, const Quantized& q) {
    auto key = std::pair(id, q.scale);
    if (auto known = weights.find(key); known != weights.end()) return {known->second.first, known->second.second};
    auto shared = std::make_shared<Quantized>(q);
    Quantized bytes = q;
    if (q.dtype == DType::i4) bytes.dtype = DType::i8;         // the same numbers, packed after
    auto chosen = rounded.find(id);
    Tensor integers = quantize(chosen == rounded.end() ? value(id).constant : chosen->second, scale_tensor(q), zero_tensor(bytes), q.axis);
    if (q.dtype == DType::i4) integers = packed_int4(integers);
    int stored = constant(integers, value(id).name);
    g().values[size_t(stored)].quantized = shared;
    if (q.dtype != DType::i4) g().values[size_t(stored)].mask = value(id).mask;          // zeros stay zeros
    weights[key] = {stored, shared};
    return {stored, shared};
  }
  int read_stored(const Stored& s, const std::string& layer) {
    const std::string name = value(s.integers).name;
    int scale = constant(scale_tensor(*s.q), name + ".scale"), zero = constant(zero_tensor(*s.q), name + ".zero_point");
    return convert(dequantize_op, s.integers, DType::f32, *s.q, scale, zero, layer);
  }
  void add_stored(size_t i, Node n, const Decisions& d);       // n, its other inputs as they shall be
};

// A bias is stored at x_scale * w_scale: a channel whose bias would not fit gets a coarser weight scale.
void make_room_for_bias(const Node& n, const Tensor& bias, const Quantized& x, const Shape& weight, Quantized& q) {
  auto b = bias.to_vector<float>();
  int64_t limit = bias_limit(weight.count() / std::max<int64_t>(weight[q.axis < 0 ? 0 : q.axis], 1), x.dtype);
  if (limit <= 0 || q.axis < 0 || b.size() != q.scale.size() || !is_bit(n.op->traits.weights, 1)) return;
  for (size_t j = 0; j < b.size(); ++j) {
    double least = std::abs(double(b[j])) / (double(x.scale[0]) * double(limit)) * (1 + 1e-6);
    if (least > q.scale[j] && least < std::numeric_limits<float>::max()) q.scale[j] = float(least);
  }
}
void check_finite(const Graph& g, const Node& n, int id) {
  Range r;
  if (!finite_range(g.values[size_t(id)].constant, r))
    throw Error(ErrorKind::value, "quantize_model", "finite weights", "NaN or infinity in \"" + g.values[size_t(id)].name + "\" of layer \"" + layer_of(n) + "\"");
}

// What a row's rule is asked: the operands' quantisation and the values that are known.
struct Question {
  std::vector<Spec> in, out;
  std::vector<Tensor> values;
  std::vector<Input> known;
  Question(const Graph& g, const Node& n) : in(g.specs(n.in)), out(g.specs(n.out)), values(g.constants(n.in)), known(values.begin(), values.end()) {}
  Lowering ask(const Node& n, const std::vector<const Quantized*>& q, const Quantized* result, std::string* reason) {
    return {{*n.op, n.attributes(), in, out, known}, q, result, reason};
  }
};

}  // namespace

Quantized weight_parameters(const Graph& g, const Node& n, int id, const QuantizationConfig& config) {
  const Value& v = g.values[size_t(id)];
  Range r;
  if (!finite_range(v.constant, r))
    throw Error(ErrorKind::value, "quantize_model", "finite weights", "NaN or infinity in \"" + v.name + "\" of layer \"" + layer_of(n) + "\"",
                "train or load the model again, or skip the layer");
  int axis = n.op->traits.channel_axis;
  Quantized q = quantized_constant(v.constant, config.dtype, config.symmetric, config.per_channel && axis < v.spec.shape.rank ? axis : -1);
  if (config.dtype == DType::i4) least_squares(v.constant, q);
  return q;
}

void Builder::add_stored(size_t i, Node n, const Decisions& d) {
  const QuantizationConfig& config = d.config_of(i);
  const Node& given = from.nodes[i];
  placed.result[i] = n.out[0];
  n.stays_float = true;
  if (config.block) {
    Question question(from, given);
    auto chosen = given.in.size() > 1 ? d.rounded.find(given.in[1]) : d.rounded.end();
    if (auto lowered = block_form(question.ask(given, {}, nullptr, nullptr).call, config.dtype, config.block, config.symmetric, chosen == d.rounded.end() ? Tensor() : chosen->second)) {
      for (size_t k = 1; k < given.in.size(); ++k) check_finite(from, given, given.in[k]);
      Node blocks{lowered->op, lowered->attrs, {n.in[0]}, n.out, n.name, {}};
      const std::string weight = from.values[size_t(given.in[1])].name;
      std::vector<std::string> names{weight, weight + ".scale"};
      if (!config.symmetric) names.push_back(weight + ".zero_point");
      if (given.in.size() == 3) names.push_back(from.values[size_t(given.in[2])].name);
      for (size_t k = 0; k < lowered->constants.size(); ++k) blocks.in.push_back(constant(lowered->constants[k], names[k]));
      g().nodes.push_back(std::move(blocks));
      return;
    }
  }
  for (size_t k = 0; k < n.in.size(); ++k)
    if (is_bit(n.op->traits.weights, k) && from.is_constant(given.in[k]) && from.values[size_t(given.in[k])].spec.dtype == DType::f32)
      n.in[k] = read_stored(store(given.in[k], weight_parameters(from, given, given.in[k], config)), n.name);
  g().nodes.push_back(std::move(n));
}

Placed place_static(const Graph& from, const Decisions& d, const GroupParameters& groups) {
  Builder b(from, d);
  std::vector<bool> origin = origins(from, d);
  std::map<int, std::pair<int, int>> parameters;             // of a group: scale and zero point
  std::map<int, int> floats_of;                              // an origin's value -> the floats that its integers stand for
  std::vector<bool> by_integers(from.values.size());         // origins that only exist as integers
  auto group_of = [&](int id) { return d.group[size_t(id)]; };
  auto quantization = [&](int id) -> const Quantized& { return groups.of[size_t(group_of(id))]; };
  auto place = [&](int id, const std::string& layer) {
    const Quantized& q = quantization(id);
    const std::string name = layer.empty() ? from.values[size_t(id)].name : layer;
    if (!parameters.count(group_of(id)))
      parameters[group_of(id)] = {b.constant(scale_tensor(q), name + ".scale"), b.constant(zero_tensor(q), name + ".zero_point")};
    auto [scale, zero] = parameters[group_of(id)];
    int integers = b.convert(quantize_op, id, q.dtype, q, scale, zero, layer);
    floats_of[id] = b.convert(dequantize_op, integers, DType::f32, q, scale, zero, layer);
    return integers;
  };
  // A value as a node of other activations reads it: converted from its integers where it has no others.
  std::map<std::pair<int, DType>, std::pair<Quantized, int>> converted;
  auto reads = [&](int id, const QuantizationConfig& config, const std::string& layer) -> std::pair<const Quantized*, int> {
    const Quantized& own = quantization(id);
    auto known = floats_of.find(id);
    int floats = known == floats_of.end() ? id : known->second;
    if (own.dtype == config.activation_dtype) return {&own, floats};
    auto& [q, value] = converted[{id, config.activation_dtype}];
    if (q.scale.empty()) {
      const Range& range = groups.ranges.empty() ? Range{} : groups.ranges[size_t(group_of(id))];
      Affine a = affine_of(range.is_empty() ? range_of(own) : range, config.activation_dtype, config.activation_symmetric);
      q = {{a.scale}, {a.zero}, -1, 0, config.activation_dtype};
      const std::string name = layer + ".input";
      int scale = b.constant(scale_tensor(q), name + ".scale"), zero = b.constant(zero_tensor(q), name + ".zero_point");
      int integers = b.convert(quantize_op, by_integers[size_t(id)] || from.is_constant(id) ? floats : id, q.dtype, q, scale, zero, layer);
      value = b.convert(dequantize_op, integers, DType::f32, q, scale, zero, layer);
    }
    return {&q, value};
  };
  for (int id : from.inputs) if (origin[size_t(id)]) place(id, "");
  for (size_t id = 0; id < from.values.size(); ++id)
    if (origin[id] && from.is_constant(int(id))) floats_of[int(id)] = b.read_stored(b.store(int(id), quantization(int(id))), from.values[id].name);
  for (size_t i = 0; i < from.nodes.size(); ++i) {
    Node n = from.nodes[i];
    const auto form = d.nodes[i].form;
    if (form == Decision::integers) {
      std::vector<const Quantized*> in(n.in.size(), nullptr);
      std::vector<int> activations(n.in.size(), -1);
      Question question(from, n);
      std::map<size_t, Builder::Stored> stored;
      const QuantizationConfig &config = d.config_of(i), &activation = d.config_of_value(n.out[0]);
      for (size_t k = 0; k < n.in.size(); ++k) {
        if (is_activation(from, n, k)) std::tie(in[k], activations[k]) = reads(n.in[k], activation, n.name);
        else if (!is_bit(n.op->traits.weights, k)) check_finite(from, n, n.in[k]);
      }
      for (size_t k = 0; k < n.in.size(); ++k) {
        if (is_activation(from, n, k)) continue;
        if (is_bit(n.op->traits.weights, k)) {
          auto given = d.weights.find(n.in[k]);
          Quantized q = given != d.weights.end() ? given->second : weight_parameters(from, n, n.in[k], config);
          for (size_t o = 0; o < n.in.size(); ++o)
            if (!in[o] && o != k && in[0]) make_room_for_bias(n, from.values[size_t(n.in[o])].constant, *in[0], question.in[k].shape, q);
          stored.emplace(k, b.store(n.in[k], q));
        } else if (is_bit(n.op->quant.either, k) && question.in[k].shape.count() != 1) {     // a constant operand, stored like an activation
          stored.emplace(k, b.store(n.in[k], quantized_constant(from.values[size_t(n.in[k])].constant, activation.activation_dtype, activation.activation_symmetric, -1)));
        } else continue;
        in[k] = stored.at(k).q.get();
      }
      const Quantized& out = quantization(n.out[0]);
      std::string reason = "has no integer form for these operands";
      if (!n.op->quant.lower(question.ask(n, in, &out, &reason))) { b.placed.refusals[i] = reason; continue; }
      for (size_t k = 0; k < n.in.size(); ++k)
        if (in[k]) n.in[k] = stored.count(k) ? b.read_stored(stored.at(k), n.name) : activations[k];
    } else {
      for (int& id : n.in) {
        auto known = floats_of.find(id);
        if (known != floats_of.end() && (form == Decision::passes || by_integers[size_t(id)])) id = known->second;
      }
      n.stays_float = form == Decision::floats;
    }
    if (form == Decision::stored) b.add_stored(i, n, d);
    else b.g().nodes.push_back(n);
    for (int id : n.out) {
      if (!origin[size_t(id)]) continue;
      int integers = place(id, n.name);
      by_integers[size_t(id)] = form == Decision::integers;
      if (form == Decision::integers) b.placed.result[i] = integers;
    }
    if (form == Decision::passes) b.placed.result[i] = n.out[0];
  }
  for (int& id : b.g().outputs) {
    if (!by_integers[size_t(id)]) continue;
    int floats = floats_of[id];
    if (b.value(floats).name.empty()) std::swap(b.g().values[size_t(floats)].name, b.g().values[size_t(id)].name);
    id = floats;
  }
  return std::move(b.placed);
}

Placed place_dynamic(const Graph& from, const Decisions& d) {
  Builder b(from, d);
  std::map<std::pair<int, DType>, std::vector<int>> quantized;        // by value: integers, scale, zero point
  for (size_t i = 0; i < from.nodes.size(); ++i) {
    const Node& n = from.nodes[i];
    const QuantizationConfig& config = d.config_of(i);
    if (d.nodes[i].form == Decision::stored) { b.add_stored(i, n, d); continue; }
    if (d.nodes[i].form != Decision::integers) { b.g().nodes.push_back(n); continue; }
    Question question(from, n);
    std::vector<const Quantized*> in(n.in.size(), nullptr);
    std::map<size_t, int> stored;
    for (size_t k = 0; k < n.in.size(); ++k) {
      if (!is_bit(n.op->traits.weights, k)) {
        if (from.is_constant(n.in[k])) check_finite(from, n, n.in[k]);
        continue;
      }
      auto s = b.store(n.in[k], weight_parameters(from, n, n.in[k], config));
      stored[k] = s.integers;
      in[k] = s.q.get();
    }
    std::string reason = "has no integer form for these operands";
    auto lowered = n.op->quant.dynamic(question.ask(n, in, nullptr, &reason));
    if (!lowered) { b.placed.refusals[i] = reason; continue; }
    DType t = config.activation_dtype == DType::i16 ? DType::i16 : DType::u8;
    std::vector<int>& x = quantized[{n.in[0], t}];
    if (x.empty()) {
      const Shape shape = from.values[size_t(n.in[0])].spec.shape;
      x = {b.g().add_value({t, shape}), b.g().add_value({DType::f32, {}}), b.g().add_value({t, {}})};
      b.g().nodes.push_back({&dynamic_quantize_op, std::make_shared<DynamicQuantizeAttrs>(DynamicQuantizeAttrs{t}), {n.in[0]}, x, n.name, {}});
    }
    Node integer{lowered->op, lowered->attrs, x, n.out, n.name, {}};
    for (int k : lowered->inputs) integer.in.push_back(stored.count(size_t(k)) ? stored[size_t(k)] : n.in[size_t(k)]);
    const std::string weight = b.value(integer.in[x.size()]).name;
    for (size_t k = 0; k < lowered->constants.size(); ++k)
      integer.in.push_back(b.constant(lowered->constants[k], k == 0 ? weight + ".scale" : b.value(n.in[n.in.size() - 1]).name));
    b.g().nodes.push_back(std::move(integer));
    b.placed.result[i] = n.out[0];
  }
  return std::move(b.placed);
}

}  // namespace miniten::edge
