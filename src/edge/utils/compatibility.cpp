#include <cmath>
#include "base/json.h"
#include "edge/benchmark/bench.h"
#include "edge/models.h"
#include "miniten/edge/pruning.h"
#include "miniten/edge/utils.h"

namespace miniten::edge {

bool Compatibility::passes_all() const {
  for (const Check& c : checks) if (!c.passes) return false;
  return true;
}
std::string Compatibility::to_text() const {
  std::string s;
  for (const Check& c : checks) {
    char line[160];
    std::snprintf(line, sizeof line, "%-16s %14.6g of %14.6g  %s", c.name.c_str(), c.actual, c.limit, c.passes ? "fits" : "too much");
    s += line + (c.fix.empty() ? "" : "; " + c.fix) + "\n";
  }
  for (const Fix& f : fixes) s += f.text + "\n";
  return s;
}
std::string Compatibility::to_json() const {
  using json = nlohmann::ordered_json;
  auto list = [](const std::vector<Check>& checks) {
    json all = json::array();
    for (const Check& c : checks) {
      all.push_back({{"name", c.name}, {"actual", c.actual}, {"limit", c.limit}, {"passes", c.passes}});
      if (!c.passes) all.back()["fix"] = c.fix;
    }
    return all;
  };
  json j{{"passes_all", passes_all()}, {"checks", list(checks)}, {"fixes", json::array()}};
  for (const Fix& f : fixes) j["fixes"].push_back({{"name", f.name}, {"text", f.text}, {"passes_all", f.passes_all}, {"int8", f.int8}, {"channels", f.channels}, {"layer", f.layer}, {"checks", list(f.checks)}});
  return j.dump();
}

namespace {

bool all_pass(const std::vector<Check>& checks) {
  return std::all_of(checks.begin(), checks.end(), [](const Check& c) { return c.passes; });
}
bool is_quantized(nn::Module& m) {
  if (dynamic_cast<QuantizedModel*>(&m)) return true;
  auto* p = dynamic_cast<PrunedModel*>(&m);
  return p && p->quantization();
}
// The few sets of channels whose cut saves most: by the weights that they scale.
std::vector<std::string> largest_groups(nn::Module& m, const std::vector<Spec>& specs) {
  constexpr size_t few = 4;
  std::vector<std::pair<int64_t, std::string>> by_size;
  try {
    Graph g = graph_for("check_edge_compatibility", m, specs);
    std::map<std::string, int64_t> sizes;
    for (const Value& v : g.values) if (v.constant) sizes[v.name] = v.constant.numel();
    std::vector<ChannelSummary> groups = channel_groups(m, specs);
    if (groups.size() < 2) return {};                                // one set is all of them
    for (const ChannelSummary& s : groups) {
      int64_t weights = 0;
      for (auto& [name, axis] : s.axes) weights += sizes[name];
      by_size.emplace_back(-weights, s.name);
    }
  } catch (const Error&) {
    return {};
  }
  std::stable_sort(by_size.begin(), by_size.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(few, by_size.size()); ++i) names.push_back(by_size[i].second);
  return names;
}
std::string amount(double v) {
  char s[32];
  std::snprintf(s, sizeof s, "%.6g", v);
  return s;
}

}  // namespace

std::map<std::string, double> constraints_of(const Device& d) {
  std::map<std::string, double> limits;
  if (d.ram_kb > 0) limits["max_ram_kb"] = d.ram_kb;
  if (d.flash_kb > 0) limits["max_flash_kb"] = d.flash_kb;
  if (limits.empty()) throw Error(ErrorKind::value, "check_edge_compatibility", "a device whose memory is known", d.name, "give constraints by name instead");
  return limits;
}

Compatibility check_edge_compatibility(nn::Module& m, const std::vector<Spec>& inputs, const std::map<std::string, double>& constraints) {
  using Measure = double (*)(nn::Module&, const std::vector<Spec>&);
  static const std::vector<std::pair<std::string, Measure>> known{
      {"max_parameters", [](nn::Module& m, const std::vector<Spec>&) { return double(count_parameters(m).total); }},
      {"max_memory_mb", [](nn::Module& m, const std::vector<Spec>& in) { return double(estimate_memory(m, in).total()) / 1048576; }},
      {"max_flops", [](nn::Module& m, const std::vector<Spec>& in) { return double(count_flops(m, in).total()); }},
      {"max_latency_ms", [](nn::Module& m, const std::vector<Spec>& in) { return median_ms(m, in); }},
      {"max_flash_kb", [](nn::Module& m, const std::vector<Spec>& in) { return double(estimate_memory(m, in).parameter) / 1024; }},
      {"max_ram_kb", [](nn::Module& m, const std::vector<Spec>& in) {
        MemoryEstimate e = estimate_memory(m, in);
        return double(e.input + e.activation) / 1024;
      }},
  };
  std::map<std::string, double> limits = constraints;
  if (limits.empty()) limits = {{"max_parameters", 10e6}, {"max_memory_mb", 100}, {"max_flops", 1e9}};
  std::string names;
  for (auto& [name, measure] : known) names += (names.empty() ? "" : ", ") + name;
  for (auto& [name, limit] : limits) {
    if (std::none_of(known.begin(), known.end(), [&wanted = name](auto& k) { return k.first == wanted; }))
      throw Error(ErrorKind::value, "check_edge_compatibility", "constraints among " + names, "\"" + name + "\"");
    if (!(limit >= 0)) throw Error(ErrorKind::value, "check_edge_compatibility", name + " of 0 or more", std::to_string(limit));
  }
  auto checked = [&](nn::Module& model, const std::vector<Spec>& specs) {
    std::vector<Check> checks;
    for (auto& [name, measure] : known)
      if (auto limit = limits.find(name); limit != limits.end()) {
        double actual = measure(model, specs);
        checks.push_back({name, actual, limit->second, actual <= limit->second, ""});
      }
    return checks;
  };
  Compatibility c{checked(m, inputs), {}};
  if (c.passes_all() || is_quantized(m)) return c;
  std::vector<Spec> specs = known_specs("check_edge_compatibility", m, inputs);
  // Really makes the model of a recipe; null where it cannot be made.
  auto tried = [&](Fix& f) -> bool {
    try {
      nn::ModuleRef made(&m);
      if (f.channels > 0) {
        PruneOptions o{.method = "structured"};
        if (!f.layer.empty()) o.ratios = {{f.layer, f.channels}};
        auto p = prune_model(m, f.layer.empty() ? f.channels : 0, o, specs);
        f.cut = 0;
        for (const KeptIndices& k : p->kept()) f.cut += k.size - int64_t(k.kept.size());
        made = p;
      }
      if (f.int8) made = quantize_model(*made, {}, std::vector<std::vector<Tensor>>{random_inputs(specs)});   // sizes do not depend on the data
      f.checks = checked(*made, specs);
    } catch (const Error&) {
      return false;
    }
    f.passes_all = all_pass(f.checks);
    return true;
  };
  // The least hundredth of channels (of all layers, or of one) without which it fits; none.
  auto fewest = [&](bool int8, const std::string& layer) -> std::optional<Fix> {
    std::optional<Fix> found;
    int low = 0, high = 95;                                          // low does not fit, high may
    for (int at = high; high - low > 1 || !found; at = (low + high) / 2) {
      Fix f{.int8 = int8, .channels = at / 100.0, .layer = layer};
      if (tried(f) && f.passes_all) {
        found = std::move(f);
        high = at;
      } else if (at == 95) {
        return {};
      } else {
        low = at;
      }
    }
    return found;
  };
  Fix int8{.name = "int8", .int8 = true};
  if (tried(int8)) {
    for (size_t i = 0; i < c.checks.size(); ++i)
      if (!c.checks[i].passes) c.checks[i].fix = "in int8 " + amount(int8.checks[i].actual) + (int8.checks[i].passes ? ", which fits" : ", still too much");
    int8.text = int8.passes_all ? "int8 fits: quantize_model with calibration data" : "int8 alone does not fit: fewer or narrower layers are needed";
    c.fixes.push_back(int8);
    if (int8.passes_all) return c;
  }
  std::vector<Fix> found;
  auto add = [&](std::optional<Fix> f) { if (f) found.push_back(std::move(*f)); };
  if (!c.fixes.empty()) add(fewest(true, ""));
  add(fewest(false, ""));
  for (const std::string& layer : largest_groups(m, specs)) add(fewest(!c.fixes.empty(), layer));
  std::stable_sort(found.begin(), found.end(), [](const Fix& a, const Fix& b) { return std::pair(a.cut, a.int8) < std::pair(b.cut, b.int8); });
  for (Fix& f : found) {
    std::string percent = amount(std::round(100 * f.channels)) + " %";
    f.name = std::string(f.int8 ? "int8, " : "") + percent + " of channels" + (f.layer.empty() ? "" : " of " + f.layer);
    f.text = std::string(f.int8 ? "int8 and " : "") + percent + " fewer channels" + (f.layer.empty() ? "" : " in " + f.layer) + " fit";
    c.fixes.push_back(std::move(f));
  }
  std::stable_partition(c.fixes.begin(), c.fixes.end(), [](const Fix& f) { return f.passes_all; });
  return c;
}

}  // namespace miniten::edge
