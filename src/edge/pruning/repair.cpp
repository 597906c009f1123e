#include <cmath>
#include "base/json.h"
#include "edge/models.h"
#include "edge/pruning/choose.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

constexpr const char* op = "repair";
using Batches = std::vector<std::vector<Tensor>>;

std::vector<Spec> specs_of(const std::vector<Tensor>& inputs) {
  std::vector<Spec> specs;
  for (const Tensor& t : inputs) specs.push_back(t.spec());
  return specs;
}
std::vector<double> numbers(const Tensor& t) { return cast(t, DType::f64).clone().to_vector<double>(); }
std::string name_of(const Node& n) { return n.name.empty() ? std::string(n.op->name) + " of %" + std::to_string(n.out[0]) : n.name; }

// What node `at` reads, and makes; computed as the graph stands now.
struct Caught { std::vector<Tensor> in; Tensor out; };
Caught run_to(const Graph& given, const std::vector<Tensor>& inputs, int at) {
  Graph g = bind_inputs(given, specs_of(inputs));
  Caught c;
  Replay how;
  how.reads = [&](int node, std::vector<Tensor>& in) { if (node == at) c.in = in; };
  how.gives = [&](int value, const Tensor& t) {
    if (value == g.nodes[size_t(at)].out[0]) c.out = t;
    return t;
  };
  replay(g, inputs, how);
  return c;
}

// ---- batch norms ----
void each_batch_norm(const Graph& g, const Batches& batches, RepairReport& r) {
  struct Sums { std::vector<double> mean, var; };
  std::map<int, Sums> sums;                                    // by node
  for (const auto& inputs : batches) {
    Graph bound = bind_inputs(g, specs_of(inputs));
    Replay how;
    how.reads = [&](int node, std::vector<Tensor>& in) {       // later ones read what earlier ones give with the new statistics
      if (bound.nodes[size_t(node)].op != &batch_norm_op) return;
      std::vector<int64_t> others;
      for (int a = 0; a < in[0].rank(); ++a) if (a != 1) others.push_back(a);
      Axes axes;
      for (int64_t a : others) axes.push(int(a));
      Tensor mean_now = mean(in[0], axes), shape_of = mean(in[0], axes, true), centred = in[0] - shape_of, var_now = mean(centred * centred, axes);
      Sums& s = sums[node];
      auto m = numbers(mean_now), v = numbers(var_now);
      s.mean.resize(m.size());
      s.var.resize(m.size());
      for (size_t i = 0; i < m.size(); ++i) { s.mean[i] += m[i] / double(batches.size()); s.var[i] += v[i] / double(batches.size()); }
      in[3] = mean_now;
      in[4] = var_now;
    };
    replay(bound, inputs, how);
  }
  for (auto& [node, s] : sums) {
    const Node& n = g.nodes[size_t(node)];
    const Tensor &mean_then = g.values[size_t(n.in[3])].constant, &var_then = g.values[size_t(n.in[4])].constant;
    if (!mean_then || !var_then) continue;
    auto then = numbers(mean_then);
    double moved = 0;
    for (size_t i = 0; i < then.size(); ++i) moved += (then[i] - s.mean[i]) * (then[i] - s.mean[i]) / (s.var[i] + 1e-12);
    assign(mean_then, cast(Tensor::of<double>(mean_then.shape(), s.mean), mean_then.dtype()));
    assign(var_then, cast(Tensor::of<double>(var_then.shape(), s.var), var_then.dtype()));
    r.rows.push_back({name_of(n), std::sqrt(moved / double(std::max<size_t>(then.size(), 1))), 0});
  }
}

// ---- layers against the original's ----
struct Layer {
  int node, value;                                             // the constant of its weight
  int bias_node = -1, bias = -1;                               // whose output has the bias in it (the same, or a sum after it)
  std::vector<int64_t> kept;                                   // the original's output channels; empty: all
};
bool is_weighted(const Node& n) { return n.op == &conv2d_op || n.op == &matmul_op; }

