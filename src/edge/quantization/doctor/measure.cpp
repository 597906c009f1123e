#include <cmath>
#include "edge/models.h"
#include "edge/quantization/doctor/state.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

constexpr const char* who = "compare_quantized";
constexpr int bins = 64;
constexpr size_t outliers_told = 4;
constexpr double outlier_ratio = 8;

Tensor to_integers(const Tensor& x, const Quantized& q) { return quantize(x, scale_tensor(q), zero_tensor(q), q.axis); }
Tensor to_floats(const Tensor& t, const Quantized* q) {
  if (is_float(t.dtype()) || !q) return cast(t, DType::f32);
  return dequantize(t, scale_tensor(*q), zero_tensor(*q), q->axis);
}

// Every value of a graph on one batch.
std::vector<Tensor> all_values(const Graph& g, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> at(g.values.size());
  Replay how;
  how.gives = [&](int value, const Tensor& t) { return at[size_t(value)] = t; };
  replay(g, inputs, how);
  return at;
}

// One layer in integers on what the float model computes: values of other layers are the float ones, rounded.
struct Alone {
  const QuantizationComparison::State& s;
  const Graph& g;                                  // the quantised graph, bound
  const std::vector<Tensor>& floats;               // by value of `from`
  std::map<int, int> stands;                       // value of g -> value of `from`

  Tensor value(int id, std::map<int, Tensor>& known) {
    const Value& v = g.values[size_t(id)];
    if (v.constant) return v.constant;
    if (auto at = known.find(id); at != known.end()) return at->second;
    if (auto f = stands.find(id); f != stands.end()) {
      const Tensor& x = floats[size_t(f->second)];
      return known[id] = is_float(v.spec.dtype) || !v.quantized ? x : to_integers(x, *v.quantized);
    }
    run(g.nodes[size_t(g.producer(id))], known);
    return known[id];
  }
  void run(const Node& n, std::map<int, Tensor>& known) {
    std::vector<Tensor> read, out(n.out.size());
    for (int id : n.in) read.push_back(value(id, known));
    std::vector<Input> in(read.begin(), read.end());
    apply(*n.op, in, n.attrs.get(), out);
    for (size_t i = 0; i < out.size(); ++i) known[n.out[i]] = out[i];
  }
  Tensor result(const Match& m) {
    std::map<int, Tensor> known;
    const Node& n = g.nodes[size_t(m.quantized)];
    run(n, known);
    return to_floats(known[n.out[0]], g.values[size_t(n.out[0])].quantized.get());
  }
};

struct Sums {
  double signal = 0, alone = 0, whole = 0, dot = 0, other = 0, sum = 0;
  int64_t n = 0, outside = 0;
  std::vector<double> channels;                    // greatest magnitudes
  std::vector<bool> used;                          // integers that values become
};

double decibels(double signal, double noise) { return noise == 0 ? HUGE_VAL : signal == 0 ? -HUGE_VAL : 10 * std::log10(signal / noise); }
int channel_axis(const Tensor& t) { return t.rank() == 4 ? 1 : t.rank() - 1; }

void check_finite(const Graph& g, int node, const std::vector<float>& values, size_t batch) {
  for (float v : values)
    if (!std::isfinite(v))
      throw Error(ErrorKind::value, who, "finite values of the float model", "NaN or infinity in layer \"" + layer_of(g.nodes[size_t(node)]) + "\", batch " + std::to_string(batch));
}

