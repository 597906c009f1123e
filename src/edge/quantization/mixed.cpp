#include "base/json.h"
#include "miniten/edge/mixed_precision.h"
#include <cmath>
#include <fstream>
#include <set>
#include "edge/benchmark/bench.h"
#include "edge/models.h"
#include "edge/quantization/steps.h"
#include "miniten/graph/passes.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

constexpr const char* who = "quantize_with_accuracy";
using Names = std::set<std::string>;
// Layers by precision; all others are as the config says.
struct Mix {
  Names floats, wide;                              // wide: int16
  bool operator==(const Mix&) const = default;
  void drop(const std::string& layer) { floats.erase(layer); wide.erase(layer); }
};

// ---- what a mix costs ----
// Picojoules: a float32 multiply and add 4.6, an int8 multiply with an int32 add 0.3, a byte from a small cache 1.25.
double node_energy_uj(const Graph& g, const Node& n) {
  double bytes = 0;
  bool floats = false;
  for (const auto* ids : {&n.in, &n.out})
    for (int id : *ids) {
      const Spec& s = g.values[size_t(id)].spec;
      bytes += double(s.bytes());
      floats |= is_float(s.dtype) && s.shape.rank > 1;
    }
  Cost c = cost_of(g, n);
  double each = floats ? 4.6 : 0.3;
  return (double(c.macs) * each + double(c.flops) * (floats ? 0.9 : 0.1) + bytes * 1.25) * 1e-6;
}

struct Search {
  nn::Module& model;
  const MixedPrecisionOptions& options;
  const Evaluate& evaluate;
  Graph given, from;
  Decisions all;                                   // everything in integers that can be
  std::vector<Range> ranges, wide_ranges;          // for the config's activations, and for those of int16
  std::vector<int> wide_config;                    // by number of a config: that of the same layers in int16
  std::vector<Tensor> first;                       // the first batch
  std::vector<Spec> specs;
  std::vector<Tensor> outputs;                     // of the float model on it
  int64_t samples = 0;
  std::vector<std::string> layers;                 // that can be integers
  MixedPrecision result;
  std::map<std::string, std::pair<double, double>> known;      // key -> score and cost

  void add_wide_configs() {
    const size_t n = all.configs.size();
    for (size_t i = 0; i < n; ++i) {
      wide_config.push_back(int(n + i));
      all.configs.push_back(resolved(overridden(all.configs[i], {.dtype = "int16"})));
    }
  }
  Decisions decisions(const Mix& mix) const {
    Decisions d = all;
    for (size_t i = 0; i < from.nodes.size(); ++i) {
      if (d.nodes[i].form != Decision::integers) continue;
      const std::string layer = layer_of(from.nodes[i]);
      if (mix.floats.count(layer)) d.nodes[i] = {Decision::floats, "for the score's sake"};
      else if (mix.wide.count(layer)) d.config[i] = wide_config[size_t(d.config[i])];
    }
    regroup(from, d);
    return d;
  }
  Graph mixed(const Mix& mix, QuantizationReport& report) const {
    report.config = options.config;
    report.mode = "static";
    report.calibration_samples = samples;
    for (const std::string& layer : mix.wide) report.config.overrides.push_back({.layers = layer, .dtype = "int16"});
    Decisions d = decisions(mix);
    return place(given, from, d, [&](const Decisions& now) {
      GroupParameters groups = activation_parameters(from, now, ranges), wide = activation_parameters(from, now, wide_ranges);
      for (size_t i = 0; i < groups.of.size(); ++i)
        if (now.quantized[i] && groups.of[i].dtype == DType::i16) { groups.of[i] = wide.of[i]; groups.ranges[i] = wide.ranges[i]; }
      return groups;
    }, report);
  }
  Ref<QuantizedModel> made(const Mix& mix) const {
    QuantizationReport report;
    Graph g = mixed(mix, report);
    report.float_bytes = float_bytes(given);
    return model_of(std::move(g), std::move(report));
  }

