#include "miniten/edge/pruning.h"
#include <fnmatch.h>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include "miniten/base/random.h"
#include "miniten/interchange/native.h"

namespace miniten::edge {

namespace {

void check_sparsity(const char* who, double sparsity) {
  if (!(sparsity >= 0 && sparsity < 1)) throw Error(ErrorKind::value, who, "a sparsity in [0, 1)", std::to_string(sparsity));
}
int64_t zeros_for(double sparsity, int64_t n) { return std::llround(sparsity * double(n)); }

// |w| of each element in row-major order; of integers |q * scale|.
std::vector<float> magnitudes(const char* who, const std::string& name, const Tensor& t, const Quantized* q) {
  Tensor wide = Tensor::empty({DType::f32, t.shape()});
  copy_values(t.view(), wide.view());
  std::vector<float> m = wide.to_vector<float>();
  int64_t inner = 1;
  if (q && q->axis >= 0) for (int i = q->axis + 1; i < t.rank(); ++i) inner *= t.dim(i);
  for (size_t i = 0; i < m.size(); ++i) {
    if (std::isnan(m[i])) throw Error(ErrorKind::value, who, "weights that are numbers", "NaN in \"" + name + "\"", "train again from before the NaN arose");
    float scale = !q ? 1 : q->scale.size() == 1 ? q->scale[0] : q->scale[size_t(int64_t(i) / inner % t.dim(q->axis))];
    int32_t zero = !q || q->zero.empty() ? 0 : q->zero.size() == 1 ? q->zero[0] : q->zero[size_t(int64_t(i) / inner % t.dim(q->axis))];
    m[i] = std::abs((m[i] - float(zero)) * scale);
  }
  return m;
}
// The first `count` of an order; equal values by index.
std::vector<size_t> least(const std::vector<float>& v, int64_t count) {
  std::vector<size_t> order(v.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::nth_element(order.begin(), order.begin() + std::min<int64_t>(count, int64_t(v.size())), order.end(),
                   [&](size_t a, size_t b) { return v[a] != v[b] ? v[a] < v[b] : a < b; });
  order.resize(size_t(count));
  return order;
}
// A copy with zeros where the mask is false.
Tensor masked(const Tensor& t, const Tensor& mask, const Quantized* q) {
  Tensor out = t.clone();
  const bool* keep = mask.view().as<bool>();
  size_t bytes = bytes_of(t.dtype(), 1);
  std::vector<std::byte> zero(bytes);
  if (q && q->zero.size() == 1 && q->zero[0] != 0) {
    Tensor z = Tensor::full({}, q->zero[0], t.dtype());
    std::memcpy(zero.data(), z.view().data, bytes);
  }
  for (int64_t i = 0; i < t.numel(); ++i)
    if (!keep[i]) std::memcpy(out.view().data + size_t(i) * bytes, zero.data(), bytes);
  return out;
}

struct Weight { std::string name; Tensor tensor; const Quantized* quantized; Tensor mask; };

// Decides the masks of a set of weights together.
void choose(std::vector<Weight>& weights, double sparsity, const PruneOptions& o) {
  check_sparsity("prune_model", sparsity);
  if (o.method == "structured")
    throw Error(ErrorKind::unsupported, "prune_model", "method magnitude or random", "\"structured\"", "structured_prune works on single tensors");
  if (o.method != "magnitude" && o.method != "random") throw Error(ErrorKind::value, "prune_model", "method magnitude or random", "\"" + o.method + "\"");
  if (o.scope != "global" && o.scope != "layer") throw Error(ErrorKind::value, "prune_model", "scope global or layer", "\"" + o.scope + "\"");
  for (const std::string& pattern : o.skip) {
    size_t before = weights.size();
    std::erase_if(weights, [&](const Weight& w) { return fnmatch(pattern.c_str(), w.name.c_str(), 0) == 0; });
    if (weights.size() == before) {
      std::string names;
      for (const Weight& w : weights) names += (names.empty() ? "" : ", ") + w.name;
      throw Error(ErrorKind::value, "prune_model", "skip patterns that match a weight among " + names, "\"" + pattern + "\"");
    }
  }
  if (weights.empty()) throw Error(ErrorKind::value, "prune_model", "a model with weights of two or more axes", "none");
  Generator random(o.seed, 77);
  std::vector<float> all;
  std::vector<std::vector<float>> scores;
  for (const Weight& w : weights) {
    scores.push_back(magnitudes("prune_model", w.name, w.tensor, w.quantized));
    if (o.method == "random") for (float& s : scores.back()) s = random.uniform();
    all.insert(all.end(), scores.back().begin(), scores.back().end());
  }
  std::set<size_t> gone;
  if (o.scope == "global") for (size_t i : least(all, zeros_for(sparsity, int64_t(all.size())))) gone.insert(i);
  size_t offset = 0;
  for (size_t k = 0; k < weights.size(); ++k) {
    Weight& w = weights[k];
    w.mask = Tensor::ones(w.tensor.shape(), DType::boolean);
    bool* keep = w.mask.view().as<bool>();
    if (o.scope == "layer") for (size_t i : least(scores[k], zeros_for(sparsity, w.tensor.numel()))) keep[i] = false;
    else for (auto i = gone.lower_bound(offset); i != gone.end() && *i < offset + scores[k].size(); ++i) keep[*i - offset] = false;
    offset += scores[k].size();
  }
}

// Constants that a layer multiplies by, through movement ops: value ids.
std::vector<int> prunable(const Graph& g) {
  std::vector<int> ids;
  for (const Node& n : g.nodes)
    for (size_t i = 0; i < n.in.size(); ++i) {
      if (!(n.op->traits.weights >> i & 1)) continue;
      int id = source_constant(g, n.in[i]);
      if (id < 0) {                                            // behind dequantize: weights kept in integers
        int p = g.producer(n.in[i]);
        if (p >= 0 && g.nodes[size_t(p)].op->traits.converts == Conversion::to_floats) id = source_constant(g, g.nodes[size_t(p)].in[0]);
      }
      if (id >= 0 && g.values[size_t(id)].spec.shape.rank >= 2 && !std::count(ids.begin(), ids.end(), id)) ids.push_back(id);
    }
  return ids;
}
int64_t count_zeros(const Tensor& t, const Quantized* q) {
  Tensor wide = Tensor::empty({DType::f32, t.shape()});
  copy_values(t.view(), wide.view());
  float zero = q && q->zero.size() == 1 ? float(q->zero[0]) : 0;
  auto v = wide.to_vector<float>();
  return std::count(v.begin(), v.end(), zero);
}

}  // namespace

Pruned magnitude_prune(const Tensor& weights, double sparsity) {
  check_sparsity("magnitude_prune", sparsity);
  auto m = magnitudes("magnitude_prune", "weights", weights, nullptr);
  Tensor mask = Tensor::ones(weights.shape(), DType::boolean);
  for (size_t i : least(m, zeros_for(sparsity, weights.numel()))) mask.view().as<bool>()[i] = false;
  return {masked(weights, mask, nullptr), mask};
}

StructuredPruned structured_prune(const Tensor& weights, double sparsity, int dim) {
  check_sparsity("structured_prune", sparsity);
  if (weights.rank() < 1 || dim < -weights.rank() || dim >= weights.rank())
    throw Error(ErrorKind::index, "structured_prune", "a dim of " + weights.shape().text(), std::to_string(dim));
  int axis = dim < 0 ? dim + weights.rank() : dim;
  auto m = magnitudes("structured_prune", "weights", weights, nullptr);
  int64_t channels = weights.dim(axis), inner = 1;
  for (int i = axis + 1; i < weights.rank(); ++i) inner *= weights.dim(i);
  std::vector<float> norm(size_t(channels), 0.0f);
  for (size_t i = 0; i < m.size(); ++i) norm[size_t(int64_t(i) / inner % channels)] += m[i];
  int64_t drop = std::min(zeros_for(sparsity, channels), std::max<int64_t>(channels - 1, 0));
  std::vector<bool> gone(size_t(channels), false);
  for (size_t i : least(norm, drop)) gone[i] = true;
  StructuredPruned out{{}, Tensor::ones(weights.shape(), DType::boolean), {}};
  for (int64_t i = 0; i < weights.numel(); ++i) if (gone[size_t(i / inner % channels)]) out.mask.view().as<bool>()[i] = false;
  for (int64_t i = 0; i < channels; ++i) if (!gone[size_t(i)]) out.kept.push_back(i);
  out.weights = masked(weights, out.mask, nullptr);
  return out;
}

void prune_graph(Graph& g, double sparsity, const PruneOptions& o) {
  std::vector<Weight> weights;
  std::vector<int> ids = prunable(g);
  for (int id : ids) weights.push_back({g.values[size_t(id)].name, g.values[size_t(id)].constant, g.values[size_t(id)].quantized.get(), {}});
  std::vector<Weight> chosen = weights;
  choose(chosen, sparsity, o);
  for (size_t k = 0; k < weights.size(); ++k)
    for (const Weight& w : chosen) {
      if (!w.tensor.same(weights[k].tensor)) continue;
      Value& v = g.values[size_t(ids[k])];
      Tensor mask = w.mask;
      if (v.mask)                                              // earlier zeros stay zeros
        for (int64_t i = 0; i < mask.numel(); ++i) mask.view().as<bool>()[i] &= v.mask.view().as<bool>()[i];
      bool grad = v.constant.requires_grad();
      v.constant = masked(v.constant, mask, v.quantized.get());
      if (grad) v.constant = parameter(v.constant);
      v.mask = mask;
    }
}

// ---- the model ----
PrunedModel::PrunedModel(Graph g) : GraphModule(std::move(g)) {}

PrunedModel::PrunedModel(nn::ModuleRef source, double sparsity, const PruneOptions& o) : GraphModule(source, {}), wanted_(sparsity) {
  if (snapshot().empty()) {                                    // itself a graph that waits for its shapes
    add_transform([=](Graph& g) { prune_graph(g, sparsity, o); });
    return;
  }
  std::vector<Weight> weights;
  for (auto& [name, t] : snapshot()) if (t.rank() >= 2 && is_float(t.dtype())) weights.push_back({name, t, nullptr, {}});
  choose(weights, sparsity, o);
  std::vector<std::pair<std::string, Tensor>> chosen;
  for (const Weight& w : weights) {
    replace_weight(w.name, masked(w.tensor, w.mask, nullptr));
    chosen.emplace_back(w.name, w.mask);
  }
  add_transform([chosen](Graph& g) {
    for (Value& v : g.values)
      for (auto& [name, mask] : chosen) if (v.constant && v.name == name) v.mask = mask;
  });
}

std::vector<std::pair<std::string, Tensor>> PrunedModel::masks() const {
  std::vector<std::pair<std::string, Tensor>> all;
  for (const Value& v : graph().values) if (v.mask) all.emplace_back(v.name, v.mask);
  return all;
}
PruneReport PrunedModel::report() const {
  PruneReport r{wanted_, {}};
  if (!has_graph() && !snapshot().empty()) {
    for (auto& [name, t] : snapshot()) if (t.rank() >= 2 && is_float(t.dtype())) r.rows.push_back({name, t.numel(), count_zeros(t, nullptr)});
    return r;
  }
  for (int id : prunable(graph())) {
    const Value& v = graph().values[size_t(id)];
    r.rows.push_back({v.name, v.constant.numel(), count_zeros(v.constant, v.quantized.get())});
  }
  return r;
}
double PrunedModel::actual_sparsity() const {
  int64_t zeros = 0, total = 0;
  for (const PruneRow& row : report().rows) { zeros += row.zeros; total += row.total; }
  return total ? double(zeros) / double(total) : 0;
}
static int64_t all_parameters(const PrunedModel& m) {
  int64_t n = 0;
  if (!m.has_graph()) { for (auto& [name, t] : m.snapshot()) if (is_float(t.dtype())) n += t.numel(); return n; }
  for (const Value& v : m.graph().values) if (v.constant && (v.trainable || v.quantized || v.mask)) n += v.constant.numel();
  return n;
}
int64_t PrunedModel::nonzero_parameters() const {
  int64_t zeros = 0;
  for (const PruneRow& row : report().rows) zeros += row.zeros;
  return all_parameters(*this) - zeros;
}
double PrunedModel::compression_ratio() const { return double(all_parameters(*this)) / double(std::max<int64_t>(nonzero_parameters(), 1)); }

NativeFile PrunedModel::file() const {
  NativeFile f;
  f.graph = graph();
  f.has_graph = true;
  f.kind = "pruned";
  f.extra = nlohmann::json{{"wanted", wanted_}}.dump();
  return f;
}
size_t PrunedModel::size_bytes() const { return native_bytes(file()).size(); }
size_t PrunedModel::save(const std::string& path) const { return save_native(file(), path); }
Ref<PrunedModel> PrunedModel::from_file(const NativeFile& f) {
  if (f.kind != "pruned" || !f.has_graph) throw Error(ErrorKind::value, "PrunedModel", "a pruned model's file", "kind \"" + f.kind + "\"");
  auto m = make<PrunedModel>(f.graph);
  auto j = nlohmann::json::parse(f.extra, nullptr, false);
  if (j.is_object()) m->wanted_ = j.value("wanted", 0.0);
  m->eval();
  return m;
}
Ref<PrunedModel> PrunedModel::load(const std::string& path) { return from_file(load_native(path)); }

static Graph own_copy(const Graph& from) {
  Graph g = from;
  for (Value& v : g.values)
    if (v.constant) v.constant = v.constant.requires_grad() ? parameter(v.constant.clone()) : v.constant.clone();
  return g;
}
Ref<PrunedModel> prune_model(nn::Module& model, double sparsity, const PruneOptions& o, const std::vector<Spec>& inputs) {
  auto* graph_module = dynamic_cast<nn::GraphModule*>(&model);
  bool known = graph_module ? graph_module->has_graph() : !model.last_input_specs().empty();
  if (!known && inputs.empty()) return make<PrunedModel>(nn::ModuleRef(&model), sparsity, o);
  Graph g = own_copy(nn::graph_of("prune_model", model, inputs));
  prune_graph(g, sparsity, o);
  auto pruned = make<PrunedModel>(std::move(g));
  pruned->train(model.training());
  return pruned;
}

std::string PruneReport::to_text() const {
  std::string s = "weight                          total     zeros  sparsity\n";
  for (const PruneRow& r : rows) {
    char line[160];
    std::snprintf(line, sizeof line, "%-28s %8lld  %8lld  %7.1f%%\n", r.weight.c_str(), (long long)r.total, (long long)r.zeros, r.total ? 100.0 * double(r.zeros) / double(r.total) : 0);
    s += line;
  }
  return s;
}
std::string PruneReport::to_json() const {
  nlohmann::json j{{"wanted", wanted}, {"weights", nlohmann::json::array()}};
  for (const PruneRow& r : rows) j["weights"].push_back({{"name", r.weight}, {"total", r.total}, {"zeros", r.zeros}});
  return j.dump();
}

// ---- schedule ----
GradualPruning::GradualPruning(double initial, double final, int64_t start, int64_t end, int64_t frequency)
    : initial_(initial), final_(final), start_(start), end_(end), frequency_(frequency) {
  check_sparsity("GradualPruning", initial);
  check_sparsity("GradualPruning", final);
  if (start < 0 || end <= start) throw Error(ErrorKind::value, "GradualPruning", "0 <= start_step < end_step", std::to_string(start) + " and " + std::to_string(end));
  if (frequency < 1) throw Error(ErrorKind::value, "GradualPruning", "a frequency of at least 1", std::to_string(frequency));
}
double GradualPruning::get_sparsity(int64_t step) const {
  double t = double(std::clamp(step, start_, end_) - start_) / double(end_ - start_);
  return final_ + (initial_ - final_) * std::pow(1 - t, 3);
}
bool GradualPruning::should_update(int64_t step) const { return step >= start_ && step <= end_ && (step - start_) % frequency_ == 0; }
double GradualPruning::step() { return get_sparsity(++at_); }

}  // namespace miniten::edge
