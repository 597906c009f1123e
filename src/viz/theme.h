#pragma once
#include <array>
#include <string_view>
#include "miniten/viz/color.h"

namespace miniten::viz {

struct Theme {
  std::string_view name;
  Color background, text, muted;  // text and muted (tick labels) have a WCAG AA contrast with the background
  Color grid, spine, bad;         // bad: missing values in images
  std::array<uint32_t, 10> cycle;
  Color cycle_color(int index) const;
  Color resolve(std::string_view text) const;  // parse_color, with this theme's cycle for 'C0', 'C1', ...
};
const Theme& theme_of(std::string_view name);  // "light" or "dark", else Error(value)

Color mix(const Color& a, const Color& b, double t);
Color readable_on(const Color& background);    // near-black or white, whichever stands out more

}  // namespace miniten::viz