  double cost(const Graph& g, size_t bytes) const {
    if (options.objective == "size") return double(bytes);
    Graph bound = bind_inputs(g, specs);
    if (options.objective == "latency") {
      Session s(bound);
      return median_ms(workload(s, first));
    }
    double uj = 0;
    Session s(bound);
    for (const Node& n : s.graph().nodes) uj += node_energy_uj(s.graph(), n);
    return uj;
  }

  // ---- the journal ----
  std::string fingerprint() const {
    uint64_t h = 1469598103934665603u;
    auto add = [&](const void* data, size_t n) { for (size_t i = 0; i < n; ++i) h = (h ^ static_cast<const unsigned char*>(data)[i]) * 1099511628211u; };
    std::string text = given.to_text();
    add(text.data(), text.size());
    for (const Value& v : given.values) {
      if (!v.constant || v.spec.dtype != DType::f32) continue;
      auto values = v.constant.to_vector<float>();
      add(values.data(), values.size() * sizeof(float));
    }
    for (const Range& r : ranges) if (!r.is_empty()) { add(&r.lo, sizeof r.lo); add(&r.hi, sizeof r.hi); }
    char s[20];
    std::snprintf(s, sizeof s, "%016llx", static_cast<unsigned long long>(h));
    return s;
  }
  nlohmann::ordered_json head() const {
    QuantizationReport r;
    r.config = options.config;
    return {{"model", fingerprint()}, {"objective", options.objective}, {"precisions", options.precisions}, {"config", parse_json(r.to_json())["config"]}};
  }
  void open_journal() {
    if (options.journal.empty()) return;
    std::ifstream in(options.journal);
    std::string line;
    if (std::getline(in, line)) {
      auto parsed = parse_json(line, false);
      if (parsed != head())
        throw Error(ErrorKind::value, who, "the journal of this model, these data and options", "\"" + options.journal + "\", which is of others", "give another path, or delete the file");
      while (std::getline(in, line)) {
        auto entry = parse_json(line, false);                          // a line cut off by a stop counts as none
        if (entry.is_object() && entry.contains("mix") && entry.contains("score") && entry.contains("cost") && entry["mix"].is_string() && entry["score"].is_number() && entry["cost"].is_number())
          known[entry["mix"]] = {entry["score"], entry["cost"]};
      }
      in.clear();
      if (in.seekg(-1, std::ios::end); in.get() != '\n') std::ofstream(options.journal, std::ios::app) << "\n";
      return;
    }
    write_line(head());
  }
  void write_line(const nlohmann::ordered_json& j) const {
    if (options.journal.empty()) return;
    std::ofstream out(options.journal, std::ios::app);
    out << j.dump() << "\n";
    if (!out.flush()) throw Error(ErrorKind::io, who, "a journal that can be written", "\"" + options.journal + "\"");
  }

  static std::string key_of(const Mix& mix) { return nlohmann::ordered_json(mix.floats).dump() + (mix.wide.empty() ? "" : " int16 " + nlohmann::ordered_json(mix.wide).dump()); }
  static Mix mix_of(const MixedPrecisionRow& r) { return {{r.float_layers.begin(), r.float_layers.end()}, {r.int16_layers.begin(), r.int16_layers.end()}}; }
  double score_of(nn::Module& m) const {
    double s = evaluate(m);
    if (!std::isfinite(s)) throw Error(ErrorKind::value, who, "a finite score from evaluate", std::to_string(s));
    return s;
  }
  double try_mix(const Mix& mix) {
    std::string key = key_of(mix);
    for (const MixedPrecisionRow& r : result.table)
      if (!r.is_float && mix_of(r) == mix) return r.score;
    auto at = known.find(key);
    result.remembered += at != known.end();
    if (at == known.end()) {
      auto m = made(mix);
      ++result.evaluations;
      at = known.emplace(key, std::pair(score_of(*m), cost(m->graph(), m->size_bytes()))).first;
      write_line({{"mix", key}, {"score", at->second.first}, {"cost", at->second.second}});
    }
    result.table.push_back({{mix.floats.begin(), mix.floats.end()}, {mix.wide.begin(), mix.wide.end()}, at->second.first, at->second.second});
    return at->second.first;
  }
  void try_float() {
    auto at = known.find("float");
    result.remembered += at != known.end();
    if (at == known.end()) {
      ++result.evaluations;
      at = known.emplace("float", std::pair(score_of(model), cost(from, float_bytes(given)))).first;
      write_line({{"mix", "float"}, {"score", at->second.first}, {"cost", at->second.second}});
    }
    MixedPrecisionRow row{{}, {}, at->second.first, at->second.second};
    row.is_float = true;
    result.table.push_back(row);
    result.float_score = at->second.first;
  }

