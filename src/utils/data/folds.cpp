#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include "miniten/utils/data.h"
#include "utils/data/share.h"

namespace miniten::utils::data {

namespace {
constexpr uint64_t split_stream = uint64_t{1} << 63;     // of splits, above those of epochs

Indices iota(int64_t n) {
  Indices out(static_cast<size_t>(n));
  std::iota(out.begin(), out.end(), int64_t{0});
  return out;
}
void shuffle(std::span<int64_t> list, Generator& g) {
  for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[g.below(i)]);
}
// Labels numbered in the order they first appear.
std::pair<Indices, int64_t> numbered(std::span<const int64_t> labels) {
  std::map<int64_t, int64_t> number;
  Indices out;
  for (int64_t l : labels) out.push_back(number.emplace(l, int64_t(number.size())).first->second);
  return {std::move(out), int64_t(number.size())};
}
}  // namespace

std::pair<Indices, Indices> split_groups(std::span<const int64_t> groups, const SplitOptions& o) {
  if (!o.stratify.empty()) throw Error(ErrorKind::value, "train_test_split", "stratify or groups", "both", "groups stay whole, so shares of classes cannot be kept");
  auto [group, count] = numbered(groups);
  if (count < 2) throw Error(ErrorKind::value, "train_test_split", "two groups or more", std::to_string(count));
  auto [train_groups, test_groups] = split_indices(count, o);
  std::vector<char> tested(static_cast<size_t>(count));
  for (int64_t g : test_groups) tested[size_t(g)] = 1;
  Indices train, test;
  for (size_t i = 0; i < group.size(); ++i) (tested[size_t(group[i])] ? test : train).push_back(int64_t(i));
  if (o.shuffle) {
    Generator g(o.seed ? *o.seed : draw_seed(), split_stream + 1);
    shuffle(train, g);
    shuffle(test, g);
  }
  return {std::move(train), std::move(test)};
}

std::vector<int64_t> split_lengths(int64_t size, std::span<const double> shares) {
  double sum = 0;
  for (double s : shares) {
    if (!(s > 0 && s <= 1)) throw Error(ErrorKind::value, "random_split", "shares in (0, 1]", std::to_string(s));
    sum += s;
  }
  if (!(std::abs(sum - 1) < 1e-6)) throw Error(ErrorKind::value, "random_split", "shares that sum to 1", std::to_string(sum));
  std::vector<int64_t> out;
  int64_t left = size;
  for (double s : shares) {
    out.push_back(int64_t(std::floor(double(size) * s + 1e-9)));
    left -= out.back();
  }
  for (size_t i = 0; left > 0; i = (i + 1) % out.size(), --left) ++out[i];
  return out;
}

std::vector<Indices> random_split_indices(int64_t size, std::span<const int64_t> lengths, Seed seed) {
  int64_t sum = 0;
  for (int64_t n : lengths) {
    if (n < 1) throw Error(ErrorKind::value, "random_split", "at least one sample in each part", std::to_string(n));
    sum += n;
  }
  if (sum != size) throw Error(ErrorKind::value, "random_split", "lengths that sum to " + std::to_string(size), std::to_string(sum));
  Indices order = iota(size);
  Generator g(seed ? *seed : draw_seed(), split_stream);
  shuffle(order, g);
  std::vector<Indices> out;
  for (auto at = order.begin(); int64_t n : lengths) {
    out.emplace_back(at, at + n);
    at += n;
  }
  return out;
}

