#include "viz/hover.h"
#include <algorithm>
#include <cmath>
#include "base/embedded.h"
#include "viz/geometry.h"
#include "viz/number.h"
#include "viz/svg.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

constexpr uint8_t script[] = {
#include "embedded/hover.js.inc"
};
constexpr size_t most_points = 4000;  // of one series

// A JSON text that may stand in a <script>: no '<', and nothing that is not UTF-8.
std::string json(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::string_view before = text;
    const char32_t c = next_code_point(text);
    static constexpr char digits[] = "0123456789abcdef";
    if (c == 0xfffd) out += "\\ufffd";
    else if (c < 0x20 || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 0x7f || c == 0x2028 || c == 0x2029)
      out += std::string("\\u") + digits[c >> 12 & 15] + digits[c >> 8 & 15] + digits[c >> 4 & 15] + digits[c & 15];
    else out += before.substr(0, before.size() - text.size());
  }
  return out + '"';
}

// The value as its axis would name it.
std::string named(const Axis& axis, double v) {
  const double whole = std::round(v);
  if (!axis.categories.empty() && std::abs(v - whole) < 0.5 && whole >= 0 && whole < double(axis.categories.size())) return axis.categories[size_t(whole)];
  for (size_t i = 0; i < axis.tick_texts.size(); ++i) if (axis.tick_values[i] == v) return axis.tick_texts[i];
  return axis_value(axis, v);
}

void append_plot(std::string& out, const AxesLayout& layout) {
  const AxesScene& scene = *layout.scene;
  const Rect& a = layout.frame.area;
  out += "{\"area\":[" + fixed(a.x, 0) + "," + fixed(a.y, 0) + "," + fixed(a.width, 0) + "," + fixed(a.height, 0) + "],\"series\":[";
  bool first = true;
  struct Part { const Mark* mark; const Frame* frame; const Axis *x, *y; };
  std::vector<Part> parts;
  auto add = [&](const AxesScene& from, const Frame& frame, const Axis& x, const Axis& y) {
    for (const auto& mark : from.marks) parts.push_back({mark.get(), &frame, &x, &y});
  };
  add(scene, layout.frame, scene.x, scene.y);
  if (layout.twinx.scene) add(*layout.twinx.scene, layout.twinx.frame, scene.x, layout.twinx.scene->y);
  if (layout.twiny.scene) add(*layout.twiny.scene, layout.twiny.frame, layout.twiny.scene->x, scene.y);
  for (const Part& part : parts) {
    const Mark* mark = part.mark;
    HoverPoints all = mark->hover(*part.frame);
    const Rect view = a.grown(1);
    std::erase_if(all.points, [&](const HoverPoint& p) { return !finite(p.at) || p.at.x < view.x || p.at.x > view.right() || p.at.y < view.y || p.at.y > view.bottom(); });
    if (all.points.empty()) continue;
    const size_t stride = all.points.size() / most_points + 1;
    out += std::string(first ? "" : ",\n") + "{\"name\":" + json(mark->label) + ",\"color\":\"" + to_hex({all.color.r, all.color.g, all.color.b}) + "\"" +
           (all.cells ? ",\"cell\":true" : "") + ",\"points\":[";
    first = false;
    for (size_t begin = 0; begin < all.points.size(); begin += stride) {
      // Of a run that is thinned out, the one that is farthest from its neighbours' mean.
      const size_t end = std::min(begin + stride, all.points.size());
      double mean = 0;
      for (size_t i = begin; i < end; ++i) mean += all.points[i].at.y / double(end - begin);
      size_t pick = begin;
      for (size_t i = begin; i < end; ++i) if (std::abs(all.points[i].at.y - mean) > std::abs(all.points[pick].at.y - mean)) pick = i;
      const HoverPoint& p = all.points[pick];
      out += begin ? ",[" : "[";
      append_coordinate(out, p.at.x), out += ',', append_coordinate(out, p.at.y);
      auto line = [&](const Axis& axis, const char* name, double v) {
        if (!std::isnan(v)) out += "," + json((axis.label.empty() ? name : split_lines(axis.label)[0]) + ": " + named(axis, v));
      };
      line(*part.x, "x", p.x), line(*part.y, "y", p.y);
      if (!p.note.empty()) out += "," + json(p.note);
      out += "]";
    }
    out += "]}";
  }
  out += "]}";
}

}  // namespace

std::string hover_page(const std::string& svg, const PageLayout& page, const std::string& title, const Theme& theme, const Color& background) {
  const std::string ground = background.a > 0 ? to_hex({background.r, background.g, background.b}) : "transparent";
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
                    escape_xml(title.empty() ? "Figure" : title) + "</title>\n<style>\n"
                    "body { margin: 0; background: " + ground + "; color: " + to_hex(theme.text) + "; font-family: system-ui, sans-serif }\n"
                    "#figure { max-width: max-content; margin: auto; outline-offset: -2px }\n#figure svg { display: block; max-width: 100%; height: auto }\n"
                    "#tip { position: absolute; pointer-events: none; padding: 5px 9px; border-radius: 5px; font-size: 13px; line-height: 1.45; background: " +
                    to_hex(theme.text) + "; color: " + to_hex(theme.background) + "; max-width: 40ch; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }\n"
                    "#tip .name { font-weight: 600; border-left: 4px solid; padding-left: 6px; margin-left: -2px }\n</style>\n</head>\n<body>\n"
                    "<div id=\"figure\" tabindex=\"0\" aria-label=\"Figure; arrow keys read its values\">\n" + svg +
                    "</div>\n<div id=\"tip\" role=\"status\" hidden></div>\n<script type=\"application/json\" id=\"data\">\n[";
  for (size_t i = 0; i < page.axes.size(); ++i) {
    if (i) out += ",\n";
    append_plot(out, page.axes[i]);
  }
  out += "]\n</script>\n<script>\n";
  out += unpacked(script);
  return out + "</script>\n</body>\n</html>\n";
}

}  // namespace miniten::viz
