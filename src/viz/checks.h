#pragma once
#include <string>
#include <string_view>
#include "miniten/viz/axes.h"
#include "viz/marks/marks.h"
#include "viz/scene.h"

namespace miniten::viz {

[[noreturn]] void refuse(std::string_view op, std::string want, std::string got, std::string hint = "");
std::string quoted(std::string_view text);  // cut where long

void check_lengths(std::string_view op, std::string_view names, size_t a, size_t b);
void check_alpha(std::string_view op, double alpha);
void check_positive(std::string_view op, std::string_view what, double value, bool or_zero = false);
char checked_marker(std::string_view op, std::string_view marker);  // 0 for none
void check_style(std::string_view op, const LineStyle& style);
void check_finite(std::string_view op, std::string_view what, double value);
void check_text(std::string_view op, const TextOptions& options);
Pen pen_of(const LineStyle& style, Color color);
// The named colour, or the cycle's next where the name is empty; alpha is multiplied in.
Color pick_color(AxesScene& scene, std::string_view name, double alpha);

// Positions of the categories on the axis, new ones added behind.
std::vector<double> category_positions(Axis& axis, std::span<const std::string> names);

}  // namespace miniten::viz
