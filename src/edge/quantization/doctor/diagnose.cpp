#include <cmath>
#include "edge/quantization/doctor/state.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

// What is worth telling.
constexpr double dead = 0.5, clipped = 0.01, clipped_sum = 0.001, wide = 60, coarse = 2;

std::string number(double v, const char* format = "%.3g") {
  char s[32];
  std::snprintf(s, sizeof s, format, v);
  return s;
}
// Sums and differences: of two activations, and their gradients need neither.
bool adds(const Node& n) { return n.op->quant.lower && ((n.op->quant.activations | n.op->quant.either) & 3) == 3 && n.op->keep.inputs == 0; }

}  // namespace

std::vector<QuantizationFinding> QuantizationComparison::diagnose() const {
  std::vector<std::pair<double, QuantizationFinding>> found;
  for (size_t i = 0; i < rows.size(); ++i) {
    const ComparisonRow& r = rows[i];
    const Node& n = state->from.nodes[size_t(state->matches[i].node)];
    bool fixed = r.clip_hi > r.clip_lo;              // a range was chosen from data
    QuantizationFix recalibrate{"recalibrate", r.layer, "take the range of these data"}, clip{"clip", r.layer, "clip to the range of least squared error"},
        percentile{"percentile", r.layer, "clip to the range of 99.9 % of the values"}, floats{"float", r.layer, "leave the layer in floats"}, asymmetric{"asymmetric", r.layer, "give activations a zero point"};
    auto tell = [&](const char* cause, double value, std::string text, std::vector<QuantizationFix> fixes) {
      found.emplace_back(r.sqnr_db, QuantizationFinding{r.layer, cause, value, std::move(text), std::move(fixes)});
    };
    if (r.bias_ratio >= coarse)
      tell("bias overflow", r.bias_ratio, "a bias is too great for int32 at its channel's scale: the weights are stored " + number(r.bias_ratio) + " times coarser", {floats});
    if (!fixed) continue;
    double width = std::max(r.hi, 0.0) - std::min(r.lo, 0.0), kept = r.clip_hi - r.clip_lo;
    if (r.saturation >= (adds(n) ? clipped_sum : clipped))
      tell(adds(n) ? "saturating add" : "saturation", r.saturation,
           number(100 * r.saturation) + " % of the values lie outside [" + number(r.clip_lo) + ", " + number(r.clip_hi) + "]; they reach from " + number(r.lo) + " to " + number(r.hi), {recalibrate, floats});
    if (r.unused_range >= dead) {
      bool one_sided = state->report.config.activation_symmetric && (r.lo >= 0 || r.hi <= 0) && width >= 0.4 * kept;
      tell("dead range", r.unused_range, "no value becomes " + number(100 * r.unused_range) + " % of the integers: they stand for [" + number(r.clip_lo) + ", " + number(r.clip_hi) + "], the values reach from " +
                                             number(r.lo) + " to " + number(r.hi), one_sided ? std::vector{asymmetric, floats} : std::vector{recalibrate, floats});
    }
    if (!r.outlier_channels.empty())
      tell("outlier channel", r.outlier_channels[0].ratio, "channel " + std::to_string(r.outlier_channels[0].channel) + " reaches " + number(r.outlier_channels[0].ratio) + " times further than the median one, and all share one scale",
           {clip, percentile, floats});
    else if (r.deviation > 0 && kept / r.deviation > wide && r.unused_range < dead)
      tell("wide activation", kept / r.deviation, "few values stretch the range to " + number(kept / r.deviation) + " standard deviations", {percentile, clip, floats});
  }
  std::stable_sort(found.begin(), found.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::vector<QuantizationFinding> all;
  for (auto& [cost, f] : found) all.push_back(std::move(f));
  return all;
}

namespace {

// Range of a value of `from` over the data; method: as calibration finds it.
struct Watch { int value; RangeObserver observer; };
std::vector<Range> ranges_of(const QuantizationComparison::State& s, const std::vector<int>& values, const QuantizationConfig& config) {
  std::vector<Range> ranges(s.from.values.size());
  std::vector<Watch> watched;
  for (int v : values) {
    watched.push_back({v, RangeObserver(config)});
    if (s.from.values[size_t(v)].constant) watched.back().observer.see(s.from.values[size_t(v)].constant);
  }
  for (const auto& batch : s.data) {
    std::vector<Spec> specs;
    for (const Tensor& t : batch) specs.push_back(t.spec());
    Replay how;
    how.gives = [&](int value, const Tensor& t) {
      for (Watch& w : watched) if (w.value == value) w.observer.see(t);
      return t;
    };
    replay(bind_inputs(s.from, specs), batch, how);
  }
  for (const Watch& w : watched) ranges[size_t(w.value)] = w.observer.range(config.activation_dtype, config.activation_symmetric);
  return ranges;
}

}  // namespace

Ref<QuantizedModel> QuantizationComparison::apply(const QuantizationFix& fix) const {
  constexpr const char* who = "apply";
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  const State& s = *state;
  std::vector<size_t> named;
  for (size_t i = 0; i < rows.size(); ++i) if (rows[i].layer == fix.layer) named.push_back(i);
  if (named.empty()) throw Error(ErrorKind::value, who, "a layer of the comparison", "\"" + fix.layer + "\"");
  if (fix.kind != "recalibrate" && fix.kind != "clip" && fix.kind != "percentile" && fix.kind != "float" && fix.kind != "asymmetric")
    throw Error(ErrorKind::value, who, "a fix recalibrate, clip, percentile, asymmetric or float", "\"" + fix.kind + "\"");

  check_plain(who, s.report.config, true);
  QuantizationReport report;
  report.config = s.report.config;
  report.mode = s.report.mode.empty() ? "static" : s.report.mode;
  report.calibration_samples = s.report.calibration_samples;
  if (report.mode != "static" && fix.kind != "float")
    throw Error(ErrorKind::unsupported, who, "a model with ranges fixed by data", "mode " + report.mode, "only the fix float changes it");
  report.float_bytes = float_bytes(s.given);
  report.notes = s.report.notes;
  report.notes.push_back("fixed \"" + fix.layer + "\": " + (fix.text.empty() ? fix.kind : fix.text));
  if (fix.kind == "asymmetric") report.config.activation_symmetric = false;

  Decisions d = decide(s.from, edge::named(s.given, report.config), report.mode);
  for (size_t i = 0; i < s.matches.size(); ++i)              // layers that an earlier fix left in floats
    if (d.nodes[size_t(s.matches[i].node)].form == Decision::integers && rows[i].form == rows[i].op && s.quantized.nodes[size_t(s.matches[i].quantized)].op == s.from.nodes[size_t(s.matches[i].node)].op &&
        is_float(s.quantized.values[size_t(s.quantized.nodes[size_t(s.matches[i].quantized)].out[0])].spec.dtype))
      d.nodes[size_t(s.matches[i].node)] = {Decision::floats, "float in the model compared"};
  if (fix.kind == "float")
    for (size_t i : named) {
      Decision& decision = d.nodes[size_t(s.matches[i].node)];
      if (decision.form != Decision::untouched) decision = {Decision::floats, "left in floats by a fix"};
    }
  if (report.mode != "static") {
    Graph g = place(s.given, s.from, d, nullptr, report);
    return model_of(std::move(g), std::move(report));
  }
  regroup(s.from, d);

  // Scales that stand: of activations by value, of weights by what is stored. The rest follows from the data.
  for (const Match& m : s.matches) {
    const Node &n = s.from.nodes[size_t(m.node)], &now = s.quantized.nodes[size_t(m.quantized)];
    for (size_t k = 0; k < n.in.size(); ++k)
      for (int id : now.in) {
        const Value& stored = s.quantized.values[size_t(id)];
        const Value& weight = s.from.values[size_t(n.in[k])];
        if (!is_bit(n.op->traits.weights, k) || !weight.constant || !stored.constant || !stored.quantized || stored.spec.shape != weight.spec.shape || is_float(stored.spec.dtype)) continue;
        const Quantized& q = *stored.quantized;
        d.weights[n.in[k]] = q;
        d.rounded[n.in[k]] = dequantize(stored.constant, scale_tensor(q), zero_tensor(q), q.axis);
      }
  }
  std::vector<bool> is_origin = origins(s.from, d);
  std::map<int, Quantized> stands;
  std::vector<int> missing;
  std::map<int, bool> changed;                               // by group
  bool follows = fix.kind == "recalibrate" || fix.kind == "clip" || fix.kind == "percentile";
  if (follows) for (size_t i : named) changed[d.group[size_t(s.from.nodes[size_t(s.matches[i].node)].out[0])]] = true;
  for (size_t v = 0; v < is_origin.size(); ++v) {
    if (!is_origin[v]) continue;
    auto q = fix.kind == "asymmetric" || changed.count(d.group[v]) ? nullptr : integers_of(s.quantized, counterpart(s, int(v)));
    const bool stood = q && q->scale.size() == 1;
    if (stood) stands[int(v)] = *q;
    if (!stood || d.configs.size() > 1) missing.push_back(int(v));       // ranges: also for who reads it in another dtype
  }
  QuantizationConfig config = report.config;
  config.method = fix.kind == "clip" ? "mse" : fix.kind == "percentile" ? "percentile" : "minmax";
  config.percentile = 99.9f;
  std::vector<Range> ranges = ranges_of(s, missing, config);
  auto parameters = [&](const Decisions& now) {
    GroupParameters groups = activation_parameters(s.from, now, ranges);
    for (auto& [value, q] : stands) if (now.is_quantized(value)) groups.of[size_t(now.group[size_t(value)])] = q;
    return groups;
  };
  Graph g = place(s.given, s.from, d, parameters, report);
  return model_of(std::move(g), std::move(report));
}

}  // namespace miniten::edge
