#include "viz/checks.h"
#include <algorithm>
#include <cmath>
#include "miniten/base/error.h"
#include "viz/number.h"

namespace miniten::viz {

void refuse(std::string_view op, std::string want, std::string got, std::string hint) {
  throw Error(ErrorKind::value, op, std::move(want), std::move(got), std::move(hint));
}

std::string quoted(std::string_view text) {
  return "'" + std::string(text.substr(0, 40)) + (text.size() > 40 ? "...'" : "'");
}

void check_lengths(std::string_view op, std::string_view names, size_t a, size_t b) {
  if (a != b) refuse(op, std::string(names) + " of one length", std::to_string(a) + " and " + std::to_string(b));
}

void check_alpha(std::string_view op, double alpha) {
  if (!(alpha >= 0 && alpha <= 1)) refuse(op, "alpha in [0, 1]", format_value(alpha, "g"));
}

void check_positive(std::string_view op, std::string_view what, double value, bool or_zero) {
  if (std::isfinite(value) && (value > 0 || (or_zero && value == 0))) return;
  refuse(op, std::string(what) + (or_zero ? " of 0 or more" : " above 0"), format_value(value, "g"));
}

char checked_marker(std::string_view op, std::string_view marker) {
  if (marker.empty() || marker == "none") return 0;
  if (marker.size() != 1 || !known_marker(marker[0])) refuse(op, "a marker", quoted(marker), "one of o s ^ v < > D d + x * . p h | _");
  return marker[0];
}

void check_style(std::string_view op, const LineStyle& style) {
  static constexpr std::string_view known[] = {"-", "--", ":", "-.", "none", ""};
  if (std::find(std::begin(known), std::end(known), style.linestyle) == std::end(known)) {
    refuse(op, "a line style", quoted(style.linestyle), "one of '-', '--', ':', '-.', 'none'");
  }
  check_positive(op, "linewidth", style.linewidth, true);
  check_positive(op, "markersize", style.markersize, true);
  check_positive(op, "markeredgewidth", style.markeredgewidth, true);
  if (style.markevery < 1) refuse(op, "markevery of 1 or more", std::to_string(style.markevery));
  check_alpha(op, style.alpha);
}

Pen pen_of(const LineStyle& style, Color color) {
  return {color, style.linewidth, style.linestyle.empty() ? "none" : style.linestyle};
}

void check_finite(std::string_view op, std::string_view what, double value) {
  if (!std::isfinite(value)) refuse(op, "a finite " + std::string(what), format_value(value, "g"));
}

void check_text(std::string_view op, const TextOptions& options) {
  if (options.ha != "left" && options.ha != "center" && options.ha != "right") refuse(op, "ha 'left', 'center' or 'right'", quoted(options.ha));
  if (options.va != "top" && options.va != "center" && options.va != "baseline" && options.va != "bottom") {
    refuse(op, "va 'top', 'center', 'baseline' or 'bottom'", quoted(options.va));
  }
  check_positive(op, "size", options.size);
  check_finite(op, "rotation", options.rotation);
}

Color pick_color(AxesScene& scene, std::string_view name, double alpha) {
  Color color = name.empty() ? scene.theme->cycle_color(scene.take_color()) : scene.theme->resolve(name);
  color.a *= alpha;
  return color;
}

std::vector<double> category_positions(Axis& axis, std::span<const std::string> names) {
  std::vector<double> positions;
  for (const std::string& name : names) {
    auto at = std::find(axis.categories.begin(), axis.categories.end(), name);
    positions.push_back(double(at - axis.categories.begin()));
    if (at == axis.categories.end()) axis.categories.push_back(name);
  }
  return positions;
}

}  // namespace miniten::viz