  // ---- what each layer does ----
  void scan() {
    Names everything(layers.begin(), layers.end());
    auto cost_with = [&](const Mix& mix) { QuantizationReport r; return objective_by_layer(mixed(mix, r)); };
    auto costs = objective_by_layer(from), integer = cost_with({});
    const bool tries_wide = has("int16");
    auto wide = tries_wide ? cost_with({{}, everything}) : std::map<std::string, double>{};
    for (const std::string& layer : layers) {
      Names others = everything;
      others.erase(layer);
      QuantizationReport unused;
      Session s(bind_inputs(mixed({others, {}}, unused), specs));
      auto got = s.run(first);
      double signal = 0, noise = 0;
      for (size_t o = 0; o < got.size(); ++o) {
        auto x = cast(outputs[o], DType::f32).to_vector<float>(), y = cast(got[o], DType::f32).to_vector<float>();
        for (size_t i = 0; i < x.size(); ++i) { signal += double(x[i]) * x[i]; noise += (double(x[i]) - y[i]) * (double(x[i]) - y[i]); }
      }
      LayerSensitivity l{layer, "", noise > 0 && signal > 0 ? 10 * std::log10(signal / noise) : noise > 0 ? -HUGE_VAL : HUGE_VAL, costs[layer] - integer[layer]};
      if (tries_wide && (!has("float") || wide[layer] < costs[layer])) wide_first.insert(layer);
      for (const Node& n : from.nodes) if (layer_of(n) == layer) { l.op = std::string(n.op->name); break; }
      result.layers.push_back(std::move(l));
    }
    // Error by what integers save: the layer that costs most of the score for least of the objective goes first.
    double least = 0;
    for (const LayerSensitivity& l : result.layers) least = std::max(least, std::abs(l.saving) * 1e-3);
    auto harm = [&](const LayerSensitivity& l) { return std::pow(10, -l.sqnr_db / 10) / std::max(l.saving, std::max(least, 1e-12)); };
    std::stable_sort(result.layers.begin(), result.layers.end(), [&](auto& a, auto& b) { return harm(a) > harm(b); });
  }
  std::map<std::string, double> objective_by_layer(const Graph& g) const {
    std::map<std::string, double> by;
    Session s(bind_inputs(g, specs), {.passes = layer_passes()});
    const Graph& run = s.graph();
    if (options.objective == "latency") { for (const StepProfile& p : s.profile(first, 15)) by[p.name] += p.nanoseconds / 1e6; }
    else for (const Node& n : run.nodes) {
      double v = 0;
      if (options.objective == "energy") v = node_energy_uj(run, n);
      else for (int id : n.in) if (run.values[size_t(id)].constant) v += double(run.values[size_t(id)].spec.bytes());
      by[layer_of(n)] += v;
    }
    return by;
  }

  bool has(const char* precision) const { return std::count(options.precisions.begin(), options.precisions.end(), precision) > 0; }
  Names wide_first;                                // layers that cost less in int16 than in floats

