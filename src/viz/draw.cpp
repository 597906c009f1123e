#include "viz/draw.h"
#include <algorithm>
#include <cmath>
#include "viz/legend.h"
#include "viz/marks/marks.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

double line_width(double points, double px) { return std::max(1.0, std::round(points * px)); }

void line(Canvas& canvas, Point a, Point b, const Stroke& stroke) {
  const Point ends[] = {a, b};
  canvas.polyline(ends, stroke);
}

bool inside(double v, double a, double b) { return v >= a - 0.01 && v <= b + 0.01; }

void draw_grid(Canvas& canvas, const AxesLayout& layout) {
  const Frame& f = layout.frame;
  for (bool of_x : {true, false}) {
    const Axis& axis = of_x ? layout.scene->x : layout.scene->y;
    if (!axis.grid) continue;
    const GridStyle& style = axis.grid_style;
    Pen pen{style.color.empty() ? (style.alpha < 1 ? f.theme->spine : f.theme->grid) : f.theme->resolve(style.color), line_width(style.linewidth, f.px) / f.px, style.linestyle};
    pen.color.a *= style.alpha;
    const Ticks& ticks = of_x ? layout.x.ticks : layout.y.ticks;
    for (const auto* values : {&ticks.major, &ticks.minor}) {
      if (values == &ticks.minor && !style.minor) continue;
      for (double v : *values) {
        const double at = crisp(of_x ? f.x_at(v) : f.y_at(v));
        line(canvas, of_x ? Point{at, f.area.y} : Point{f.area.x, at}, of_x ? Point{at, f.area.bottom()} : Point{f.area.right(), at}, pen.stroke(f.px));
      }
    }
  }
}

void draw_marks(Canvas& canvas, const AxesScene& scene, const Frame& frame) {
  std::vector<const Mark*> order;
  for (const auto& mark : scene.marks) order.push_back(mark.get());
  std::stable_sort(order.begin(), order.end(), [](const Mark* a, const Mark* b) { return a->layer < b->layer; });
  canvas.push_clip(frame.area);
  for (const Mark* mark : order) if (mark->clipped) mark->draw(canvas, frame);
  canvas.pop_clip();
  for (const Mark* mark : order) if (!mark->clipped) mark->draw(canvas, frame);
}

void draw_frame(Canvas& canvas, const AxesLayout& layout) {
  const Frame& f = layout.frame;
  const Rect& a = f.area;
  const double px = f.px, xsize = layout.scene->x.tick_look.size * px, ysize = layout.scene->y.tick_look.size * px;
  const Stroke spine{f.theme->spine, line_width(0.8, px), {}, true};
  const double left = crisp(a.x), right = crisp(a.right()), top = crisp(a.y), bottom = crisp(a.bottom());
  const AxesScene& scene = *layout.scene;
  const Point corners[] = {{left, top}, {left, bottom}, {right, bottom}, {right, top}};
  if (scene.has_spine(0) && scene.has_spine(1) && scene.has_spine(2) && scene.has_spine(3)) {
    canvas.rect({left, top, right - left, bottom - top}, {{0, 0, 0, 0}, {f.theme->spine, spine.width}});
  } else if (scene.has_spine(0) && scene.has_spine(3) && !scene.has_spine(1) && !scene.has_spine(2)) {
    const Point corner[] = {{left, a.y}, {left, bottom}, {a.right(), bottom}};
    canvas.polyline(corner, spine);
  } else {
    constexpr int ends[4][2] = {{0, 1}, {2, 3}, {3, 0}, {1, 2}};
    for (int side = 0; side < 4; ++side) if (scene.has_spine(side)) line(canvas, corners[ends[side][0]], corners[ends[side][1]], spine);
  }
  const Stroke tick{f.theme->spine, spine.width}, minor{f.theme->spine, std::max(1.0, 0.6 * px)};
  TextStyle style{scene.x.tick_look.color.value_or(f.theme->muted), xsize, Anchor::middle};
  for (size_t i = 0; i < layout.x.ticks.major.size(); ++i) {
    const double at = f.x_at(layout.x.ticks.major[i]);
    if (!inside(at, a.x, a.right())) continue;
    if (layout.x.tick_length > 0) line(canvas, {crisp(at), bottom}, {crisp(at), bottom + layout.x.tick_length}, tick);
    const double below = a.bottom() + layout.x.tick_length + space::tick_pad * px;
    if (layout.x.rotation == 0) {
      draw_label(canvas, {at, below}, layout.x.ticks.labels[i], style, VAlign::top);
    } else {
      TextStyle turned = style;
      turned.rotation = layout.x.rotation, turned.anchor = layout.x.rotation < 0 ? Anchor::start : Anchor::end;
      const double tilt = std::abs(std::cos(layout.x.rotation * M_PI / 180));
      draw_label(canvas, {at, below + tilt * cap_height(xsize) * 0.5}, layout.x.ticks.labels[i], turned, VAlign::middle);
    }
  }
  for (double v : layout.x.ticks.minor) {
    if (inside(f.x_at(v), a.x, a.right())) line(canvas, {crisp(f.x_at(v)), bottom}, {crisp(f.x_at(v)), bottom + layout.x.tick_length * 0.6}, minor);
  }
  style = {scene.y.tick_look.color.value_or(f.theme->muted), ysize, Anchor::end};
  for (size_t i = 0; i < layout.y.ticks.major.size(); ++i) {
    const double at = f.y_at(layout.y.ticks.major[i]);
    if (!inside(at, a.y, a.bottom())) continue;
    if (layout.y.tick_length > 0) line(canvas, {left - layout.y.tick_length, crisp(at)}, {left, crisp(at)}, tick);
    draw_label(canvas, {a.x - layout.y.tick_length - space::tick_pad * px, at}, layout.y.ticks.labels[i], style, VAlign::middle);
  }
  for (double v : layout.y.ticks.minor) {
    if (inside(f.y_at(v), a.y, a.bottom())) line(canvas, {left - layout.y.tick_length * 0.6, crisp(f.y_at(v))}, {left, crisp(f.y_at(v))}, minor);
  }
  const Look &xlook = scene.x.label_look, &ylook = scene.y.label_look;
  const double xlabel = xlook.size * px, ylabel = ylook.size * px;
  double below = a.bottom() + layout.x.depth + space::label_pad * px;
  if (!layout.x.ticks.offset.text.empty()) draw_label(canvas, {a.right(), below}, layout.x.ticks.offset, {f.theme->muted, xsize, Anchor::end}, VAlign::top);
  if (layout.x.offset_below) below += space::label_pad * px + cap_height(xlabel) + descent(xlabel);
  if (!layout.xlabel.empty()) draw_label(canvas, {a.x + a.width / 2, below}, {layout.xlabel}, {xlook.color.value_or(f.theme->text), xlabel, Anchor::middle, 0, xlook.bold}, VAlign::top);
  if (!layout.y.ticks.offset.text.empty()) draw_label(canvas, {a.x, a.y - layout.offset_rise}, layout.y.ticks.offset, {f.theme->muted, ysize}, VAlign::baseline);
  if (!layout.ylabel.empty()) {
    const double baseline = a.x - layout.y.depth - space::label_pad * px - descent(ylabel);
    draw_label(canvas, {baseline, a.y + a.height / 2}, {layout.ylabel}, {ylook.color.value_or(f.theme->text), ylabel, Anchor::middle, 90, ylook.bold}, VAlign::baseline);
  }
}

