#include "viz/legend.h"
#include <algorithm>
#include <cmath>
#include "viz/geometry.h"
#include "viz/layout.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

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

void draw_legend(Canvas& canvas, const AxesScene& scene, const Frame& frame) {
  if (!scene.legend) return;
  const double px = frame.px, size = type::legend * px, pad = 6 * px, key = 20 * px, key_gap = 6 * px, row = 1.55 * size;
  std::vector<const Mark*> marks;
  std::vector<std::string> texts;
  for (const auto& mark : scene.marks) {
    if (mark->label.empty()) continue;
    marks.push_back(mark.get());
    texts.push_back(elide(split_lines(mark->label)[0], size, std::max(frame.area.width * 0.45, 4 * size)));
  }
  if (marks.empty()) return;
  const size_t columns = std::min(size_t(scene.legend_columns), marks.size()), rows = (marks.size() + columns - 1) / columns;
  std::vector<double> widths(columns, 0);
  for (size_t i = 0; i < marks.size(); ++i) widths[i / rows] = std::max(widths[i / rows], text_width(texts[i], size));
  double width = 2 * pad + double(columns - 1) * 14 * px;
  for (double w : widths) width += key + key_gap + w;
  const double height = pad * 1.2 + double(rows) * row, gap = 7 * px;
  auto box_at = [&](const Place& place) {
    return Rect{frame.area.x + gap + place.x * (frame.area.width - 2 * gap - width), frame.area.y + gap + place.y * (frame.area.height - 2 * gap - height), width, height};
  };
  Rect box = box_at(places[0]);
  if (*scene.legend == "best") {
    Obstacles obstacles;
    for (const auto& mark : scene.marks) mark->avoid(frame, obstacles);
    double least = HUGE_VAL;
    for (const Place& place : places) {
      const double cost = covered(obstacles, box_at(place).grown(2 * px));
      if (cost < least) least = cost, box = box_at(place);
    }
  } else {
    for (const Place& place : places) if (place.name == *scene.legend) box = box_at(place);
  }
  box.x = std::round(box.x) + 0.5, box.y = std::round(box.y) + 0.5, box.width = std::round(box.width), box.height = std::round(box.height);
  Color ground = frame.theme->background;
  ground.a = 0.88;
  canvas.rect(box, {ground, {frame.theme->grid, 1}}, 3 * px);
  double x = box.x + pad;
  for (size_t c = 0; c < columns; ++c) {
    for (size_t r = 0; r < rows && c * rows + r < marks.size(); ++r) {
      const size_t i = c * rows + r;
      const double middle = box.y + pad * 0.6 + (double(r) + 0.5) * row;
      marks[i]->draw_key(canvas, {x, middle - 0.36 * size, key, 0.72 * size}, frame);
      draw_label(canvas, {x + key + key_gap, middle}, {texts[i]}, {frame.theme->text, size}, VAlign::middle);
    }
    x += key + key_gap + widths[c] + 14 * px;
  }
}

}  // namespace miniten::viz