  // The k most harmful layers in what is cheaper than floats, or in floats all.
  Mix worst(size_t k, bool may_be_wide) const {
    Mix mix;
    for (size_t i = 0; i < k; ++i) {
      const std::string& layer = result.layers[i].layer;
      (may_be_wide && wide_first.count(layer) ? mix.wide : mix.floats).insert(layer);
    }
    return mix;
  }
  // As few of the most harmful layers in a higher precision as keep the score. -> how many; more than there are: none does
  size_t fewest(double wanted, bool may_be_wide) {
    const size_t n = result.layers.size();
    auto allowed = [&](size_t k) { return k < n || !worst(n, may_be_wide).wide.empty(); };     // floats alone are no mix
    size_t fails = 0, keeps = n + 1;
    for (size_t k = 1; k <= n; k = k < n ? std::min(k * 2, n) : n + 1) {
      if (!allowed(k)) continue;
      if (try_mix(worst(k, may_be_wide)) >= wanted) { keeps = k; break; }
      fails = k;
    }
    while (keeps <= n && keeps - fails > 1) {
      const size_t k = (fails + keeps) / 2;
      (try_mix(worst(k, may_be_wide)) >= wanted ? keeps : fails) = k;
    }
    return keeps;
  }
  // Then those back that can be.
  void choose() {
    double wanted = result.float_score - options.max_drop;
    const size_t n = result.layers.size();
    size_t keeps = 0;
    bool may_be_wide = !wide_first.empty();
    if (try_mix({}) < wanted) {
      keeps = fewest(wanted, may_be_wide);
      if (keeps > n && may_be_wide && has("float")) keeps = fewest(wanted, may_be_wide = false);
    }
    if (keeps > n) {
      double best = -HUGE_VAL;
      for (const MixedPrecisionRow& r : result.table) if (!r.is_float) best = std::max(best, r.score);
      throw Error(ErrorKind::value, who, "a mix within " + std::to_string(options.max_drop) + " of the float model's score " + std::to_string(result.float_score), "at best " + std::to_string(best),
                  "allow a greater max_drop, give more calibration data, or train with prepare_qat");
    }
    Mix mix = worst(keeps, may_be_wide);
    for (size_t i = keeps; i-- > 0;) {
      Mix fewer = mix;
      fewer.drop(result.layers[i].layer);
      if (fewer != mix && keeps > 1 && try_mix(fewer) >= wanted) mix = fewer;
    }
    // Of what was tried and keeps the score, the cheapest.
    const MixedPrecisionRow* chosen = nullptr;
    for (const MixedPrecisionRow& r : result.table)
      if (!r.is_float && r.score >= wanted && (!chosen || r.cost < chosen->cost)) chosen = &r;
    mix = mix_of(*chosen);
    result.score = chosen->score;
    for (MixedPrecisionRow& r : result.table) r.chosen = &r == chosen;
    for (MixedPrecisionRow& r : result.table) {
      r.pareto = true;
      for (const MixedPrecisionRow& o : result.table) r.pareto &= !(o.score >= r.score && o.cost <= r.cost && (o.score > r.score || o.cost < r.cost));
    }
    std::stable_sort(result.table.begin(), result.table.end(), [](auto& a, auto& b) { return a.cost < b.cost; });
    result.model = made(mix);
  }
};

}  // namespace

