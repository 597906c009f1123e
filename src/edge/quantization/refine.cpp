#include "edge/quantization/refine.h"
#include <cmath>
#include <numeric>
#include "miniten/ops/linalg.h"
#include "miniten/ops/ops.h"
#include "ops/quantized/weights.h"

namespace miniten::edge {

namespace {

constexpr int64_t most_taps = 1536, most_rows = 16384, most_rows_each = 4096;

// A node as its rules see it. Lives as long as the vectors do.
struct Asked {
  std::vector<Spec> in, out;
  Call call;
  Asked(const Graph& g, const Node& n) : in(g.specs(n.in)), out(g.specs(n.out)), call{*n.op, n.attributes(), in, out} {}
};
bool has_weights(const Graph& g, const Node& n) {
  return n.in.size() >= 2 && is_bit(n.op->traits.weights, 1) && g.is_constant(n.in[1]) && !g.is_constant(n.in[0]) && input_axis(Asked(g, n).call) >= 0;
}
std::vector<double> greatest_along(const Tensor& t, int axis) {
  std::vector<double> most(size_t(t.dim(axis)));
  auto values = t.to_vector<float>();
  size_t inner = 1;
  for (int i = axis + 1; i < t.rank(); ++i) inner *= size_t(t.dim(i));
  for (size_t i = 0; i < values.size(); ++i) {
    double& m = most[i / inner % most.size()];
    m = std::max(m, double(std::abs(values[i])));
  }
  return most;
}
Tensor scaled_along(const Tensor& t, int axis, const std::vector<double>& by) {
  auto values = t.to_vector<float>();
  size_t inner = 1;
  for (int i = axis + 1; i < t.rank(); ++i) inner *= size_t(t.dim(i));
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(values[i] * by[i / inner % by.size()]);
  return Tensor::of<float>(t.shape(), values);
}

}  // namespace

int equalize(Graph& g, const Decisions& d) {
  std::map<int, bool> changed;
  for (int sweep = 0; sweep < 8; ++sweep)
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      const Node& first = g.nodes[i];
      if ((d.nodes[i].form != Decision::integers && d.nodes[i].form != Decision::stored) || !has_weights(g, first) || !commutes_with_scale(Asked(g, first).call)) continue;
      int value = first.out[0];
      const Node* next = nullptr;
      for (;;) {                                               // through maximum pools
        auto readers = g.readers(value);
        if (readers.size() != 1 || std::count(g.outputs.begin(), g.outputs.end(), value)) break;
        next = &g.nodes[size_t(readers[0])];
        if (next->op->quant.mode != QuantMode::passes_through || next->op->traits.movement || next->out.size() != 1) break;
        value = next->out[0];
      }
      if (!next || next->in[0] != value || !has_weights(g, *next)) continue;
      int w1 = first.in[1], w2 = next->in[1], axis1 = first.op->traits.channel_axis, axis2 = input_axis(Asked(g, *next).call);
      if (w1 == w2 || g.readers(w1).size() != 1 || g.readers(w2).size() != 1) continue;
      if (first.in.size() > 2 && (!g.is_constant(first.in[2]) || g.readers(first.in[2]).size() != 1)) continue;
      auto r1 = greatest_along(g.values[size_t(w1)].constant, axis1), r2 = greatest_along(g.values[size_t(w2)].constant, axis2);
      if (r1.size() != r2.size()) continue;
      std::vector<double> up(r1.size(), 1.0), down(r1.size(), 1.0);
      for (size_t c = 0; c < r1.size(); ++c)
        if (r1[c] > 0 && r2[c] > 0) {
          up[c] = std::clamp(std::sqrt(r1[c] / r2[c]), 1e-4, 1e4);
          down[c] = 1 / up[c];
        }
      g.values[size_t(w1)].constant = scaled_along(g.values[size_t(w1)].constant, axis1, down);
      g.values[size_t(w2)].constant = scaled_along(g.values[size_t(w2)].constant, axis2, up);
      if (first.in.size() > 2) g.values[size_t(first.in[2])].constant = scaled_along(g.values[size_t(first.in[2])].constant, 0, down);
      changed[int(i)] = true;
    }
  return int(changed.size());
}

Refiner::Refiner(const Graph& g, const Decisions& d) : g_(g), d_(d) {
  if (!d.refines()) return;
  for (size_t i = 0; i < g.nodes.size(); ++i)
    if ((d.nodes[i].form == Decision::integers || d.nodes[i].form == Decision::stored) && has_weights(g, g.nodes[i])) seen_.emplace(g.nodes[i].in[0], Seen{int(i), {}, 0, 0, {}});
}

