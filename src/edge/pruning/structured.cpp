#include <cmath>
#include <numeric>
#include "edge/pruning/channels.h"
#include "edge/pruning/choose.h"
#include "miniten/base/random.h"

namespace miniten::edge {

namespace {

constexpr const char* op = "prune_model";

bool names(const std::string& pattern, const std::string& name) { return matches(pattern, name) || matches(pattern + ".*", name); }
std::string name_of_value(const Graph& g, int id) {
  const std::string& name = g.values[size_t(id)].name;
  return name.empty() ? "constant_" + std::to_string(id) : name;
}
bool makes(const Graph& g, const ChannelSet& set, const std::string& pattern) {          // are its outputs in the set?
  for (const Weight& w : set.weights) {
    if (names(pattern, name_of_value(g, w.value))) return true;
    for (const std::string& layer : w.layers) if (names(pattern, layer)) return true;
    for (const std::string& name : w.ops) if (name == pattern) return true;
  }
  return false;
}
bool cuts(const Graph& g, const ChannelSet& set, const std::string& pattern) {           // would it be cut anywhere?
  if (makes(g, set, pattern)) return true;
  for (const Weight& w : weights_of(g)) {
    bool named = names(pattern, name_of_value(g, w.value));
    for (const std::string& layer : w.layers) named |= names(pattern, layer);
    for (const std::string& name : w.ops) named |= name == pattern;
    for (auto& [value, axis] : set.axes) if (named && value == w.value) return true;
  }
  return false;
}

// ---- how much a channel matters: relative to its weight's others, so that layers compare ----
std::vector<double> rows_of(const Tensor& t, int axis, int64_t& length) {                // (channels, rest)
  int64_t channels = t.dim(axis), inner = 1;
  for (int i = axis + 1; i < t.rank(); ++i) inner *= t.dim(i);
  Tensor wide = Tensor::empty({DType::f64, t.shape()});
  copy_values(t.view(), wide.view());
  auto v = wide.to_vector<double>();
  length = channels ? int64_t(v.size()) / channels : 0;
  std::vector<double> rows(v.size());
  std::vector<int64_t> next(size_t(channels), 0);
  for (size_t i = 0; i < v.size(); ++i) {
    auto c = size_t(int64_t(i) / inner % channels);
    rows[c * size_t(length) + size_t(next[c]++)] = v[i];
  }
  return rows;
}
std::vector<double> importance_by_index(const Tensor& t, int axis, const std::string& kind) {
  int64_t length = 0, channels = t.dim(axis);
  auto rows = rows_of(t, axis, length);
  std::vector<double> score(size_t(channels), 0.0);
  auto at = [&](int64_t c, int64_t i) { return rows[size_t(c * length + i)]; };
  for (int64_t c = 0; c < channels; ++c) {
    double& s = score[size_t(c)];
    if (kind == "geometric_median") {                        // He et al. 2019: what lies among the others can be spared
      for (int64_t d = 0; d < channels; ++d) {
        double square = 0;
        for (int64_t i = 0; i < length; ++i) square += (at(c, i) - at(d, i)) * (at(c, i) - at(d, i));
        s += std::sqrt(square);
      }
      continue;
    }
    for (int64_t i = 0; i < length; ++i) s += kind == "l2" ? at(c, i) * at(c, i) : std::abs(at(c, i));
    if (kind == "l2") s = std::sqrt(s);
  }
  return score;
}
Tensor value_of(const Graph& g, int id) {                    // a constant, or one that was moved
  if (g.values[size_t(id)].constant) return g.values[size_t(id)].constant;
  const Node& n = g.nodes[size_t(g.producer(id))];
  Tensor from = value_of(g, n.in[0]), moved;
  Input in[]{from};
  apply(*n.op, in, n.attributes(), {&moved, 1});
  return moved;
}

using Scores = std::map<int, std::vector<double>>;
Tensor value_of(const Graph& g, int id, const Scores& scores) {        // of scores in place of the constant
  int source = source_constant(g, id);
  Graph scored = g;
  scored.values[size_t(source)].constant = Tensor::of<double>(g.values[size_t(source)].spec.shape, scores.at(source));
  return value_of(scored, id);
}

std::vector<double> scores_of(const Graph& g, const ChannelSet& set, const PruneOptions& o, Generator& random, const Scores& by_data) {
  std::vector<double> all(set.channels.size(), 0.0);
  if (o.importance == "random") {
    for (double& s : all) s = random.uniform();
    return all;
  }
  std::vector<std::pair<int, int>> from = set.outputs;
  if (o.importance == "bn_scale") {
    from.clear();
    for (int id : set.scales) from.emplace_back(id, 0);
    if (from.empty())
      throw Error(ErrorKind::value, op, "batch norms behind the layers that importance bn_scale judges", "none behind \"" + set.name + "\"", "skip it, or take importance=\"l1\"");
  }
  for (auto& [value, axis] : from) {
    auto by_index = importance_by_index(o.importance == "taylor" ? value_of(g, value, by_data) : value_of(g, value), axis, o.importance);
    std::vector<double> own(all.size(), 0.0);
    for (size_t c = 0; c < all.size(); ++c)
      for (const Slice& s : set.channels[c].slices) if (s.value == value && s.axis == axis) own[c] += by_index[size_t(s.index)];
    double mean = std::accumulate(own.begin(), own.end(), 0.0) / double(own.size());
    for (size_t c = 0; c < all.size(); ++c) all[c] += mean > 0 ? own[c] / mean : 0;
  }
  for (double& s : all) s /= double(from.size());
  return all;
}

void check(const Graph& g, const PruneOptions& o) {
  if (o.importance != "l1" && o.importance != "l2" && o.importance != "bn_scale" && o.importance != "geometric_median" && o.importance != "taylor" && o.importance != "random")
    throw Error(ErrorKind::value, op, "importance l1, l2, bn_scale, geometric_median, taylor or random", "\"" + o.importance + "\"");
  if (o.scope != "global" && o.scope != "layer") throw Error(ErrorKind::value, op, "scope global or layer", "\"" + o.scope + "\"");
  if (o.min_channels < 1) throw Error(ErrorKind::value, op, "min_channels of at least 1", std::to_string(o.min_channels));
  if (o.round_to < 1) throw Error(ErrorKind::value, op, "round_to of at least 1", std::to_string(o.round_to));
  for (const Weight& w : weights_of(g)) {
    const Value& v = g.values[size_t(w.value)];
    if (w.quantized || !is_float(v.spec.dtype))
      throw Error(ErrorKind::unsupported, op, "float weights for method structured", "\"" + name_of_value(g, w.value) + "\" of " + v.spec.text(), "prune the float model, then quantise it");
    check_finite_weight(op, name_of_value(g, w.value), v.constant);
  }
}

// How many of a set stay, from how many should.
int64_t stays(const PruneOptions& o, int64_t channels, int64_t wanted) {
  wanted = std::max(wanted, std::min(o.min_channels, channels));
  return std::min(channels, (wanted + o.round_to - 1) / o.round_to * o.round_to);
}

// By set, how many channels stay. A set with a ratio of its own has it; the others share one sparsity.
std::vector<int64_t> share(const Graph& g, const std::vector<ChannelSet>& sets, const std::vector<std::vector<double>>& scores, double sparsity, const PruneOptions& o) {
  std::vector<int64_t> stay(sets.size());
  std::vector<size_t> open;
  auto alone = [&](size_t k, double s) {
    int64_t n = int64_t(sets[k].channels.size());
    stay[k] = stays(o, n, n - int64_t(std::nearbyint(s * double(n))));
  };
  std::vector<bool> matched(o.ratios.size());
  for (size_t k = 0; k < sets.size(); ++k) {
    const double* own = nullptr;
    for (size_t r = 0; r < o.ratios.size(); ++r)
      if (makes(g, sets[k], o.ratios[r].first)) {
        matched[r] = true;
        own = &o.ratios[r].second;
      }
    if (own) alone(k, *own);
    else if (o.scope == "layer") alone(k, sparsity);
    else open.push_back(k);
  }
  for (size_t r = 0; r < o.ratios.size(); ++r)
    if (!matched[r]) throw Error(ErrorKind::value, op, "patterns in ratios that name a layer whose channels can go", "\"" + o.ratios[r].first + "\"", "edge.channel_groups lists them");
  std::vector<std::pair<double, size_t>> order;              // all channels of the open sets, the least first
  for (size_t k : open) {
    stay[k] = int64_t(sets[k].channels.size());
    for (double s : scores[k]) order.emplace_back(s, k);
  }
  std::stable_sort(order.begin(), order.end(), [](auto& a, auto& b) { return a.first < b.first; });
  int64_t left = int64_t(std::nearbyint(sparsity * double(order.size())));
  for (auto& [score, k] : order)
    if (left > 0 && stay[k] > o.min_channels) { --stay[k]; --left; }
  for (size_t k : open) stay[k] = stays(o, int64_t(sets[k].channels.size()), stay[k]);
  return stay;
}

}  // namespace

std::vector<KeptIndices> prune_channels(Graph& g, double sparsity, const PruneOptions& given, const PruneData& data) {
  check_sparsity(op, sparsity);
  PruneOptions o = checked(given);
  for (auto& [pattern, ratio] : o.ratios) check_sparsity(op, ratio);
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  check(g, o);
  std::vector<ChannelSet> sets = find_channels(g);
  for (const std::string& pattern : o.skip) {
    bool found = false;
    std::string layers;
    for (const Weight& w : weights_of(g)) {
      layers += (layers.empty() ? "" : ", ") + name_of_value(g, w.value);
      found |= names(pattern, name_of_value(g, w.value));
      for (const std::string& layer : w.layers) found |= names(pattern, layer);
      for (const std::string& name : w.ops) found |= name == pattern;
    }
    if (!found) throw Error(ErrorKind::value, op, "skip patterns that match a weight", "\"" + pattern + "\"", "weights: " + layers);
    std::erase_if(sets, [&](const ChannelSet& set) { return cuts(g, set, pattern); });
  }
  if (sets.empty())
    throw Error(ErrorKind::value, op, "a model with channels between its layers", o.skip.empty() ? "one without" : "one whose channels are all skipped",
                "channels of the inputs and outputs stay");
  Generator random(o.seed, 78);
  Scores by_data;
  if (needs_data(o)) by_data = scores_by_data(g, o, data);
  std::vector<std::vector<double>> scores;
  for (const ChannelSet& set : sets) scores.push_back(scores_of(g, set, o, random, by_data));
  std::vector<int64_t> stay = share(g, sets, scores, sparsity, o);
  Removed removed;
  for (size_t k = 0; k < sets.size(); ++k) {
    std::vector<size_t> order(sets[k].channels.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[k][a] < scores[k][b]; });
    for (size_t i = 0; i + size_t(stay[k]) < order.size(); ++i)
      for (const Slice& s : sets[k].channels[order[i]].slices) removed[{s.value, s.axis}].push_back(s.index);
  }
  std::map<std::pair<int64_t, std::vector<int64_t>>, size_t> known;
  std::vector<KeptIndices> result;
  for (auto& [where, indices] : removed) {
    std::sort(indices.begin(), indices.end());
    const Value& v = g.values[size_t(where.first)];
    if (!v.constant) continue;
    int64_t size = v.spec.shape[where.second];
    auto kept = kept_of(size, indices);
    auto [at, is_new] = known.try_emplace({size, kept}, result.size());
    if (is_new) result.push_back({{}, size, kept});
    result[at->second].axes.emplace_back(name_of_value(g, where.first), where.second);
  }
  g = cut(g, removed);
  return result;
}

std::vector<ChannelSummary> channel_groups(nn::Module& model, const std::vector<Spec>& inputs) {
  Graph g = whole_graph("channel_groups", model, inputs);
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  std::vector<ChannelSummary> all;
  for (const ChannelSet& set : find_channels(g)) {
    ChannelSummary s{set.name, int64_t(set.channels.size()), {}, {}};
    for (const Weight& w : set.weights)
      for (const std::string& layer : w.layers) if (!std::count(s.layers.begin(), s.layers.end(), layer)) s.layers.push_back(layer);
    for (auto& [value, axis] : set.axes) if (g.values[size_t(value)].constant) s.axes.emplace_back(name_of_value(g, value), axis);
    all.push_back(std::move(s));
  }
  return all;
}
std::string ChannelSummary::to_text() const {
  std::string s = name + ": " + std::to_string(channels) + " channels;";
  for (auto& [constant, axis] : axes) s += " " + constant + "[" + std::to_string(axis) + "]";
  return s;
}

}  // namespace miniten::edge
