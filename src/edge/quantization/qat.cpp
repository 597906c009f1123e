#include "miniten/edge/qat.h"
#include <set>
#include "edge/models.h"
#include "edge/quantization/qat.h"

namespace miniten::edge {

namespace {

constexpr const char* who = "prepare_qat";
constexpr int64_t never = int64_t{1} << 62;

// Holds what a model's dotted names lead to.
struct Part : nn::Module {
  std::vector<Tensor> forward(const std::vector<Tensor>&) override {
    throw Error(ErrorKind::unsupported, "Part", "a call of the whole model", "one of a part of it", "its layers are ops of one graph");
  }
  std::string type_name() const override { return "Part"; }
};

// Registers t below root under its dotted name, made unique where it must be.
Tensor own(nn::Module& root, const std::string& name, const Tensor& t, bool trains) {
  nn::Module* at = &root;
  nn::ModuleRef held;
  size_t begin = 0;
  for (size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', begin)) {
    std::string part = dot == begin ? "_" : name.substr(begin, dot - begin);
    while (at->parameter_of(part) || at->buffer_of(part)) part += "_";
    held = at->child(part);
    if (!held) { held = make<Part>(); at->register_module(part, held); }
    at = held.get();
    begin = dot + 1;
  }
  std::string leaf = begin == name.size() ? "_" : name.substr(begin);
  while (at->parameter_of(leaf) || at->buffer_of(leaf) || at->child(leaf)) leaf += "_";
  return trains ? at->register_parameter(leaf, t) : at->register_buffer(leaf, t);
}
std::string flat(std::string name) {
  std::replace(name.begin(), name.end(), '.', '/');
  return name.empty() ? "input" : name;
}
std::string label_of(const Graph& g, int id) {
  int producer = g.producer(id);
  return producer < 0 ? g.values[size_t(id)].name : layer_of(g.nodes[size_t(producer)]);
}
int64_t number(const Tensor& t) { return *t.view().i64(); }

}  // namespace

struct PreparedModel::Impl : FakeQuantization {
  QatOptions options;
  int64_t calibration_samples = 0;
  Tensor steps, freeze_observers_at, freeze_batch_norm_at;
  std::vector<std::pair<std::vector<Spec>, Graph>> bound;
  Ref<nn::GraphModule> integers;                             // of the state as it was at `version`
  uint64_t version = 0;

  Graph lowered(QuantizationReport&) const;
  const Graph& graph_for(const std::vector<Spec>& specs) {
    for (auto& [known, g] : bound) if (known == specs) return g;
    if (bound.size() >= 8) bound.erase(bound.begin());
    bound.emplace_back(specs, bind_inputs(graph, specs));
    return bound.back().second;
  }
};

PreparedModel::PreparedModel(Graph given, const QatOptions& o, const Batches& calibration) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  m.options = o;
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  m.options.config = resolved(o.config);
  if (m.options.config.mode == "static") widen_states(given, m.options.config);
  m.options.config = named(given, m.options.config);
  const QuantizationConfig& config = m.options.config;
  if (config.mode == "static") compose(given, config);
  m.graph = own_copy(given);
  for (size_t i = 0; i < m.graph.values.size(); ++i) {
    Value& v = m.graph.values[i];
    if (v.constant) v.constant = own(*this, v.name.empty() ? "constant_" + std::to_string(i) : v.name, v.constant, v.trainable && is_float(v.spec.dtype));
  }
  Graph from = folded(m.graph, config, config.mode);
  m.decisions = decide(from, config, config.mode);
  std::vector<Range> ranges(from.values.size());
  if (calibration) ranges = calibrate(from, m.decisions, calibration, m.calibration_samples);
  for (size_t i = 0; i < ranges.size(); ++i)
    if (from.is_constant(int(i)) && from.values[i].spec.dtype == DType::f32 && ranges[i].is_empty()) finite_range(from.values[i].constant, ranges[i]);
  std::vector<Range> some = ranges;
  for (Range& r : some) if (r.is_empty()) r = {-1, 1};       // which layers can be integers does not hang on it
  QuantizationReport unused;
  unused.config = config;
  unused.mode = config.mode;
  place(m.graph, from, m.decisions, [&](const Decisions& d) { return activation_parameters(from, d, some); }, unused);

