#include <charconv>
#include <map>
#include <numeric>
#include <set>
#include "edge/models.h"
#include "edge/quantization/steps.h"

namespace miniten::edge {

bool is_bit(uint32_t bits, size_t i) { return i < 32 && (bits >> i & 1); }

bool is_activation(const Graph& g, const Node& n, size_t k) {
  const QuantRule& rule = n.op->quant;
  return is_bit(rule.activations, k) || (is_bit(rule.either, k) && !g.is_constant(n.in[k]));
}

std::string layer_of(const Node& n) { return n.name.empty() ? std::string(n.op->name) : n.name; }

bool is_named(const Node& n, const std::string& p) {
  if (p.starts_with('=')) return n.name == p.substr(1);
  return matches(p, n.name) || matches(p + ".*", n.name) || p == n.op->name;
}

QuantizationConfig named(const Graph& g, QuantizationConfig c) {
  auto names_of = [&](const char* what, const std::string& pattern) -> std::vector<std::string> {
    int64_t number = 0;
    const bool is_number = pattern.starts_with('#');
    if (is_number)
      if (auto [end, problem] = std::from_chars(pattern.data() + 1, pattern.data() + pattern.size(), number); problem != std::errc() || end != pattern.data() + pattern.size())
        throw Error(ErrorKind::value, "quantize_model", "a number after #", "\"" + pattern + "\"");
    std::vector<std::string> names;
    for (const Node& n : g.nodes) {
      const bool meant = is_number ? n.op->traits.weights && n.op->traits.converts == Conversion::none : n.op->quant.compose && pattern == n.op->name && !n.name.empty();
      if (meant && !std::count(names.begin(), names.end(), layer_of(n))) names.push_back(layer_of(n));
    }
    if (!is_number) return names.empty() ? std::vector{pattern} : names;
    const auto count = int64_t(names.size());
    if (number < -count || number >= count)
      throw Error(ErrorKind::index, "quantize_model", std::string(what) + " numbers from " + std::to_string(-count) + " to " + std::to_string(count - 1) + ", as " + std::to_string(count) + " layers have weights", pattern);
    return {names[size_t(number < 0 ? number + count : number)]};
  };
  std::vector<std::string> skip;
  for (const std::string& p : c.skip) for (std::string& name : names_of("skip", p)) skip.push_back(std::move(name));
  std::vector<LayerOverride> overrides;
  for (const LayerOverride& o : c.overrides)
    for (std::string& name : names_of("override", o.layers)) {
      overrides.push_back(o);
      overrides.back().layers = std::move(name);
    }
  c.skip = std::move(skip);
  c.overrides = std::move(overrides);
  return c;
}

namespace {

// By node: the numbers of the patterns that match it.
std::vector<std::vector<int>> matching(const char* what, const Graph& g, const std::vector<std::string>& patterns) {
  std::vector<std::vector<int>> by(g.nodes.size());
  for (size_t k = 0; k < patterns.size(); ++k) {
    bool found = false;
    std::string layers;
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      const Node& n = g.nodes[i];
      if (!n.op->traits.movement) layers += (layers.empty() ? "" : ", ") + layer_of(n);
      if (!is_named(n, patterns[k])) continue;
      by[i].push_back(int(k));
      found = true;
    }
    if (!found) throw Error(ErrorKind::value, "quantize_model", std::string(what) + " patterns that match a layer", "\"" + patterns[k] + "\"", "layers, with what they absorbed: " + layers);
  }
  return by;
}

// Each node's config. -> the pattern that leaves it out, "" for none.
std::vector<std::string> configure(const Graph& g, const QuantizationConfig& config, Decisions& d) {
  std::vector<std::string> skipped(g.nodes.size()), patterns;
  auto skips = matching("skip", g, config.skip);
  for (size_t i = 0; i < skips.size(); ++i) if (!skips[i].empty()) skipped[i] = config.skip[size_t(skips[i].back())];
  for (const LayerOverride& o : config.overrides) patterns.push_back(o.layers);
  auto overrides = matching("override", g, patterns);
  d.configs = {config};
  d.config.assign(g.nodes.size(), 0);
  std::map<std::vector<int>, int> known{{{}, 0}};
  for (size_t i = 0; i < overrides.size(); ++i) {
    auto [at, is_new] = known.try_emplace(overrides[i], int(d.configs.size()));
    d.config[i] = at->second;
    for (int k : overrides[i])
      if (const LayerOverride& o = config.overrides[size_t(k)]; o.skip) skipped[i] = *o.skip ? o.layers : "";
    if (!is_new) continue;
    QuantizationConfig c = config;
    for (int k : overrides[i]) c = overridden(std::move(c), config.overrides[size_t(k)]);
    check_config(c);
    c = resolved(std::move(c));
    if (c.mode != config.mode && c.mode != "weight_only")
      throw Error(ErrorKind::unsupported, "quantize_model", "the model's mode or weight_only in overrides", "\"" + c.mode + "\" for \"" + patterns[size_t(overrides[i].back())] + "\"");
    d.configs.push_back(std::move(c));
  }
  return skipped;
}

bool is_finite(const Graph& g, int id) {
  Range r;
  return finite_range(g.values[size_t(id)].constant, r);
}

// Why a node has no integer form here; "" where it has, as far as its operands' kinds tell.
std::string obstacle(const Graph& g, const Node& n, bool dynamic) {
  const QuantRule& rule = n.op->quant;
  if (dynamic ? !rule.dynamic : !rule.lower) return dynamic ? "has no form with activations quantised at run time" : "has no integer form";
  if (n.out.size() != 1) return "gives several results";
  for (size_t k = 0; k < n.in.size(); ++k) {
    const Value& v = g.values[size_t(n.in[k])];
    std::string which = "input " + std::to_string(k) + " is ";
    if (v.spec.dtype != DType::f32) return which + std::string(name_of(v.spec.dtype));
    bool activation = is_bit(rule.activations, k), either = !dynamic && is_bit(rule.either, k);
    if (activation && g.is_constant(n.in[k])) return which + "a constant";
    if (!activation && !either && k > 0 && !g.is_constant(n.in[k])) return which + "computed at run time";
    if (either && !is_bit(n.op->traits.weights, k) && g.is_constant(n.in[k]) && !is_finite(g, n.in[k])) return which + "not finite everywhere";
  }
  return "";
}
bool may_pass(const Graph& g, const Node& n) {
  if (n.op->quant.mode != QuantMode::passes_through || n.out.size() != 1 || g.values[size_t(n.out[0])].spec.dtype != DType::f32) return false;
  bool any = false;
  for (int id : n.in) {
    if (!is_float(g.values[size_t(id)].spec.dtype)) continue;
    if (g.values[size_t(id)].spec.dtype != DType::f32 || (g.is_constant(id) && !is_finite(g, id))) return false;
    any = true;
  }
  return any;
}
bool computes_floats(const Graph& g, const Node& n) {
  for (int id : n.out) if (is_float(g.values[size_t(id)].spec.dtype)) return true;
  return false;
}

// Activation inputs of an integer node.
template <class F> void for_activations(const Graph& g, const Node& n, F f) {
  for (size_t k = 0; k < n.in.size(); ++k) if (is_activation(g, n, k)) f(n.in[k]);
}

int find(std::vector<int>& parent, int i) {
  while (parent[size_t(i)] != i) i = parent[size_t(i)] = parent[size_t(parent[size_t(i)])];
  return i;
}

}  // namespace

