#include <set>
#include "edge/models.h"
#include "edge/pruning/channels.h"
#include "edge/pruning/choose.h"
#include "miniten/interchange/native.h"

namespace miniten::edge {

namespace {

using Masks = std::vector<std::pair<std::string, Tensor>>;

std::string name_of_value(const Graph& g, int id) {
  const std::string& name = g.values[size_t(id)].name;
  return name.empty() ? "constant_" + std::to_string(id) : name;
}
const Tensor* find(const Masks& masks, const std::string& name) {
  for (auto& [known, mask] : masks) if (known == name) return &mask;
  return nullptr;
}
bool skips(const std::string& pattern, const std::string& name) { return matches(pattern, name) || matches(pattern + ".*", name); }

// Takes out the candidates that a pattern names. `is_named(pattern, i)`: of candidate i.
template <class F> void leave_out(std::vector<Candidate>& all, const std::vector<std::string>& patterns, F is_named) {
  std::vector<bool> out(all.size());
  for (const std::string& pattern : patterns) {
    bool found = false;
    for (size_t i = 0; i < all.size(); ++i) if (is_named(pattern, i)) out[i] = found = true;
    if (found) continue;
    std::string names;
    for (const Candidate& c : all) names += (names.empty() ? "" : ", ") + c.name;
    throw Error(ErrorKind::value, "prune_model", "skip patterns that match a weight", "\"" + pattern + "\"", "weights: " + names);
  }
  size_t i = 0;
  std::erase_if(all, [&](const Candidate&) { return out[i++]; });
  if (all.empty()) throw Error(ErrorKind::value, "prune_model", "a model with weights of two or more axes", patterns.empty() ? "one without" : "one whose weights are all skipped");
}

// Gives candidates that a pattern of `ratios` names a sparsity of their own.
template <class F> void set_ratios(std::vector<Candidate>& all, const PruneOptions& o, F is_named) {
  for (auto& [pattern, ratio] : o.ratios) {
    check_sparsity("prune_model", ratio);
    bool found = false;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!is_named(pattern, i)) continue;
      all[i].ratio = ratio;
      found = true;
    }
    if (!found) throw Error(ErrorKind::value, "prune_model", "patterns in ratios that match a weight", "\"" + pattern + "\"");
  }
}

// Masks by name onto a graph's constants. Where a later step moved or quantised the values, the mask is where they are 0.
void attach(Graph& g, const Masks& masks) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  std::map<int, std::shared_ptr<const Quantized>> quantized;
  for (const Weight& w : weights_of(g)) quantized[w.value] = w.quantized;
  for (size_t id = 0; id < g.values.size(); ++id) {
    Value& v = g.values[id];
    const Tensor* mask = v.constant && !v.name.empty() ? find(masks, v.name) : nullptr;
    if (!mask || v.spec.shape.rank < 2) continue;
    auto q = quantized.count(int(id)) ? quantized[int(id)] : v.quantized;
    if (!q && mask->shape() == v.spec.shape) { v.mask = mask->clone(); continue; }
    v.mask = Tensor::empty({DType::boolean, v.spec.shape});
    Tensor zeros = with_zeros(v.constant, Tensor::zeros(v.spec.shape, DType::boolean), q.get());
    Tensor differs = not_equal(v.constant, zeros);
    copy_values(differs.view(), v.mask.view());
  }
}

std::function<void(Graph&)> attaching(const Masks& masks) { return [masks](Graph& g) { attach(g, masks); }; }

size_t bytes_of_file(const NativeFile& f) { return native_bytes(f).size(); }
NativeFile dense(NativeFile f) {
  for (Value& v : f.graph.values) v.mask = {};
  return f;
}

}  // namespace

// Blocks and scores that the options ask for. ids: the candidates' values.
static void look_at_graph(const Graph& g, std::vector<Candidate>& all, const std::vector<int>& ids, const PruneOptions& o, const PruneData& data) {
  bool in_blocks = o.m > 0 || o.rows != 1 || o.cols > 1;
  for (size_t i = 0; in_blocks && i < all.size(); ++i) {
    int64_t rows = o.m > 0 ? 1 : o.rows ? o.rows : 16, cols = o.m > 0 ? o.m : o.rows ? o.cols : is_float(all[i].tensor.dtype()) ? 1 : 4;
    all[i].block = blocks_of(g, ids[i], rows, cols);
  }
  if (!needs_data(o)) return;
  auto scores = scores_by_data(g, o, data);
  for (size_t i = 0; i < all.size(); ++i) all[i].score = std::move(scores[ids[i]]);
}