std::vector<std::pair<Indices, Indices>> kfold_indices(int64_t size, const FoldOptions& o) {
  int64_t k = o.n_splits;
  if (k < 2 || k > size) throw Error(ErrorKind::value, "KFold", "n_splits of 2 up to the number of samples", std::to_string(k) + " of " + std::to_string(size));
  Generator g(o.shuffle ? (o.seed ? *o.seed : draw_seed()) : 0, split_stream);
  Indices fold(static_cast<size_t>(size));
  if (o.stratify.empty()) {
    Indices order = iota(size);
    if (o.shuffle) shuffle(order, g);
    for (int64_t f = 0, at = 0; f < k; ++f)
      for (int64_t n = size / k + (f < size % k); n > 0; --n) fold[size_t(order[size_t(at++)])] = f;
  } else {
    if (int64_t(o.stratify.size()) != size) throw Error(ErrorKind::value, "KFold", std::to_string(size) + " labels to stratify by", std::to_string(o.stratify.size()));
    auto [label, classes] = numbered(o.stratify);
    Indices sorted = label;
    std::sort(sorted.begin(), sorted.end());
    std::vector<Indices> count(static_cast<size_t>(classes), Indices(static_cast<size_t>(k), 0));   // of a class in each fold
    for (int64_t i = 0; i < size; ++i) ++count[size_t(sorted[size_t(i)])][size_t(i % k)];
    std::vector<Indices> place(static_cast<size_t>(classes));
    for (int64_t c = 0; c < classes; ++c) {
      int64_t total = std::accumulate(count[size_t(c)].begin(), count[size_t(c)].end(), int64_t{0});
      if (total < k) throw Error(ErrorKind::value, "KFold", std::to_string(k) + " samples or more of each class", std::to_string(total), "fewer n_splits");
      for (int64_t f = 0; f < k; ++f) place[size_t(c)].insert(place[size_t(c)].end(), size_t(count[size_t(c)][size_t(f)]), f);
      if (o.shuffle) shuffle(place[size_t(c)], g);
    }
    Indices next(static_cast<size_t>(classes));
    for (size_t i = 0; i < fold.size(); ++i) {
      auto c = size_t(label[i]);
      fold[i] = place[c][size_t(next[c]++)];
    }
  }
  std::vector<std::pair<Indices, Indices>> out(static_cast<size_t>(k));
  for (int64_t i = 0; i < size; ++i)
    for (int64_t f = 0; f < k; ++f) (fold[size_t(i)] == f ? out[size_t(f)].second : out[size_t(f)].first).push_back(i);
  return out;
}

StratifiedSampler::StratifiedSampler(std::span<const int64_t> labels, int64_t batch_size, Seed seed)
    : size_(int64_t(labels.size())), batch_size_(batch_size), seed_(seed ? *seed : draw_seed()) {
  if (labels.empty()) throw Error(ErrorKind::value, "StratifiedSampler", "one label or more", "none");
  if (batch_size < 1) throw Error(ErrorKind::value, "StratifiedSampler", "a batch_size of 1 or more", std::to_string(batch_size));
  auto [label, classes] = numbered(labels);
  classes_.resize(size_t(classes));
  for (size_t i = 0; i < label.size(); ++i) classes_[size_t(label[i])].push_back(int64_t(i));
}
Indices StratifiedSampler::indices(uint64_t epoch) const {
  Generator g(seed_, epoch);
  std::vector<Indices> left = classes_;
  for (auto& c : left) shuffle(c, g);
  Indices out;
  for (int64_t total = size_; total > 0;) {
    int64_t n = std::min(batch_size_, total), given = 0;
    std::vector<std::pair<int64_t, size_t>> rests;                     // (-remainder, class)
    Indices batch;
    auto take = [&](size_t c, int64_t count) {
      for (; count > 0; --count) {
        batch.push_back(left[c].back());
        left[c].pop_back();
      }
    };
    std::vector<int64_t> shares;
    for (auto& c : left) {
      auto [whole, rest] = share(int64_t(c.size()), n, total);
      shares.push_back(whole);
      given += whole;
      rests.emplace_back(-rest, shares.size() - 1);
    }
    std::sort(rests.begin(), rests.end());
    for (size_t i = 0; given < n; ++i, ++given) ++shares[rests[i].second];
    for (size_t c = 0; c < shares.size(); ++c) take(c, shares[c]);
    shuffle(batch, g);
    out.insert(out.end(), batch.begin(), batch.end());
    total -= n;
  }
  return out;
}

}  // namespace miniten::utils::data
