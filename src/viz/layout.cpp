#include "viz/layout.h"
#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/legend.h"
#include "viz/number.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

double snap(double v) { return std::round(v); }

bool marked(const Axis& axis) { return axis.categories.empty() && axis.tick_texts.empty(); }

bool unnamed(const Axis& axis) { return axis.inner || !axis.tick_labels; }

void keep_every(Ticks& ticks, size_t stride) {
  Ticks kept;
  for (size_t i = 0; i < ticks.major.size(); i += stride) {
    kept.major.push_back(ticks.major[i]);
    kept.labels.push_back(ticks.labels[i]);
  }
  ticks = std::move(kept);
}

// The smallest distance of neighbouring ticks, in pixels.
double slot_of(const Ticks& ticks, const Scale& scale, double length) {
  double slot = length;
  for (size_t i = 1; i < ticks.major.size(); ++i) {
    slot = std::min(slot, std::abs(scale.unit(ticks.major[i]) - scale.unit(ticks.major[i - 1])) * length);
  }
  return slot;
}

bool labels_fit(const Ticks& ticks, const Scale& scale, double length, double size) {
  const bool turned_round = scale.lo > scale.hi;
  double end = -HUGE_VAL;
  for (size_t k = 0; k < ticks.major.size(); ++k) {
    const size_t i = turned_round ? ticks.major.size() - 1 - k : k;
    const double at = scale.unit(ticks.major[i]) * length, half = label_width(ticks.labels[i], size) / 2;
    if (at - half < end) return false;
    end = at + half + size * 0.6;
  }
  return true;
}

AxisLayout lay_x(const Axis& from, const Frame& frame, double longest, bool integral) {
  AxisLayout axis;
  const double size = from.tick_look.size * frame.px, length = frame.area.width;
  axis.tick_length = marked(from) ? from.tick_length * frame.px : 0;
  if (given_ticks(from, frame.x, size, longest, axis.ticks)) {
    if (from.rotation) {
      axis.rotation = *from.rotation;
    } else if (!labels_fit(axis.ticks, frame.x, length, size)) {
      const double slot = slot_of(axis.ticks, frame.x, length);
      axis.rotation = slot >= size * 1.6 ? 45 : 90;
      if (slot < size * 1.15) keep_every(axis.ticks, size_t(std::ceil(size * 1.15 / std::max(slot, 0.01))));
    }
  } else {
    for (int most = std::clamp(int(length / (size * 4)), 2, 10); most >= 1; --most) {
      axis.ticks = axis_ticks(from, frame.x, most, integral);
      if (from.rotation) axis.rotation = *from.rotation;
      if (from.rotation || labels_fit(axis.ticks, frame.x, length, size)) break;
    }
  }
  if (unnamed(from)) axis.ticks.labels.assign(axis.ticks.labels.size(), {}), axis.ticks.offset = {};
  double widest = 0;
  size_t lines = 1;
  for (const Label& label : axis.ticks.labels) {
    widest = std::max(widest, label_width(label, size));
    lines = std::max(lines, size_t(std::count(label.text.begin(), label.text.end(), '\n')) + 1);
  }
  const double upright = cap_height(size) + double(lines - 1) * line_height(size);
  const double turn = axis.rotation * M_PI / 180, s = std::abs(std::sin(turn)), c = std::cos(turn);
  const bool any = !axis.ticks.labels.empty() && !unnamed(from);
  axis.depth = any ? axis.tick_length + space::tick_pad * frame.px + widest * s + upright * c + descent(size) : axis.tick_length;
  return axis;
}

