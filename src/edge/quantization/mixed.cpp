#include "miniten/edge/mixed_precision.h"
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
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
  std::vector<Range> ranges;
  std::vector<Tensor> first;                       // the first batch
  std::vector<Spec> specs;
  std::vector<Tensor> outputs;                     // of the float model on it
  int64_t samples = 0;
  std::vector<std::string> layers;                 // that can be integers
  MixedPrecision result;
  std::map<std::string, std::pair<double, double>> known;      // key -> score and cost

  Decisions with_floats(const Names& floats) const {
    Decisions d = all;
    for (size_t i = 0; i < from.nodes.size(); ++i)
      if (d.nodes[i].form == Decision::integers && floats.count(layer_of(from.nodes[i]))) d.nodes[i] = {Decision::floats, "for the score's sake"};
    regroup(from, d);
    return d;
  }
  Graph mixed(const Names& floats, QuantizationReport& report) const {
    report.config = options.config;
    report.mode = "static";
    report.calibration_samples = samples;
    Decisions d = with_floats(floats);
    return place(given, from, d, [&](const Decisions& now) { return activation_parameters(from, now, ranges); }, report);
  }
  Ref<QuantizedModel> made(const Names& floats) const {
    QuantizationReport report;
    Graph g = mixed(floats, report);
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
    return {{"model", fingerprint()}, {"objective", options.objective}, {"config", nlohmann::ordered_json::parse(r.to_json())["config"]}};
  }
  void open_journal() {
    if (options.journal.empty()) return;
    std::ifstream in(options.journal);
    std::string line;
    if (std::getline(in, line)) {
      auto parsed = nlohmann::ordered_json::parse(line, nullptr, false);
      if (parsed != head())
        throw Error(ErrorKind::value, who, "the journal of this model, these data and options", "\"" + options.journal + "\", which is of others", "give another path, or delete the file");
      while (std::getline(in, line)) {
        auto entry = nlohmann::json::parse(line, nullptr, false);      // a line cut off by a stop counts as none
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

  static std::string key_of(const Names& floats) { return nlohmann::json(floats).dump(); }
  double score_of(nn::Module& m) const {
    double s = evaluate(m);
    if (!std::isfinite(s)) throw Error(ErrorKind::value, who, "a finite score from evaluate", std::to_string(s));
    return s;
  }
  double try_mix(const Names& floats) {
    std::string key = key_of(floats);
    for (const MixedPrecisionRow& r : result.table)
      if (!r.is_float && key_of({r.float_layers.begin(), r.float_layers.end()}) == key) return r.score;
    auto at = known.find(key);
    result.remembered += at != known.end();
    if (at == known.end()) {
      auto m = made(floats);
      ++result.evaluations;
      at = known.emplace(key, std::pair(score_of(*m), cost(m->graph(), m->size_bytes()))).first;
      write_line({{"mix", key}, {"score", at->second.first}, {"cost", at->second.second}});
    }
    result.table.push_back({{floats.begin(), floats.end()}, at->second.first, at->second.second});
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
    MixedPrecisionRow row{{}, at->second.first, at->second.second};
    row.is_float = true;
    result.table.push_back(row);
    result.float_score = at->second.first;
  }

  // ---- what each layer does ----
  void scan() {
    Names everything(layers.begin(), layers.end());
    auto costs = objective_by_layer(from), integer = objective_by_layer([&] { QuantizationReport r; return mixed({}, r); }());
    for (const std::string& layer : layers) {
      Names others = everything;
      others.erase(layer);
      QuantizationReport unused;
      Session s(bind_inputs(mixed(others, unused), specs));
      auto got = s.run(first);
      double signal = 0, noise = 0;
      for (size_t o = 0; o < got.size(); ++o) {
        auto x = cast(outputs[o], DType::f32).to_vector<float>(), y = cast(got[o], DType::f32).to_vector<float>();
        for (size_t i = 0; i < x.size(); ++i) { signal += double(x[i]) * x[i]; noise += (double(x[i]) - y[i]) * (double(x[i]) - y[i]); }
      }
      LayerSensitivity l{layer, "", noise > 0 && signal > 0 ? 10 * std::log10(signal / noise) : noise > 0 ? -HUGE_VAL : HUGE_VAL, costs[layer] - integer[layer]};
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

  // As few of the most harmful layers in floats as keep the score; then those back that can be.
  void choose() {
    double wanted = result.float_score - options.max_drop;
    auto worst = [&](size_t k) {
      Names floats;
      for (size_t i = 0; i < k; ++i) floats.insert(result.layers[i].layer);
      return floats;
    };
    size_t n = result.layers.size(), fails = 0, keeps = n;
    if (try_mix({}) >= wanted) keeps = 0;
    else {
      for (size_t k = 1; k < n; k *= 2) {
        if (try_mix(worst(k)) >= wanted) { keeps = k; break; }
        fails = k;
      }
      while (keeps - fails > 1) {
        size_t k = (fails + keeps) / 2;
        if (k >= n) break;
        (try_mix(worst(k)) >= wanted ? keeps : fails) = k;
      }
    }
    if (keeps >= n) {
      double best = -HUGE_VAL;
      for (const MixedPrecisionRow& r : result.table) if (!r.is_float) best = std::max(best, r.score);
      throw Error(ErrorKind::value, who, "a mix within " + std::to_string(options.max_drop) + " of the float model's score " + std::to_string(result.float_score), "at best " + std::to_string(best),
                  "allow a greater max_drop, give more calibration data, or train with prepare_qat");
    }
    Names floats = worst(keeps);
    for (size_t i = keeps; i-- > 0;) {
      Names fewer = floats;
      fewer.erase(result.layers[i].layer);
      if (fewer.size() < floats.size() && keeps > 1 && try_mix(fewer) >= wanted) floats = fewer;
    }
    // Of what was tried and keeps the score, the cheapest.
    const MixedPrecisionRow* chosen = nullptr;
    for (const MixedPrecisionRow& r : result.table)
      if (!r.is_float && r.score >= wanted && (!chosen || r.cost < chosen->cost)) chosen = &r;
    floats = {chosen->float_layers.begin(), chosen->float_layers.end()};
    result.score = chosen->score;
    for (MixedPrecisionRow& r : result.table) r.chosen = &r == chosen;
    for (MixedPrecisionRow& r : result.table) {
      r.pareto = true;
      for (const MixedPrecisionRow& o : result.table) r.pareto &= !(o.score >= r.score && o.cost <= r.cost && (o.score > r.score || o.cost < r.cost));
    }
    std::stable_sort(result.table.begin(), result.table.end(), [](auto& a, auto& b) { return a.cost < b.cost; });
    result.model = made(floats);
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
  if (!(o.max_drop >= 0)) throw Error(ErrorKind::value, who, "a max_drop of 0 or more", std::to_string(o.max_drop));
  if (!calibration || !evaluate) throw Error(ErrorKind::type, who, "calibration data and an evaluate function", "none");
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Search s{model, o, evaluate};
  s.first = calibration();
  if (s.first.empty()) throw Error(ErrorKind::value, who, "at least one calibration batch", "none");
  for (const Tensor& t : s.first) s.specs.push_back(t.spec());
  s.given = own_copy(graph_for(who, model, s.specs));
  check_graph(s.given);
  widen_states(s.given, o.config);
  const QuantizationConfig config = named(s.given, o.config);
  s.from = folded(s.given, config);
  s.all = decide(s.from, config, "static");
  bool is_first = true;
  s.ranges = calibrate(s.from, s.all, [&]() { return std::exchange(is_first, false) ? s.first : calibration(); }, s.samples);
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
  std::snprintf(line, sizeof line, "%2s %12s %12s  float layers\n", "", "score", unit_of(objective));
  s += line;
  for (const MixedPrecisionRow& r : table) {
    std::snprintf(line, sizeof line, "%s%s %12.6g %12.6g  ", r.chosen ? ">" : " ", r.pareto ? "*" : " ", r.score, r.cost);
    s += line;
    if (r.is_float) s += "all";
    else if (r.float_layers.empty()) s += "none";
    for (size_t i = 0; i < r.float_layers.size(); ++i) s += (i ? ", " : "") + r.float_layers[i];
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
    j["table"].push_back({{"float_layers", r.float_layers}, {"score", r.score}, {"cost", r.cost}, {"is_float", r.is_float}, {"pareto", r.pareto}, {"chosen", r.chosen}});
  return j.dump();
}

}  // namespace miniten::edge
