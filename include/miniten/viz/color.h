#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace miniten::viz {

struct Color {
  uint8_t r = 0, g = 0, b = 0;
  double a = 1;
  bool operator==(const Color&) const = default;
};

// CSS names ('steelblue'), matplotlib's letters ('r', 'k'), 'tab:blue', cycle entries 'C0', 'C1', ..., '#rgb', '#rgba',
// '#rrggbb', '#rrggbbaa', grey levels '0.75', and 'none' (transparent). Throws Error(value) for anything else.
Color parse_color(std::string_view text);
std::string to_hex(const Color& color);          // "#rrggbb", with "aa" where not opaque
std::string get_color(int index);                // the cycle's colour (tab10), of any index >= 0
double luminance(const Color& color);            // WCAG 2 relative luminance, in [0, 1]
double contrast(const Color& a, const Color& b); // WCAG 2 contrast ratio, in [1, 21]

// viridis, plasma, inferno, magma, cividis, gray, hot, cool, jet, coolwarm, blues, and the ten steps of tab10; each also reversed as '<name>_r'.
std::vector<std::string> colormap_names();
Color colormap_at(std::string_view name, double t);  // t in [0, 1], clamped; NaN throws

// One RGB triple per value. Values are scaled from [vmin, vmax] (NaN: from the finite values) and clamped, so infinities take
// the ends; NaN gives mid-grey.
std::vector<uint8_t> colormap(std::span<const double> data, std::string_view name, double vmin, double vmax);

}  // namespace miniten::viz
