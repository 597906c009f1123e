#include <cmath>
#include <nlohmann/json.hpp>
#include "edge/models.h"
#include "edge/pruning/choose.h"
#include "miniten/edge/compression.h"
#include "miniten/graph/passes.h"
#include "miniten/ops/ops.h"
#include "ops/factor.h"

namespace miniten::edge {

namespace {

bool is_bit(uint32_t bits, size_t i) { return i < 32 && (bits >> i & 1); }
bool names(const std::string& pattern, const std::string& name) { return matches(pattern, name) || matches(pattern + ".*", name); }
int64_t greatest_rank(int64_t m, int64_t n) { return std::max<int64_t>(m * n - 1, 0) / std::max<int64_t>(m + n, 1); }       // r (m + n) < m n

LowRank factors_of(const Svd& s, int64_t rank) {
  int64_t m = s.u.dim(0), n = s.v.dim(0), k = s.s.numel();
  auto u = s.u.to_vector<float>(), v = s.v.to_vector<float>(), values = s.s.to_vector<float>();
  std::vector<float> left(size_t(m * rank)), right(size_t(rank * n));
  for (int64_t r = 0; r < rank; ++r) {
    float root = std::sqrt(values[size_t(r)]);               // shared evenly: both train alike
    for (int64_t i = 0; i < m; ++i) left[size_t(i * rank + r)] = u[size_t(i * k + r)] * root;
    for (int64_t j = 0; j < n; ++j) right[size_t(r * n + j)] = v[size_t(j * k + r)] * root;
  }
  return {Tensor::of<float>({m, rank}, left), Tensor::of<float>({rank, n}, right)};
}
double lost(const Svd& s, int64_t rank) {                    // |w - w_r| / |w|
  double all = 0, gone = 0;
  auto values = s.s.to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    double square = double(values[i]) * values[i];
    all += square;
    if (int64_t(i) >= rank) gone += square;
  }
  return all > 0 ? std::sqrt(gone / all) : 0;
}
void check_ratio(const char* who, double ratio) {
  if (!(ratio > 0 && ratio <= 1)) throw Error(ErrorKind::value, who, "a rank_ratio in (0, 1]", std::to_string(ratio));
}

}  // namespace

