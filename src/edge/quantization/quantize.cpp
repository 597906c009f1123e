#include <cmath>
#include <cstring>
#include <map>
#include <unordered_map>
#include "edge/quantization/refine.h"
#include "edge/quantization/steps.h"
#include "miniten/graph/passes.h"
#include "miniten/interchange/native.h"
#include "miniten/ops/ops.h"
#include "ops/quantized/lowering.h"

namespace miniten::edge {

namespace {

constexpr const char* op = "quantize_model";

void check_choice(const char* what, const std::string& got, std::initializer_list<const char*> known) {
  std::string list;
  for (const char* k : known) {
    if (got == k) return;
    list += (list.empty() ? "" : ", ") + std::string(k);
  }
  throw Error(ErrorKind::value, op, std::string(what) + " among " + list, "\"" + got + "\"");
}
}  // namespace

void set_dtype(QuantizationConfig& c, std::string_view name) {
  if (name == "int16x8") { c.dtype = DType::i8; c.activation_dtype = DType::i16; return; }
  if (!parse_dtype(name, c.dtype)) throw Error(ErrorKind::value, op, "dtype int4, int8, int16 or int16x8", "\"" + std::string(name) + "\"");
}

QuantizationConfig resolved(QuantizationConfig c) {
  if (c.dtype == DType::i16) c.activation_dtype = DType::i16;
  if (c.dtype == DType::i4) {
    c.mode = "weight_only";
    if (!c.block) c.block = 32;
  }
  if (c.activation_dtype == DType::i16) c.activation_symmetric = true;
  if (c.optimize == "accuracy") {
    c.rounding = "adaptive";
    c.correct_bias = true;
    if (c.method == "minmax") c.method = "auto";
    c.equalize |= !c.per_channel;
  }
  return c;
}

void check_config(const QuantizationConfig& c) {
  check_choice("mode", c.mode, {"static", "dynamic", "weight_only"});
  check_choice("rounding", c.rounding, {"nearest", "adaptive"});
  check_choice("optimize", c.optimize, {"none", "accuracy"});
  check_choice("fallback", c.fallback, {"none", "auto"});
  check_choice("method", c.method, {"minmax", "moving_average", "percentile", "mse", "entropy", "octav", "auto"});
  if (c.dtype != DType::i8 && c.dtype != DType::i16 && c.dtype != DType::i4)
    throw Error(ErrorKind::unsupported, op, "dtype int4, int8 or int16", std::string(name_of(c.dtype)));
  bool weights_alone = c.mode == "weight_only" || c.dtype == DType::i4;
  if (c.block < 0 || c.block % 16) throw Error(ErrorKind::value, op, "a block of 16, 32, 48 .. weights, or 0", std::to_string(c.block));
  if (c.block && (!weights_alone || c.dtype == DType::i16))
    throw Error(ErrorKind::unsupported, op, "blocks of int4 or int8 weights in mode \"weight_only\"", "block " + std::to_string(c.block), "leave block out");
  if (c.activation_dtype != DType::i8 && c.activation_dtype != DType::u8 && c.activation_dtype != DType::i16)
    throw Error(ErrorKind::unsupported, op, "activation_dtype int8, uint8 or int16", std::string(name_of(c.activation_dtype)));
  if (!c.symmetric && !weights_alone)
    throw Error(ErrorKind::unsupported, op, "symmetric weights where integers are multiplied", "symmetric=False",
                "activations are asymmetric by default; mode \"weight_only\" takes asymmetric weights");
  if (!(c.percentile > 50 && c.percentile <= 100)) throw Error(ErrorKind::value, op, "a percentile above 50, at most 100", std::to_string(c.percentile));
  if (!(c.momentum >= 0 && c.momentum < 1)) throw Error(ErrorKind::value, op, "a momentum from 0 to below 1", std::to_string(c.momentum));
}

QuantizationConfig overridden(QuantizationConfig c, const LayerOverride& o) {
  auto set = [](auto& field, const auto& to) { if (to) field = *to; };
  if (o.dtype) {
    if (*o.dtype == "int8" && c.activation_dtype == DType::i16) { c.activation_dtype = DType::i8; c.activation_symmetric = false; }
    if (*o.dtype == "int16") c.block = 0;
    set_dtype(c, *o.dtype);
  }
  if (o.activation_dtype && !parse_dtype(*o.activation_dtype, c.activation_dtype)) throw Error(ErrorKind::value, op, "activation_dtype int8, uint8 or int16", "\"" + *o.activation_dtype + "\"");
  set(c.per_channel, o.per_channel);
  set(c.symmetric, o.symmetric);
  set(c.activation_symmetric, o.activation_symmetric);
  set(c.method, o.method);
  set(c.rounding, o.rounding);
  set(c.mode, o.mode);
  set(c.percentile, o.percentile);
  set(c.block, o.block);
  return c;
}

void check_plain(const char* who, const QuantizationConfig& c, bool overrides) {
  if (c.fallback != "none" && !overrides) throw Error(ErrorKind::unsupported, who, "fallback None", "\"" + c.fallback + "\"", "quantize_model measures; its report's fallback is a skip for others");
  if (!c.overrides.empty() && !overrides) throw Error(ErrorKind::unsupported, who, "one setting for all layers", "overrides", "skip leaves layers in floats");
  if (c.rounding != "nearest" || c.correct_bias || c.equalize || c.optimize != "none")
    throw Error(ErrorKind::unsupported, who, "rounding to the nearest without bias correction or equalisation", "others", "quantize_model does these");
}

void check_graph(const Graph& g, bool was_quantized) {
  for (const Value& v : g.values)
    if (v.constant && v.quantized && !was_quantized) throw Error(ErrorKind::value, op, "a float model", "a quantised one", "quantise the float model that it came from");
  for (const Node& n : g.nodes) {
    if (n.op->traits.converts != Conversion::none && !was_quantized)
      throw Error(ErrorKind::value, op, "a float model", "one with quantised layers (\"" + layer_of(n) + "\")", "quantise the float model that it came from");
    if (!n.subgraphs.empty() || n.op->traits.writes.n)
      throw Error(ErrorKind::unsupported, op, "a graph without control flow and states", std::string(n.op->name) + " in layer \"" + layer_of(n) + "\"");
  }
  for (const Value& v : g.values) {
    Range r;
    if (v.constant && v.trainable && v.spec.dtype == DType::f32 && !finite_range(v.constant, r))
      throw Error(ErrorKind::value, op, "finite weights", "NaN or infinity in \"" + v.name + "\"", "train or load the model again");
  }
}

size_t float_bytes(const Graph& g) {
  NativeFile file;
  file.graph = g;
  file.has_graph = true;
  file.kind = "module";
  return native_bytes(file).size();
}

namespace {

// Values that nothing reads are dropped; ids change. Constants get names, biases that came from batch norm their layer's.
// What stayed float no longer shares memory with the given model.
void tidy(Graph& g, const Graph& from) {
  std::map<int, int> ids;
  std::vector<Value> values;
  auto moved = [&](int& id) {
    auto [known, is_new] = ids.try_emplace(id, int(values.size()));
    if (is_new) values.push_back(std::move(g.values[size_t(id)]));
    id = known->second;
  };
  for (int& id : g.inputs) moved(id);
  for (Node& n : g.nodes) {
    for (int& id : n.in) moved(id);
    for (int& id : n.out) moved(id);
  }
  for (int& id : g.outputs) moved(id);
  g.values = std::move(values);
  for (const Node& n : g.nodes)
    for (int id : n.in) {
      Value& v = g.values[size_t(id)];
      if (v.constant && v.name.empty()) v.name = layer_of(n) + (v.spec.shape.rank == 1 && n.op->traits.weights ? ".bias" : ".constant");
    }
  std::map<const Storage*, bool> given;
  for (const Value& v : from.values) if (v.constant) given[v.constant->storage.get()] = true;
  for (Value& v : g.values) {
    if (!v.constant || !given.count(v.constant->storage.get())) continue;
    Tensor own = Tensor::empty(v.spec, v.constant.strides());
    copy_values(v.constant.view(), own.view());
    v.constant = own;
  }
}

std::string dtype_text(const Graph& g, const Node& n) { return std::string(name_of(g.values[size_t(n.in[0])].spec.dtype)); }

void add_rows(QuantizationReport& report, const Graph& from, const Decisions& d, const Placed& placed, const std::vector<Quantized>& groups) {
  auto scale = [&](int id) { return d.is_quantized(id) ? groups[size_t(d.group[size_t(id)])].scale[0] : 0.0f; };
  for (size_t i = 0; i < from.nodes.size(); ++i) {
    const Node& n = from.nodes[i];
    const Decision& decision = d.nodes[i];
    if (decision.form == Decision::untouched || (decision.form == Decision::passes && n.op->traits.movement)) continue;
    QuantizationRow row{n.name, std::string(n.op->name), std::string(n.op->name), "float32", decision.reason};
    if (decision.form != Decision::floats) {
      if (decision.form == Decision::stored) row.dtype = "float32, weights " + std::string(name_of(d.config_of(i).dtype));
      else if (decision.form == Decision::integers) {
        const Node& now = placed.graph.nodes[size_t(placed.graph.producer(placed.result[i]))];
        row.form = std::string(now.op->name);
        row.dtype = dtype_text(placed.graph, now);
      } else row.dtype = std::string(name_of(d.config_of_value(n.out[0]).activation_dtype));
      if (report.mode == "static") { row.input_scale = scale(n.in[0]); row.output_scale = scale(n.out[0]); }
    }
    report.rows.push_back(std::move(row));
  }
}

// Weights and biases that calibration improved take the place of the given ones.
void refine(Graph& g, Decisions& d, const Refiner& refiner) {
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    const QuantizationConfig& config = d.config_of(i);
    if ((d.nodes[i].form != Decision::integers && d.nodes[i].form != Decision::stored) || n.in.size() < 2 || !is_bit(n.op->traits.weights, 1) || !g.is_constant(n.in[1]) || g.readers(n.in[1]).size() != 1) continue;
    const Value& weight = g.values[size_t(n.in[1])];
    Quantized q = weight_parameters(g, n, n.in[1], config);
    auto specs = g.specs(n.in), out = g.specs(n.out);
    auto values = g.constants(n.in);
    std::vector<Input> known(values.begin(), values.end());
    Call call{*n.op, n.attributes(), specs, out, known};
    std::vector<BlockScale> scales = config.block ? block_scales(call, config.dtype, config.block, config.symmetric) : std::vector<BlockScale>{};
    if (config.rounding == "adaptive") {
      Tensor chosen = scales.empty() ? refiner.rounded(int(i), q) : refiner.rounded(int(i), scales, config.block, limits_of(config.dtype));
      if (chosen) d.rounded[n.in[1]] = chosen;
    }
    if (!config.correct_bias) continue;
    Tensor now = d.rounded.count(n.in[1]) ? d.rounded.at(n.in[1]) : Tensor();
    if (!now && scales.empty()) {
      Quantized stored = q;
      if (q.dtype == DType::i4) stored.dtype = DType::i8;
      Tensor integers = quantize(weight.constant, scale_tensor(q), zero_tensor(stored), q.axis);
      now = dequantize(q.dtype == DType::i4 ? packed_int4(integers) : integers, scale_tensor(q), zero_tensor(q), q.axis);
    }
    if (!now) continue;
    if (Tensor bias = refiner.corrected_bias(int(i), now)) {
      int id = g.add_value(bias.spec(), n.in.size() > 2 ? g.values[size_t(n.in[2])].name : "", bias);
      if (n.in.size() > 2) n.in[2] = id; else n.in.push_back(id);
    }
  }
  for (size_t id = d.group.size(); id < g.values.size(); ++id) {             // biases that are new
    d.group.push_back(int(id));
    d.quantized.push_back(false);
    d.leads.push_back(0);
  }
}

// A pass replaces masks and clusters by nothing where it changes the values: say what was given up.
void note_losses(QuantizationReport& report, const Graph& from) {
  for (const Value& v : from.values)
    if (v.constant && v.codebook) report.notes.push_back("\"" + v.name + "\" is no longer clustered: each channel has its own scale");
}

}  // namespace

