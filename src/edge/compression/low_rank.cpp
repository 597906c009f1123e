#include <cmath>
#include "base/json.h"
#include "edge/benchmark/bench.h"
#include "edge/compression/factors.h"
#include "edge/models.h"
#include "edge/pruning/choose.h"
#include "miniten/edge/compression.h"
#include "miniten/graph/passes.h"
#include "miniten/ops/linalg.h"

namespace miniten::edge {

namespace {

constexpr const char* who = "low_rank";

bool is_bit(uint32_t bits, size_t i) { return i < 32 && (bits >> i & 1); }
bool names(const std::string& pattern, const std::string& name) { return matches(pattern, name) || matches(pattern + ".*", name); }
int64_t greatest_rank(int64_t m, int64_t n) { return std::max<int64_t>(m * n - 1, 0) / std::max<int64_t>(m + n, 1); }       // r (m + n) < m n
void check_ratio(const char* op, double ratio) {
  if (!(ratio > 0 && ratio <= 1)) throw Error(ErrorKind::value, op, "a rank_ratio in (0, 1]", std::to_string(ratio));
}

const char* const forms[] = {"svd", "spatial", "tucker", "cp"};

struct Layer {
  size_t node, row, input;
  Call call() const { return {*op, attrs.get(), in, out}; }
  bool reads_x() const { return input == 1 && form == Factors::svd; }      // a matrix that x is multiplied by
  const OpDef* op;
  Attrs attrs;
  std::vector<Spec> in, out;
  const FactorRule* rule;
  Tensor weight, unfolded;                                     // as the op reads it; as it is factorised
  Factors form;
  bool trainable;
  std::optional<Factoring> factoring = {};
  std::vector<int64_t> ranks = {};
  std::vector<FactorRule::Step> steps = {};
};

// What reads the layer's steps in place of its node, behind those of them that stand before it; weight(s) is the value of
// step s's weight.
template <class F> Node put_steps(Graph& g, const Node& n, const Layer& l, F weight, std::vector<Node>& to) {
  auto before = [&](const OpDef* op, Attrs attrs, std::vector<int> in) {
    to.push_back({op, std::move(attrs), std::move(in), {g.add_value({DType::f32, {}})}, n.name, {}});
    return to.back().out[0];
  };
  Node last = n;
  if (!l.steps[0].op) last.in[l.input] = before(&matmul_op, std::make_shared<ClampAttrs>(), {weight(0), weight(1)});
  else {
    for (size_t s = 0; s + 1 < l.steps.size(); ++s) last.in[0] = before(l.steps[s].op, l.steps[s].attrs, {last.in[0], weight(s)});
    last.op = l.steps.back().op;
    last.attrs = l.steps.back().attrs;
    last.in[1] = weight(l.steps.size() - 1);
  }
  return last;
}

// Lower l with l l^T the mean of x x^T over what the layer reads, by node.
std::map<size_t, Tensor> whitening(const Graph& g, const std::vector<Layer>& layers, const Batches& data) {
  std::map<size_t, Tensor> sums;
  std::map<size_t, double> rows;
  for (auto inputs = data(); !inputs.empty(); inputs = data()) {
    std::vector<Spec> specs;
    for (const Tensor& t : inputs) specs.push_back(t.spec());
    Replay how;
    how.reads = [&](int node, std::vector<Tensor>& in) {
      for (const Layer& l : layers) {
        if (l.node != size_t(node) || !l.reads_x()) continue;
        Tensor x = read_rows(g.nodes[l.node], in), square = cast(matmul(transpose(x), x), DType::f64);
        Tensor& sum = sums[l.node];
        sum = sum ? sum + square : square;
        rows[l.node] += double(x.dim(0));
      }
    };
    replay(bind_inputs(g, specs), inputs, how);
  }
  if (sums.empty()) throw Error(ErrorKind::value, who, "data of at least one batch", "none");
  for (auto& [node, sum] : sums) {
    auto v = sum.to_vector<double>();
    size_t n = size_t(sum.dim(0));
    double trace = 0;
    for (size_t i = 0; i < n; ++i) trace += v[i * n + i];
    if (!std::isfinite(trace)) throw Error(ErrorKind::value, who, "finite inputs of \"" + g.nodes[node].name + "\"", std::to_string(trace));
    for (double& x : v) x /= std::max(rows[node], 1.0);
    for (size_t i = 0; i < n; ++i) v[i * n + i] += 1e-5 * trace / double(n) / std::max(rows[node], 1.0) + 1e-20;
    sum = cast(linalg::cholesky(Tensor::of<double>(sum.shape(), v)), DType::f32);
  }
  return sums;
}

// One layer alone, as its node or as its steps, on inputs of the sizes in `bound`.
struct Alone {
  Session session;
  std::vector<Tensor> inputs;
  static Graph graph(const Graph& bound, const Layer& l, bool factorised) {
    Graph g = bound;
    Node n = g.nodes[l.node];
    g.nodes.clear();
    g.states.clear();
    g.inputs.clear();
    g.values[size_t(n.in[l.input])].constant = l.weight;
    for (int id : n.in) if (!g.values[size_t(id)].constant && !std::count(g.inputs.begin(), g.inputs.end(), id)) g.inputs.push_back(id);
    g.outputs = {n.out[0]};
    if (factorised) n = put_steps(g, n, l, [&](size_t s) { return g.add_value(l.steps[s].weight.spec(), "", l.steps[s].weight); }, g.nodes);
    g.nodes.push_back(n);
    drop_unread(g);
    infer_all(g);
    return g;
  }
  Alone(const Graph& bound, const Layer& l, bool factorised) : session(graph(bound, l, factorised), {.threads = 1}), inputs(random_inputs(session.input_specs())) {}
  double ms() {
    double start = now_ms();
    session.run_into(inputs);
    return now_ms() - start;
  }
};
// Symbols by the specs, where they fit; else 1.
Graph sized(const Graph& g, std::vector<Spec> specs) {
  bool fit = specs.size() == g.inputs.size();
  for (const Spec& s : specs) fit &= s.shape.is_static();
  if (!fit) specs = g.specs(g.inputs);
  for (Spec& s : specs) for (Dim& d : s.shape) if (is_symbol(d)) d = 1;
  return bind_inputs(g, specs);
}
// Medians in microseconds, in turn: as it is, factorised.
std::pair<double, double> measured(const Graph& bound, const Layer& l) {
  Alone dense(bound, l, false), factorised(bound, l, true);
  std::vector<double> a, b;
  double total = 0;
  for (int i = 0; i < 3; ++i) { dense.ms(); factorised.ms(); }
  while (a.size() < 15 || (total < 10 && a.size() < 200)) {
    a.push_back(dense.ms());
    b.push_back(factorised.ms());
    total += a.back() + b.back();
  }
  return {1e3 * median_of(std::move(a)), 1e3 * median_of(std::move(b))};
}

}  // namespace

LowRank low_rank_factors(const Tensor& w, int64_t rank) {
  if (w.rank() != 2) throw Error(ErrorKind::value, "low_rank_factors", "a matrix", w.spec().text());
  int64_t most = std::min(w.dim(0), w.dim(1));
  if (rank < 1 || rank > most) throw Error(ErrorKind::value, "low_rank_factors", "a rank from 1 to " + std::to_string(most), std::to_string(rank));
  NoGrad no_grad;
  auto made = Factoring(Factors::svd, w).make({rank});
  return {made.factors[0], made.factors[1]};
}
int64_t vbmf_rank(const Tensor& w) {
  Svd s = svd(w);
  return rank_of_vbmf(s.s.to_vector<float>(), w.dim(0), w.dim(1));
}

LowRankApproximation::LowRankApproximation(double rank_ratio) : ratio_(rank_ratio) { check_ratio("LowRankApproximation", rank_ratio); }
int64_t LowRankApproximation::rank_of(const Shape& w) const {
  if (w.rank != 2) throw Error(ErrorKind::value, "LowRankApproximation", "a matrix", w.text());
  int64_t most = greatest_rank(w[0], w[1]);
  if (most < 1) throw Error(ErrorKind::value, "LowRankApproximation", "a matrix that two factors can be smaller than", w.text());
  return std::clamp<int64_t>(int64_t(std::nearbyint(ratio_ * double(std::min(w[0], w[1])))), 1, most);
}
LowRank LowRankApproximation::compress_matrix(const Tensor& w) const { return low_rank_factors(w, rank_of(w.shape())); }
Tensor LowRankApproximation::reconstruct(const LowRank& f) { return matmul(f.left, f.right); }
double LowRankApproximation::compression_ratio(const LowRank& f) {
  return double(f.left.dim(0) * f.right.dim(1)) / double(f.left.numel() + f.right.numel());
}

Ref<nn::GraphModule> low_rank(nn::Module& model, const LowRankOptions& o, const std::vector<Spec>& inputs, LowRankReport* report) {
  if (o.rank < 0) throw Error(ErrorKind::value, who, "a rank of at least 1", std::to_string(o.rank));
  if (!(o.energy >= 0 && o.energy <= 1)) throw Error(ErrorKind::value, who, "an energy in (0, 1]", std::to_string(o.energy));
  if (!(o.budget >= 0 && o.budget < 1)) throw Error(ErrorKind::value, who, "a budget in (0, 1)", std::to_string(o.budget));
  if ((o.rank > 0) + (o.energy > 0) + (o.budget > 0) + o.vbmf > 1) throw Error(ErrorKind::value, who, "one of rank, energy, budget and vbmf", "more, so not both");
  check_ratio(who, o.rank_ratio);
  auto named = std::find(std::begin(forms), std::end(forms), o.method);
  if (named == std::end(forms)) throw Error(ErrorKind::value, who, "method svd, spatial, tucker or cp", "\"" + o.method + "\"");
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Graph g = own_copy(whole_graph(who, model, inputs));
  LowRankReport made;
  std::vector<bool> used(o.skip.size());
  std::vector<Layer> layers;
  auto look_at = [&](size_t at, size_t input, bool alone) {
    const Node& n = g.nodes[at];
    int source = source_constant(g, n.in[input]);
    if (source < 0) return;
    const Value& stored = g.values[size_t(source)];
    made.rows.push_back({n.name.empty() || !alone ? stored.name : n.name, std::string(n.op->name)});
    LowRankRow& row = made.rows.back();
    row.before = row.after = stored.spec.shape.count();
    for (size_t p = 0; p < o.skip.size(); ++p)
      if (names(o.skip[p], stored.name) || names(o.skip[p], n.name) || o.skip[p] == n.op->name) used[p] = true, row.reason = "skipped";
    if (!row.reason.empty()) return;
    if (stored.quantized || stored.spec.dtype != DType::f32)
      throw Error(ErrorKind::unsupported, who, "float32 weights", "\"" + stored.name + "\" of " + stored.spec.text(), "factorise the float model, then quantise it");
    check_finite_weight(who, stored.name, stored.constant);
    Layer l{at, made.rows.size() - 1, input, n.op, n.attrs, g.specs(n.in), g.specs(n.out), factor_rule(*n.op, int(input)), stored.constant, {}, Factors(named - std::begin(forms)), stored.trainable};
    std::vector<const Node*> moves;                          // from the constant to what the op reads
    for (int id = n.in[input]; id != source; id = moves.back()->in[0]) moves.push_back(&g.nodes[size_t(g.producer(id))]);
    for (auto move = moves.rbegin(); move != moves.rend(); ++move) {
      Tensor moved;
      Input in[]{l.weight};
      apply(*(*move)->op, in, (*move)->attributes(), {&moved, 1});
      l.weight = moved;
    }
    if (l.rule) l.unfolded = l.rule->unfold(l.call(), l.weight, l.form);
    if (l.rule && !l.unfolded) l.unfolded = l.rule->unfold(l.call(), l.weight, l.form = Factors::svd);
    if (!l.unfolded) row.reason = "has no form of two factors";
    else if (stored.mask || stored.codebook) row.reason = stored.mask ? "is pruned: factors would fill its zeros" : "is clustered: factors would spread its values";
    else layers.push_back(std::move(l));
  };
  for (size_t at = 0; at < g.nodes.size(); ++at) {
    const Node& n = g.nodes[at];
    const bool states = n.in.size() > 2 && factor_rule(*n.op, 2);
    for (size_t i = 1; i <= (states ? 2 : 1); ++i)
      if (i < n.in.size() && is_bit(n.op->traits.weights, i)) look_at(at, i, !states);
  }
  for (size_t p = 0; p < o.skip.size(); ++p)
    if (!used[p]) throw Error(ErrorKind::value, who, "skip patterns that match a layer", "\"" + o.skip[p] + "\"");
  if (made.rows.empty()) throw Error(ErrorKind::value, who, "a model with weights", "one without");

  std::map<size_t, Tensor> whiten;
  if (o.data && std::any_of(layers.begin(), layers.end(), [](const Layer& one) { return one.reads_x(); })) whiten = whitening(g, layers, o.data);
  for (Layer& l : layers) l.factoring.emplace(l.form, l.unfolded, l.reads_x() && whiten.count(l.node) ? whiten[l.node] : Tensor());
  int64_t weights = 0;
  for (const LowRankRow& row : made.rows) weights += row.before;
  auto by_energy = [&](double energy) {                        // -> weights of all, where each layer takes what is smaller
    int64_t all = weights;
    for (Layer& l : layers) {
      l.ranks = l.factoring->ranks([&](const std::vector<float>& s, int64_t, int64_t) { return rank_of_energy(s, energy); });
      all -= std::max<int64_t>(0, l.factoring->size() - l.factoring->size(l.ranks));
    }
    return all;
  };
  if (o.budget > 0) {
    double low = 0, high = 1, least = double(by_energy(0)) / double(weights);
    if (least > o.budget) throw Error(ErrorKind::value, who, "a budget that can be met", std::to_string(o.budget), "rank 1 everywhere comes to " + std::to_string(least));
    for (int i = 0; i < 40; ++i) {
      double middle = (low + high) / 2;
      (double(by_energy(middle)) <= o.budget * double(weights) ? low : high) = middle;
    }
    by_energy(low);
  } else if (o.energy > 0) by_energy(o.energy);
  Graph bound;
  for (Layer& l : layers) {
    LowRankRow& row = made.rows[l.row];
    const Factoring& f = *l.factoring;
    row.full_rank = f.full_rank();
    row.form = forms[size_t(l.form)];
    if (f.size(std::vector<int64_t>(2, 1)) >= f.size()) { row.reason = "no factors are smaller"; continue; }
    if (o.rank) l.ranks = f.ranks([&](const std::vector<float>&, int64_t, int64_t) { return o.rank; });
    else if (o.vbmf) l.ranks = f.ranks(rank_of_vbmf);
    else if (l.ranks.empty()) {
      l.ranks = f.ranks([&](const std::vector<float>&, int64_t m, int64_t n) { return int64_t(std::nearbyint(o.rank_ratio * double(std::min(m, n)))); });
      while (f.size(l.ranks) >= f.size()) --*std::max_element(l.ranks.begin(), l.ranks.end());
    }
    if (o.rank && l.form == Factors::svd) l.ranks = {o.rank};  // more than there are: said below
    row.rank = l.ranks[0];
    row.input_rank = l.ranks.size() > 1 ? l.ranks[1] : 0;
    if (f.size(l.ranks) >= f.size()) {
      row.reason = "rank " + std::to_string(row.rank) + " needs more weights than the layer has";
      continue;
    }
    Factoring::Made factors = f.make(l.ranks);
    row.error = factors.error;
    l.steps = l.rule->steps(l.call(), l.form, factors.factors);
    if (o.measure) {
      if (bound.nodes.empty()) bound = sized(g, inputs.empty() ? model.last_input_specs() : inputs);
      std::tie(row.dense_us, row.factored_us) = measured(bound, l);
      if (row.factored_us >= row.dense_us) {
        char text[64];
        std::snprintf(text, sizeof text, "kept: slower (%.2fx)", row.dense_us / row.factored_us);
        row.reason = text;
        l.steps.clear();
        continue;
      }
    }
    row.after = f.size(l.ranks);
  }

  std::vector<Node> nodes;
  for (size_t at = 0; at < g.nodes.size(); ++at) {
    Node n = g.nodes[at];
    for (const Layer& l : layers) {
      if (l.node != at || l.steps.empty()) continue;
      const std::string name = g.values[size_t(source_constant(g, n.in[l.input]))].name;
      n = put_steps(g, n, l, [&](size_t s) {
        const Tensor& weight = l.steps[s].weight;
        int w = g.add_value(weight.spec(), name + (s == 0 ? ".first" : s == 2 ? ".third" : ".second"), l.trainable ? parameter(weight) : weight);
        g.values[size_t(w)].trainable = l.trainable;
        return w;
      }, nodes);
    }
    nodes.push_back(std::move(n));
  }
  g.nodes = std::move(nodes);
  remove_dead(g);
  drop_unread(g);
  infer_all(g);
  verify(g);
  auto result = make<nn::GraphModule>(std::move(g));
  result->train(model.training());
  if (report) *report = std::move(made);
  return result;
}

std::string LowRankReport::to_text() const {
  size_t width = 5;
  for (const LowRankRow& r : rows) width = std::max(width, r.layer.size());
  std::string s = "layer" + std::string(width - 5, ' ') + "  form          rank              weights    error\n";
  for (const LowRankRow& r : rows) {
    char line[160];
    std::snprintf(line, sizeof line, "  %-7s %5lld of %-4lld %9lld -> %-9lld %7.4f  ", r.form.c_str(), (long long)r.rank, (long long)r.full_rank, (long long)r.before, (long long)r.after, r.error);
    s += r.layer + std::string(width - r.layer.size(), ' ') + line + r.reason;
    if (r.reason.empty() && r.dense_us > 0) {
      std::snprintf(line, sizeof line, "%.1f -> %.1f us, %.2fx", r.dense_us, r.factored_us, r.dense_us / r.factored_us);
      s += line;
    }
    s += "\n";
  }
  return s;
}
std::string LowRankReport::to_json() const {
  nlohmann::ordered_json j = nlohmann::ordered_json::array();
  for (const LowRankRow& r : rows)
    j.push_back({{"layer", r.layer}, {"op", r.op}, {"form", r.form}, {"rank", r.rank}, {"input_rank", r.input_rank}, {"full_rank", r.full_rank}, {"before", r.before}, {"after", r.after}, {"error", r.error},
                 {"dense_us", r.dense_us}, {"factored_us", r.factored_us}, {"reason", r.reason}});
  return j.dump();
}

}  // namespace miniten::edge
