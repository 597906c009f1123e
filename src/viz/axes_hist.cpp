#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/checks.h"
#include "viz/number.h"

namespace miniten::viz {
namespace {

std::vector<double> equal_bins(std::span<const HistSet> sets, int bins, const HistStyle& style) {
  if (bins < 1 || bins > 1000000) refuse("hist", "1 to 1000000 bins", std::to_string(bins));
  double lo = HUGE_VAL, hi = -HUGE_VAL;
  for (const HistSet& set : sets) for (double v : set.values) if (std::abs(v) < 1e300) lo = std::min(lo, v), hi = std::max(hi, v);
  if (lo > hi) lo = 0, hi = 1;
  if (style.lo) lo = *style.lo;
  if (style.hi) hi = *style.hi;
  if (!(lo <= hi) || !(std::abs(lo) < 1e300) || !(std::abs(hi) < 1e300)) {
    refuse("hist", "a finite range with lo <= hi", format_value(lo, "g") + " to " + format_value(hi, "g"));
  }
  if (lo == hi) lo -= 0.5, hi += 0.5;
  std::vector<double> edges;
  for (int i = 0; i <= bins; ++i) edges.push_back(i == bins ? hi : lo + (hi - lo) * i / bins);
  if (!std::is_sorted(edges.begin(), edges.end(), std::less_equal<>())) {
    refuse("hist", "bins wide enough to differ", std::to_string(bins) + " bins from " + format_value(lo, ".17g") + " to " + format_value(hi, ".17g"));
  }
  return edges;
}

// Counts, or sums of weights, in bins of which the last is closed.
std::vector<double> count(const HistSet& set, std::span<const double> edges) {
  std::vector<double> counts(edges.size() - 1, 0);
  for (size_t i = 0; i < set.values.size(); ++i) {
    const double v = set.values[i];
    if (!(v >= edges.front() && v <= edges.back())) continue;
    const size_t above = size_t(std::upper_bound(edges.begin(), edges.end(), v) - edges.begin());
    counts[std::min(above, edges.size() - 1) - 1] += set.weights.empty() ? 1 : set.weights[i];
  }
  return counts;
}

std::unique_ptr<Mark> outline(std::span<const double> edges, const std::vector<double>& feet, const std::vector<double>& tops, bool filled, bool horizontal, const Color& color) {
  std::vector<double> along, foot, top;
  for (size_t i = 0; i < tops.size(); ++i) {
    along.insert(along.end(), {edges[i], edges[i + 1]});
    foot.insert(foot.end(), 2, feet[i]), top.insert(top.end(), 2, tops[i]);
  }
  if (filled) {
    auto mark = std::make_unique<FillMark>();
    mark->x = along, mark->low = foot, mark->high = top, mark->color = color;
    mark->grounded = 'y';
    return mark;
  }
  auto mark = std::make_unique<LineMark>();
  along.insert(along.begin(), edges.front()), top.insert(top.begin(), feet.front());
  along.push_back(edges.back()), top.push_back(feet.back());
  mark->x = horizontal ? top : along, mark->y = horizontal ? along : top;
  mark->pen = {color};
  mark->grounded = horizontal ? 'x' : 'y';
  return mark;
}

}  // namespace

Histograms Axes::hist(std::span<const HistSet> sets, std::span<const double> edges, const HistStyle& style, bool stacked) {
  if (edges.size() < 2) refuse("hist", "2 edges or more", std::to_string(edges.size()));
  for (size_t i = 0; i < edges.size(); ++i) {
    if (!(std::abs(edges[i]) < 1e300) || (i && !(edges[i] > edges[i - 1]))) refuse("hist", "finite, rising edges", format_value(edges[i], "g") + " at " + std::to_string(i));
  }
  check_alpha("hist", style.alpha);
  const bool bars = style.type == "bar", filled = style.type == "stepfilled";
  if (!bars && !filled && style.type != "step") refuse("hist", "type 'bar', 'step' or 'stepfilled'", quoted(style.type));
  if (filled && style.horizontal) refuse("hist", "type 'bar' or 'step' where it lies", "'stepfilled'");
  for (const HistSet& set : sets) if (!set.weights.empty()) check_lengths("hist", "values and weights", set.values.size(), set.weights.size());
  const size_t bins = edges.size() - 1;
  Histograms result{{}, {edges.begin(), edges.end()}};
  double all = 0;
  for (const HistSet& set : sets) {
    result.counts.push_back(count(set, edges));
    for (double n : result.counts.back()) all += n;
  }
  std::vector<Color> colors;
  for (const HistSet& set : sets) if (!set.color.empty()) scene_->theme->resolve(set.color);
  for (const HistSet& set : sets) colors.push_back(pick_color(*scene_, set.color, style.alpha));
  Color edge{0, 0, 0, 0};
  if (!style.edgecolor.empty()) edge = scene_->theme->resolve(style.edgecolor);
  else if (style.alpha == 1 && (stacked || sets.size() == 1)) edge = scene_->theme->background;
  std::vector<double> feet(bins, 0);
  for (size_t s = 0; s < sets.size(); ++s) {
    std::vector<double>& tops = result.counts[s];
    double total = 0, sum = 0;
    for (double n : tops) total += n;
    if (stacked) total = all;
    for (size_t i = 0; i < bins; ++i) {
      const double width = edges[i + 1] - edges[i];
      if (style.density && total > 0) tops[i] /= total * (style.cumulative ? 1 : width);
      if (style.cumulative) tops[i] = sum += tops[i];
      if (stacked) tops[i] += feet[i];
    }
    std::unique_ptr<Mark> drawn;
    if (bars) {
      auto mark = std::make_unique<BarMark>();
      mark->layer = layer_area;
      mark->horizontal = style.horizontal;
      mark->edge = edge;
      mark->fills = {colors[s]};
      mark->foot = feet, mark->top = tops;
      const size_t abreast = stacked ? 1 : sets.size();
      const double margin = abreast > 1 ? 0.05 : 0, share = (1 - 2 * margin) / double(abreast), begin = margin + share * double(stacked ? 0 : s);
      for (size_t i = 0; i < bins; ++i) {
        const double width = edges[i + 1] - edges[i];
        mark->left.push_back(edges[i] + width * begin);
        mark->right.push_back(abreast == 1 ? edges[i + 1] : edges[i] + width * (begin + share));
      }
      drawn = std::move(mark);
    } else {
      drawn = outline(edges, feet, tops, filled, style.horizontal, colors[s]);
    }
    drawn->label = sets[s].label;
    scene_->marks.push_back(std::move(drawn));
    if (stacked) feet = tops;
  }
  return result;
}

Histograms Axes::hist(std::span<const HistSet> sets, int bins, const HistStyle& style, bool stacked) { return hist(sets, equal_bins(sets, bins, style), style, stacked); }

Histogram Axes::hist(std::span<const double> data, std::span<const double> edges, const HistStyle& style) {
  const HistSet set{{data.begin(), data.end()}, style.label, style.color, style.weights};
  Histograms h = hist({&set, 1}, edges, style);
  return {std::move(h.counts[0]), std::move(h.edges)};
}

Histogram Axes::hist(std::span<const double> data, int bins, const HistStyle& style) {
  const HistSet set{{data.begin(), data.end()}, style.label, style.color, style.weights};
  Histograms h = hist({&set, 1}, bins, style);
  return {std::move(h.counts[0]), std::move(h.edges)};
}

}  // namespace miniten::viz