void prune_graph(Graph& g, double sparsity, const PruneOptions& given, const PruneData& data) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  PruneOptions o = checked(given);
  std::vector<Weight> weights = weights_of(g);
  std::erase_if(weights, [&](const Weight& w) { return g.values[size_t(w.value)].spec.shape.rank < 2; });
  std::vector<Candidate> all;
  std::vector<int> ids;
  for (const Weight& w : weights) {
    const Value& v = g.values[size_t(w.value)];
    all.push_back({name_of_value(g, w.value), v.constant, w.quantized.get(), v.mask, {}});
    ids.push_back(w.value);
  }
  look_at_graph(g, all, ids, o, data);
  auto is_named = [&](const std::string& pattern, size_t i) {
    bool named = skips(pattern, all[i].name);
    for (const std::string& layer : weights[i].layers) named |= skips(pattern, layer);
    for (const std::string& op : weights[i].ops) named |= pattern == op;
    return named;
  };
  set_ratios(all, o, is_named);
  leave_out(all, o.skip, is_named);
  choose(all, sparsity, o);
  for (const Weight& w : weights)
    for (const Candidate& c : all) {
      Value& v = g.values[size_t(w.value)];
      if (!c.tensor.same(v.constant)) continue;
      Tensor zeroed = with_zeros(v.constant, c.mask, c.quantized);
      v.constant = v.trainable && is_float(v.spec.dtype) ? parameter(zeroed) : zeroed;
      v.mask = c.mask;
      break;
    }
}

// ---- the model ----
PrunedModel::PrunedModel(Graph g, double wanted, const PruneOptions& o, std::shared_ptr<QuantizationReport> quantization, ChannelCut cut)
    : GraphModule(std::move(g)), wanted_(wanted), options_(o), quantization_(std::move(quantization)), cut_(std::move(cut)) {}

// The weights wait in this module's snapshot, or in that of the source where it is a graph that waits itself.
static nn::GraphModule& holder(nn::GraphModule& m) {
  auto* inner = dynamic_cast<nn::GraphModule*>(m.source().get());
  return inner && !inner->has_graph() ? holder(*inner) : m;
}

PrunedModel::PrunedModel(nn::ModuleRef source, std::vector<std::function<void(Graph&)>> before, const nn::StateDict& weights, Masks masks,
                         double sparsity, const PruneOptions& o)
    : GraphModule(std::move(source), std::move(before)), waiting_(std::move(masks)) {
  for (auto& [name, t] : weights) replace_weight(name, t);
  nn::GraphModule& h = holder(*this);
  std::set<std::string> names;
  for (auto& [name, t] : h.source()->named_parameters()) names.insert(name);
  std::vector<Candidate> all;
  for (auto& [name, t] : h.snapshot())
    if (names.count(name) && t.rank() >= 2 && is_float(t.dtype())) {
      const Tensor* prior = find(waiting_, name);
      all.push_back({name, t, nullptr, prior ? *prior : Tensor(), {}});
    }
  auto is_named = [&](const std::string& pattern, size_t i) { return skips(pattern, all[i].name); };
  set_ratios(all, o, is_named);
  leave_out(all, o.skip, is_named);
  choose(all, sparsity, o);
  for (const Candidate& c : all) {
    h.replace_weight(c.name, with_zeros(c.tensor, c.mask));
    auto known = std::find_if(waiting_.begin(), waiting_.end(), [&](auto& entry) { return entry.first == c.name; });
    if (known != waiting_.end()) known->second = c.mask;
    else waiting_.emplace_back(c.name, c.mask);
  }
  wanted_ = sparsity;
  options_ = o;
  if (auto q = nn::ModuleRef(this->source()); auto* quantized = dynamic_cast<QuantizedModel*>(q.get())) {
    quantization_ = std::make_shared<QuantizationReport>(quantized->report());
    add_transform([q, quantized, report = quantization_](Graph&) { *report = quantized->report(); });
  }
  add_transform(attaching(waiting_));
}

