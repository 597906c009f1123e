#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include "miniten/utils/data.h"
#include "utils/data/share.h"

namespace miniten::utils::data {

namespace {

// Streams of splits lie above those of epochs, so that a split and a first epoch of one seed differ.
constexpr uint64_t split_stream = uint64_t{1} << 63;

Indices iota(int64_t n) {
  Indices out(static_cast<size_t>(n));
  std::iota(out.begin(), out.end(), int64_t{0});
  return out;
}
void shuffle(std::span<int64_t> list, Generator& g) {
  for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[g.below(i)]);
}
double unit_double(Generator& g) {             // [0, 1), 53 bits
  uint64_t high = g.next() >> 5, low = g.next() >> 6;
  return double(high << 26 | low) * 0x1p-53;
}
int64_t checked_count(std::string_view op, std::string what, int64_t n, int64_t least = 0) {
  if (n < least) throw Error(ErrorKind::value, op, what + " of " + std::to_string(least) + " or more", std::to_string(n));
  return n;
}

// How many of each class go to the test side: floor of the exact share, then one more by largest remainder.
std::map<int64_t, int64_t> quotas(std::span<const int64_t> labels, int64_t tests) {
  std::map<int64_t, int64_t> count, out;
  for (int64_t l : labels) ++count[l];
  std::vector<std::pair<int64_t, int64_t>> remainders;              // (-remainder, label)
  int64_t size = int64_t(labels.size()), left = tests;
  for (auto [label, n] : count) {
    auto [whole, rest] = share(n, tests, size);
    out[label] = whole;
    left -= whole;
    remainders.emplace_back(-rest, label);
  }
  std::sort(remainders.begin(), remainders.end());
  for (int64_t i = 0; i < left; ++i) ++out[remainders[size_t(i)].second];
  return out;
}

}  // namespace

uint64_t draw_seed() {
  uint64_t high = default_generator().next();
  return high << 32 | default_generator().next();
}

std::pair<Indices, Indices> split_indices(int64_t size, const SplitOptions& o) {
  checked_count("train_test_split", "a dataset", size);
  int64_t tests = o.test_count;
  if (tests < 0) {
    if (!(o.test_size > 0 && o.test_size < 1))
      throw Error(ErrorKind::value, "train_test_split", "a test_size between 0 and 1, or a whole number of samples", std::to_string(o.test_size));
    double exact = o.test_size * double(size);
    tests = int64_t(std::ceil(exact - 1e-9 * std::max(1.0, exact)));   // 0.07 * 100 is 7, not 8
  }
  if (tests <= 0 || tests >= size)
    throw Error(ErrorKind::value, "train_test_split", "at least one sample on each side",
                std::to_string(size - tests) + " to train and " + std::to_string(tests) + " to test, of " + std::to_string(size));
  if (!o.stratify.empty() && int64_t(o.stratify.size()) != size)
    throw Error(ErrorKind::value, "train_test_split", std::to_string(size) + " labels to stratify by", std::to_string(o.stratify.size()));
  Indices order = iota(size);
  if (o.shuffle) {
    Generator g(o.seed ? *o.seed : draw_seed(), split_stream);
    shuffle(order, g);
  }
  Indices same;
  std::span<const int64_t> labels = o.stratify;
  if (labels.empty()) labels = same = Indices(static_cast<size_t>(size), 0);
  auto quota = quotas(labels, tests);
  Indices train, test;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    int64_t& left = quota[labels[size_t(*i)]];
    (left > 0 ? test : train).push_back(*i);
    if (left > 0) --left;
  }
  std::reverse(train.begin(), train.end());
  std::reverse(test.begin(), test.end());
  return {std::move(train), std::move(test)};
}

std::pair<std::shared_ptr<Subset>, std::shared_ptr<Subset>> train_test_split(const DatasetRef& dataset, const SplitOptions& o) {
  if (!dataset) throw Error(ErrorKind::value, "train_test_split", "a dataset", "none");
  auto [train, test] = split_indices(dataset->size(), o);
  return {std::make_shared<Subset>(dataset, std::move(train)), std::make_shared<Subset>(dataset, std::move(test))};
}

SequentialSampler::SequentialSampler(int64_t size) : size_(checked_count("SequentialSampler", "a size", size)) {}
Indices SequentialSampler::indices(uint64_t) const { return iota(size_); }

