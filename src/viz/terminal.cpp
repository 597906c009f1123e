#include "viz/terminal.h"
#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/legend.h"
#include "viz/terminal_canvas.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

constexpr double dots_per_point = 0.4;  // a letter of 9 points is about one cell high

struct Side {                           // an axis, in cells
  Ticks ticks;
  std::string named(const std::string& label) const {  // with what its numbers leave out
    const std::string offset = superscript(ticks.offset);
    return label.empty() || offset.empty() ? label + offset : label + " (" + offset + ")";
  }
  std::vector<std::string> texts;
  int widest = 0;
};

Side side_of(const Axis& axis, const Scale& scale, int most, bool integral, int longest) {
  Side side;
  if (!given_ticks(axis, scale, 1, 1e9, side.ticks)) side.ticks = axis_ticks(axis, scale, most, integral);
  if (axis.inner || !axis.tick_labels) side.ticks.labels.assign(side.ticks.labels.size(), {}), side.ticks.offset = {};
  for (const Label& label : side.ticks.labels) {
    side.texts.push_back(cut_columns(split_lines(superscript(label))[0], longest));
    side.widest = std::max(side.widest, columns_of(side.texts.back()));
  }
  return side;
}

struct Plot {
  const AxesScene* scene;
  int left, top, width, height;         // with everything around
  void draw(TerminalCanvas& canvas, const Theme& theme) const;
};

// The legend's rows, each a list of marks with their columns.
std::vector<std::vector<std::pair<const Mark*, int>>> legend_rows(const AxesScene& scene, int width) {
  std::vector<std::vector<std::pair<const Mark*, int>>> rows;
  if (!scene.legend) return rows;
  int used = width;
  if (!scene.legend->title.empty() && !legend_marks(scene).empty()) rows.emplace_back();
  for (const Mark* mark : legend_marks(scene)) {
    const int wanted = std::min(columns_of(split_lines(mark->label)[0]) + 5, width);
    if (used + wanted > width) rows.emplace_back(), used = 0;
    rows.back().push_back({mark, used});
    used += wanted;
  }
  return rows;
}