LowRank low_rank_factors(const Tensor& w, int64_t rank) {
  Svd s = svd(w);
  if (rank < 1 || rank > s.s.numel()) throw Error(ErrorKind::value, "low_rank_factors", "a rank from 1 to " + std::to_string(s.s.numel()), std::to_string(rank));
  return factors_of(s, rank);
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
  const char* who = "low_rank";
  if (o.rank < 0) throw Error(ErrorKind::value, who, "a rank of at least 1", std::to_string(o.rank));
  if (!(o.energy >= 0 && o.energy <= 1)) throw Error(ErrorKind::value, who, "an energy in (0, 1]", std::to_string(o.energy));
  check_ratio(who, o.rank_ratio);
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Graph g = own_copy(whole_graph(who, model, inputs));
  LowRankReport made;
  std::vector<bool> used(o.skip.size());
  std::vector<Weight> weights = weights_of(g);
  std::vector<Node> nodes;
  for (const Node& n : g.nodes) {
    int source = n.in.size() > 1 && is_bit(n.op->traits.weights, 1) ? source_constant(g, n.in[1]) : -1;
    if (source < 0) { nodes.push_back(n); continue; }
    const std::string name = g.values[size_t(source)].name;
    LowRankRow row{n.name.empty() ? name : n.name, std::string(n.op->name), 0, 0, 0, 0, 0, ""};
    auto stays = [&](std::string reason) {
      row.reason = std::move(reason);
      nodes.push_back(n);
      made.rows.push_back(row);
    };
    bool left_out = false;
    for (size_t p = 0; p < o.skip.size(); ++p)
      if (names(o.skip[p], name) || names(o.skip[p], n.name) || o.skip[p] == n.op->name) used[p] = left_out = true;
    if (left_out) { stays("skipped"); continue; }
    const Value& stored = g.values[size_t(source)];
    if (stored.quantized || stored.spec.dtype != DType::f32)
      throw Error(ErrorKind::unsupported, who, "float32 weights", "\"" + name + "\" of " + stored.spec.text(), "factorise the float model, then quantise it");
    check_finite_weight(who, name, stored.constant);
    const FactorRule* rule = factor_rule(*n.op);
    Tensor w = stored.constant;
    std::vector<const Node*> moves;                          // from the constant to what the op reads
    for (int id = n.in[1]; id != source; id = moves.back()->in[0]) moves.push_back(&g.nodes[size_t(g.producer(id))]);
    for (auto move = moves.rbegin(); move != moves.rend(); ++move) {
      Tensor moved;
      Input in[]{w};
      apply(*(*move)->op, in, (*move)->attributes(), {&moved, 1});
      w = moved;
    }
    auto in = g.specs(n.in), out = g.specs(n.out);
    Call call{*n.op, n.attributes(), in, out};
    Tensor matrix = rule ? rule->matrix(call, w) : Tensor();
    if (!matrix) { stays("has no form of two factors"); continue; }
    int64_t m = matrix.dim(0), cols = matrix.dim(1), most = greatest_rank(m, cols);
    row.full_rank = std::min(m, cols);
    row.before = row.after = m * cols;
    if (most < 1) { stays("no factors are smaller"); continue; }
    if (stored.mask || stored.codebook) { stays(stored.mask ? "is pruned: factors would fill its zeros" : "is clustered: factors would spread its values"); continue; }
    Svd s = svd(matrix);
    int64_t rank = o.rank;
    if (!rank && o.energy > 0) {
      rank = 1;
      while (rank < s.s.numel() && lost(s, rank) > std::sqrt(1 - o.energy) + 1e-12) ++rank;
    } else if (!rank) rank = std::clamp<int64_t>(int64_t(std::nearbyint(o.rank_ratio * double(row.full_rank))), 1, most);
    row.rank = rank;
    if (rank > most) { stays("rank " + std::to_string(rank) + " needs more weights than the layer has"); continue; }
    row.after = rank * (m + cols);
    row.error = lost(s, rank);
    LowRank f = factors_of(s, rank);
    auto [first, second] = rule->steps(call, f.left, f.right);
    bool trainable = stored.trainable;
    auto constant = [&](const Tensor& t, std::string as) {
      int id = g.add_value(t.spec(), std::move(as), trainable ? parameter(t) : t);
      g.values[size_t(id)].trainable = trainable;
      return id;
    };
    int a = constant(first.weight, name + ".first"), b = constant(second.weight, name + ".second");
    int between = g.add_value({DType::f32, {}});
    nodes.push_back({first.op, first.attrs, {n.in[0], a}, {between}, n.name, {}});
    Node last{second.op, second.attrs, {between, b}, n.out, n.name, {}};
    last.in.insert(last.in.end(), n.in.begin() + 2, n.in.end());
    nodes.push_back(std::move(last));
    made.rows.push_back(row);
  }
  for (size_t p = 0; p < o.skip.size(); ++p)
    if (!used[p]) throw Error(ErrorKind::value, who, "skip patterns that match a layer", "\"" + o.skip[p] + "\"");
  if (made.rows.empty()) throw Error(ErrorKind::value, who, "a model with weights", "one without");
  g.nodes = std::move(nodes);
  remove_dead(g);
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
  std::string s = "layer" + std::string(width - 5, ' ') + "     rank        weights      error\n";
  for (const LowRankRow& r : rows) {
    char line[128];
    std::snprintf(line, sizeof line, " %4lld of %-4lld %8lld -> %-8lld %7.4f  ", (long long)r.rank, (long long)r.full_rank, (long long)r.before, (long long)r.after, r.error);
    s += r.layer + std::string(width - r.layer.size(), ' ') + line + r.reason + "\n";
  }
  return s;
}
std::string LowRankReport::to_json() const {
  nlohmann::ordered_json j = nlohmann::ordered_json::array();
  for (const LowRankRow& r : rows)
    j.push_back({{"layer", r.layer}, {"op", r.op}, {"rank", r.rank}, {"full_rank", r.full_rank}, {"before", r.before}, {"after", r.after}, {"error", r.error}, {"reason", r.reason}});
  return j.dump();
}

}  // namespace miniten::edge
