#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/checks.h"
#include "viz/number.h"

namespace miniten::viz {
namespace {

std::string shape_text(int64_t rows, int64_t cols) { return std::to_string(rows) + " x " + std::to_string(cols); }

void check_shape(std::string_view op, size_t count, int64_t rows, int64_t cols, int64_t channels) {
  constexpr int64_t most = 1 << 15;
  if (rows < 0 || cols < 0 || rows > most || cols > most) refuse(op, "0 to 32768 rows and columns", shape_text(rows, cols));
  if (size_t(rows * cols * channels) != count) {
    refuse(op, "rows x cols" + (channels > 1 ? " x " + std::to_string(channels) : std::string()) + " = " + std::to_string(rows * cols * channels) +
               " values for " + shape_text(rows, cols), std::to_string(count));
  }
}

void paint_cells(ImageMark& mark, std::span<const double> data, int64_t rows, int64_t cols, const ColorScale& colors, bool smooth = false) {
  mark.bitmap = {int(cols), int(rows), {}};
  mark.bitmap.rgba.reserve(data.size() * 4);
  if (smooth) mark.colors = colors;
  if (smooth || data.size() <= ImageMark::most_asked) mark.values.assign(data.begin(), data.end());
  bool any_missing = false;
  for (double v : data) any_missing = any_missing || std::isnan(v);
  for (double v : data) {
    const Color c = std::isnan(v) ? Color{} : colors.table[size_t(colors.norm.index(v))];
    mark.bitmap.rgba.insert(mark.bitmap.rgba.end(), {c.r, c.g, c.b, 255});
    if (any_missing) mark.missing.push_back(std::isnan(v));
  }
}

void add_image(std::string_view op, AxesScene& scene, std::unique_ptr<ImageMark> mark, const ImageStyle& style) {
  if (style.aspect != "equal" && style.aspect != "auto") refuse(op, "aspect 'equal' or 'auto'", quoted(style.aspect));
  if (style.origin != "upper" && style.origin != "lower") refuse(op, "origin 'upper' or 'lower'", quoted(style.origin));
  if (style.interpolation != "nearest" && style.interpolation != "bilinear" && style.interpolation != "bicubic") {
    refuse(op, "interpolation 'nearest', 'bilinear' or 'bicubic'", quoted(style.interpolation));
  }
  check_alpha(op, style.alpha);
  double bottom = mark->bitmap.height - 0.5, top = -0.5;
  mark->right = mark->bitmap.width - 0.5;
  if (style.origin == "lower") std::swap(bottom, top);
  if (style.extent) {
    for (double v : *style.extent) check_finite(op, "extent", v);
    mark->left = (*style.extent)[0], mark->right = (*style.extent)[1], bottom = (*style.extent)[2], top = (*style.extent)[3];
    if (mark->left == mark->right || bottom == top) refuse(op, "an extent of some width and height", format_value(mark->right - mark->left, "g") + " x " + format_value(top - bottom, "g"));
  }
  mark->first = style.origin == "lower" ? bottom : top, mark->last = style.origin == "lower" ? top : bottom;
  mark->interpolation = style.interpolation;
  if (style.alpha < 1) for (size_t i = 3; i < mark->bitmap.rgba.size(); i += 4) mark->bitmap.rgba[i] = uint8_t(std::lround(mark->bitmap.rgba[i] * style.alpha));
  scene.equal_aspect = style.aspect == "equal";
  scene.boxed = true;
  if (mark->bitmap.width > 0 && mark->left > mark->right && !scene.x.limits) scene.x.limits = {mark->left, mark->right};
  if (mark->bitmap.height > 0 && bottom > top && !scene.y.limits) scene.y.limits = {bottom, top};
  scene.marks.push_back(std::move(mark));
}

}  // namespace

void Axes::imshow(std::span<const double> data, int64_t rows, int64_t cols, const ImageStyle& style) {
  check_shape("imshow", data.size(), rows, cols, 1);
  const ColorScale colors{colormap_table(style.cmap), norm_of(data, style.vmin.value_or(NAN), style.vmax.value_or(NAN), "imshow")};
  auto mark = std::make_unique<ImageMark>();
  paint_cells(*mark, data, rows, cols, colors, style.interpolation != "nearest");
  add_image("imshow", *scene_, std::move(mark), style);
  scene_->mappable = colors;
}

void Axes::imshow(std::span<const uint8_t> pixels, int64_t rows, int64_t cols, int64_t channels, const ImageStyle& style) {
  if (channels != 1 && channels != 3 && channels != 4) refuse("imshow", "1, 3 or 4 channels", std::to_string(channels));
  check_shape("imshow", pixels.size(), rows, cols, channels);
  auto mark = std::make_unique<ImageMark>();
  mark->bitmap = {int(cols), int(rows), {}};
  for (size_t i = 0; i < size_t(rows * cols); ++i) {
    const uint8_t* p = &pixels[i * size_t(channels)];
    if (channels == 1) mark->bitmap.rgba.insert(mark->bitmap.rgba.end(), {p[0], p[0], p[0], 255});
    else mark->bitmap.rgba.insert(mark->bitmap.rgba.end(), {p[0], p[1], p[2], channels == 4 ? p[3] : uint8_t(255)});
  }
  add_image("imshow", *scene_, std::move(mark), style);
}

void Axes::heatmap(std::span<const double> data, int64_t rows, int64_t cols, const HeatmapStyle& style) {
  check_shape("heatmap", data.size(), rows, cols, 1);
  if (!style.xlabels.empty()) check_lengths("heatmap", "columns and xlabels", size_t(cols), style.xlabels.size());
  if (!style.ylabels.empty()) check_lengths("heatmap", "rows and ylabels", size_t(rows), style.ylabels.size());
  check_format("heatmap", style.format);
  check_positive("heatmap", "linewidth", style.linewidth, true);
  const ColorScale colors{colormap_table(style.cmap), norm_of(data, style.vmin.value_or(NAN), style.vmax.value_or(NAN), "heatmap")};
  auto mark = std::make_unique<HeatmapMark>();
  paint_cells(*mark, data, rows, cols, colors);
  mark->gap = style.linewidth;
  if (style.annotate) for (double v : data) mark->texts.push_back(std::isnan(v) ? "" : format_value(v, style.format));
  add_image("heatmap", *scene_, std::move(mark), {.aspect = style.square ? "equal" : "auto"});
  auto label_axis = [](Axis& axis, int64_t n, const std::vector<std::string>& labels) {
    if (n == 0 || labels.empty()) return;
    axis.fixed_ticks = true;
    axis.tick_values.clear();
    for (int64_t i = 0; i < n; ++i) axis.tick_values.push_back(double(i));
    axis.tick_texts = labels;
  };
  label_axis(scene_->x, cols, style.xlabels);
  label_axis(scene_->y, rows, style.ylabels);
  scene_->mappable = colors;
  if (style.colorbar) colorbar(style.colorbar_label);
}

void Axes::colorbar(const std::string& label) {
  if (!scene_->mappable) refuse("colorbar", "an image, a heatmap or a scatter with values before it", "none in these axes");
  scene_->colorbar = true;
  scene_->colorbar_label = label;
}

}  // namespace miniten::viz
