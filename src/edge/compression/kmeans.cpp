#include <cmath>
#include <numeric>
#include "miniten/edge/compression.h"

namespace miniten::edge {

namespace {

// Distinct values in ascending order with running sums, taken from their middle so that squares keep their digits.
struct Sorted {
  std::vector<double> value, count, sum, square;             // sums of what lies before
  explicit Sorted(std::vector<float> v) {
    std::sort(v.begin(), v.end());
    double middle = v[v.size() / 2];
    count.push_back(0);
    sum.push_back(0);
    square.push_back(0);
    for (size_t i = 0; i < v.size();) {
      size_t end = i;
      while (end < v.size() && v[end] == v[i]) ++end;
      double x = double(v[i]) - middle, n = double(end - i);
      value.push_back(v[i]);
      count.push_back(count.back() + n);
      sum.push_back(sum.back() + n * x);
      square.push_back(square.back() + n * x * x);
      i = end;
    }
    middle_ = middle;
  }
  size_t size() const { return value.size(); }
  double cost(size_t i, size_t j) const {                    // of one cluster of [i, j), i < j
    double n = count[j] - count[i], s = sum[j] - sum[i];
    return square[j] - square[i] - s * s / n;
  }
  double mean(size_t i, size_t j) const { return middle_ + (sum[j] - sum[i]) / (count[j] - count[i]); }

