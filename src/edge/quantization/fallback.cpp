#include <set>
#include "edge/benchmark/bench.h"
#include "edge/quantization/steps.h"
#include "miniten/graph/passes.h"

namespace miniten::edge {

namespace {

constexpr double least_gain = 0.02;                // of a whole run: below is noise

std::map<std::string, double> microseconds(Session& s, const std::vector<Tensor>& inputs) {
  std::map<std::string, double> by;
  for (const StepProfile& p : s.profile(inputs, 1)) by[p.name] += p.nanoseconds / 1e3;
  return by;
}
// Both in turn. -> the time of b over that of a.
double ratio(Session& a, Session& b, const std::vector<Tensor>& inputs) {
  std::vector<double> ratios;
  double total = 0;
  auto time = [&](Session& s) {
    double start = now_ms();
    s.run_into(inputs);
    return now_ms() - start;
  };
  for (int i = 0; i < 3; ++i) { a.run_into(inputs); b.run_into(inputs); }
  while (ratios.size() < 21 || (total < 40 && ratios.size() < 301)) {
    double of_a = time(a), of_b = time(b);
    ratios.push_back(of_b / of_a);
    total += of_a + of_b;
  }
  return median_of(std::move(ratios));
}

}  // namespace

std::vector<Slower> slower_in_integers(const Graph& g, const QuantizationConfig& config, const std::vector<Tensor>& inputs) {
  std::vector<Spec> specs;
  for (const Tensor& t : inputs) specs.push_back(t.spec());
  std::vector<std::string> floats;
  auto quantised = [&](QuantizationReport& report) {
    QuantizationConfig c = config;
    c.fallback = c.optimize = "none";
    c.rounding = "nearest";                        // times do not hang on the numbers
    c.correct_bias = c.equalize = false;
    for (LayerOverride& o : c.overrides) o.rounding.reset();
    for (const std::string& f : floats) c.skip.push_back("=" + f);
    Graph now = g;
    bool first = config.mode == "static";
    report = quantize_graph(now, c, config.mode == "static" ? Batches([&] { return std::exchange(first, false) ? inputs : std::vector<Tensor>{}; }) : nullptr);
    return bind_inputs(now, specs);
  };
  QuantizationReport report;
  Graph first_choice = quantised(report);
  auto best = std::make_unique<Session>(first_choice);
  Session integer_layers(first_choice, {.passes = layer_passes()}), float_layers(bind_inputs(g, specs), {.passes = layer_passes()});
  std::set<std::string> integers;
  for (const QuantizationRow& r : report.rows) if (r.reason.empty() && !r.layer.empty()) integers.insert(r.layer);

  // Layers that look slower, each by itself with the conversions it needs; the worst first.
  std::map<std::string, std::vector<double>> in_integers, in_floats;
  double whole = 0;
  for (int i = 0; i < 15; ++i) {
    for (auto& [name, us] : microseconds(float_layers, inputs)) in_floats[name].push_back(us);
    for (auto& [name, us] : microseconds(integer_layers, inputs)) in_integers[name].push_back(us);
  }
  std::vector<Slower> candidates;
  for (auto& [name, us] : in_integers) {
    double now = median_of(us), then = in_floats.count(name) ? median_of(in_floats[name]) : 0;
    whole += now;
    if (integers.count(name) && then > 0 && now > then) candidates.push_back({name, now, then});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Slower& a, const Slower& b) { return a.integer_us - a.float_us > b.integer_us - b.float_us; });

  // What the whole model says of each.
  std::vector<Slower> slower;
  for (const Slower& c : candidates) {
    if (c.integer_us - c.float_us < least_gain * whole) break;
    floats.push_back(c.layer);
    QuantizationReport unused;
    auto next = std::make_unique<Session>(quantised(unused));
    if (ratio(*best, *next, inputs) < 1 - least_gain) {
      slower.push_back(c);
      best = std::move(next);
    } else floats.pop_back();
  }
  return slower;
}

}  // namespace miniten::edge
