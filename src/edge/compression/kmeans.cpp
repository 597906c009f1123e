#include <algorithm>
#include <cmath>
#include "miniten/edge/compression.h"

namespace miniten::edge {

namespace {

// Sums over the distinct values before each, in ascending order, taken from their middle so that squares keep their digits.
struct Sums {
  std::vector<double> count{0}, sum{0}, square{0};
  size_t size() const { return count.size() - 1; }
  void push(double n, double s, double q) {
    count.push_back(n);
    sum.push_back(s);
    square.push_back(q);
  }
  double cost(size_t i, size_t j) const {                    // of one cluster of [i, j), i < j
    double s = sum[j] - sum[i];
    return square[j] - square[i] - s * s / (count[j] - count[i]);
  }
  Sums every(size_t step) const {                            // ends may lie at each step-th value alone
    Sums thin;
    for (size_t i = step; i < size(); i += step) thin.push(count[i], sum[i], square[i]);
    thin.push(count.back(), sum.back(), square.back());
    return thin;
  }
};

struct Cut {
  double price = 0;                                          // of a cluster
  std::vector<size_t> ends;                                  // of the clusters, ascending
  double cost = 0;                                           // of distances alone
};

// The clusters that cost least where each has a price. An end that is the better predecessor for one end is so for all later
// ones (costs are Monge), so predecessors wait in a queue, each with the first end it is best for (Wilber 1988).
Cut cut_at(const Sums& v, double price) {
  size_t n = v.size();
  std::vector<double> offset(n + 1);                         // least cost up to i, less what cost(i, j) subtracts of i alone
  std::vector<uint32_t> before(n + 1), queue{0}, first{1};
  queue.reserve(n + 1);
  first.reserve(n + 1);
  auto reach = [&](size_t i, size_t j) {
    double s = v.sum[j] - v.sum[i];
    return offset[i] - s * s / (v.count[j] - v.count[i]);
  };
  for (size_t j = 1, front = 0; j <= n; ++j) {
    while (front + 1 < queue.size() && first[front + 1] <= j) ++front;
    before[j] = queue[front];
    offset[j] = reach(queue[front], j) + price;              // less square[j], which returns in the next cluster
    if (j == n) break;
    auto wins = [&](size_t at) { return reach(j, at) < reach(queue.back(), at); };
    while (queue.size() > front + 1 && wins(first.back())) {
      queue.pop_back();
      first.pop_back();
    }
    size_t lo = std::max<size_t>(first.back(), j + 1), hi = lo, step = 1;
    while (hi <= n && !wins(hi)) {
      lo = hi + 1;
      hi += step;
      step *= 2;
    }
    hi = std::min(hi, n + 1);
    while (lo < hi) {
      size_t middle = lo + (hi - lo) / 2;
      if (wins(middle)) hi = middle;
      else lo = middle + 1;
    }
    if (lo > n) continue;
    queue.push_back(uint32_t(j));
    first.push_back(uint32_t(lo));
  }
  Cut cut{price, {}, 0};
  for (size_t j = n; j > 0; j = before[j]) {
    cut.ends.push_back(j);
    cut.cost += v.cost(before[j], j);
  }
  std::reverse(cut.ends.begin(), cut.ends.end());
  return cut;
}

// k clusters out of two cuts that cost the same at one price, one of fewer and one of more: the first clusters of one, then
// the last ones of the other, where a cluster of `many` lies in one of `few` (Aggarwal, Schieber and Tokuyama 1994).
std::vector<size_t> splice(const std::vector<size_t>& few, const std::vector<size_t>& many, size_t k) {
  size_t skipped = many.size() - k, i = 0;
  while (many[i + skipped] > few[i]) ++i;
  std::vector<size_t> ends(few.begin(), few.begin() + ptrdiff_t(i));
  ends.insert(ends.end(), many.begin() + ptrdiff_t(i + skipped), many.end());
  return ends;
}

// The best k clusters: those of the price at which the best are k. The least cost is convex in k, so where there is no such
// price, two cuts share one.
Cut best_cut(const Sums& v, size_t k, double price) {
  size_t n = v.size();
  Cut few{HUGE_VAL, {n}, v.cost(0, n)}, many{0, {}, 0};
  if (k == 1) return few;
  for (size_t i = 1; i <= n; ++i) many.ends.push_back(i);
  if (k == n) return many;
  const double rounding = 1e-16 * v.square[n];               // below it prices tell nothing
  bool chord = false;
  for (double haste = 3;; haste *= 2) {
    Cut cut = cut_at(v, price);
    size_t found = cut.ends.size();
    if (found == k) return cut;
    bool between = found > few.ends.size() && found < many.ends.size();
    if (chord && !between) return {price, splice(few.ends, many.ends, k), 0};
    (found < k ? few : many) = std::move(cut);
    double few_k = double(few.ends.size()), many_k = double(many.ends.size());
    bool open = few.price == HUGE_VAL || many.price == 0;
    if (open) price *= std::pow(double(found) / double(k), haste);   // at first as where the cost falls with the square of k
    chord = open ? !(price > rounding) : !between;
    if (chord) price = (few.cost - many.cost) / (many_k - few_k);
    else if (!open) price = few.price * std::pow(many.price / few.price, std::log(double(k) / few_k) / std::log(many_k / few_k));
  }
}

// First on every so many of the values, which gives a price near the one that is wanted.
std::vector<size_t> best_ends(const Sums& v, size_t k) {
  double price = 2 * v.cost(0, v.size()) / std::pow(double(k), 3);
  size_t step = 1, enough = std::max<size_t>(4096, 64 * k);
  while (v.size() / (step * 16) > enough) step *= 16;
  for (; step > 1; step /= 16) price = best_cut(v.every(step), k, price).price;
  return best_cut(v, k, price).ends;
}

}  // namespace

Clusters kmeans_1d(std::span<const float> values, int64_t num_clusters) {
  if (num_clusters < 1) throw Error(ErrorKind::value, "kmeans_1d", "at least 1 cluster", std::to_string(num_clusters));
  if (values.empty()) throw Error(ErrorKind::value, "kmeans_1d", "at least one value", "none");
  for (float x : values)
    if (!std::isfinite(x)) throw Error(ErrorKind::value, "kmeans_1d", "finite values", std::isnan(x) ? "NaN" : "infinity");
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  double middle = sorted[sorted.size() / 2];
  std::vector<float> distinct;
  Sums v;
  for (size_t i = 0, end = 0; i < sorted.size(); i = end) {
    while (end < sorted.size() && sorted[end] == sorted[i]) ++end;
    double x = double(sorted[i]) - middle, n = double(end - i);
    distinct.push_back(sorted[i]);
    v.push(double(end), v.sum.back() + n * x, v.square.back() + n * x * x);
  }
  Clusters c;
  std::vector<float> least;                                  // of each cluster's values
  size_t begin = 0;
  for (size_t end : best_ends(v, std::min(size_t(num_clusters), v.size()))) {
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += double(distinct[i]) * (v.count[i + 1] - v.count[i]);
    c.centroids.push_back(float(sum / (v.count[end] - v.count[begin])));
    least.push_back(distinct[begin]);
    begin = end;
  }
  c.labels.reserve(values.size());
  for (float x : values) {
    c.labels.push_back(int32_t(std::upper_bound(least.begin(), least.end(), x) - least.begin()) - 1);
    double gap = double(x) - c.centroids[size_t(c.labels.back())];
    c.cost += gap * gap;
  }
  return c;
}

}  // namespace miniten::edge
