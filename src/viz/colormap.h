#pragma once
#include <array>
#include <span>
#include <string_view>
#include "miniten/viz/color.h"

namespace miniten::viz {

using Lut = std::array<Color, 256>;
Lut colormap_table(std::string_view name);  // throws Error(value) for a name that is not known

// Values to [0, 1].
struct Norm {
  double lo = 0, hi = 1;
  int index(double v) const;                // into a Lut, clamped; v is not NaN
};
// From the finite values where a bound is NaN; a single value is widened, no value gives [0, 1]. Throws for lo > hi.
Norm norm_of(std::span<const double> data, double lo, double hi, std::string_view op);

}  // namespace miniten::viz