AxisLayout lay_y(const Axis& from, const Scale& scale, double length, double longest, bool integral, double px) {
  AxisLayout axis;
  const double size = from.tick_look.size * px;
  axis.tick_length = marked(from) ? from.tick_length * px : 0;
  if (given_ticks(from, scale, size, longest, axis.ticks)) {
    const double slot = slot_of(axis.ticks, scale, length);
    if (slot < size * 1.15) keep_every(axis.ticks, size_t(std::ceil(size * 1.15 / std::max(slot, 0.01))));
  } else {
    axis.ticks = axis_ticks(from, scale, std::clamp(int(length / (size * 2.8)), 1, 9), integral);
    if (axis.ticks.major.size() < 2) axis.ticks = axis_ticks(from, scale, 2, integral);
  }
  if (unnamed(from)) axis.ticks.labels.assign(axis.ticks.labels.size(), {}), axis.ticks.offset = {};
  double widest = 0;
  for (const Label& label : axis.ticks.labels) widest = std::max(widest, label_width(label, size));
  axis.depth = axis.ticks.labels.empty() || unnamed(from) ? axis.tick_length : axis.tick_length + space::tick_pad * px + widest;
  return axis;
}

// Ticks and margins for the frame's present size.
void measure(AxesLayout& layout, double cell_width, double cell_height) {
  const AxesScene& scene = *layout.scene;
  Frame& frame = layout.frame;
  const double px = frame.px, size = scene.y.tick_look.size * px, xsize = scene.x.tick_look.size * px, xlabel = scene.x.label_look.size * px, ylabel = scene.y.label_look.size * px;
  auto line = [&](double size) { return space::label_pad * px + cap_height(size) + descent(size); };
  layout.title.clear();
  layout.left = layout.right = layout.bottom = layout.top = 0;
  layout.x = layout.y = layout.bar = {};
  if (scene.visible) {
    layout.x = lay_x(scene.x, frame, std::max(cell_height * 0.5, 6 * xsize), layout.integral_x);
    layout.y = lay_y(scene.y, frame.y, frame.area.height, std::max(cell_width * 0.35, 5 * size), layout.integral_y, px);
    layout.bottom = layout.x.depth;
    layout.left = layout.y.depth;
    layout.top = layout.y.ticks.labels.empty() ? 0 : cap_height(size) / 2;
    const double turn = layout.x.rotation * M_PI / 180, c = std::cos(turn);
    for (size_t i = 0; i < layout.x.ticks.labels.size(); ++i) {
      const double width = label_width(layout.x.ticks.labels[i], xsize), at = frame.x_at(layout.x.ticks.major[i]);
      const double far = layout.x.rotation == 0 ? width / 2 : width * c + xsize / 2, near = layout.x.rotation == 0 ? width / 2 : xsize / 2;
      const double before = layout.x.rotation < 0 ? near : far, after = layout.x.rotation < 0 ? far : near;
      layout.left = std::max(layout.left, before - (at - frame.area.x));
      layout.right = std::max(layout.right, after - (frame.area.right() - at));
    }
    layout.xlabel = scene.x.inner ? "" : elide(scene.x.label, xlabel, std::max(cell_width, 4 * xlabel), scene.x.label_look.bold);
    layout.ylabel = scene.y.inner ? "" : elide(scene.y.label, ylabel, std::max(frame.area.height * 1.2, 4 * ylabel), scene.y.label_look.bold);
    if (!layout.xlabel.empty()) layout.bottom += line(xlabel);
    if (const Label& offset = layout.x.ticks.offset; !offset.text.empty()) {   // at the right end of the label's line, where there is room
      layout.x.offset_below = !layout.xlabel.empty() && text_width(layout.xlabel, xlabel) / 2 + label_width(offset, xsize) + xsize > frame.area.width / 2;
      if (layout.xlabel.empty() || layout.x.offset_below) layout.bottom += line(xlabel);
    }
    if (!layout.ylabel.empty()) layout.left += line(ylabel);
  }
  if (layout.twinx.scene) {
    TwinLayout& twin = layout.twinx;
    twin.axis = lay_y(twin.scene->y, twin.frame.y, frame.area.height, std::max(cell_width * 0.35, 5 * size), twin.integral, px);
    const double label = twin.scene->y.label_look.size * px;
    twin.label = elide(twin.scene->y.label, label, std::max(frame.area.height * 1.2, 4 * label), twin.scene->y.label_look.bold);
    layout.right = std::max(layout.right, twin.axis.depth + (twin.label.empty() ? 0 : line(label)));
  }
  if (layout.twiny.scene) {
    TwinLayout& twin = layout.twiny;
    twin.axis = lay_x(twin.scene->x, twin.frame, std::max(cell_height * 0.5, 6 * size), twin.integral);
    const double label = twin.scene->x.label_look.size * px;
    twin.label = elide(twin.scene->x.label, label, std::max(cell_width, 4 * label), twin.scene->x.label_look.bold);
    layout.top = std::max(layout.top, twin.axis.depth + (twin.label.empty() && twin.axis.ticks.offset.text.empty() ? 0 : line(label)));
  }
  if (scene.colorbar && scene.mappable) {
    layout.bar = lay_y(scene.mappable->axis(), {ScaleKind::linear, scene.mappable->norm.lo, scene.mappable->norm.hi}, frame.area.height, std::max(cell_width * 0.35, 5 * size), false, px);
  }
  double over = layout.twiny.scene ? layout.top : 0;
  for (const AxisLayout* axis : {&layout.y, &layout.twinx.axis, &layout.bar}) {
    if (axis->ticks.offset.text.empty()) continue;
    layout.offset_rise = (layout.twiny.scene ? layout.twiny.axis.depth : 0) + 1.5 * space::tick_pad * px;
    over = std::max(over, layout.offset_rise + cap_height(size));
    layout.top = std::max(layout.top, over);
  }
  if (!scene.title.empty()) {
    const double title = scene.title_look.size * px;
    layout.title = wrap(scene.title, title, std::max(cell_width, 4 * title), scene.title_look.bold);
    layout.title_rise = over + space::title_pad * px;
    layout.top = std::max(layout.top, layout.title_rise + cap_height(title) + double(layout.title.size() - 1) * line_height(title));
  }
  if (scene.colorbar && scene.mappable) {
    layout.bar_offset = layout.twinx.scene ? layout.right : 0;
    layout.right = std::max(layout.right, layout.bar_offset + (space::color_bar_gap + space::color_bar) * px + layout.bar.depth);
    const double label = type::bar_label * px;
    layout.bar_label = elide(scene.colorbar_label, label, std::max(frame.area.height * 1.2, 4 * label));
    if (!layout.bar_label.empty()) layout.right += line(label);
  }
  layout.cell_width = cell_width;
  if (scene.legend && scene.legend_loc == outside_right) {
    layout.legend_offset = layout.right + space::color_bar_gap * px;
    const LegendBox legend = measure_legend(scene, px, cell_width);
    if (!legend.marks.empty()) layout.right = layout.legend_offset + legend.width;
  }
}