// Each step of a recurrent layer has its own copy of the same weights and scales: one is kept.
static void share_constants(Graph& g) {
  std::unordered_multimap<size_t, std::pair<int, Tensor>> known;
  for (Node& n : g.nodes)
    for (int& id : n.in) {
      const Value& v = g.values[size_t(id)];
      if (!g.is_constant(id)) continue;
      const Tensor dense = v.constant.clone();
      const std::string_view bytes(reinterpret_cast<const char*>(dense.view().data), v.spec.bytes());
      const size_t hash = std::hash<std::string_view>()(bytes);
      const auto [begin, end] = known.equal_range(hash);
      auto same = std::find_if(begin, end, [&](const auto& entry) {
        const Value& other = g.values[size_t(entry.second.first)];
        return other.name == v.name && other.spec == v.spec && (other.quantized == v.quantized || (other.quantized && v.quantized && *other.quantized == *v.quantized)) && std::memcmp(entry.second.second.view().data, bytes.data(), bytes.size()) == 0;
      });
      if (same != end) id = same->second.first;
      else known.emplace(hash, std::pair{id, dense});
    }
}

Graph folded(const Graph& g, const QuantizationConfig& config, const std::string& mode) {
  Graph from = g;
  if (mode != "weight_only") compose(from, config);
  const bool composed = from.nodes.size() > g.nodes.size();
  fold_constants(from);
  if (composed) share_constants(from);
  fuse(from);
  remove_dead(from);
  verify(from);
  return from;
}