// Ranges first, so that histograms have their ends.
void see_range(ComparisonRow& row, Sums& s, const std::vector<float>& x, const Tensor& t, bool is_first) {
  if (is_first) row.lo = row.hi = x.empty() ? 0 : x[0];
  int axis = channel_axis(t);
  size_t channels = t.rank() ? size_t(t.dim(axis)) : 1, inner = 1;
  for (int a = axis + 1; a < t.rank(); ++a) inner *= size_t(t.dim(a));
  s.channels.resize(std::max(s.channels.size(), channels));
  for (size_t i = 0; i < x.size(); ++i) {
    row.lo = std::min(row.lo, double(x[i]));
    row.hi = std::max(row.hi, double(x[i]));
    double& most = s.channels[i / inner % channels];
    most = std::max(most, std::abs(double(x[i])));
    s.sum += x[i];
    ++s.n;
  }
}
void see_values(ComparisonRow& row, Sums& s, const std::vector<float>& x, const std::vector<float>& alone, const std::vector<float>& whole, const Quantized* q) {
  double mean = s.sum / double(std::max<int64_t>(s.n, 1)), width = row.hi - row.lo;
  Limits limits = q ? limits_of(q->dtype) : Limits{0, 0};
  if (q) s.used.resize(size_t(limits.hi - limits.lo) + 1);
  for (size_t i = 0; i < x.size(); ++i) {
    double v = x[i], w = whole[i];
    s.signal += v * v;
    s.alone += (v - alone[i]) * (v - alone[i]);
    s.whole += (v - w) * (v - w);
    s.dot += v * w;
    s.other += w * w;
    row.deviation += (v - mean) * (v - mean);
    ++row.histogram[width > 0 ? std::min(size_t((v - row.lo) / width * bins), size_t(bins - 1)) : 0];
    if (!q) continue;
    double integer = std::nearbyint(v / q->scale[0]) + q->zero[0];
    s.outside += integer < limits.lo || integer > limits.hi;
    s.used[size_t(std::clamp(integer, double(limits.lo), double(limits.hi)) - limits.lo)] = true;
  }
}
void finish(ComparisonRow& row, const Sums& s, const Quantized* q) {
  row.sqnr_db = decibels(s.signal, s.alone);
  row.cumulative_sqnr_db = decibels(s.signal, s.whole);
  row.cosine = s.whole == 0 ? 1 : s.signal > 0 && s.other > 0 ? s.dot / std::sqrt(s.signal * s.other) : 0;
  row.deviation = std::sqrt(row.deviation / double(std::max<int64_t>(s.n, 1)));
  std::vector<double> sorted = s.channels;
  std::nth_element(sorted.begin(), sorted.begin() + std::ptrdiff_t(sorted.size() / 2), sorted.end());
  double median = sorted.size() > 3 ? sorted[sorted.size() / 2] : 0;
  for (size_t c = 0; c < s.channels.size() && median > 0; ++c)
    if (s.channels[c] > outlier_ratio * median) row.outlier_channels.push_back({int64_t(c), s.channels[c] / median});
  std::stable_sort(row.outlier_channels.begin(), row.outlier_channels.end(), [](auto& a, auto& b) { return a.ratio > b.ratio; });
  if (row.outlier_channels.size() > outliers_told) row.outlier_channels.resize(outliers_told);
  if (!q) return;
  Limits limits = limits_of(q->dtype);
  row.clip_lo = (limits.lo - q->zero[0]) * double(q->scale[0]);
  row.clip_hi = (limits.hi - q->zero[0]) * double(q->scale[0]);
  row.saturation = double(s.outside) / double(std::max<int64_t>(s.n, 1));
  auto first = std::find(s.used.begin(), s.used.end(), true), last = std::find(s.used.rbegin(), s.used.rend(), true).base();
  row.unused_range = 1 - double(std::max<std::ptrdiff_t>(last - first, 0)) / double(s.used.size());
}

// How much coarser than 127 steps to its greatest value a channel's weights are stored.
double bias_ratio(const Graph& from, const Node& n, const Graph& quantized, const Node& m) {
  double worst = 1;
  for (size_t k = 0; k < n.in.size(); ++k) {
    const Value& w = from.values[size_t(n.in[k])];
    if (!(k < 32 && n.op->traits.weights >> k & 1) || !w.constant) continue;
    for (size_t j = 0; j < m.in.size(); ++j) {
      const Value& stored = quantized.values[size_t(m.in[j])];
      if (!stored.quantized || !stored.constant || stored.spec.shape != w.spec.shape || stored.spec.dtype != DType::i8) continue;
      Quantized wanted = quantized_constant(w.constant, DType::i8, true, stored.quantized->axis);
      for (size_t c = 0; c < wanted.scale.size() && c < stored.quantized->scale.size(); ++c)
        worst = std::max(worst, double(stored.quantized->scale[c]) / wanted.scale[c]);
    }
  }
  return worst;
}

}  // namespace