void place(AxesLayout& layout, Rect area) {
  if (layout.scene->equal_aspect) {
    const Frame& f = layout.frame;
    const double wide = std::abs(f.x.hi - f.x.lo), high = std::abs(f.y.hi - f.y.lo);
    const double scale = std::min(area.width / wide, area.height / high);
    const double w = std::max(wide * scale, 1.0), h = std::max(high * scale, 1.0);
    area = {area.x + (area.width - w) / 2, area.y + (area.height - h) / 2, w, h};
  }
  layout.frame.area = {snap(area.x), snap(area.y), std::max(1.0, snap(area.width)), std::max(1.0, snap(area.height))};
  const Rect& a = layout.frame.area;
  const double px = layout.frame.px;
  layout.twinx.frame.area = layout.twiny.frame.area = a;
  layout.color_bar = {snap(a.right() + layout.bar_offset + space::color_bar_gap * px), a.y, snap(space::color_bar * px), a.height};
}

// What one direction of a grid asks for, by row or column.
struct Tracks {
  std::vector<double> before, after, between;  // margins; between[i]: the most that neighbours i and i + 1 need together
  explicit Tracks(int n) : before(size_t(n), 0), after(size_t(n), 0), between(size_t(n), 0) {}
};

// What of the whole the tracks from first to end take.
double share_of(std::span<const double> ratios, int n, int first, int end) {
  if (int(ratios.size()) != n) return double(end - first) / n;
  double part = 0, all = 0;
  for (int i = 0; i < n; ++i) all += ratios[size_t(i)], part += i >= first && i < end ? ratios[size_t(i)] : 0;
  return part / all;
}