// Writes memory alone, no ops: it runs inside traces too.
void PrunedModel::hold() const {
  if (!has_graph()) return;
  uint64_t version = 0;
  for (const Value& v : graph().values) if (v.mask && v.constant) version += v.constant->storage->version + 1;
  if (version == held_version_) return;
  std::map<int, std::shared_ptr<const Quantized>> quantized;
  for (const Weight& w : weights_of(graph())) quantized[w.value] = w.quantized;
  for (size_t id = 0; id < graph().values.size(); ++id) {
    const Value& v = graph().values[id];
    if (v.mask && v.constant && put_zeros(v.constant, v.mask, quantized.count(int(id)) ? quantized[int(id)].get() : v.quantized.get())) ++version;
  }
  held_version_ = version;
}

std::vector<Tensor> PrunedModel::forward(const std::vector<Tensor>& inputs) {
  hold();
  return GraphModule::forward(inputs);
}

Graph PrunedModel::held() const {
  hold();
  if (has_graph()) return graph();
  Graph weights;
  for (auto& [name, t] : holder(const_cast<PrunedModel&>(*this)).snapshot()) {
    int id = weights.add_value(t.spec(), name, t);
    if (const Tensor* mask = find(waiting_, name)) weights.values[size_t(id)].mask = *mask;
  }
  return weights;
}

Masks PrunedModel::masks() const {
  if (!has_graph()) return waiting_;
  Masks all;
  for (size_t id = 0; id < graph().values.size(); ++id)
    if (graph().values[id].mask) all.emplace_back(name_of_value(graph(), int(id)), graph().values[id].mask);
  return all;
}

static std::vector<PruneRow> rows_of(const Graph& g, bool has_nodes, const std::vector<KeptIndices>& cut) {
  std::vector<PruneRow> rows;
  auto row = [&](int id, const Quantized* q) {
    const Value& v = g.values[size_t(id)];
    PruneRow r{name_of_value(g, id), v.constant.numel(), zeros_of(v.constant, q), std::string(name_of(v.spec.dtype))};
    for (const KeptIndices& k : cut)
      for (auto& [name, axis] : k.axes) if (name == r.weight) r.total = r.total / int64_t(k.kept.size()) * k.size;
    r.zeros += r.total - v.constant.numel();
    rows.push_back(std::move(r));
  };
  if (has_nodes) { for (const Weight& w : weights_of(g)) if (g.values[size_t(w.value)].spec.shape.rank >= 2) row(w.value, w.quantized.get()); }
  else for (size_t id = 0; id < g.values.size(); ++id) if (g.values[id].mask) row(int(id), nullptr);
  return rows;
}
double PrunedModel::actual_sparsity() const {
  PruneReport r;
  r.rows = rows_of(held(), has_graph(), cut_.kept);
  return r.total() ? double(r.zeros()) / double(r.total()) : 0;
}
int64_t PrunedModel::nonzero_parameters() const {
  Graph g = held();
  int64_t n = 0;
  std::map<int, std::shared_ptr<const Quantized>> quantized;
  for (const Weight& w : weights_of(g)) quantized[w.value] = w.quantized;
  std::set<std::string> names;
  if (!has_graph()) for (auto& [name, t] : holder(const_cast<PrunedModel&>(*this)).source()->named_parameters()) names.insert(name);
  std::vector<int> ids = parameters_of(g);
  if (!has_graph()) for (size_t i = 0; i < g.values.size(); ++i) if (names.count(g.values[i].name)) ids.push_back(int(i));
  for (int id : ids) n += g.values[size_t(id)].constant.numel() - zeros_of(g.values[size_t(id)].constant, quantized[id].get());
  return n;
}
PruneReport PrunedModel::report() const {
  Graph g = held();
  PruneReport r{wanted_, rows_of(g, has_graph(), cut_.kept), options_.method, options_.scope, 0, 0};
  NativeFile f = file();
  r.bytes = bytes_of_file(f);
  r.dense_bytes = cut_.given_bytes ? cut_.given_bytes : bytes_of_file(dense(std::move(f)));
  return r;
}
double PrunedModel::compression_ratio() const {
  PruneReport r = report();
  return double(r.dense_bytes) / double(r.bytes);
}
double PrunedModel::size_reduction() const {
  if (!quantization_ || !has_graph()) return compression_ratio();
  return double(quantization_->float_bytes) / double(size_bytes());
}