Graph place(const Graph& given, const Graph& from, Decisions& d, const Parameters& parameters, QuantizationReport& report) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  note_losses(report, given);
  bool is_static = report.mode == "static";
  Placed placed;
  GroupParameters groups;
  for (;;) {
    if (is_static) {
      groups = parameters(d);
      placed = place_static(from, d, groups);
    } else placed = place_dynamic(from, d);
    if (!placed.is_refused()) break;
    for (size_t i = 0; i < placed.refusals.size(); ++i)
      if (!placed.refusals[i].empty()) d.nodes[i] = {Decision::floats, placed.refusals[i]};
    if (is_static) regroup(from, d);
  }
  verify(placed.graph);
  if (is_static) {
    lower_quantized(placed.graph);
    verify(placed.graph);
  }
  if (!is_static) share_constants(placed.graph);
  add_rows(report, from, d, placed, groups.of);
  tidy(placed.graph, given);
  verify(placed.graph);
  return std::move(placed.graph);
}

namespace {

Batches before(std::vector<Tensor> first, const Batches& others) {
  return [first, others]() mutable { return first.empty() ? others() : std::exchange(first, {}); };
}
std::vector<Spec> specs_of(const std::vector<Tensor>& tensors) {
  std::vector<Spec> specs;
  for (const Tensor& t : tensors) specs.push_back(t.spec());
  return specs;
}

// Leaves to floats what is slower in integers. -> calibration with the batch that was read for it.
Batches fall_back(const Graph& g, const Batches& calibration, QuantizationReport& report, std::vector<Slower>& slower) {
  if (report.mode == "weight_only") throw Error(ErrorKind::unsupported, op, "fallback \"auto\" in mode static or dynamic", "mode weight_only", "it computes in floats");
  std::vector<Tensor> first;
  if (calibration) first = calibration();
  else for (const Spec& s : g.specs(g.inputs)) if (s.shape.is_static()) first.push_back(Tensor::zeros(s.shape, s.dtype));
  if (first.size() == g.inputs.size()) {
    QuantizationConfig c = report.config;
    c.mode = report.mode;
    slower = slower_in_integers(g, c, first);
    for (const Slower& s : slower) report.fallback.push_back("=" + s.layer);
    report.config.skip.insert(report.config.skip.end(), report.fallback.begin(), report.fallback.end());
  } else report.notes.push_back("fallback: sizes are not known, nothing was timed");
  return calibration ? before(first, calibration) : nullptr;
}
void tell_times(QuantizationReport& report, const std::vector<Slower>& slower) {
  for (const Slower& s : slower)
    for (QuantizationRow& r : report.rows) {
      if (r.layer != s.layer || r.reason.empty()) continue;
      char text[96];
      std::snprintf(text, sizeof text, "slower in integers: %.3g us, in floats %.3g", s.integer_us, s.float_us);
      r.reason = text;
    }
}

}  // namespace