std::vector<Layer> layers_to_mend(const Graph& g, const Graph& original, const std::vector<KeptIndices>& cut) {
  bool same = g.nodes.size() == original.nodes.size();
  for (size_t i = 0; same && i < g.nodes.size(); ++i) same = g.nodes[i].op == original.nodes[i].op;
  if (!same) throw Error(ErrorKind::value, op, "the model before pruning, of the same layers", std::to_string(original.nodes.size()) + " steps against " + std::to_string(g.nodes.size()));
  std::vector<Layer> all;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (!is_weighted(n)) continue;
    int value = source_constant(g, n.in[1]);
    if (value < 0 || g.values[size_t(value)].spec.dtype != DType::f32) continue;
    Layer l{int(i), value, -1, -1, {}};
    if (n.in.size() >= 3 && g.is_constant(n.in[2])) { l.bias_node = int(i); l.bias = n.in[2]; }
    else if (auto readers = g.readers(n.out[0]); n.in.size() == 2 && readers.size() == 1) {
      const Node& next = g.nodes[size_t(readers[0])];
      int other = next.in.size() == 2 ? next.in[next.in[0] == n.out[0] ? 1 : 0] : -1;
      if (next.op == &add_op && other >= 0 && g.is_constant(other) && g.values[size_t(other)].spec.shape.rank == 1) { l.bias_node = readers[0]; l.bias = other; }
    }
    // Which axis of the constant are the outputs?
    Seen s = seen(g, value);
    const Shape& shape = g.values[size_t(value)].spec.shape;
    int64_t channels = s.places.dim(s.channel_axis);
    Tensor whole = s.places.clone();
    int64_t inner = 1;
    for (int a = s.channel_axis + 1; a < whole.rank(); ++a) inner *= whole.dim(a);
    int64_t stride = channels > 1 ? whole.view().as<int64_t>()[inner] - whole.view().as<int64_t>()[0] : 0;
    for (const KeptIndices& k : cut)
      for (auto& [name, axis] : k.axes) {
        if (name != g.values[size_t(value)].name || axis >= shape.rank || int64_t(k.kept.size()) != channels) continue;
        if (channels == 1 || contiguous(shape)[axis] == stride) l.kept = k.kept;
      }
    all.push_back(std::move(l));
  }
  return all;
}
// Channels of a layer's output: axis 1 of a convolution's, the last of a product's.
Tensor as_rows(const Node& n, const Tensor& t) {
  Tensor last = n.op == &conv2d_op ? permute(t, {0, 2, 3, 1}) : t;
  return reshape(last, {-1, last.dim(-1)});
}
Tensor target_rows(const Node& n, const Tensor& y, const Layer& l) {
  Tensor rows = as_rows(n, y);
  if (l.kept.empty()) return rows;
  return index_select(rows, 1, Tensor::of<int64_t>({int64_t(l.kept.size())}, l.kept));
}

RepairRow mend_bias(const Graph& g, const Graph& original, const Batches& batches, const Layer& l) {
  const Node& n = g.nodes[size_t(l.node)];
  std::vector<double> shift(size_t(g.values[size_t(l.bias)].spec.shape.count()), 0);
  double before = 0, after = 0, size = 0;
  for (const auto& inputs : batches) {
    Tensor now = as_rows(n, run_to(g, inputs, l.bias_node).out), then = target_rows(n, run_to(original, inputs, l.bias_node).out, l), gap = then - now;
    auto d = numbers(mean(gap, {0}));
    for (size_t i = 0; i < d.size(); ++i) shift[i] += d[i] / double(batches.size());
    before += mean(gap * gap).item();
    size += mean(then * then).item();
  }
  for (double d : shift) after += d * d / double(shift.size()) * double(batches.size());
  const Tensor& bias = g.values[size_t(l.bias)].constant;
  assign(bias, bias + cast(Tensor::of<double>(bias.shape(), shift), bias.dtype()));
  return {name_of(n), std::sqrt(before / std::max(size, 1e-30)), std::sqrt(std::max(0.0, before - after) / std::max(size, 1e-30))};
}