 private:
  double middle_ = 0;
};

// least[j] = min over i in [first(j), last(j)] of f(i, j), where the best i never falls as j rises; which[j] is that i.
template <class F, class Last>
void row_minima(size_t lo, size_t hi, size_t from, size_t to, const F& f, const Last& last, std::vector<double>& least, std::vector<uint32_t>& which) {
  while (lo < hi) {
    size_t j = lo + (hi - lo) / 2, best = from;
    double cost = HUGE_VAL;
    for (size_t i = from, end = std::min(to, last(j)); i <= end && end != SIZE_MAX; ++i)
      if (double c = f(i, j); c < cost) { cost = c; best = i; }
    least[j] = cost;
    which[j] = uint32_t(best);
    row_minima(lo, j, from, best, f, last, least, which);
    lo = j + 1;
    from = best;
  }
}

// Where boundary q of the clustering, the end of its first q clusters, may lie: ascending candidates.
using Grid = std::vector<size_t>;

double between(const Sorted& v, size_t i, size_t j) { return i < j ? v.cost(i, j) : 0; }

// The best boundaries among the candidates, and their cost.
double best_of(const Sorted& v, const std::vector<Grid>& grids, std::vector<size_t>& ends) {
  size_t k = grids.size() - 1;
  std::vector<double> before{0}, after;
  std::vector<std::vector<uint32_t>> which(k + 1);
  for (size_t q = 1; q <= k; ++q) {
    const Grid &from = grids[q - 1], &to = grids[q];
    after.assign(to.size(), HUGE_VAL);
    which[q].assign(to.size(), 0);
    auto last = [&](size_t j) { return size_t(std::upper_bound(from.begin(), from.end(), to[j]) - from.begin()) - 1; };
    row_minima(0, to.size(), 0, from.size() - 1, [&](size_t i, size_t j) { return before[i] + between(v, from[i], to[j]); }, last, after, which[q]);
    std::swap(before, after);
  }
  ends.assign(k, v.size());
  size_t at = 0;
  for (size_t q = k; q > 0; --q) {
    ends[q - 1] = grids[q][at];
    at = which[q][at];
  }
  return before[0];
}

// Lower bounds of the first q clusters' cost with their end in a cell between two candidates: whatever lies in the cells of
// two neighbours is left out of the cluster between them.
struct Cells {
  const Grid& g;
  size_t size() const { return std::max<size_t>(g.size() - 1, 1); }
  size_t lo(size_t c) const { return g[c]; }
  size_t hi(size_t c) const { return g[std::min(c + 1, g.size() - 1)]; }
};
std::vector<std::vector<double>> bounds_of(const Sorted& v, const std::vector<Grid>& grids) {
  size_t k = grids.size() - 1;
  std::vector<std::vector<double>> bound(k + 1);
  std::vector<uint32_t> which;
  bound[0] = {0};
  for (size_t q = 1; q <= k; ++q) {
    Cells from{grids[q - 1]}, to{grids[q]};
    bound[q].assign(to.size(), HUGE_VAL);
    which.assign(to.size(), 0);
    auto last = [&](size_t c) {
      auto end = size_t(std::upper_bound(from.g.begin(), from.g.end(), to.hi(c)) - from.g.begin());
      return end == 0 ? SIZE_MAX : std::min(end - 1, from.size() - 1);
    };
    row_minima(0, to.size(), 0, from.size() - 1, [&](size_t i, size_t j) { return bound[q - 1][i] + between(v, from.hi(i), to.lo(j)); }, last, bound[q], which);
  }
  return bound;
}
Sorted mirrored(const Sorted& v) {
  Sorted m = v;
  size_t n = v.size();
  for (size_t i = 0; i <= n; ++i) {
    m.count[i] = v.count[n] - v.count[n - i];
    m.sum[i] = v.sum[n] - v.sum[n - i];
    m.square[i] = v.square[n] - v.square[n - i];
  }
  return m;
}
std::vector<Grid> mirrored(const std::vector<Grid>& grids, size_t n) {
  std::vector<Grid> m(grids.rbegin(), grids.rend());
  for (Grid& g : m) {
    std::reverse(g.begin(), g.end());
    for (size_t& at : g) at = n - at;
  }
  return m;
}

Grid spread(size_t lo, size_t hi, size_t points) {
  Grid g;
  if (hi - lo + 1 <= points) for (size_t i = lo; i <= hi; ++i) g.push_back(i);
  else for (size_t i = 0; i < points; ++i) g.push_back(lo + size_t(double(hi - lo) * double(i) / double(points - 1)));
  return g;
}

// Ends of the best k clusters. Coarse candidates give a clustering, so a cost that the best does not exceed; with lower bounds
// they tell where its boundaries may lie. These ranges are narrowed, then searched at full resolution.
std::vector<size_t> best_ends(const Sorted& v, size_t k) {
  size_t n = v.size();
  Sorted back = mirrored(v);
  std::vector<std::pair<size_t, size_t>> range(k + 1, {0, n});
  range[0] = {0, 0};
  range[k] = {n, n};
  std::vector<size_t> ends;
  for (int round = 0;; ++round) {
    size_t total = 0, points = round ? 1024 : std::max<size_t>(2048, 16 * k);
    for (auto& [lo, hi] : range) total += hi - lo + 1;
    bool whole = total <= n + 65536 || round == 3;
    std::vector<Grid> grids;
    for (auto& [lo, hi] : range) grids.push_back(spread(lo, hi, whole ? n + 1 : points));
    double cost = best_of(v, grids, ends);
    if (whole || k == 1) return ends;
    auto front = bounds_of(v, grids), rear = bounds_of(back, mirrored(grids, n));
    double limit = cost * (1 + 1e-7) + 1e-12 * std::abs(v.square[n]);
    for (size_t q = 1; q < k; ++q) {
      Cells cells{grids[q]};
      size_t first = cells.size(), last = 0;
      for (size_t c = 0; c < cells.size(); ++c)
        if (front[q][c] + rear[k - q][cells.size() - 1 - c] <= limit) {
          first = std::min(first, c);
          last = c;
        }
      if (first < cells.size()) range[q] = {cells.lo(first), cells.hi(last)};
    }
  }
}

}  // namespace

Clusters kmeans_1d(std::span<const float> values, int64_t num_clusters) {
  if (num_clusters < 1) throw Error(ErrorKind::value, "kmeans_1d", "at least 1 cluster", std::to_string(num_clusters));
  if (values.empty()) throw Error(ErrorKind::value, "kmeans_1d", "at least one value", "none");
  for (float x : values)
    if (!std::isfinite(x)) throw Error(ErrorKind::value, "kmeans_1d", "finite values", std::isnan(x) ? "NaN" : "infinity");
  Sorted v({values.begin(), values.end()});
  size_t k = std::min(size_t(num_clusters), v.size());
  std::vector<size_t> ends = best_ends(v, k);
  Clusters c;
  std::vector<float> least;                                  // of each cluster's values
  size_t begin = 0;
  for (size_t end : ends) {
    c.centroids.push_back(float(v.mean(begin, end)));
    least.push_back(float(v.value[begin]));
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