// Where the frames of one direction begin and end. In a page of one grid the frames are of one size, or as the ratios say; with
// several grids each keeps to its share of the page, so that they do not meet.
struct Places { std::vector<double> begin, end; };
Places share_out(const Tracks& tracks, double start, double length, double gap, bool mixed, std::span<const double> ratios) {
  const int n = int(tracks.before.size());
  const double cells = length - gap * (n - 1);
  double used = tracks.before[0] + tracks.after[size_t(n - 1)], widest = 0;
  for (size_t i = 0; i < size_t(n); ++i) {
    widest = std::max(widest, tracks.before[i] + tracks.after[i]);
    if (int(i) + 1 < n) used += tracks.between[i];
  }
  Places places;
  for (int i = 0; i < n; ++i) {
    const size_t k = size_t(i);
    const double share = share_of(ratios, n, i, i + 1), inner = std::max(8.0, mixed ? cells * share - widest : (cells - used) * share);
    if (mixed) places.begin.push_back(start + cells * share_of(ratios, n, 0, i) + gap * i + tracks.before[k]);
    else places.begin.push_back(i == 0 ? start + tracks.before[0] : places.end[k - 1] + tracks.between[k - 1] + gap);
    places.end.push_back(places.begin[k] + inner);
  }
  return places;
}

Tracks tracks_of(std::span<const CellScene> cells, const std::vector<AxesLayout>& axes, int rows, int cols, bool across) {
  Tracks tracks(across ? cols : rows);
  std::vector<double> after(size_t(rows * cols), 0), before(size_t(rows * cols), 0);
  for (size_t k = 0; k < cells.size(); ++k) {
    if (cells[k].rows != rows || cells[k].cols != cols) continue;
    const CellScene& cell = cells[k];
    const size_t first = size_t(across ? cell.column() : cell.row()), last = size_t((across ? cell.end_column() : cell.end_row()) - 1);
    const double ahead = across ? axes[k].left : axes[k].top, behind = across ? axes[k].right : axes[k].bottom;
    for (int i = across ? cell.row() : cell.column(); i < (across ? cell.end_row() : cell.end_column()); ++i) {
      const size_t begin = across ? size_t(i * cols) + first : first * size_t(cols) + size_t(i), end = across ? size_t(i * cols) + last : last * size_t(cols) + size_t(i);
      before[begin] = std::max(before[begin], ahead), after[end] = std::max(after[end], behind);
    }
    tracks.before[first] = std::max(tracks.before[first], ahead);
    tracks.after[last] = std::max(tracks.after[last], behind);
  }
  for (size_t at = 0; at < after.size(); ++at) {
    const size_t track = across ? at % size_t(cols) : at / size_t(cols), next = at + (across ? 1 : size_t(cols));
    if (track + 1 < tracks.between.size()) tracks.between[track] = std::max(tracks.between[track], after[at] + before[next]);
  }
  return tracks;
}

}  // namespace