void PrunedModel::prune(double sparsity, const PruneData& data) {
  check_sparsity("prune", sparsity);
  NoGrad no_grad;
  if (options_.method == "structured")
    throw Error(ErrorKind::unsupported, "prune", "a model with zeros", "one that channels were cut out of", "prune_model gives a copy with fewer channels");
  hold();
  std::vector<Candidate> all;
  if (!has_graph()) {
    nn::GraphModule& h = holder(*this);
    for (auto& [name, t] : h.snapshot()) if (const Tensor* mask = find(waiting_, name)) all.push_back({name, t, nullptr, *mask, {}});
    choose(all, sparsity, options_);
    for (const Candidate& c : all) {
      h.replace_weight(c.name, with_zeros(c.tensor, c.mask));
      for (auto& [name, mask] : waiting_) if (name == c.name) mask = c.mask;
    }
    add_transform(attaching(waiting_));
  } else {
    std::vector<Weight> weights = weights_of(graph());
    std::vector<int> ids;
    for (const Weight& w : weights) {
      const Value& v = graph().values[size_t(w.value)];
      if (!v.mask) continue;
      all.push_back({name_of_value(graph(), w.value), v.constant, w.quantized.get(), v.mask, {}});
      ids.push_back(w.value);
    }
    look_at_graph(graph(), all, ids, options_, data);
    choose(all, sparsity, options_);
    add_transform([&](Graph& g) {                              // the parameters stay the same tensors
      for (size_t i = 0; i < all.size(); ++i) {
        put_zeros(all[i].tensor, all[i].mask, all[i].quantized);
        g.values[size_t(ids[i])].mask = all[i].mask;
      }
    });
  }
  wanted_ = sparsity;
}

Ref<PrunedModel> PrunedModel::clone() const {
  auto quantization = quantization_ ? std::make_shared<QuantizationReport>(*quantization_) : nullptr;
  if (has_graph()) {
    auto copy = make<PrunedModel>(own_copy(held()), wanted_, options_, quantization, cut_);
    copy->train(training());
    return copy;
  }
  auto* inner = dynamic_cast<nn::GraphModule*>(source().get());
  Masks masks;
  for (auto& [name, mask] : waiting_) masks.emplace_back(name, mask.clone());
  auto copy = make<PrunedModel>(inner ? nn::ModuleRef(copy_waiting(*inner)) : source(), transforms(), snapshot(), masks, wanted_, options_);
  copy->train(training());
  return copy;
}