void regroup(const Graph& g, Decisions& d) {
  std::vector<int> parent(g.values.size());
  std::iota(parent.begin(), parent.end(), 0);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (d.nodes[i].form != Decision::passes) continue;
    for (int id : n.in) if (is_float(g.values[size_t(id)].spec.dtype)) parent[size_t(find(parent, id))] = find(parent, n.out[0]);
  }
  // Steps that use the same weights are one layer's: with 16 bits they share a scale for each kind of value, so tables too.
  std::map<std::pair<int, std::string>, int> readers;
  std::set<std::string> repeats;
  for (const Node& n : g.nodes)
    for (size_t k = 0; k < n.in.size(); ++k)
      if (is_bit(n.op->traits.weights, k) && g.is_constant(n.in[k]) && !n.name.empty() && ++readers[{n.in[k], n.name}] > 1) repeats.insert(n.name);
  std::map<std::pair<std::string, const OpDef*>, int> kinds;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (d.nodes[i].form != Decision::integers || d.config_of(i).activation_dtype != DType::i16 || !repeats.count(n.name)) continue;
    auto [first, is_new] = kinds.try_emplace({n.name, n.op}, n.out[0]);
    if (!is_new) parent[size_t(find(parent, n.out[0]))] = find(parent, first->second);
  }
  d.group.resize(parent.size());
  for (size_t i = 0; i < parent.size(); ++i) d.group[i] = find(parent, int(i));
  d.leads.assign(parent.size(), -1);                 // the widest activations, then the first override
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (d.nodes[i].form != Decision::integers) continue;
    int& lead = d.leads[size_t(d.group[size_t(g.nodes[i].out[0])])];
    auto bits = [&](int c) { return bits_of(d.configs[size_t(c)].activation_dtype); };
    if (lead < 0 || bits(d.config[i]) > bits(lead) || (lead == 0 && bits(d.config[i]) == bits(0))) lead = d.config[i];
  }
  std::vector<int> readers_want(parent.size(), -1);  // what floats alone give follows who reads it, if these agree
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (d.nodes[i].form != Decision::integers) continue;
    for_activations(g, g.nodes[i], [&](int id) {
      int& wanted = readers_want[size_t(d.group[size_t(id)])];
      wanted = wanted < 0 || d.configs[size_t(wanted)].activation_dtype == d.config_of(i).activation_dtype ? std::max(wanted, d.config[i]) : 0;
    });
  }
  for (size_t i = 0; i < d.leads.size(); ++i) if (d.leads[i] < 0) d.leads[i] = std::max(readers_want[i], 0);
  d.quantized.assign(parent.size(), false);
  auto mark = [&](int id) { d.quantized[size_t(d.group[size_t(id)])] = true; };
  for (int id : d.wanted) mark(id);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (d.nodes[i].form != Decision::integers) continue;
    for_activations(g, g.nodes[i], mark);
    mark(g.nodes[i].out[0]);
  }
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (d.nodes[i].form != Decision::passes || d.is_quantized(g.nodes[i].out[0])) continue;
    bool moves = g.nodes[i].op->traits.movement;
    d.nodes[i] = {moves ? Decision::untouched : Decision::floats, moves ? "" : "what it reads is float"};
  }
}

