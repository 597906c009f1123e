#include "base/json.h"
#include "miniten/edge/budget.h"
#include <cmath>
#include "edge/compression/measure.h"
#include "edge/models.h"
#include "edge/pruning/choose.h"
#include "miniten/edge/utils.h"
#include "miniten/interchange/native.h"

namespace miniten::edge {

static std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", v);
  return text;
}

double flash_kb(nn::Module& m, const std::vector<Spec>& inputs) {
  if (auto* p = dynamic_cast<PrunedModel*>(&m)) return double(p->size_bytes()) / 1024;
  if (auto* q = dynamic_cast<QuantizedModel*>(&m)) return double(q->size_bytes()) / 1024;
  if (auto* s = dynamic_cast<SharedModel*>(&m)) return double(s->size_bytes()) / 1024;
  NativeFile f;
  f.graph = whole_graph("flash_kb", m, inputs);
  f.has_graph = true;
  f.kind = "module";
  return double(native_bytes(f).size()) / 1024;
}
double ram_kb(nn::Module& m, const std::vector<Spec>& inputs) {
  MemoryEstimate e = estimate_memory(m, inputs);
  return double(e.input + e.activation) / 1024;
}

Ref<PrunedModel> prune_to(nn::Module& model, const PruneTarget& t, const PruneOptions& given, const std::vector<Spec>& inputs) {
  const char* op = "prune_model";
  PruneOptions o = checked(given);
  int asked = 0;
  for (double v : {t.macs, t.latency_ms, t.flash_kb}) {
    if (!(v >= 0) || std::isinf(v)) throw Error(ErrorKind::value, op, "a target above 0", std::to_string(v));
    asked += v > 0;
  }
  if (asked != 1) throw Error(ErrorKind::value, op, "one target of macs, latency_ms and flash_kb", std::to_string(asked));
  if (t.macs >= 1) throw Error(ErrorKind::value, op, "a share of macs in (0, 1)", number(t.macs));
  bool zeros_alone = o.method != "structured" && o.rows == 1 && o.cols == 1;
  if (t.macs > 0 && o.method != "structured") throw Error(ErrorKind::value, op, "method structured for a target of macs", o.method, "zeros are multiplied like other weights");
  if (t.latency_ms > 0 && zeros_alone)
    throw Error(ErrorKind::value, op, "method structured, or a pattern of blocks, for a target of latency_ms", o.method, "single zeros make nothing faster");
  if (o.m) throw Error(ErrorKind::value, op, "a target or a pattern n:m", "both", "its sparsity is its own");
  std::vector<Spec> specs = known_specs(op, model, inputs);
  double whole = t.macs > 0 ? double(count_flops(model, specs).macs) : 0;
  const char* name = t.macs > 0 ? "macs" : t.latency_ms > 0 ? "latency_ms" : "flash_kb";
  double limit = t.macs > 0 ? t.macs : t.latency_ms > 0 ? t.latency_ms : t.flash_kb;
  auto cost = [&](nn::Module& m) { return t.macs > 0 ? double(count_flops(m, specs).macs) / whole : t.latency_ms > 0 ? median_ms(m, specs) : flash_kb(m, specs); };
  int low = -1, high = 99;                                     // low does not meet it, high does; in hundredths
  Ref<PrunedModel> best = prune_model(model, 0.99, o, specs);
  double reached = cost(*best);
  if (reached > limit)
    throw Error(ErrorKind::value, op, std::string("a target that pruning meets, of ") + name, number(limit), "sparsity 0.99 comes to " + number(reached));
  while (high - low > 1) {
    int middle = (low + high) / 2;
    Ref<PrunedModel> m = prune_model(model, middle / 100.0, o, specs);
    if (cost(*m) <= limit) { high = middle; best = m; }
    else low = middle;
  }
  return best;
}

// ---- sensitivity ----
SensitivityReport sensitivity_scan(nn::Module& model, const Evaluate& evaluate, std::vector<double> sparsities, const PruneOptions& given, const std::vector<Spec>& inputs) {
  const char* op = "sensitivity_scan";
  PruneOptions o = checked(given);
  if (!evaluate) throw Error(ErrorKind::type, op, "a function that gives a model's score", "none");
  if (sparsities.empty()) throw Error(ErrorKind::value, op, "at least one sparsity", "none");
  for (double s : sparsities) check_sparsity(op, s);
  if (o.m || !o.ratios.empty()) throw Error(ErrorKind::value, op, "no ratios and no pattern n:m", "some", "the scan sets ratios itself");
  std::sort(sparsities.begin(), sparsities.end());
  std::vector<Spec> specs = known_specs(op, model, inputs);
  auto score = [&](nn::Module& m) {
    double s = evaluate(m);
    if (!std::isfinite(s)) throw Error(ErrorKind::value, op, "a finite score", number(s));
    return s;
  };
  std::vector<std::string> names;
  if (o.method == "structured") for (const ChannelSummary& g : channel_groups(model, specs)) names.push_back(g.name);
  else for (const PruneRow& r : prune_model(model, 0, o, specs)->report().rows) names.push_back(r.weight);
  auto skipped = [&](const std::string& name) {
    return std::any_of(o.skip.begin(), o.skip.end(), [&](auto& p) { return matches(p, name) || matches(p + ".*", name); });
  };
  std::erase_if(names, skipped);
  SensitivityReport r{score(model), sparsities, {}};
  for (const std::string& name : names) {
    SensitivityRow row{name, {}};
    for (double s : sparsities) {
      PruneOptions one = o;
      one.ratios = {{name, s}};
      row.scores.push_back(score(*prune_model(model, 0, one, specs)));
    }
    r.rows.push_back(std::move(row));
  }
  return r;
}

std::vector<std::pair<std::string, double>> SensitivityReport::ratios(double max_drop) const {
  if (!(max_drop >= 0)) throw Error(ErrorKind::value, "sensitivity ratios", "a max_drop of 0 or more", number(max_drop));
  std::vector<std::pair<std::string, double>> all;
  for (const SensitivityRow& row : rows) {
    double most = 0;
    for (size_t i = 0; i < sparsities.size() && base - row.scores[i] <= max_drop; ++i) most = sparsities[i];
    all.emplace_back(row.name, most);
  }
  return all;
}
std::string SensitivityReport::to_text() const {
  size_t width = 5;
  for (const SensitivityRow& r : rows) width = std::max(width, r.name.size());
  auto padded = [&](const std::string& s) { return s + std::string(width - std::min(width, s.size()), ' '); };
  char cell[32];
  std::string s = padded("layer");
  for (double sparsity : sparsities) { std::snprintf(cell, sizeof cell, " %8.0f %%", 100 * sparsity); s += cell; }
  s += "\n";
  for (const SensitivityRow& r : rows) {
    s += padded(r.name);
    for (double score : r.scores) { std::snprintf(cell, sizeof cell, " %10.4f", score); s += cell; }
    s += "\n";
  }
  return s + "as it is: " + number(base) + "\n";
}
std::string SensitivityReport::to_json() const {
  nlohmann::ordered_json j{{"base", base}, {"sparsities", sparsities}, {"rows", nlohmann::ordered_json::array()}};
  for (const SensitivityRow& r : rows) j["rows"].push_back({{"name", r.name}, {"scores", r.scores}});
  return j.dump();
}

}  // namespace miniten::edge