void draw_twins(Canvas& canvas, const AxesLayout& layout) {
  const Rect& a = layout.frame.area;
  const double px = layout.frame.px, width = line_width(0.8, px);
  const Theme& theme = *layout.frame.theme;
  const Stroke spine{theme.spine, width, {}, true}, tick{theme.spine, width};
  if (const TwinLayout& twin = layout.twinx; twin.scene && twin.scene->visible) {
    const Look &look = twin.scene->y.label_look, &ticks = twin.scene->y.tick_look;
    const double size = ticks.size * px, label = look.size * px;
    const Color muted = ticks.color.value_or(theme.muted), text = look.color.value_or(theme.text);
    const double right = crisp(a.right()), length = twin.axis.tick_length;
    line(canvas, {right, a.y}, {right, a.bottom()}, spine);
    for (size_t i = 0; i < twin.axis.ticks.major.size(); ++i) {
      const double at = twin.frame.y_at(twin.axis.ticks.major[i]);
      if (!inside(at, a.y, a.bottom())) continue;
      line(canvas, {right, crisp(at)}, {right + length, crisp(at)}, tick);
      draw_label(canvas, {a.right() + length + space::tick_pad * px, at}, twin.axis.ticks.labels[i], {muted, size}, VAlign::middle);
    }
    if (!twin.axis.ticks.offset.text.empty()) draw_label(canvas, {a.right(), a.y - layout.offset_rise}, twin.axis.ticks.offset, {muted, size, Anchor::end}, VAlign::baseline);
    const double baseline = a.right() + twin.axis.depth + space::label_pad * px + cap_height(label);
    if (!twin.label.empty()) draw_label(canvas, {baseline, a.y + a.height / 2}, {twin.label}, {text, label, Anchor::middle, 90, look.bold}, VAlign::baseline);
  }
  if (const TwinLayout& twin = layout.twiny; twin.scene && twin.scene->visible) {
    const Look &look = twin.scene->x.label_look, &ticks = twin.scene->x.tick_look;
    const double size = ticks.size * px, label = look.size * px;
    const Color muted = ticks.color.value_or(theme.muted), text = look.color.value_or(theme.text);
    const double top = crisp(a.y), length = twin.axis.tick_length;
    line(canvas, {a.x, top}, {a.right(), top}, spine);
    for (size_t i = 0; i < twin.axis.ticks.major.size(); ++i) {
      const double at = twin.frame.x_at(twin.axis.ticks.major[i]);
      if (!inside(at, a.x, a.right())) continue;
      line(canvas, {crisp(at), top}, {crisp(at), top - length}, tick);
      draw_label(canvas, {at, a.y - length - space::tick_pad * px}, twin.axis.ticks.labels[i], {muted, size, Anchor::middle}, VAlign::baseline);
    }
    if (!twin.axis.ticks.offset.text.empty()) draw_label(canvas, {a.right(), a.y - twin.axis.depth - space::label_pad * px}, twin.axis.ticks.offset, {muted, size, Anchor::end}, VAlign::baseline);
    if (!twin.label.empty()) draw_label(canvas, {a.x + a.width / 2, a.y - twin.axis.depth - space::label_pad * px}, {twin.label}, {text, label, Anchor::middle, 0, look.bold}, VAlign::baseline);
  }
}

