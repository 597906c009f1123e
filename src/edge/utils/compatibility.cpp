#include <cmath>
#include <nlohmann/json.hpp>
#include "miniten/edge/benchmark.h"
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
    std::snprintf(line, sizeof line, "%-16s %14.6g of %14.6g  %s\n", c.name.c_str(), c.actual, c.limit, c.passes ? "fits" : "too much");
    s += line;
  }
  return s;
}
std::string Compatibility::to_json() const {
  nlohmann::ordered_json j{{"passes_all", passes_all()}, {"checks", nlohmann::ordered_json::array()}};
  for (const Check& c : checks) j["checks"].push_back({{"name", c.name}, {"actual", c.actual}, {"limit", c.limit}, {"passes", c.passes}});
  return j.dump();
}

Compatibility check_edge_compatibility(nn::Module& m, const std::vector<Spec>& inputs, const std::map<std::string, double>& constraints) {
  using Measure = double (*)(nn::Module&, const std::vector<Spec>&);
  static const std::vector<std::pair<std::string, Measure>> known{
      {"max_parameters", [](nn::Module& m, const std::vector<Spec>&) { return double(count_parameters(m).total); }},
      {"max_memory_mb", [](nn::Module& m, const std::vector<Spec>& in) { return double(estimate_memory(m, in).total()) / 1048576; }},
      {"max_flops", [](nn::Module& m, const std::vector<Spec>& in) { return double(count_flops(m, in).total()); }},
      {"max_latency_ms", [](nn::Module& m, const std::vector<Spec>& in) { return benchmark_model(m, in, {.num_runs = 30, .warmup_runs = 5, .threads = 1}).percentile(50); }},
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
    if (std::none_of(known.begin(), known.end(), [&](auto& k) { return k.first == name; }))
      throw Error(ErrorKind::value, "check_edge_compatibility", "constraints among " + names, "\"" + name + "\"");
    if (!(limit >= 0)) throw Error(ErrorKind::value, "check_edge_compatibility", name + " of 0 or more", std::to_string(limit));
  }
  Compatibility c;
  for (auto& [name, measure] : known)
    if (auto limit = limits.find(name); limit != limits.end()) {
      double actual = measure(m, inputs);
      c.checks.push_back({name, actual, limit->second, actual <= limit->second});
    }
  return c;
}

}  // namespace miniten::edge
