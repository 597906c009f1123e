#include "base/text.h"
#include <charconv>
#include <cmath>

namespace miniten {

double shortest(float x) {
  char text[32];
  double wide = x, shorter = wide;
  auto end = std::to_chars(text, text + sizeof text, x).ptr;
  std::from_chars(text, end, shorter);
  return std::isfinite(x) && float(shorter) == x ? shorter : wide;
}

}  // namespace miniten