void PrunedModel::rewind(const nn::StateDict& state) {
  const char* op = "rewind";
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  hold();
  struct Pair { Tensor to, from; };
  std::vector<Pair> pairs;
  std::string missing, unknown;
  std::set<std::string> used;
  auto take_weight = [&](const std::string& name, const Tensor& to) {
    std::string slashed = name;
    std::replace(slashed.begin(), slashed.end(), '.', '/');
    const Tensor* from = nullptr;
    for (auto& [known, t] : state)
      if (known == name || known == slashed) { from = &t; used.insert(known); }
    if (!from) { missing += (missing.empty() ? "" : ", ") + name; return; }
    Tensor t = *from;
    for (const KeptIndices& k : cut_.kept)
      for (auto& [constant, axis] : k.axes)
        if (constant == name && axis < t.rank() && t.dim(axis) == k.size && to.dim(axis) != k.size) t = take(t, axis, k.kept);
    if (t.shape() != to.shape() || is_float(t.dtype()) != is_float(to.dtype()))
      throw Error(ErrorKind::value, op, "\"" + name + "\" of " + to.spec().text(), from->spec().text());
    pairs.push_back({to, t});
  };
  if (has_graph()) {
    for (const Value& v : graph().values) if (v.constant && v.trainable && is_float(v.spec.dtype)) take_weight(v.name, v.constant);
  } else for (auto& [name, t] : holder(*this).snapshot()) take_weight(name, t);
  for (auto& [name, t] : state) {
    bool is_constant = used.count(name) || !is_float(t.dtype());
    if (has_graph()) for (const Value& v : graph().values) {
      std::string slashed = v.name;
      std::replace(slashed.begin(), slashed.end(), '.', '/');
      if (!v.constant || is_constant || (v.name != name && slashed != name)) continue;
      is_constant = true;                                      // a buffer, as batch norm's statistics
      take_weight(v.name, v.constant);
    }
    if (!is_constant) unknown += (unknown.empty() ? "" : ", ") + name;
  }
  if (!missing.empty()) throw Error(ErrorKind::value, op, "a state with every weight", "one without " + missing);
  if (!unknown.empty()) throw Error(ErrorKind::value, op, "a state of this model's weights", "one with " + unknown);
  for (auto& [to, from] : pairs) assign(to, cast(from, to.dtype()));
  if (!has_graph())
    for (auto& [name, t] : holder(*this).snapshot())
      if (const Tensor* mask = find(waiting_, name)) put_zeros(t, *mask);
  hold();
}

static Ref<PrunedModel> prune_waiting(nn::GraphModule& m, double sparsity, const PruneOptions& o) {
  if (auto* q = dynamic_cast<QuantizedModel*>(&m))
    return make<PrunedModel>(q->clone(), std::vector<std::function<void(Graph&)>>{}, nn::StateDict{}, Masks{}, sparsity, o);
  Ref<nn::GraphModule> copy = copy_waiting(m);
  auto* p = dynamic_cast<PrunedModel*>(&m);
  return make<PrunedModel>(copy->source(), copy->transforms(), copy->snapshot(), p ? p->clone()->masks() : Masks{}, sparsity, o);
}

Ref<PrunedModel> prune_model(nn::Module& model, double sparsity, const PruneOptions& given, const std::vector<Spec>& inputs, const PruneData& data) {
  check_sparsity("prune_model", sparsity);
  PruneOptions o = checked(given);
  auto* module = dynamic_cast<nn::GraphModule*>(&model);
  bool known = !inputs.empty() || (module ? module->has_graph() : !model.last_input_specs().empty());
  Ref<PrunedModel> pruned;
  if (!known && module) pruned = prune_waiting(*module, sparsity, o);
  else if (!known) {
    if (!model.is_owned())
      throw Error(ErrorKind::value, "prune_model", "a model whose input shape is known, or one made by make<>", "a local one that was never called", "call it once, or pass inputs");
    pruned = make<PrunedModel>(nn::ModuleRef(&model), std::vector<std::function<void(Graph&)>>{}, nn::StateDict{}, Masks{}, sparsity, o);
  } else {
    std::shared_ptr<QuantizationReport> quantization;
    Ref<nn::GraphModule> settled;
    if (module && !module->has_graph()) {                     // it waits for its shapes: a copy of it knows them now
      settled = copy_waiting(*module);
      settled->materialize(inputs);
      module = settled.get();
    }
    if (auto* q = dynamic_cast<QuantizedModel*>(module)) quantization = std::make_shared<QuantizationReport>(q->report());
    if (auto* p = dynamic_cast<PrunedModel*>(module); p && p->quantization()) quantization = std::make_shared<QuantizationReport>(*p->quantization());
    Graph g = own_copy(nn::graph_of("prune_model", module ? *module : model, inputs));
    ChannelCut cut;
    if (o.method == "structured") {
      NativeFile given;
      given.graph = g;
      given.has_graph = true;
      given.kind = "module";
      cut.given_bytes = bytes_of_file(given);
      cut.kept = prune_channels(g, sparsity, o, data);
    } else prune_graph(g, sparsity, o, data);
    pruned = make<PrunedModel>(std::move(g), sparsity, o, quantization, std::move(cut));
  }
  pruned->train(model.training());
  return pruned;
}

}  // namespace miniten::edge