void draw_color_bar(Canvas& canvas, const AxesLayout& layout) {
  const AxesScene& scene = *layout.scene;
  const Frame& f = layout.frame;
  const Rect& bar = layout.color_bar;
  const double px = f.px, size = type::bar_tick * px;
  Bitmap ramp{1, 256, {}};
  for (int i = 255; i >= 0; --i) {
    const Color& c = scene.mappable->table[size_t(i)];
    ramp.rgba.insert(ramp.rgba.end(), {c.r, c.g, c.b, 255});
  }
  canvas.image(bar, ramp);
  canvas.rect({crisp(bar.x), crisp(bar.y), bar.width, bar.height}, {{0, 0, 0, 0}, {f.theme->spine, line_width(0.8, px)}});
  const Scale scale{ScaleKind::linear, scene.mappable->norm.lo, scene.mappable->norm.hi};
  for (size_t i = 0; i < layout.bar.ticks.major.size(); ++i) {
    const double at = bar.bottom() - bar.height * scale.unit(layout.bar.ticks.major[i]);
    if (!inside(at, bar.y, bar.bottom())) continue;
    line(canvas, {bar.right() + 0.5, crisp(at)}, {bar.right() + 0.5 + layout.bar.tick_length, crisp(at)}, {f.theme->spine, line_width(0.8, px)});
    draw_label(canvas, {bar.right() + layout.bar.tick_length + space::tick_pad * px, at}, layout.bar.ticks.labels[i], {f.theme->muted, size}, VAlign::middle);
  }
  if (!layout.bar.ticks.offset.text.empty()) draw_label(canvas, {bar.x, bar.y - layout.offset_rise}, layout.bar.ticks.offset, {f.theme->muted, size}, VAlign::baseline);
  const double label = type::bar_label * px;
  if (!layout.bar_label.empty()) {
    const double baseline = bar.right() + layout.bar.depth + space::label_pad * px + cap_height(label);
    draw_label(canvas, {baseline, bar.y + bar.height / 2}, {layout.bar_label}, {f.theme->text, label, Anchor::middle, 90}, VAlign::baseline);
  }
}

void draw_title(Canvas& canvas, const AxesLayout& layout) {
  const Frame& f = layout.frame;
  const Look& look = layout.scene->title_look;
  const double size = look.size * f.px;
  const std::string& loc = layout.scene->title_loc;
  const double x = loc == "left" ? f.area.x : loc == "right" ? f.area.right() : f.area.x + f.area.width / 2;
  const Anchor anchor = loc == "left" ? Anchor::start : loc == "right" ? Anchor::end : Anchor::middle;
  double baseline = f.area.y - layout.title_rise - double(layout.title.size() - 1) * line_height(size);
  for (const std::string& text : layout.title) {
    draw_label(canvas, {x, baseline}, {text}, {look.color.value_or(f.theme->text), size, anchor, 0, look.bold}, VAlign::baseline);
    baseline += line_height(size);
  }
}

}  // namespace

void draw_page(Canvas& canvas, const PageLayout& page, const Theme& theme, double width, double height, const Color& background) {
  if (background.a > 0) canvas.rect({0, 0, width, height}, {background});
  const double size = page.suptitle_size;
  double baseline = page.suptitle_top + cap_height(size);
  for (const std::string& text : page.suptitle) {
    draw_label(canvas, {width / 2, baseline}, {text}, {theme.text, size, Anchor::middle, 0, true}, VAlign::baseline);
    baseline += line_height(size);
  }
  for (const AxesLayout& layout : page.axes) {
    if (layout.scene->visible) draw_grid(canvas, layout);
    draw_marks(canvas, *layout.scene, layout.frame);
    for (const TwinLayout* twin : {&layout.twinx, &layout.twiny}) if (twin->scene) draw_marks(canvas, *twin->scene, twin->frame);
    if (layout.scene->visible) draw_frame(canvas, layout);
    draw_twins(canvas, layout);
    if (layout.scene->colorbar && layout.scene->mappable) draw_color_bar(canvas, layout);
    if (!layout.title.empty()) draw_title(canvas, layout);
    draw_legend(canvas, layout);
    for (const TwinLayout* twin : {&layout.twinx, &layout.twiny}) {
      if (!twin->scene) continue;
      AxesLayout own;
      own.scene = twin->scene, own.frame = twin->frame, own.cell_width = layout.cell_width, own.legend_offset = layout.legend_offset;
      draw_legend(canvas, own);
    }
  }
}

}  // namespace miniten::viz