MixedPrecision quantize_with_accuracy(nn::Module& model, const Batches& calibration, const Evaluate& evaluate, const MixedPrecisionOptions& given) {
  check_config(given.config);
  check_plain(who, given.config, true);
  if (given.config.fallback != "none") throw Error(ErrorKind::unsupported, who, "fallback None: the objective decides", "\"" + given.config.fallback + "\"");
  MixedPrecisionOptions o = given;
  o.config = resolved(given.config);
  if (o.config.mode != "static") throw Error(ErrorKind::unsupported, who, "mode static", "\"" + o.config.mode + "\"");
  if (o.objective != "latency" && o.objective != "size" && o.objective != "energy")
    throw Error(ErrorKind::value, who, "an objective latency, size or energy", "\"" + o.objective + "\"");
  for (const std::string& p : o.precisions)
    if (p != "int8" && p != "int16" && p != "float") throw Error(ErrorKind::value, who, "precisions among int8, int16 and float", "\"" + p + "\"");
  if (!std::count(o.precisions.begin(), o.precisions.end(), "int8") || o.precisions.size() < 2)
    throw Error(ErrorKind::value, who, "precisions int8 and int16, float or both", std::to_string(o.precisions.size()) + " others");
  if (!(o.max_drop >= 0)) throw Error(ErrorKind::value, who, "a max_drop of 0 or more", std::to_string(o.max_drop));
  if (!calibration || !evaluate) throw Error(ErrorKind::type, who, "calibration data and an evaluate function", "none");
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Search s{model, o, evaluate};
  s.first = calibration();
  if (s.first.empty()) throw Error(ErrorKind::value, who, "at least one calibration batch", "none");
  for (const Tensor& t : s.first) s.specs.push_back(t.spec());
  s.given = own_copy(graph_for(who, model, s.specs));
  check_graph(s.given);                            // its score and size are those of floats: a quantised one is refused
  widen_states(s.given, o.config);
  const QuantizationConfig config = named(s.given, o.config);
  s.from = folded(s.given, config);
  s.all = decide(s.from, config, "static");
  bool is_first = true;
  s.ranges = calibrate(s.from, s.all, [&]() { return std::exchange(is_first, false) ? s.first : calibration(); }, s.samples, [](int, const Tensor&) {}, &s.wide_ranges);
  s.add_wide_configs();
  QuantizationReport unused;
  unused.config = o.config;
  unused.mode = "static";
  place(s.given, s.from, s.all, [&](const Decisions& now) { return activation_parameters(s.from, now, s.ranges); }, unused);
  Names seen;
  for (size_t i = 0; i < s.from.nodes.size(); ++i)
    if (s.all.nodes[i].form == Decision::integers && seen.insert(layer_of(s.from.nodes[i])).second) s.layers.push_back(layer_of(s.from.nodes[i]));
  if (s.layers.empty()) throw Error(ErrorKind::value, who, "a model with layers that have an integer form", "one without");
  Session floats(bind_inputs(s.from, s.specs));
  s.outputs = floats.run(s.first);
  s.result.objective = o.objective;
  s.open_journal();
  s.try_float();
  s.scan();
  s.choose();
  return std::move(s.result);
}

static const char* unit_of(const std::string& objective) { return objective == "latency" ? "ms" : objective == "size" ? "bytes" : "uJ"; }

std::string MixedPrecision::to_text() const {
  char line[256];
  std::snprintf(line, sizeof line, "score %.6g, of the float model %.6g; %lld evaluations, %lld remembered\n", score, float_score, static_cast<long long>(evaluations), static_cast<long long>(remembered));
  std::string s = line;
  std::snprintf(line, sizeof line, "%2s %12s %12s  layers that are not int8\n", "", "score", unit_of(objective));
  s += line;
  for (const MixedPrecisionRow& r : table) {
    std::snprintf(line, sizeof line, "%s%s %12.6g %12.6g  ", r.chosen ? ">" : " ", r.pareto ? "*" : " ", r.score, r.cost);
    s += line;
    auto list = [&](const char* what, const std::vector<std::string>& names) {
      for (size_t i = 0; i < names.size(); ++i) s += (i ? ", " : std::string(what) + ": ") + names[i];
    };
    if (r.is_float) s += "float: all";
    else if (r.float_layers.empty() && r.int16_layers.empty()) s += "none";
    list("float", r.float_layers);
    if (!r.float_layers.empty() && !r.int16_layers.empty()) s += "; ";
    list("int16", r.int16_layers);
    s += "\n";
  }
  return s + "> chosen, * none is both better and cheaper\n";
}
std::string MixedPrecision::to_json() const {
  auto finite = [](double v) { return std::isfinite(v) ? nlohmann::ordered_json(v) : nlohmann::ordered_json(); };
  nlohmann::ordered_json j{{"score", score}, {"float_score", float_score}, {"objective", objective}, {"unit", unit_of(objective)}, {"evaluations", evaluations}, {"remembered", remembered},
                           {"layers", nlohmann::ordered_json::array()}, {"table", nlohmann::ordered_json::array()}};
  for (const LayerSensitivity& l : layers) j["layers"].push_back({{"layer", l.layer}, {"op", l.op}, {"sqnr_db", finite(l.sqnr_db)}, {"saving", l.saving}});
  for (const MixedPrecisionRow& r : table)
    j["table"].push_back({{"float_layers", r.float_layers}, {"int16_layers", r.int16_layers}, {"score", r.score}, {"cost", r.cost}, {"is_float", r.is_float}, {"pareto", r.pareto}, {"chosen", r.chosen}});
  return j.dump();
}

}  // namespace miniten::edge