void Plot::draw(TerminalCanvas& canvas, const Theme& theme) const {
  const DataLimits limits = scene->limits();
  const auto legend = legend_rows(*scene, width);
  int y0 = top, y1 = top + height - int(legend.size()), x0 = left, x1 = left + width;
  if (!scene->title.empty()) {
    const std::string title = cut_columns(split_lines(scene->title)[0], width);
    canvas.write(left + (width - columns_of(title)) / 2, y0++, title, theme.text, true);
  }
  Side y, right, bar;
  Scale bar_scale;
  DataLimits right_limits{};
  if (scene->visible) {
    auto rows = [&](int from) { return side_of(scene->y, limits.y, std::clamp(from / 3, 1, 9), limits.integral_y, std::max(width / 3, 4)); };
    auto name = [&](const Side& side, const Axis& axis) { return cut_columns(split_lines(side.named(axis.label))[0], width); };
    const std::string below = name(side_of(scene->x, limits.x, std::clamp(width / 8, 1, 10), limits.integral_x, std::max(width / 3, 4)), scene->x);
    if (!below.empty()) canvas.write(left + (width - columns_of(below)) / 2, --y1, below, theme.muted);
    const bool twin = scene->twinx && scene->twinx->scene().visible;
    if (twin) right_limits = scene->twinx->scene().limits();
    auto right_rows = [&](int from) { return side_of(scene->twinx->scene().y, right_limits.y, std::clamp(from / 3, 1, 9), right_limits.integral_y, std::max(width / 3, 4)); };
    const bool headed = !name(rows(y1 - y0 - 2), scene->y).empty() || (twin && !name(right_rows(y1 - y0 - 2), scene->twinx->scene().y).empty());
    y1 -= 2;  // the axis and its numbers
    y = rows(y1 - y0 - headed);
    if (twin) {
      right = right_rows(y1 - y0 - headed);
      const std::string above = name(right, scene->twinx->scene().y);
      canvas.write(left + width - columns_of(above), y0, above, theme.muted);
    }
    if (headed) canvas.write(left, y0++, name(y, scene->y), theme.muted);
    x0 += y.widest + 1;
  }
  if (scene->colorbar && scene->mappable) {
    bar_scale = {ScaleKind::linear, scene->mappable->norm.lo, scene->mappable->norm.hi};
    bar = side_of(scene->mappable->axis(), bar_scale, std::clamp((y1 - y0) / 4, 1, 6), false, 10);
    x1 -= 4 + std::max(bar.widest, columns_of(superscript(bar.ticks.offset)));
  }
  if (!right.texts.empty()) x1 -= right.widest + 1;
  x1 = std::max(x1, x0 + 2), y1 = std::max(y1, y0 + 1);
  Frame frame{{2.0 * x0, 4.0 * y0, 2.0 * (x1 - x0), 4.0 * (y1 - y0)}, limits.x, limits.y, dots_per_point, &theme};
  if (scene->equal_aspect) {
    const double wide = std::abs(limits.x.hi - limits.x.lo), high = std::abs(limits.y.hi - limits.y.lo);
    const double unit = std::min(frame.area.width / wide, frame.area.height / high);
    const double w = std::max(2.0, std::round(wide * unit / 2) * 2), h = std::max(4.0, std::round(high * unit / 4) * 4);
    frame.area = {frame.area.x + std::floor((frame.area.width - w) / 4) * 2, frame.area.y, w, h};
  }
  const Rect& a = frame.area;
  const int fx0 = int(a.x / 2), fx1 = int(a.right() / 2), fy1 = int(a.bottom() / 4);
  std::vector<const Mark*> order;
  for (const auto& mark : scene->marks) order.push_back(mark.get());
  std::stable_sort(order.begin(), order.end(), [](const Mark* p, const Mark* q) { return p->layer < q->layer; });
  canvas.push_clip(a);
  for (const Mark* mark : order) mark->draw(canvas, frame);
  for (const auto* twin : {&scene->twinx, &scene->twiny}) {
    if (!*twin) continue;
    Frame own = frame;
    const DataLimits other = (*twin)->scene().limits();
    own.x = other.x, own.y = other.y;
    for (const auto& mark : (*twin)->scene().marks) mark->draw(canvas, own);
  }
  canvas.pop_clip();
  if (!right.texts.empty()) {
    Frame own = frame;
    own.y = right_limits.y;
    for (int line = int(a.y / 4); line < fy1; ++line) canvas.write(fx1, line, "│", theme.muted);
    for (size_t i = 0; i < right.ticks.major.size(); ++i) {
      const double at = own.y_at(right.ticks.major[i]);
      if (std::isnan(at) || at < a.y - 0.01 || at > a.bottom() + 0.01) continue;
      canvas.write(fx1, std::min(int(at / 4), fy1 - 1), "├", theme.muted);
      canvas.write(fx1 + 1, std::min(int(at / 4), fy1 - 1), right.texts[i], theme.muted);
    }
  }
  if (scene->visible) {
    Side x = side_of(scene->x, limits.x, std::clamp((fx1 - fx0) / 8, 1, 10), limits.integral_x, std::max(width / 3, 4));
    for (int line = int(a.y / 4); line < fy1; ++line) canvas.write(fx0 - 1, line, "│", theme.muted);
    canvas.write(fx0 - 1, fy1, "└", theme.muted);
    for (int column = fx0; column < fx1; ++column) canvas.write(column, fy1, "─", theme.muted);
    for (size_t i = 0; i < y.ticks.major.size(); ++i) {
      const double at = frame.y_at(y.ticks.major[i]);
      if (std::isnan(at) || at < a.y - 0.01 || at > a.bottom() + 0.01) continue;
      const int line = std::min(int(at / 4), fy1 - 1);
      canvas.write(fx0 - 1, line, "┤", theme.muted);
      canvas.write(fx0 - 1 - columns_of(y.texts[i]), line, y.texts[i], theme.muted);
    }
    int end = left - 1;
    for (size_t k = 0; k < x.ticks.major.size(); ++k) {
      const size_t i = limits.x.lo > limits.x.hi ? x.ticks.major.size() - 1 - k : k;
      const double at = frame.x_at(x.ticks.major[i]);
      if (std::isnan(at) || at < a.x - 0.01 || at > a.right() + 0.01) continue;
      const int column = std::min(int(at / 2), fx1 - 1), wide = columns_of(x.texts[i]);
      const int begin = std::clamp(column - wide / 2, left, std::max(left, left + width - wide));
      canvas.write(column, fy1, "┴", theme.muted);
      if (begin <= end) continue;  // would touch the number before
      canvas.write(begin, fy1 + 1, x.texts[i], theme.muted);
      end = begin + wide;
    }
  }
  if (scene->colorbar && scene->mappable) {
    Bitmap ramp{1, 256, {}};
    for (int i = 255; i >= 0; --i) {
      const Color& c = scene->mappable->table[size_t(i)];
      ramp.rgba.insert(ramp.rgba.end(), {c.r, c.g, c.b, 255});
    }
    const Rect at{a.right() + 4, a.y, 4, a.height};
    canvas.image(at, ramp);
    for (size_t i = 0; i < bar.ticks.major.size(); ++i) {
      const double v = at.bottom() - at.height * bar_scale.unit(bar.ticks.major[i]);
      canvas.write(int(at.right() / 2) + 1, std::clamp(int(v / 4), int(a.y / 4), fy1 - 1), bar.texts[i], theme.muted);
    }
    canvas.write(int(at.right() / 2) + 1, fy1, superscript(bar.ticks.offset), theme.muted);
  }
  for (size_t row = 0; row < legend.size(); ++row) {
    const int line = top + height - int(legend.size() - row);
    if (legend[row].empty()) canvas.write(left, line, cut_columns(split_lines(scene->legend->title)[0], width), theme.text, true);
    for (const auto& [mark, column] : legend[row]) {
      mark->draw_key(canvas, {2.0 * (left + column), 4.0 * line + 1, 4, 2}, frame);
      canvas.write(left + column + 3, line, cut_columns(split_lines(mark->label)[0], width - 5), theme.text);
    }
  }
}

}  // namespace

