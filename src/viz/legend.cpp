#include "viz/legend.h"
#include <algorithm>
#include <cmath>
#include "miniten/viz/axes.h"
#include "viz/geometry.h"
#include "viz/layout.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

constexpr double pad = 6, key = 20, key_gap = 6, column_gap = 14;  // points
constexpr double row = 1.55;                                       // of the text's size

struct Place { std::string_view name; double x, y; };  // the share of the free room to the left and above
constexpr Place places[] = {{"upper right", 1, 0},   {"upper left", 0, 0},     {"lower left", 0, 1},    {"lower right", 1, 1},
                            {"right", 1, 0.5},       {"center left", 0, 0.5},  {"center right", 1, 0.5}, {"lower center", 0.5, 1},
                            {"upper center", 0.5, 0}, {"center", 0.5, 0.5}};

double covered(const Obstacles& obstacles, const Rect& box) {
  double cost = 0;
  for (Point p : obstacles.points) cost += p.x >= box.x && p.x <= box.right() && p.y >= box.y && p.y <= box.bottom();
  for (const auto& [a, b] : obstacles.segments) cost += segment_meets(a, b, box);
  for (const Rect& r : obstacles.boxes) {
    const double w = std::min(r.right(), box.right()) - std::max(r.x, box.x), h = std::min(r.bottom(), box.bottom()) - std::max(r.y, box.y);
    if (w > 0 && h > 0) cost += 1 + w * h / 40;
  }
  return cost;
}

}  // namespace

std::vector<const Mark*> legend_marks(const AxesScene& scene) {
  std::vector<const Mark*> marks;
  auto add = [&](const AxesScene& from) {
    for (const auto& mark : from.marks) if (!mark->label.empty()) marks.push_back(mark.get());
  };
  add(scene);
  for (const auto* twin : {&scene.twinx, &scene.twiny}) if (*twin && !(*twin)->scene().legend) add((*twin)->scene());
  return marks;
}

LegendBox measure_legend(const AxesScene& scene, double px, double cell_width) {
  LegendBox box;
  if (!scene.legend) return box;
  const double size = scene.legend->size * px;
  for (const Mark* mark : legend_marks(scene)) {
    box.marks.push_back(mark);
    box.texts.push_back(elide(split_lines(mark->label)[0], size, std::max(cell_width * 0.4, 5 * size)));
  }
  if (box.marks.empty()) return box;
  const size_t columns = std::min(size_t(scene.legend->columns), box.marks.size());
  box.rows = (box.marks.size() + columns - 1) / columns;
  box.widths.assign((box.marks.size() + box.rows - 1) / box.rows, 0);
  for (size_t i = 0; i < box.marks.size(); ++i) box.widths[i / box.rows] = std::max(box.widths[i / box.rows], text_width(box.texts[i], size));
  box.width = (2 * pad + double(box.widths.size() - 1) * column_gap) * px;
  for (double w : box.widths) box.width += (key + key_gap) * px + w;
  box.title = elide(split_lines(scene.legend->title)[0], size, std::max(cell_width * 0.5, 5 * size), true);
  box.width = std::max(box.width, 2 * pad * px + text_width(box.title, size, true));
  box.height = pad * 1.2 * px + double(box.rows + !box.title.empty()) * row * size;
  return box;
}

void draw_legend(Canvas& canvas, const AxesLayout& layout) {
  const AxesScene& scene = *layout.scene;
  const Frame& frame = layout.frame;
  const LegendBox legend = measure_legend(scene, frame.px, layout.cell_width);
  if (legend.marks.empty()) return;
  const double px = frame.px, size = scene.legend->size * px, width = legend.width, height = legend.height, gap = 7 * px;
  auto box_at = [&](const Place& place) {
    return Rect{frame.area.x + gap + place.x * (frame.area.width - 2 * gap - width), frame.area.y + gap + place.y * (frame.area.height - 2 * gap - height), width, height};
  };
  Rect box = box_at(places[0]);
  if (scene.legend_loc == outside_right) box.x = frame.area.right() + layout.legend_offset, box.y = frame.area.y;
  if (scene.legend_loc == "best") {
    Obstacles obstacles;
    for (const auto& mark : scene.marks) mark->avoid(frame, obstacles);
    for (const TwinLayout* twin : {&layout.twinx, &layout.twiny}) {
      if (twin->scene) for (const auto& mark : twin->scene->marks) mark->avoid(twin->frame, obstacles);
    }
    double least = HUGE_VAL;
    for (const Place& place : places) {
      const double cost = covered(obstacles, box_at(place).grown(2 * px));
      if (cost < least) least = cost, box = box_at(place);
    }
  } else {
    for (const Place& place : places) if (place.name == scene.legend_loc) box = box_at(place);
  }
  box.x = std::round(box.x) + 0.5, box.y = std::round(box.y) + 0.5, box.width = std::round(box.width), box.height = std::round(box.height);
  Color ground = frame.theme->background;
  ground.a = 0.88;
  if (scene.legend->frame) canvas.rect(box, {ground, {frame.theme->grid, 1}}, 3 * px);
  double x = box.x + pad * px, y = box.y + pad * 0.6 * px;
  if (!legend.title.empty()) {
    draw_label(canvas, {x, y + 0.5 * row * size}, {legend.title}, {frame.theme->text, size, Anchor::start, 0, true}, VAlign::middle);
    y += row * size;
  }
  for (size_t i = 0; i < legend.marks.size(); ++i) {
    const size_t r = i % legend.rows, c = i / legend.rows;
    if (i > 0 && r == 0) x += (key + key_gap + column_gap) * px + legend.widths[c - 1];
    const double middle = y + (double(r) + 0.5) * row * size;
    legend.marks[i]->draw_key(canvas, {x, middle - 0.36 * size, key * px, 0.72 * size}, frame);
    draw_label(canvas, {x + (key + key_gap) * px, middle}, {legend.texts[i]}, {frame.theme->text, size}, VAlign::middle);
  }
}

}  // namespace miniten::viz