QuantizationReport quantize_graph(Graph& g, const QuantizationConfig& given, const Batches& batches) {
  check_config(given);
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  QuantizationReport report;
  report.requantized = holds_integers(g);
  if (report.requantized) g = floats_of(g, report.notes);
  check_graph(g, report.requantized);
  report.config = resolved(given);
  report.mode = report.config.mode == "static" && !batches ? "dynamic" : report.config.mode;
  if (report.mode == "static" && widen_states(g, report.config)) report.notes.push_back("recurrent layers hand on int16 states; an override with activation_dtype int8 makes them smaller");
  std::vector<Slower> slower;
  Batches calibration = given.fallback == "auto" ? fall_back(g, batches, report, slower) : batches;
  const QuantizationConfig config = named(g, report.config);
  if (report.mode == "static" && !g.is_static()) {
    std::vector<Tensor> first = calibration();
    g = with_sizes(g, config, specs_of(first));
    calibration = before(std::move(first), calibration);
  }
  if (config.mode != given.mode) report.notes.push_back("int4 weights are stored alone: products are of floats");
  report.float_bytes = float_bytes(g);
  if (report.mode != config.mode) report.notes.push_back("no calibration data: weights are static, activations get their scales at run time");

  Graph from = folded(g, config, report.mode);
  Decisions d = decide(from, config, report.mode);
  const bool refines = d.refines();
  if (calibration && report.mode != "static" && !refines) report.notes.push_back("mode " + report.mode + " does not use calibration data");
  if (config.equalize) report.notes.push_back("equalised " + std::to_string(equalize(from, d)) + " pairs of layers");
  std::vector<Range> ranges;
  if (report.mode == "static" || (refines && calibration)) {
    Refiner refiner(from, d);
    ranges = calibrate(from, d, calibration, report.calibration_samples, [&](int id, const Tensor& t) { refiner.see(id, t); });
    if (refines) refine(from, d, refiner);
  } else if (refines) report.notes.push_back("no calibration data: weights are rounded to the nearest, biases stay");
  g = place(g, from, d, [&](const Decisions& now) { return activation_parameters(from, now, ranges); }, report);
  tell_times(report, slower);
  return report;
}

}  // namespace miniten::edge