RandomSampler::RandomSampler(int64_t size, const Options& o)
    : size_(checked_count("RandomSampler", "a dataset", size, 1)),
      count_(o.count == -1 ? size : checked_count("RandomSampler", "num_samples", o.count, 1)),
      replacement_(o.replacement), seed_(o.seed ? *o.seed : draw_seed()) {}
Indices RandomSampler::indices(uint64_t epoch) const {
  Generator g(seed_, epoch);
  if (replacement_) {
    Indices out(static_cast<size_t>(count_));
    for (int64_t& i : out) i = int64_t(g.below(uint64_t(size_)));
    return out;
  }
  Indices out;
  while (int64_t(out.size()) < count_) {
    Indices order = iota(size_);
    shuffle(order, g);
    out.insert(out.end(), order.begin(), order.begin() + std::min(size_, count_ - int64_t(out.size())));
  }
  return out;
}

SubsetSampler::SubsetSampler(Indices indices, Seed seed) : indices_(std::move(indices)), seed_(seed ? *seed : draw_seed()) {}
Indices SubsetSampler::indices(uint64_t epoch) const {
  Generator g(seed_, epoch);
  Indices out = indices_;
  shuffle(out, g);
  return out;
}

WeightedRandomSampler::WeightedRandomSampler(std::vector<double> weights, int64_t count, bool replacement, Seed seed)
    : weights_(std::move(weights)), count_(checked_count("WeightedRandomSampler", "num_samples", count, 1)), replacement_(replacement),
      seed_(seed ? *seed : draw_seed()) {
  double sum = 0;
  int64_t positive = 0;
  for (double w : weights_) {
    if (!(w >= 0) || !std::isfinite(w)) throw Error(ErrorKind::value, "WeightedRandomSampler", "finite weights of 0 or more", std::to_string(w));
    sum += w;
    positive += w > 0;
  }
  if (!(sum > 0) || !std::isfinite(sum)) throw Error(ErrorKind::value, "WeightedRandomSampler", "weights with a finite sum above 0", std::to_string(sum));
  if (!replacement && positive < count)
    throw Error(ErrorKind::value, "WeightedRandomSampler", std::to_string(count) + " weights above 0 to draw without replacement", std::to_string(positive),
                "pass replacement=True or fewer num_samples");
}
Indices WeightedRandomSampler::indices(uint64_t epoch) const {
  Generator g(seed_, epoch);
  Indices out(static_cast<size_t>(count_));
  if (replacement_) {
    std::vector<double> ends(weights_.size());
    std::partial_sum(weights_.begin(), weights_.end(), ends.begin());
    for (int64_t& i : out) i = int64_t(std::upper_bound(ends.begin(), ends.end(), unit_double(g) * ends.back()) - ends.begin());
    auto last = int64_t(std::find_if(weights_.rbegin(), weights_.rend(), [](double w) { return w > 0; }).base() - weights_.begin()) - 1;
    for (int64_t& i : out) i = std::min(i, last);                   // where the product rounds up to the whole sum
    return out;
  }
  std::vector<std::pair<double, int64_t>> keys;
  for (size_t i = 0; i < weights_.size(); ++i) {
    double u = 1 - unit_double(g);
    if (weights_[i] > 0) keys.emplace_back(-std::log(u) / weights_[i], int64_t(i));
  }
  std::partial_sort(keys.begin(), keys.begin() + count_, keys.end());
  for (size_t i = 0; i < out.size(); ++i) out[i] = keys[i].second;
  return out;
}

BatchSampler::BatchSampler(SamplerRef sampler, int64_t batch_size, bool drop_last)
    : sampler_(std::move(sampler)), batch_size_(checked_count("BatchSampler", "a batch_size", batch_size, 1)), drop_last_(drop_last) {
  if (!sampler_) throw Error(ErrorKind::value, "BatchSampler", "a sampler", "none");
}
int64_t BatchSampler::size() const {
  int64_t n = sampler_->size();
  return drop_last_ ? n / batch_size_ : n / batch_size_ + (n % batch_size_ != 0);
}
std::vector<Indices> BatchSampler::batches(uint64_t epoch) const {
  Indices order = sampler_->indices(epoch);
  std::vector<Indices> out;
  int64_t n = int64_t(order.size());
  for (int64_t at = 0; at < n && (!drop_last_ || n - at >= batch_size_); at += std::min(batch_size_, n - at))
    out.emplace_back(order.begin() + at, order.begin() + at + std::min(batch_size_, n - at));
  return out;
}

}  // namespace miniten::utils::data
