#include <cmath>
#include "edge/quantization/qat.h"
#include "miniten/graph/passes.h"

namespace miniten::edge {

namespace {

constexpr double least_scale = std::numeric_limits<float>::min();

// The node of the float graph that became the folded graph's node n: what n gives leads back to it.
int node_before_folding(const Graph& g, const Node& n, int value) {
  int producer = g.producer(value);
  if (producer < 0) return -1;
  const Node& at = g.nodes[size_t(producer)];
  if (at.op == n.op && at.in[0] == n.in[0]) return producer;
  for (int id : at.in)
    if (int found = g.is_constant(id) ? -1 : node_before_folding(g, n, id); found >= 0) return found;
  return -1;
}

// LSQ: a scale's gradient is divided by sqrt(elements * greatest integer).
Tensor calmed(const Tensor& scale, const Tensor& x, int64_t scales, double greatest) {
  double by = 1 / std::sqrt(double(x.numel()) / double(scales) * greatest);
  Tensor fixed = detach(scale);
  return fixed + (scale - fixed) * by;
}

}  // namespace

void FakeQuantization::find_weights(const Graph& from) {
  for (size_t i = 0; i < from.nodes.size(); ++i) {
    const Node& n = from.nodes[i];
    const auto form = decisions.nodes[i].form;
    if (form != Decision::integers && form != Decision::stored) continue;
    const QuantizationConfig& config = decisions.config_of(i);
    for (size_t k = 0; k < n.in.size(); ++k) {
      if (!is_bit(n.op->traits.weights, k) || (form == Decision::integers ? is_activation(from, n, k) : !from.is_constant(n.in[k]))) continue;
      int node = node_before_folding(graph, n, n.out[0]);
      if (node < 0) throw Error(ErrorKind::unsupported, "prepare_qat", "a layer whose weights can be followed", "\"" + layer_of(n) + "\"", "skip it");
      const int axis = n.op->traits.channel_axis, rank = from.values[size_t(n.in[k])].spec.shape.rank;
      const bool blocks = form == Decision::stored && config.block && rank == 2 && axis == 1;
      weights.push_back({node, int(k), n.in[k], axis < rank ? axis : -1, config.dtype, blocks ? config.block : 0, form == Decision::stored, {}});
    }
  }
}

bool FakeQuantization::is_ready() const {
  for (const ObservedValue& point : observed) if (const float* range = point.range.view().f32(); !(range[0] <= range[1])) return false;
  return true;
}

Tensor FakeQuantization::operand(const WeightPoint& w) const {
  Graph g = graph;
  fold_constants(g);
  return g.values[size_t(graph.nodes[size_t(w.node)].in[size_t(w.slot)])].constant;
}

// The range follows a batch's; the first one is taken as it is.
Tensor FakeQuantization::see(const ObservedValue& point, const Tensor& x, double momentum, const Tensor& frozen) const {
  NoGrad no_grad;
  Tensor values = detach(x), ends[] = {min(values), max(values)};
  Tensor now = stack(ends), range = point.range;
  const float* known = range.view().f32();
  if (known[0] <= known[1]) now = range * momentum + now * (1 - momentum);
  now = where(isfinite(now), now, range);
  assign(range, frozen ? where(frozen, range, now) : now);
  return range;
}

std::pair<Tensor, Tensor> FakeQuantization::scale_and_zero(int group, const QuantizationConfig& config, const Tensor& x, bool frozen) const {
  Limits limits = limits_of(config.activation_dtype);
  const bool symmetric = config.activation_symmetric;
  if (auto l = learned.find(group); l != learned.end()) {
    Tensor scale = maximum(l->second.scale, Tensor::full({}, least_scale));
    if (!frozen) scale = calmed(scale, x, 1, limits.hi - std::max(limits.lo, 0));
    return {frozen ? detach(scale) : scale, Tensor::full({}, l->second.zero)};
  }
  NoGrad no_grad;
  Tensor lo = Tensor::full({}, 0), hi = Tensor::full({}, 0);
  for (const ObservedValue& point : observed) {
    if (decisions.group[size_t(point.value)] != group) continue;
    const float* known = point.range.view().f32();
    if (!(known[0] <= known[1])) continue;
    lo = minimum(lo, reshape(slice(point.range, 0, 0, 1), {}));
    hi = maximum(hi, reshape(slice(point.range, 0, 1, 2), {}));
  }
  int32_t middle = config.activation_dtype == DType::u8 ? 128 : 0;
  Tensor width = symmetric ? maximum(-lo, hi) : hi - lo;
  Tensor scale = maximum(width / double(symmetric ? limits.hi - middle : limits.hi - limits.lo), Tensor::full({}, least_scale));
  if (symmetric) return {scale, Tensor::full({}, middle)};
  return {scale, clamp(round(double(limits.lo) - lo / scale), float(limits.lo), float(limits.hi))};
}

Tensor FakeQuantization::rounded(const WeightPoint& w, const Tensor& t) const {
  const double greatest = limits_of(w.dtype).hi;
  const Tensor least = Tensor::full({}, least_scale);
  if (w.scale) return fake_quantize(t, calmed(maximum(w.scale, least), t, w.scale.numel(), greatest), Tensor::zeros(w.scale.shape()), int64_t(-greatest), int64_t(greatest), w.axis);
  // In blocks along K: each a row of a matrix, the last filled up with zeros.
  const int64_t k = t.dim(0), blocks = w.block ? (k + w.block - 1) / w.block : 0;
  Tensor x = !w.block ? t : reshape(pad(transpose(t), {0, 0}, {0, blocks * w.block - k}), {-1, w.block});
  const int axis = w.block ? 0 : w.axis;
  Tensor scale;
  {
    NoGrad no_grad;
    Axes others;
    for (int a = 0; a < x.rank(); ++a) if (a != axis) others.push(a);
    scale = maximum(max(abs(detach(x)), others) / greatest, least);
  }
  x = fake_quantize(x, scale, Tensor::zeros(scale.shape()), int64_t(-greatest), int64_t(greatest), axis);
  return w.block ? transpose(slice(reshape(x, {t.dim(1), blocks * w.block}), 1, 0, k)) : x;
}

void FakeQuantization::round_stored_weights(Graph& folded) const {
  for (const WeightPoint& w : weights)
    if (w.stored) folded.values[size_t(w.folded)].constant = rounded(w, folded.values[size_t(w.folded)].constant);
}

std::vector<Tensor> FakeQuantization::train(const Graph& bound, const std::vector<Tensor>& inputs, double momentum, const Tensor& frozen_ranges,
                                            const Tensor& frozen_statistics) const {
  std::map<int, const ObservedValue*> points;
  for (const ObservedValue& point : observed) points[point.value] = &point;
  std::multimap<int, const WeightPoint*> read;
  for (const WeightPoint& w : weights) read.emplace(w.node, &w);
  Replay how{.training = true, .frozen = frozen_statistics};
  how.gives = [&](int value, const Tensor& x) {
    auto point = points.find(value);
    if (point == points.end()) return x;
    if (learned.empty()) see(*point->second, x, momentum, frozen_ranges);
    const QuantizationConfig& config = config_of(*point->second);
    auto [scale, zero] = scale_and_zero(decisions.group[size_t(value)], config, x, bool(frozen_ranges) && !learned.empty());
    const Limits limits = limits_of(config.activation_dtype);
    return fake_quantize(x, scale, zero, limits.lo, limits.hi);
  };
  how.reads = [&](int node, std::vector<Tensor>& in) {
    for (auto [begin, end] = read.equal_range(node); begin != end; ++begin) {
      Tensor& t = in[size_t(begin->second->slot)];
      t = rounded(*begin->second, t);
    }
  };
  return replay(bound, inputs, how);
}

std::vector<Quantized> FakeQuantization::parameters(const Decisions& d) const {
  std::vector<Quantized> groups(d.group.size());
  std::vector<Range> together(d.group.size());
  for (const ObservedValue& point : observed) {
    auto group = size_t(d.group[size_t(point.value)]);
    if (!d.quantized[group]) continue;
    const float* range = point.range.view().f32();
    const QuantizationConfig& config = config_of(point);
    together[group].include({range[0], range[1]});
    Affine a = affine_of(together[group], config.activation_dtype, config.activation_symmetric);
    if (auto l = learned.find(decisions.group[size_t(point.value)]); l != learned.end())
      a = {std::max(float(l->second.scale.item()), float(least_scale)), l->second.zero};
    groups[group] = {{a.scale}, {a.zero}, -1, 0, config.activation_dtype};
  }
  return groups;
}

// A learned scale stands for the weight as it is; what folding makes of the scale tells that of the folded weight.
std::map<int, Quantized> FakeQuantization::learned_weights(const Graph& from) const {
  std::map<int, Quantized> all;
  if (learned.empty()) return all;
  Graph g = graph;
  fold_constants(g);
  for (const WeightPoint& w : weights) {
    if (!w.scale) continue;
    Value& v = g.values[size_t(graph.nodes[size_t(w.node)].in[size_t(w.slot)])];
    Shape shape = Dims::filled(v.spec.shape.rank, 1);
    if (w.axis >= 0) shape[w.axis] = v.spec.shape[w.axis];
    Tensor scale = maximum(w.scale, Tensor::full({}, least_scale));
    v.constant = expand(reshape(scale, shape), v.spec.shape).clone();
  }
  fuse(g);
  for (const WeightPoint& w : weights) {
    if (!w.scale) continue;
    const Tensor& t = g.values[size_t(w.folded)].constant;
    Axes others;
    for (int a = 0; a < t.rank(); ++a) if (a != w.axis) others.push(a);
    Quantized q;
    q.axis = w.axis;
    q.scale = maximum(max(abs(t), others), Tensor::full({}, least_scale)).to_vector<float>();
    q.zero.assign(q.scale.size(), 0);
    q.dtype = w.dtype;
    if (from.values[size_t(w.folded)].spec.shape == t.shape()) all[w.folded] = std::move(q);
  }
  return all;
}

}  // namespace miniten::edge