bool given_ticks(const Axis& axis, const Scale& scale, double size, double longest, Ticks& ticks) {
  const bool categories = !axis.fixed_ticks && !axis.categories.empty();
  if (!axis.fixed_ticks && !categories) return false;
  const size_t n = categories ? axis.categories.size() : axis.tick_values.size();
  const std::vector<std::string>& texts = categories ? axis.categories : axis.tick_texts;
  double closest = HUGE_VAL;
  for (size_t i = 1; !categories && i < n; ++i) {
    const double gap = std::abs(axis.tick_values[i] - axis.tick_values[i - 1]);
    if (gap > 0) closest = std::min(closest, gap);
  }
  for (size_t i = 0; i < n; ++i) {
    const double v = categories ? double(i) : axis.tick_values[i], t = scale.unit(v);
    if (!(t >= -1e-9 && t <= 1 + 1e-9)) continue;
    ticks.major.push_back(v);
    if (!texts.empty()) ticks.labels.push_back({elide(texts[i], size, longest)});
  }
  if (texts.empty() && !ticks.major.empty()) {
    const double largest = std::max(std::abs(ticks.major.front()), std::abs(ticks.major.back()));
    ticks.labels = tick_labels(ticks.major, std::isfinite(closest) ? closest : largest, ticks.offset);
  }
  return true;
}

double crisp(double v) { return std::floor(v) + 0.5; }

PageLayout lay_out(const PageScene& scene, double width, double height, double px) {
  const std::span<const CellScene> cells = scene.cells;
  PageLayout page;
  const double margin = space::page * px;
  Rect free{margin, margin, std::max(8.0, width - 2 * margin), std::max(8.0, height - 2 * margin)};
  if (!scene.suptitle.empty()) {
    const double size = page.suptitle_size = scene.suptitle_size * px;
    page.suptitle = wrap(scene.suptitle, size, free.width, true);
    page.suptitle_top = free.y;
    const double taken = cap_height(size) + double(page.suptitle.size() - 1) * line_height(size) + space::suptitle_pad * px;
    free.y += taken, free.height = std::max(8.0, free.height - taken);
  }
  bool mixed = false;
  for (const CellScene& cell : cells) {
    mixed = mixed || cell.rows != cells[0].rows || cell.cols != cells[0].cols;
    AxesLayout layout;
    layout.scene = cell.scene;
    const DataLimits limits = cell.scene->limits();
    layout.integral_x = limits.integral_x, layout.integral_y = limits.integral_y;
    layout.frame = {{0, 0, free.width / cell.cols * 0.8, free.height / cell.rows * 0.75}, limits.x, limits.y, px, cell.scene->theme};
    auto twin = [&](const std::unique_ptr<Axes>& axes, bool right) {
      TwinLayout out;
      if (!axes) return out;
      const DataLimits own = axes->scene().limits();
      out.scene = &axes->scene(), out.frame = layout.frame;
      (right ? out.frame.y : out.frame.x) = right ? own.y : own.x;
      out.integral = right ? own.integral_y : own.integral_x;
      return out;
    };
    layout.twinx = twin(cell.scene->twinx, true), layout.twiny = twin(cell.scene->twiny, false);
    page.axes.push_back(std::move(layout));
  }
  auto measure_all = [&] {
    for (size_t i = 0; i < cells.size(); ++i) {
      const CellScene& cell = cells[i];
      measure(page.axes[i], free.width * share_of(scene.widths, cell.cols, cell.column(), cell.end_column()) - space::columns * px,
              free.height * share_of(scene.heights, cell.rows, cell.row(), cell.end_row()));
    }
  };
  // Margins depend on the ticks, these on the frame's size, and that on the margins: three rounds settle it.
  for (int round = 0; round < 3; ++round) {
    measure_all();
    for (size_t i = 0; i < cells.size(); ++i) {
      const CellScene& cell = cells[i];
      auto along = [&](bool across) {
        return share_out(tracks_of(cells, page.axes, cell.rows, cell.cols, across), across ? free.x : free.y, across ? free.width : free.height,
                         (across ? space::columns : space::rows) * px, mixed, across ? scene.widths : scene.heights);
      };
      const Places columns = along(true), rows = along(false);
      const double x = columns.begin[size_t(cell.column())], y = rows.begin[size_t(cell.row())];
      place(page.axes[i], {x, y, columns.end[size_t(cell.end_column() - 1)] - x, rows.end[size_t(cell.end_row() - 1)] - y});
    }
  }
  measure_all();  // ticks of the last size, the frames standing still
  return page;
}

}  // namespace miniten::viz
