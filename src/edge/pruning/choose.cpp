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
  if (!c.score.empty()) s = c.score;
  auto greatest = size_t(s.size() - 1 - size_t(std::max_element(s.rbegin(), s.rend()) - s.rbegin()));
  if (o.method == "random") for (double& v : s) v = random.next();
  if (o.method == "lamp") lamp(s);
  s[greatest] = HUGE_VAL;
  if (c.prior) {
    Tensor prior = c.prior.clone();
    const bool* kept = prior.view().as<bool>();
    for (size_t i = 0; i < s.size(); ++i) if (!kept[i]) s[i] = -HUGE_VAL;
  }
  return s;
}

// Of each block the n greatest stay, of equal ones the last.
void keep_some(Candidate& c, const std::vector<double>& scores, int64_t n) {
  c.mask = Tensor::empty({DType::boolean, c.tensor.shape()});
  bool* keep = c.mask.view().as<bool>();
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (c.block[a] != c.block[b]) return c.block[a] < c.block[b];
    return scores[a] != scores[b] ? scores[a] > scores[b] : a > b;
  });
  int64_t place = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    place = i && c.block[order[i]] == c.block[order[i - 1]] ? place + 1 : 0;
    keep[order[i]] = place < n && scores[order[i]] != -HUGE_VAL;
  }
}

// Whole blocks of these candidates, the least means first, up to the number of zeros that is nearest to the share.
void cut_blocks(std::vector<Candidate>& all, const std::vector<std::vector<double>>& scores, const std::vector<size_t>& members, double share) {
  struct Block { double sum = 0; int64_t size = 0, gone = 0; size_t candidate = 0; int64_t id = 0; };
  std::vector<Block> blocks;
  int64_t n = 0;
  for (size_t k : members) {
    size_t first = blocks.size();
    for (int64_t id : all[k].block) blocks.resize(std::max(blocks.size(), first + size_t(id) + 1));
    for (size_t i = 0; i < scores[k].size(); ++i) {
      Block& b = blocks[first + size_t(all[k].block[i])];
      b.candidate = k;
      b.id = all[k].block[i];
      ++b.size;
      if (scores[k][i] == -HUGE_VAL) ++b.gone;
      else b.sum += scores[k][i];
    }
    n += int64_t(scores[k].size());
  }
  std::erase_if(blocks, [](const Block& b) { return !b.size; });
  auto rank = [](const Block& b) { return b.gone == b.size ? -HUGE_VAL : b.sum / double(b.size); };
  std::stable_sort(blocks.begin(), blocks.end(), [&](const Block& a, const Block& b) { return rank(a) < rank(b); });
  int64_t wanted = zeros_for(share, n), zeros = 0;
  std::vector<std::vector<bool>> goes(all.size());
  for (const Block& b : blocks) {
    if (b.gone < b.size && (rank(b) == HUGE_VAL || 2 * (wanted - zeros) < b.size)) break;
    zeros += b.size;
    goes[b.candidate].resize(std::max(goes[b.candidate].size(), size_t(b.id) + 1));
    goes[b.candidate][size_t(b.id)] = true;
  }
  for (size_t k : members) {
    all[k].mask = Tensor::empty({DType::boolean, all[k].tensor.shape()});
    bool* keep = all[k].mask.view().as<bool>();
    for (size_t i = 0; i < scores[k].size(); ++i) {
      auto id = size_t(all[k].block[i]);
      keep[i] = scores[k][i] != -HUGE_VAL && !(id < goes[k].size() && goes[k][id]);
    }
  }
}

}  // namespace

PruneOptions checked(PruneOptions o) {
  const char* op = "prune_model";
  if (o.method == "bn_scale" || o.method == "geometric_median") {
    o.importance = o.method;
    o.method = "structured";
  }
  bool known = false;
  for (const char* name : {"magnitude", "random", "lamp", "taylor", "movement", "structured"}) known |= o.method == name;
  if (!known) throw Error(ErrorKind::value, op, "method magnitude, random, lamp, taylor, movement, structured, bn_scale or geometric_median", "\"" + o.method + "\"");
  if (o.scope != "global" && o.scope != "layer") throw Error(ErrorKind::value, op, "scope global or layer", "\"" + o.scope + "\"");
  if ((o.m || o.n) && !(o.n >= 1 && o.n < o.m)) throw Error(ErrorKind::value, op, "a pattern n:m of 1 <= n < m", std::to_string(o.n) + ":" + std::to_string(o.m));
  if (o.rows < 0 || o.cols < 1) throw Error(ErrorKind::value, op, "blocks of at least 1 x 1", std::to_string(o.rows) + " x " + std::to_string(o.cols));
  bool in_blocks = o.m > 0 || o.rows != 1 || o.cols > 1;
  if (o.m && (o.rows != 1 || o.cols > 1)) throw Error(ErrorKind::value, op, "a pattern n:m or blocks", "both");
  if (in_blocks && o.method == "structured") throw Error(ErrorKind::value, op, "a method of zeros with a pattern", "structured", "channels are a pattern of their own");
  if (o.m && !o.ratios.empty()) throw Error(ErrorKind::value, op, "no ratios with a pattern n:m", "some", "its sparsity is the same everywhere; name layers in skip");
  return o;
}

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

void choose(std::vector<Candidate>& all, double sparsity, const PruneOptions& given) {
  check_sparsity("prune_model", sparsity);
  PruneOptions o = checked(given);
  if (o.m > 0 && std::abs(sparsity - (1 - double(o.n) / double(o.m))) > 1e-9)
    throw Error(ErrorKind::value, "prune_model", "the sparsity of the pattern, " + std::to_string(1 - double(o.n) / double(o.m)), std::to_string(sparsity));
  if (o.method == "structured")
    throw Error(ErrorKind::value, "prune_model", "a model whose input shape is known for method structured", "one that was never called", "call it once, or give input_shape");
  bool in_blocks = o.m > 0 || o.rows * o.cols != 1;
  for (const Candidate& c : all)
    if ((needs_data(o) && c.score.empty() && c.tensor.numel()) || (in_blocks && c.block.empty() && c.tensor.numel()))
      throw Error(ErrorKind::value, "prune_model", "a model whose input shape is known for " + (in_blocks ? std::string("patterns") : "method " + o.method), "one that was never called",
                  "call it once, or give input_shape");
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
    int64_t n = int64_t(group.size()), before = std::count(group.begin(), group.end(), -HUGE_VAL);
    cut(group, std::max(before, std::min(zeros_for(share, n), n - floors)), keep.get());
    size_t offset = 0;
    for (size_t k : members) {
      all[k].mask = Tensor::empty({DType::boolean, all[k].tensor.shape()});
      std::copy_n(keep.get() + offset, scores[k].size(), all[k].mask.view().as<bool>());
      offset += scores[k].size();
    }
  };
  if (o.m > 0) {
    for (size_t k = 0; k < all.size(); ++k) keep_some(all[k], scores[k], o.n);
    return;
  }
  std::vector<size_t> open;
  if (in_blocks) {
    for (size_t k = 0; k < all.size(); ++k) {
      if (all[k].ratio >= 0) cut_blocks(all, scores, {k}, all[k].ratio);
      else if (o.scope == "layer") cut_blocks(all, scores, {k}, sparsity);
      else open.push_back(k);
    }
    cut_blocks(all, scores, open, sparsity);
    return;
  }
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