  std::vector<bool> is_origin = origins(from, m.decisions);
  for (size_t i = 0; i < is_origin.size(); ++i) {
    if (!is_origin[i]) continue;
    Tensor range = Tensor::of({2}, {ranges[i].lo, ranges[i].hi});
    m.observed.push_back({int(i), label_of(from, int(i)), own(*this, "quantization.ranges." + flat(label_of(from, int(i))), range, false)});
  }
  m.find_weights(from);
  if (m.observed.empty() && m.weights.empty()) throw Error(ErrorKind::value, who, "a model with layers that have an integer form", "one without", "see the report of quantize_model");
  if (o.learned_scales) {
    if (!calibration) throw Error(ErrorKind::value, who, "calibration data: learned scales start from ranges", "none", "give calibration_data");
    auto groups = activation_parameters(from, m.decisions, ranges).of;
    for (ObservedValue& point : m.observed) {
      int group = m.decisions.group[size_t(point.value)];
      const Quantized& q = groups[size_t(group)];
      Learned& l = m.learned[group];
      if (!l.scale) l = {own(*this, "quantization.scales." + flat(point.label), Tensor::full({}, q.scale[0]), true), q.zero[0]};
    }
    for (WeightPoint& w : m.weights) {
      if (w.stored) continue;
      Quantized q = quantized_constant(m.operand(w), w.dtype, true, w.axis);
      w.scale = own(*this, "quantization.scales." + flat(m.graph.nodes[size_t(w.node)].name) + "/weight", scale_tensor(q), true);
    }
  }
  m.steps = own(*this, "quantization.steps", Tensor::zeros({}, DType::i64), false);
  auto at = [](std::optional<int64_t> step) { Tensor t = Tensor::zeros({}, DType::i64); *t.view().i64() = step.value_or(never); return t; };
  m.freeze_observers_at = own(*this, "quantization.freeze_observers_at", at(o.freeze_observers_at), false);
  m.freeze_batch_norm_at = own(*this, "quantization.freeze_batch_norm_at", at(o.freeze_batch_norm_at), false);
}
PreparedModel::~PreparedModel() = default;

std::vector<Tensor> PreparedModel::forward(const std::vector<Tensor>& inputs) {
  Impl& m = *impl_;
  if (!training()) {
    uint64_t version = 1;
    for (auto& [name, t] : state_dict()) version += t->storage->version;
    if (!m.integers || m.version != version) {
      QuantizationReport unused;
      m.integers = make<nn::GraphModule>(m.lowered(unused));
      m.integers->eval();
      m.version = version;
    }
    return m.integers->forward(inputs);
  }
  std::vector<Spec> specs;
  for (const Tensor& t : inputs) specs.push_back(t.spec());
  const Graph& g = m.graph_for(specs);
  if (!m.is_ready() && mode().recorder)
    throw Error(ErrorKind::value, "PreparedModel", "ranges before the step is compiled", "none", "give prepare_qat calibration_data, or train one step first");
  auto frozen_from = [&](const Tensor& at) { return number(at) == never ? Tensor() : less_equal(at, m.steps); };
  Tensor frozen_ranges, frozen_statistics;
  {
    NoGrad no_grad;
    frozen_ranges = frozen_from(m.freeze_observers_at);
    frozen_statistics = frozen_from(m.freeze_batch_norm_at);
  }
  auto out = m.train(g, inputs, m.options.momentum, frozen_ranges, frozen_statistics);
  NoGrad no_grad;
  assign(m.steps, m.steps + 1.0);
  return out;
}

Graph PreparedModel::Impl::lowered(QuantizationReport& report) const {
  if (!is_ready())
    throw Error(ErrorKind::value, "convert", "ranges of the activations", "a model that saw no data", "train it, or give prepare_qat calibration_data");
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  check_graph(graph, true);
  report.config = options.config;
  report.mode = options.config.mode;
  Graph from = folded(graph, options.config, options.config.mode);
  round_stored_weights(from);
  Decisions d = decisions;
  d.weights = learned_weights(from);
  return place(graph, from, d, [&](const Decisions& now) { return GroupParameters{parameters(now), {}}; }, report);
}
Ref<QuantizedModel> PreparedModel::convert() const {
  QuantizationReport report;
  Graph g = impl_->lowered(report);
  report.calibration_samples = impl_->calibration_samples;
  report.float_bytes = float_bytes(impl_->graph);
  report.notes.push_back("trained with quantisation for " + std::to_string(steps()) + " steps" + (impl_->options.learned_scales ? ", learned scales" : ""));
  return model_of(std::move(g), std::move(report));
}

static void set(const Tensor& at, int64_t step) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Tensor t = Tensor::zeros({}, DType::i64);
  *t.view().i64() = step;
  assign(at, t);
}
void PreparedModel::freeze_observers(bool on) { set(impl_->freeze_observers_at, on ? 0 : never); }
void PreparedModel::freeze_batch_norm(bool on) { set(impl_->freeze_batch_norm_at, on ? 0 : never); }
int64_t PreparedModel::steps() const { return number(impl_->steps); }
const QatOptions& PreparedModel::options() const { return impl_->options; }

