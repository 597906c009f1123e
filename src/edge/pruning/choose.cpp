#include "edge/pruning/choose.h"
#include <cmath>
#include <numeric>
#include "miniten/base/random.h"

namespace miniten::edge {

void check_sparsity(const char* who, double sparsity) {
  if (!(sparsity >= 0 && sparsity < 1)) throw Error(ErrorKind::value, who, "a sparsity in [0, 1)", std::to_string(sparsity));
}

namespace {

int64_t zeros_for(double sparsity, int64_t n) { return int64_t(std::nearbyint(sparsity * double(n))); }

// For element i in row-major order: its index along the axis of the scales.
struct Channels {
  int64_t inner = 1, size = 1;
  Channels(const Shape& s, const Quantized* q) {
    if (!q || q->axis < 0 || q->axis >= s.rank) return;
    for (int i = q->axis + 1; i < s.rank; ++i) inner *= s[i];
    size = s[q->axis];
  }
  size_t of(int64_t i) const { return size_t(i / inner % size); }
};
template <class T> T by_channel(const std::vector<T>& v, size_t channel, T otherwise) {
  return v.empty() ? otherwise : v[v.size() == 1 ? 0 : std::min(channel, v.size() - 1)];
}

std::vector<double> magnitudes(const char* who, const std::string& name, const Tensor& t, const Quantized* q) {
  Tensor wide = Tensor::empty({DType::f64, t.shape()});
  copy_values(t.view(), wide.view());
  std::vector<double> m = wide.to_vector<double>();
  Channels channels(t.shape(), q);
  for (size_t i = 0; i < m.size(); ++i) {
    if (!std::isfinite(m[i]))
      throw Error(ErrorKind::value, who, "finite weights", (std::isnan(m[i]) ? "NaN in \"" : "infinity in \"") + name + "\"", "train or load the model again");
    size_t c = q ? channels.of(int64_t(i)) : 0;
    m[i] = std::abs(q ? (m[i] - by_channel(q->zero, c, 0)) * double(by_channel(q->scale, c, 1.0f)) : m[i]);
  }
  return m;
}

// False for the `count` least scores, of equal ones the first.
void cut(const std::vector<double>& scores, int64_t count, bool* keep) {
  std::fill(keep, keep + scores.size(), true);
  if (count <= 0) return;
  std::vector<double> sorted = scores;
  std::nth_element(sorted.begin(), sorted.begin() + (count - 1), sorted.end());
  double last = sorted[size_t(count - 1)];
  int64_t below = std::count_if(scores.begin(), scores.end(), [&](double s) { return s < last; }), equal = count - below;
  for (size_t i = 0; i < scores.size(); ++i) keep[i] = !(scores[i] < last || (scores[i] == last && equal-- > 0));
}

// Lee et al. 2021: a square over the sum of those that are not smaller, so that layers of any scale compare.
void lamp(std::vector<double>& magnitudes) {
  std::vector<size_t> order(magnitudes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return magnitudes[a] != magnitudes[b] ? magnitudes[a] > magnitudes[b] : a > b; });
  double sum = 0;
  for (size_t i : order) {
    double square = magnitudes[i] * magnitudes[i];
    sum += square;
    magnitudes[i] = sum > 0 ? square / sum : 0;
  }
}

// What was pruned before goes first, the greatest element of each weight last.
std::vector<double> scores_of(const Candidate& c, const PruneOptions& o, Generator& random) {
  std::vector<double> s = magnitudes("prune_model", c.name, c.tensor, c.quantized);
  if (s.empty()) return s;
  auto greatest = size_t(s.size() - 1 - size_t(std::max_element(s.rbegin(), s.rend()) - s.rbegin()));
  if (o.method == "random") for (double& v : s) v = random.next();
  if (o.method == "lamp") lamp(s);
  s[greatest] = HUGE_VAL;
  if (c.prior) {
    Tensor prior = c.prior.clone();
    const bool* kept = prior.view().as<bool>();
    for (size_t i = 0; i < s.size(); ++i) if (!kept[i]) s[i] = -1;
  }
  return s;
}

}  // namespace

Tensor with_zeros(const Tensor& t, const Tensor& mask, const Quantized* q) {
  Tensor out = t.clone();
  Tensor whole = mask.clone();
  const bool* keep = whole.view().as<bool>();
  Channels channels(t.shape(), q);
  bool typed = visit_dtype(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* at = out.view().as<T>();
    for (int64_t i = 0; i < t.numel(); ++i) if (!keep[i]) at[i] = q ? T(by_channel(q->zero, channels.of(i), 0)) : T(0);
  });
  if (typed) return out;
  if (bits_of(t.dtype()) != 16) throw Error(ErrorKind::unsupported, "prune_model", "weights of 8 bits or more", t.spec().text());
  auto* at = out.view().as<uint16_t>();
  for (int64_t i = 0; i < t.numel(); ++i) if (!keep[i]) at[i] = 0;
  return out;
}