// x with (g + ridge) x = c for the indices `at`, by Cholesky; false where g is not positive there.
bool solve(const std::vector<double>& g, size_t k, const std::vector<size_t>& at, double ridge, std::vector<double>& lower, std::vector<double>& x) {
  size_t n = at.size();
  if (lower.size() != n * n) {
    lower.assign(n * n, 0);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j <= i; ++j) {
        double sum = g[at[i] * k + at[j]] + (i == j ? ridge : 0);
        for (size_t m = 0; m < j; ++m) sum -= lower[i * n + m] * lower[j * n + m];
        if (i == j && !(sum > 0)) return false;
        lower[i * n + j] = i == j ? std::sqrt(sum) : sum / lower[j * n + j];
      }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t m = 0; m < i; ++m) x[i] -= lower[i * n + m] * x[m];
    x[i] /= lower[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t m = i + 1; m < n; ++m) x[i] -= lower[m * n + i] * x[m];
    x[i] /= lower[i * n + i];
  }
  return true;
}

RepairRow mend_weights(const Graph& g, const Graph& original, const Batches& batches, const Layer& l) {
  const Node& n = g.nodes[size_t(l.node)];
  std::vector<double> gram, cross, squares;
  size_t k = 0, outputs = 0;
  double rows = 0;
  for (const auto& inputs : batches) {
    Tensor x = read_rows(n, run_to(g, inputs, l.node).in), y = target_rows(n, run_to(original, inputs, l.bias >= 0 ? l.bias_node : l.node).out, l);
    if (l.bias >= 0) x = concat(std::vector{x, Tensor::full({x.dim(0), 1}, 1)}, 1);
    rows += double(x.dim(0));
    auto gs = numbers(matmul(transpose(x), x)), cs = numbers(matmul(transpose(x), y)), ss = numbers(sum(y * y, {0}));
    gram.resize(gs.size());
    cross.resize(cs.size());
    squares.resize(ss.size());
    for (size_t i = 0; i < gs.size(); ++i) gram[i] += gs[i];
    for (size_t i = 0; i < cs.size(); ++i) cross[i] += cs[i];
    for (size_t i = 0; i < ss.size(); ++i) squares[i] += ss[i];
    k = size_t(x.dim(1));
    outputs = size_t(y.dim(1));
  }
  size_t inputs = k - (l.bias >= 0);
  // The constant's elements as (outputs, inputs).
  Seen s = seen(g, l.value);
  std::vector<int64_t> places = s.places.clone().to_vector<int64_t>();
  auto place = [&](size_t o, size_t i) { return size_t(n.op == &conv2d_op ? places[o * inputs + i] : places[i * outputs + o]); };
  const Value& v = g.values[size_t(l.value)];
  std::vector<float> w = v.constant.clone().to_vector<float>(), bias = l.bias >= 0 ? g.values[size_t(l.bias)].constant.clone().to_vector<float>() : std::vector<float>();
  Tensor mask = v.mask ? v.mask.clone() : Tensor();
  double trace = 0, before = 0, after = 0, size = 0;
  for (size_t i = 0; i < k; ++i) trace += gram[i * k + i];
  double ridge = 1e-6 * trace / double(k) + 1e-12 * rows;
  std::vector<size_t> all(k);
  for (size_t i = 0; i < k; ++i) all[i] = i;
  std::vector<double> shared_lower;
  for (size_t o = 0; o < outputs; ++o) {
    std::vector<size_t> at;
    std::vector<double> now;
    for (size_t i = 0; i < k; ++i) {
      if (i < inputs && mask && !mask.view().as<bool>()[place(o, i)]) continue;
      at.push_back(i);
      now.push_back(i < inputs ? double(w[place(o, i)]) : double(bias[o]));
    }
    auto error = [&](const std::vector<double>& x) {           // |X x - y|^2
      double e = squares[o];
      for (size_t a = 0; a < at.size(); ++a) {
        double gx = 0;
        for (size_t b = 0; b < at.size(); ++b) gx += gram[at[a] * k + at[b]] * x[b];
        e += x[a] * (gx - 2 * cross[at[a] * outputs + o]);
      }
      return std::max(e, 0.0);
    };
    std::vector<double> x, own;
    for (size_t i : at) x.push_back(cross[i * outputs + o]);
    double was = error(now), is = was;
    if (!at.empty() && solve(gram, k, at, ridge, at.size() == k ? shared_lower : own, x)) is = error(x);
    if (is < was)
      for (size_t a = 0; a < at.size(); ++a) (at[a] < inputs ? w[place(o, at[a])] : bias[o]) = float(x[a]);
    before += was;
    after += std::min(is, was);
    size += squares[o];
  }
  assign(v.constant, Tensor::of<float>(v.spec.shape, w));
  if (l.bias >= 0) assign(g.values[size_t(l.bias)].constant, Tensor::of<float>(g.values[size_t(l.bias)].spec.shape, bias));
  return {name_of(n), std::sqrt(before / std::max(size, 1e-30)), std::sqrt(after / std::max(size, 1e-30))};
}

}  // namespace

