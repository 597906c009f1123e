#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/checks.h"
#include "viz/number.h"

namespace miniten::viz {
namespace {

std::unique_ptr<ContourMark> grid_mark(std::string_view op, std::span<const double> z, int64_t rows, int64_t cols, std::span<const double> x, std::span<const double> y) {
  constexpr int64_t most = 4096;
  if (rows < 2 || cols < 2 || rows > most || cols > most) refuse(op, "2 to 4096 rows and columns", std::to_string(rows) + " x " + std::to_string(cols));
  check_lengths(op, "rows x cols and z", size_t(rows * cols), z.size());
  if (!x.empty()) check_lengths(op, "columns and x", size_t(cols), x.size());
  if (!y.empty()) check_lengths(op, "rows and y", size_t(rows), y.size());
  auto mark = std::make_unique<ContourMark>();
  for (int64_t c = 0; c < cols; ++c) mark->x.push_back(x.empty() ? double(c) : x[size_t(c)]);
  for (int64_t r = 0; r < rows; ++r) mark->y.push_back(y.empty() ? double(r) : y[size_t(r)]);
  for (const auto* axis : {&mark->x, &mark->y}) for (double v : *axis) check_finite(op, "x and y", v);
  return mark;
}

// Rising. Those that were given, else about `count` nice ones; around: so that all values lie between two of them.
std::vector<double> levels_of(std::string_view op, std::vector<double> levels, int count, const Norm& range, bool around) {
  if (count < 1 || count > 100) refuse(op, "1 to 100 levels", std::to_string(count));
  for (double v : levels) check_finite(op, "level", v);
  if (levels.empty()) {
    levels = choose_ticks({ScaleKind::linear, range.lo, range.hi}, count, false).major;
    const double step = levels.size() > 1 ? levels[1] - levels[0] : range.hi - range.lo;
    if (around && levels.front() > range.lo) levels.insert(levels.begin(), levels.front() - step);
    if (around && (levels.back() < range.hi || levels.size() < 2)) levels.push_back(levels.back() + step);
  }
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  return levels;
}

}  // namespace

void Axes::contour(std::span<const double> z, int64_t rows, int64_t cols, std::span<const double> x, std::span<const double> y, const ContourStyle& style) {
  auto mark = grid_mark("contour", z, rows, cols, x, y);
  check_positive("contour", "linewidth", style.linewidth);
  check_alpha("contour", style.alpha);
  const Norm range = norm_of(z, NAN, NAN, "contour");
  const std::vector<double> levels = levels_of("contour", style.levels, style.count, range, false);
  const ColorScale colors{colormap_table(style.cmap), levels.size() > 1 ? Norm{levels.front(), levels.back()} : range};
  for (double level : levels) {
    Color color = style.color.empty() ? colors.table[size_t(colors.norm.index(level))] : scene_->theme->resolve(style.color);
    color.a *= style.alpha;
    mark->lines.push_back({level, contour_lines(z, mark->x, mark->y, level), color});
  }
  mark->width = style.linewidth, mark->texts = style.labels;
  if (style.color.empty()) scene_->mappable = colors;
  scene_->marks.push_back(std::move(mark));
}

void Axes::clabel(size_t at, double size) {
  check_positive("clabel", "size", size);
  auto* mark = at < scene_->marks.size() ? dynamic_cast<ContourMark*>(scene_->marks[at].get()) : nullptr;
  if (!mark || mark->lines.empty()) refuse("clabel", "what contour gave", "mark " + std::to_string(at));
  mark->texts = true, mark->text_size = size;
}

void Axes::contourf(std::span<const double> z, int64_t rows, int64_t cols, std::span<const double> x, std::span<const double> y, const ContourFillStyle& style) {
  auto mark = grid_mark("contourf", z, rows, cols, x, y);
  check_alpha("contourf", style.alpha);
  const bool below = style.extend == "min" || style.extend == "both", above = style.extend == "max" || style.extend == "both";
  if (!below && !above && style.extend != "neither") refuse("contourf", "extend 'neither', 'min', 'max' or 'both'", quoted(style.extend));
  const std::vector<double> levels = levels_of("contourf", style.levels, style.count, norm_of(z, NAN, NAN, "contourf"), true);
  if (levels.size() < 2) refuse("contourf", "2 levels or more", std::to_string(levels.size()));
  const size_t between = levels.size() - 1, bands = between + below + above;
  if (!style.colors.empty()) check_lengths("contourf", "bands and colors", bands, style.colors.size());
  const Lut table = colormap_table(style.cmap);
  std::vector<Color> fills;
  for (size_t k = 0; k < bands; ++k) {
    if (!style.colors.empty()) {
      fills.push_back(scene_->theme->resolve(style.colors[k]));
      continue;
    }
    // By the middle of its values; bands without an end have the map's.
    const Norm middles{(levels[0] + levels[1]) / 2, (levels[between - 1] + levels[between]) / 2};
    const double middle = k < size_t(below) ? levels[0] : k == between + below ? levels[between] : (levels[k - below] + levels[k - below + 1]) / 2;
    fills.push_back(between == 1 ? table[bands == 1 ? 127 : k * 255 / (bands - 1)] : table[size_t(middles.index(middle))]);
  }
  std::vector<double> feet(levels.begin(), levels.end());                 // where bands begin, and what lies above them all
  if (below) feet.insert(feet.begin(), -HUGE_VAL);
  std::vector<std::vector<GridPoints>> regions;
  for (double foot : feet) regions.push_back(contour_regions(z, mark->x, mark->y, foot));
  if (above) regions.emplace_back();
  for (size_t k = 0; k < bands; ++k) {
    // Opaque bands lie over each other, so that no seam shows; others are cut out.
    const std::vector<GridPoints>& hole = regions[style.alpha < 1 ? k + 1 : bands];
    ContourMark::Band band{regions[k], fills[k]};
    for (const GridPoints& loop : hole) band.outlines.emplace_back(loop.rbegin(), loop.rend());
    band.color.a *= style.alpha;
    mark->bands.push_back(std::move(band));
  }
  ColorScale colors{table, {levels.front(), levels.back()}, levels};
  for (size_t i = 0; i < colors.table.size(); ++i) {
    const double v = levels.front() + (levels.back() - levels.front()) * (double(i) + 0.5) / double(colors.table.size());
    const size_t k = size_t(std::upper_bound(levels.begin(), levels.end(), v) - levels.begin());
    colors.table[i] = fills[std::clamp<size_t>(k, 1, between) - 1 + below];
  }
  scene_->mappable = colors;
  scene_->boxed = true;
  mark->layer = layer_image;
  scene_->marks.push_back(std::move(mark));
}

}  // namespace miniten::viz