bool put_zeros(const Tensor& t, const Tensor& mask, const Quantized* q) {
  Tensor zeroed = with_zeros(t, mask, q), before = t.clone();
  if (std::memcmp(zeroed.view().data, before.view().data, t.spec().bytes()) == 0) return false;
  copy_values(zeroed.view(), t.view());
  ++t->storage->version;
  return true;
}

void choose(std::vector<Candidate>& all, double sparsity, const PruneOptions& o) {
  check_sparsity("prune_model", sparsity);
  if (o.method == "structured")
    throw Error(ErrorKind::value, "prune_model", "a model whose input shape is known for method structured", "one that was never called", "call it once, or give input_shape");
  if (o.method != "magnitude" && o.method != "random" && o.method != "lamp")
    throw Error(ErrorKind::value, "prune_model", "method magnitude, random, lamp or structured", "\"" + o.method + "\"");
  if (o.scope != "global" && o.scope != "layer") throw Error(ErrorKind::value, "prune_model", "scope global or layer", "\"" + o.scope + "\"");
  Generator random(o.seed, 77);
  std::vector<std::vector<double>> scores;
  for (const Candidate& c : all) {
    if (!is_float(c.tensor.dtype()) && !c.quantized)
      throw Error(ErrorKind::unsupported, "prune_model", "integer weights whose scales are known", "\"" + c.name + "\" of " + c.tensor.spec().text(),
                  "prune the float model, or skip this weight");
    scores.push_back(scores_of(c, o, random));
  }
  auto cut_together = [&](const std::vector<size_t>& members, double share) {     // by one threshold
    std::vector<double> group;
    int64_t floors = 0;
    for (size_t k : members) {
      group.insert(group.end(), scores[k].begin(), scores[k].end());
      floors += std::count(scores[k].begin(), scores[k].end(), HUGE_VAL);
    }
    auto keep = std::make_unique<bool[]>(group.size());
    int64_t n = int64_t(group.size()), before = std::count(group.begin(), group.end(), -1.0);
    cut(group, std::max(before, std::min(zeros_for(share, n), n - floors)), keep.get());
    size_t offset = 0;
    for (size_t k : members) {
      all[k].mask = Tensor::empty({DType::boolean, all[k].tensor.shape()});
      std::copy_n(keep.get() + offset, scores[k].size(), all[k].mask.view().as<bool>());
      offset += scores[k].size();
    }
  };
  std::vector<size_t> open;
  for (size_t k = 0; k < all.size(); ++k) {
    if (all[k].ratio >= 0) cut_together({k}, all[k].ratio);
    else if (o.scope == "layer") cut_together({k}, sparsity);
    else open.push_back(k);
  }
  cut_together(open, sparsity);
}

void check_finite_weight(const char* who, const std::string& name, const Tensor& t) { magnitudes(who, name, t, nullptr); }

// ---- single tensors ----
Pruned magnitude_prune(const Tensor& weights, double sparsity) {
  check_sparsity("magnitude_prune", sparsity);
  Tensor mask = Tensor::empty({DType::boolean, weights.shape()});
  cut(magnitudes("magnitude_prune", "weights", weights, nullptr), zeros_for(sparsity, weights.numel()), mask.view().as<bool>());
  return {with_zeros(weights, mask), mask};
}

StructuredPruned structured_prune(const Tensor& weights, double sparsity, int dim) {
  check_sparsity("structured_prune", sparsity);
  if (dim < -weights.rank() || dim >= weights.rank())
    throw Error(ErrorKind::index, "structured_prune", "a dim of a tensor of shape " + weights.shape().text(), std::to_string(dim));
  int axis = dim < 0 ? dim + weights.rank() : dim;
  auto m = magnitudes("structured_prune", "weights", weights, nullptr);
  int64_t slices = weights.dim(axis), inner = 1;
  for (int i = axis + 1; i < weights.rank(); ++i) inner *= weights.dim(i);
  auto slice_of = [&](int64_t i) { return size_t(i / inner % slices); };
  std::vector<double> norm(static_cast<size_t>(slices), 0.0);
  for (size_t i = 0; i < m.size(); ++i) norm[slice_of(int64_t(i))] += m[i];
  auto keep = std::make_unique<bool[]>(norm.size());
  cut(norm, std::min(zeros_for(sparsity, slices), slices - 1), keep.get());
  StructuredPruned out{{}, Tensor::empty({DType::boolean, weights.shape()}), {}};
  for (int64_t i = 0; i < weights.numel(); ++i) out.mask.view().as<bool>()[i] = keep[slice_of(i)];
  for (int64_t i = 0; i < slices; ++i) if (keep[size_t(i)]) out.kept.push_back(i);
  out.weights = with_zeros(weights, out.mask);
  return out;
}

}  // namespace miniten::edge