void Refiner::see(int value, const Tensor& x) {
  auto [first, last] = seen_.equal_range(value);
  for (auto at = first; at != last; ++at) {
    Seen& s = at->second;
    const Node& n = g_.nodes[size_t(s.node)];
    Asked asked(g_, n);
    if (x.numel() == 0) continue;
    const QuantizationConfig& config = d_.config_of(size_t(s.node));
    if (config.correct_bias && x.rank() > 1) {
      Tensor total = sum(cast(x, DType::f64), {0}, true);
      if (s.mean && s.mean.shape() != total.shape()) continue;
      s.mean = s.mean ? s.mean + total : total;
      s.samples += x.dim(0);
    }
    if (config.rounding == "adaptive" && s.rows < most_rows) {
      Tensor rows = rows_of_input(asked.call, x, most_rows_each);
      if (!rows || rows.dim(1) > most_taps) continue;
      Tensor moments = cast(matmul(transpose(rows), rows), DType::f64);
      s.moments = s.moments ? s.moments + moments : moments;
      s.rows += rows.dim(0);
    }
  }
}
const Refiner::Seen* Refiner::find(int node) const {
  auto [first, last] = seen_.equal_range(g_.nodes[size_t(node)].in[0]);
  for (auto at = first; at != last; ++at) if (at->second.node == node) return &at->second;
  return nullptr;
}

Tensor Refiner::rounded(int node, const Quantized& q) const {
  const Seen* s = find(node);
  if (!s || !s->moments) return {};
  const bool symmetric = std::all_of(q.zero.begin(), q.zero.end(), [](int32_t z) { return z == 0; });
  Limits limits = limits_of(q.dtype);
  if (symmetric) limits.lo = -limits.hi;
  return chosen(*s, [&](int64_t channel, int64_t) { const size_t c = q.scale.size() > 1 ? size_t(channel) : 0; return BlockScale{q.scale[c], q.zero[c]}; }, limits);
}
Tensor Refiner::rounded(int node, const std::vector<BlockScale>& scales, int64_t block, Limits limits) const {
  const Seen* s = find(node);
  if (!s || !s->moments) return {};
  int64_t blocks = (s->moments.dim(0) + block - 1) / block;
  if (limits.hi > 7 && std::all_of(scales.begin(), scales.end(), [](const BlockScale& b) { return b.zero == 0; })) limits.lo = -limits.hi;
  return chosen(*s, [&](int64_t channel, int64_t k) { return scales[size_t(channel * blocks + k / block)]; }, limits);
}

Tensor Refiner::chosen(const Seen& s, const std::function<BlockScale(int64_t, int64_t)>& scale, Limits limits) const {
  const Node& n = g_.nodes[size_t(s.node)];
  const Value& value = g_.values[size_t(n.in[1])];
  if (value.mask) return {};                                   // zeros stay zeros: to the nearest
  Asked asked(g_, n);
  Tensor matrix = weight_matrix(asked.call, value.constant);
  const int64_t channels = matrix.dim(0), taps = matrix.dim(1);
  std::vector<double> moments = s.moments.to_vector<double>();
  double trace = 0;
  for (int64_t i = 0; i < taps; ++i) trace += moments[size_t(i * taps + i)];
  if (!(trace > 0)) return {};
  // The most used inputs first.
  std::vector<int64_t> order(size_t(taps), 0);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return moments[size_t(a * taps + a)] > moments[size_t(b * taps + b)]; });
  std::vector<double> h(size_t(taps * taps));
  for (int64_t i = 0; i < taps; ++i)
    for (int64_t j = 0; j < taps; ++j) h[size_t(i * taps + j)] = moments[size_t(order[size_t(i)] * taps + order[size_t(j)])] + (i == j ? 0.01 * trace / double(taps) : 0);
  Tensor inverse = linalg::inv(Tensor::of<double>({taps, taps}, h));
  std::vector<double> u = linalg::cholesky((inverse + transpose(inverse)) * 0.5).to_vector<double>();    // lower: u[j][i] is the upper one's [i][j]
  std::vector<float> w = matrix.to_vector<float>();
  std::vector<double> row(size_t(taps), 0.0);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < taps; ++i) row[size_t(i)] = w[size_t(c * taps + order[size_t(i)])];
    for (int64_t i = 0; i < taps; ++i) {
      const auto [step, zero] = scale(c, order[size_t(i)]);
      const double q = (std::clamp(std::nearbyint(row[size_t(i)] / double(step)) + zero, double(limits.lo), double(limits.hi)) - zero) * double(step);
      const double error = (row[size_t(i)] - q) / u[size_t(i * taps + i)];
      for (int64_t j = i + 1; j < taps; ++j) row[size_t(j)] -= error * u[size_t(j * taps + i)];
      w[size_t(c * taps + order[size_t(i)])] = float(q);
    }
  }
  return weight_from_matrix(asked.call, Tensor::of<float>({channels, taps}, w));
}

Tensor Refiner::corrected_bias(int node, const Tensor& weight_now) const {
  const Seen* s = find(node);
  if (!s || !s->mean || s->samples == 0) return {};
  const Node& n = g_.nodes[size_t(node)];
  Asked asked(g_, n);
  Tensor x = cast(s->mean * (1.0 / double(s->samples)), DType::f32);
  Tensor shift = apply_linear(asked.call, x, weight_now) - apply_linear(asked.call, x, g_.values[size_t(n.in[1])].constant);
  int axis = channel_axis_of_output(asked.call);
  Axes others;
  for (int i = 0; i < shift.rank(); ++i) if (i != axis) others.push(i);
  shift = mean(shift, others);
  return n.in.size() > 2 ? g_.values[size_t(n.in[2])].constant - shift : -shift;
}

}  // namespace miniten::edge