QuantizationComparison compare_quantized(nn::Module& model, nn::Module& quantized, const Batches& data) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  auto state = std::make_shared<QuantizationComparison::State>();
  for (auto batch = data ? data() : std::vector<Tensor>{}; !batch.empty(); batch = data())
    if (batch[0].numel()) state->data.push_back(batch);
  if (state->data.empty()) throw Error(ErrorKind::value, who, "data with at least one sample", "none", "give inputs like those the model will see");
  auto specs = [](const std::vector<Tensor>& batch) {
    std::vector<Spec> s;
    for (const Tensor& t : batch) s.push_back(t.spec());
    return s;
  };
  state->given = own_copy(graph_for(who, model, specs(state->data[0])));
  check_graph(state->given);
  state->quantized = own_copy(graph_for(who, quantized, specs(state->data[0])));
  if (auto* q = dynamic_cast<QuantizedModel*>(&quantized)) state->report = q->report();
  state->from = folded(state->given, named(state->given, state->report.config), state->report.mode);
  if (state->from.inputs.size() == state->quantized.inputs.size()) state->matches = match(state->from, state->quantized);
  if (state->matches.empty())
    throw Error(ErrorKind::value, who, "a quantised form of the model given", "one whose layers have other names or shapes");

  QuantizationComparison c;
  std::vector<Sums> sums(state->matches.size());
  std::vector<std::shared_ptr<const Quantized>> outputs;
  std::map<int, int> stands;
  for (size_t i = 0; i < state->from.inputs.size(); ++i) stands[state->quantized.inputs[i]] = state->from.inputs[i];
  for (const Match& m : state->matches) {
    const Node &n = state->from.nodes[size_t(m.node)], &now = state->quantized.nodes[size_t(m.quantized)];
    const Value& out = state->quantized.values[size_t(now.out[0])];
    ComparisonRow row{layer_of(n), std::string(n.op->name), std::string(now.op->name), std::string(name_of(out.spec.dtype))};
    row.histogram.resize(bins);
    row.bias_ratio = bias_ratio(state->from, n, state->quantized, now);
    c.rows.push_back(std::move(row));
    auto q = integers_of(state->quantized, now.out[0]);
    outputs.push_back(q && q->scale.size() == 1 ? q : nullptr);
    stands[now.out[0]] = n.out[0];
  }
  double signal = 0, noise = 0;
  for (int pass : {0, 1})
    for (size_t b = 0; b < state->data.size(); ++b) {
      const auto& batch = state->data[b];
      std::vector<Tensor> floats = all_values(bind_inputs(state->from, specs(batch)), batch), whole;
      Graph bound = bind_inputs(state->quantized, specs(batch));
      if (pass) whole = all_values(bound, batch);
      Alone alone{*state, bound, floats, stands};
      for (size_t i = 0; i < c.rows.size(); ++i) {
        const Match& m = state->matches[i];
        const Tensor& t = floats[size_t(state->from.nodes[size_t(m.node)].out[0])];
        auto x = cast(t, DType::f32).to_vector<float>();
        if (!pass) {
          check_finite(state->from, m.node, x, b);
          see_range(c.rows[i], sums[i], x, t, b == 0);
          continue;
        }
        int out = bound.nodes[size_t(m.quantized)].out[0];
        see_values(c.rows[i], sums[i], x, alone.result(m).to_vector<float>(), to_floats(whole[size_t(out)], bound.values[size_t(out)].quantized.get()).to_vector<float>(), outputs[i].get());
      }
      if (!pass) { c.samples += batch[0].rank() ? batch[0].dim(0) : 1; continue; }
      for (size_t o = 0; o < state->from.outputs.size(); ++o) {
        int id = state->quantized.outputs[o];
        if (!floats[size_t(state->from.outputs[o])] || !whole[size_t(id)]) continue;      // a constant
        auto x = cast(floats[size_t(state->from.outputs[o])], DType::f32).to_vector<float>();
        auto y = to_floats(whole[size_t(id)], bound.values[size_t(id)].quantized.get()).to_vector<float>();
        for (size_t k = 0; k < std::min(x.size(), y.size()); ++k) { signal += double(x[k]) * x[k]; noise += (double(x[k]) - y[k]) * (double(x[k]) - y[k]); }
      }
    }
  for (size_t i = 0; i < c.rows.size(); ++i) finish(c.rows[i], sums[i], outputs[i].get());
  c.sqnr_db = decibels(signal, noise);
  c.state = std::move(state);
  return c;
}

QuantizationComparison compare_quantized(nn::Module& model, nn::Module& quantized, const std::vector<std::vector<Tensor>>& data) {
  size_t next = 0;
  return compare_quantized(model, quantized, [&]() { return next < data.size() ? data[next++] : std::vector<Tensor>{}; });
}

}  // namespace miniten::edge