std::vector<ObserverRow> PreparedModel::observers() const {
  std::vector<ObserverRow> rows;
  auto groups = impl_->is_ready() ? impl_->parameters(impl_->decisions) : std::vector<Quantized>();
  for (const ObservedValue& point : impl_->observed) {
    const float* range = point.range.view().f32();
    ObserverRow row{point.label, range[0], range[1]};
    if (!groups.empty()) {
      const Quantized& q = groups[size_t(impl_->decisions.group[size_t(point.value)])];
      row.scale = q.scale[0];
      row.zero_point = q.zero[0];
    }
    rows.push_back(row);
  }
  return rows;
}
std::string PreparedModel::extra_repr() const {
  return std::to_string(impl_->weights.size()) + " layers with weights, " + std::to_string(impl_->observed.size()) + " activations in " +
         std::string(impl_->observed.empty() ? "float32" : name_of(impl_->options.config.activation_dtype)) + (impl_->options.learned_scales ? ", learned scales" : "");
}

Ref<PreparedModel> PreparedModel::clone() const {
  QatOptions o = impl_->options;
  o.learned_scales = false;                                  // the scales are copied, not found
  auto copy = make<PreparedModel>(impl_->graph, o);
  Impl& m = *copy->impl_;
  if (impl_->options.learned_scales) {
    for (auto& [group, l] : impl_->learned) m.learned[group] = {l.scale, l.zero};
    for (auto& [name, t] : child("quantization")->child("scales")->own_parameters()) {
      Tensor own_scale = own(*copy, "quantization.scales." + name, t.clone(), true);
      for (auto& [group, l] : m.learned) if (l.scale.same(t)) l.scale = own_scale;
      for (size_t i = 0; i < m.weights.size(); ++i) if (impl_->weights[i].scale.same(t)) m.weights[i].scale = own_scale;
    }
  }
  m.options = impl_->options;
  m.calibration_samples = impl_->calibration_samples;
  copy->load_state_dict(state_dict());
  copy->train(training());
  return copy;
}

Ref<PreparedModel> prepare_qat(nn::Module& model, const QatOptions& o, const Batches& calibration, const std::vector<Spec>& inputs) {
  check_config(o.config);
  const QuantizationConfig& c = o.config;
  if (c.mode == "dynamic") throw Error(ErrorKind::unsupported, who, "mode static or weight_only", "\"" + c.mode + "\"");
  check_plain(who, c, true);
  if (c.fallback != "none") throw Error(ErrorKind::unsupported, who, "fallback None", "\"" + c.fallback + "\"", "quantize_model measures; its report's fallback is a skip for others");
  if (!c.symmetric) throw Error(ErrorKind::unsupported, who, "symmetric weights", "symmetric=False");
  if (resolved(c).mode == "weight_only" && o.learned_scales) throw Error(ErrorKind::unsupported, who, "scales that follow the weights in mode weight_only", "learned scales");
  if (!c.per_channel) throw Error(ErrorKind::unsupported, who, "weights quantised by output channel", "per_channel=False", "a folded batch norm scales each channel by itself");
  if (!(o.momentum >= 0 && o.momentum < 1)) throw Error(ErrorKind::value, who, "a momentum from 0 to below 1", std::to_string(o.momentum));
  for (auto at : {o.freeze_observers_at, o.freeze_batch_norm_at})
    if (at && *at < 0) throw Error(ErrorKind::value, who, "a step of 0 or more to freeze at", std::to_string(*at));
  std::vector<Spec> specs = inputs;
  std::vector<Tensor> first;
  Batches batches;
  if (calibration) {
    first = calibration();
    if (first.empty()) throw Error(ErrorKind::value, who, "at least one calibration batch", "none");
    specs.clear();
    for (const Tensor& t : first) specs.push_back(t.spec());
    batches = [&]() { return first.empty() ? calibration() : std::exchange(first, {}); };
  }
  Graph g = whole_graph(who, model, specs);
  std::vector<std::string> notes;
  if (holds_integers(g)) g = floats_of(g, notes);
  check_graph(g, !notes.empty());
  auto prepared = make<PreparedModel>(std::move(g), o, batches);
  std::vector<Tensor> seen;
  for (const Spec& s : specs.empty() ? model.last_input_specs() : specs) seen.push_back(Tensor::spec_only(s));
  prepared->note_call(seen);
  return prepared;
}

Ref<QuantizedModel> convert(nn::Module& m) {
  auto* prepared = dynamic_cast<PreparedModel*>(&m);
  if (!prepared) throw Error(ErrorKind::type, "convert", "a model that prepare_qat gave", m.type_name());
  return prepared->convert();
}

}  // namespace miniten::edge