// Ops with weights are worth conversions; others become integers only where their operands are anyway.
static void decide_static(const Graph& g, Decisions& d, const std::vector<std::string>& skipped) {
  std::vector<bool> waits(g.nodes.size());
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (!skipped[i].empty() || !computes_floats(g, n) || d.nodes[i].form != Decision::untouched) continue;
    if (may_pass(g, n)) { d.nodes[i] = {Decision::passes, ""}; continue; }
    std::string reason = obstacle(g, n, false);
    waits[i] = reason.empty() && !n.op->traits.weights;
    if (waits[i]) reason = "what it reads is float";
    if (!reason.empty()) d.nodes[i] = {n.op->traits.movement ? Decision::untouched : Decision::floats, reason};
    else d.nodes[i] = {Decision::integers, ""};
  }
  std::vector<Decision> candidates = d.nodes;
  for (bool changed = true; changed;) {
    changed = false;
    d.nodes = candidates;                            // regroup gives up passes that a later round may need
    regroup(g, d);
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      if (!waits[i] || candidates[i].form == Decision::integers) continue;
      bool ready = true;
      for_activations(g, g.nodes[i], [&](int id) { ready &= d.is_quantized(id); });
      if (!ready) continue;
      candidates[i] = {Decision::integers, ""};
      changed = true;
    }
  }
}

Decisions decide(const Graph& g, const QuantizationConfig& config, const std::string& mode, const std::vector<int>& integers) {
  Decisions d;
  d.wanted = integers;
  d.nodes.resize(g.nodes.size());
  const std::vector<std::string> skipped = configure(g, config, d);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (!computes_floats(g, n) || (n.op->traits.movement && !n.op->traits.weights)) continue;
    if (!skipped[i].empty()) { d.nodes[i] = {Decision::floats, "skipped by \"" + skipped[i] + "\""}; continue; }
    const bool stores = mode == "weight_only" || d.config_of(i).mode == "weight_only";
    if (mode == "static" && !stores) continue;
    std::string reason;
    if (!stores) reason = obstacle(g, n, true);
    else {
      bool stored = false;
      for (size_t k = 0; k < n.in.size(); ++k)
        stored |= is_bit(n.op->traits.weights, k) && g.is_constant(n.in[k]) && g.values[size_t(n.in[k])].spec.dtype == DType::f32;
      if (!stored) reason = "has no constant weights";
    }
    d.nodes[i] = {!reason.empty() ? Decision::floats : stores ? Decision::stored : Decision::integers, reason};
  }
  if (mode == "static") decide_static(g, d, skipped);
  else {
    d.group.resize(g.values.size());
    d.leads.assign(g.values.size(), 0);
    std::iota(d.group.begin(), d.group.end(), 0);
    d.quantized.assign(g.values.size(), false);
  }
  return d;
}

std::vector<bool> origins(const Graph& g, const Decisions& d) {
  std::vector<bool> is(g.values.size());
  for (int id : g.inputs) is[size_t(id)] = d.is_quantized(id);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (int id : g.nodes[i].in)
      if (d.nodes[i].form == Decision::passes && g.is_constant(id) && g.values[size_t(id)].spec.dtype == DType::f32) is[size_t(id)] = d.is_quantized(id);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (int id : g.nodes[i].out) is[size_t(id)] = d.nodes[i].form != Decision::passes && d.is_quantized(id);
  return is;
}

}  // namespace miniten::edge
