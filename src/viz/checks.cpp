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

Color pick_color(AxesScene& scene, std::string_view name, double alpha) {
  Color color = name.empty() ? scene.theme->cycle_color(scene.next_color) : scene.theme->resolve(name);
  if (name.empty()) ++scene.next_color;
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