Tensor read_rows(const Node& n, const std::vector<Tensor>& in) {
  if (n.op != &conv2d_op) return reshape(in[0], {-1, in[0].dim(-1)});
  Conv2dAttrs at = *static_cast<const Conv2dAttrs*>(n.attributes());
  const Shape w = in[1].shape();
  int64_t taps = w[1] * w[2] * w[3];
  std::vector<float> one(size_t(taps * taps), 0.0f);
  for (int64_t i = 0; i < taps; ++i) one[size_t(i * taps + i)] = 1;
  return as_rows(n, conv2d(in[0], Tensor::of<float>({taps, w[1], w[2], w[3]}, one), {}, at));
}

RepairReport repair(nn::GraphModule& pruned, const std::vector<std::vector<Tensor>>& batches, const std::string& method, nn::Module* given) {
  if (method != "batch_norm" && method != "bias" && method != "least_squares")
    throw Error(ErrorKind::value, op, "method batch_norm, bias or least_squares", "\"" + method + "\"");
  if (batches.empty()) throw Error(ErrorKind::value, op, "at least one batch of inputs", "none");
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  pruned.materialize(specs_of(batches[0]));
  const Graph& g = pruned.graph();
  RepairReport r{method, {}};
  if (method == "batch_norm") {
    each_batch_norm(g, batches, r);
    if (r.rows.empty()) throw Error(ErrorKind::value, op, "a model with batch norms", "one without", "least_squares and bias mend layers without them");
    return r;
  }
  if (!given) throw Error(ErrorKind::value, op, "the model before pruning for method " + method, "none", "pass original=");
  if (given == &pruned) throw Error(ErrorKind::value, op, "the model before pruning as original", "the pruned one");
  Graph original = whole_graph(op, *given, specs_of(batches[0]));
  auto* p = dynamic_cast<PrunedModel*>(&pruned);
  if (p && p->quantization()) throw Error(ErrorKind::unsupported, op, "a float model", "a quantised one", "repair first, then quantise");
  for (const Layer& l : layers_to_mend(g, original, p ? p->kept() : std::vector<KeptIndices>{})) {
    const Node& n = g.nodes[size_t(l.node)];
    if (method == "bias" && l.bias >= 0) r.rows.push_back(mend_bias(g, original, batches, l));
    bool grouped = n.op == &conv2d_op && static_cast<const Conv2dAttrs*>(n.attributes())->groups != 1;
    if (method == "least_squares" && !grouped && g.values[size_t(n.in[1])].spec.shape.rank == (n.op == &conv2d_op ? 4 : 2)) r.rows.push_back(mend_weights(g, original, batches, l));
  }
  if (p) p->hold();
  return r;
}

std::string RepairReport::to_text() const {
  size_t width = 5;
  for (const RepairRow& row : rows) width = std::max(width, row.layer.size());
  std::string s = "layer" + std::string(width - 5, ' ') + "      before       after   (" + (method == "batch_norm" ? "means, in standard deviations" : "error of the outputs") + ")\n";
  for (const RepairRow& row : rows) {
    char line[64];
    std::snprintf(line, sizeof line, "  %10.4f  %10.4f\n", row.before, row.after);
    s += row.layer + std::string(width - std::min(width, row.layer.size()), ' ') + line;
  }
  return s;
}
std::string RepairReport::to_json() const {
  nlohmann::ordered_json j{{"method", method}, {"layers", nlohmann::ordered_json::array()}};
  for (const RepairRow& row : rows) j["layers"].push_back({{"layer", row.layer}, {"before", row.before}, {"after", row.after}});
  return j.dump();
}

}  // namespace miniten::edge