std::string draw_terminal(std::span<const CellScene> cells, const std::string& suptitle, const Theme& theme, int columns, int lines, bool color) {
  int rows = 1;
  for (const CellScene& cell : cells) rows = std::max(rows, cell.rows);
  const int heading = suptitle.empty() ? 0 : 2;
  const int least = 9;                       // lines a plot needs to say anything
  lines = std::max(lines, heading + rows * (least + 1) - 1);
  TerminalCanvas canvas(columns, lines, theme);
  if (heading) {
    const std::string title = cut_columns(split_lines(suptitle)[0], columns);
    canvas.write((columns - columns_of(title)) / 2, 0, title, theme.text, true);
  }
  for (const CellScene& cell : cells) {
    const int gap = 2;
    auto begin = [](int i, int n, int length, int space) { return i * (length + space) / n; };
    const int left = begin(cell.column(), cell.cols, columns, gap), right = begin(cell.end_column(), cell.cols, columns, gap) - gap;
    const int top = begin(cell.row(), cell.rows, lines - heading, 1), bottom = begin(cell.end_row(), cell.rows, lines - heading, 1) - 1;
    Plot{cell.scene, left, heading + top, std::max(right - left, 4), bottom - top}.draw(canvas, theme);
  }
  return canvas.finish(color);
}

}  // namespace miniten::viz
