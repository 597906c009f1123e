#pragma once
#include "viz/scene.h"

namespace miniten::viz {

struct LegendBox {
  std::vector<const Mark*> marks;   // those with a label; none: nothing is drawn
  std::vector<std::string> texts;
  std::vector<double> widths;       // of the texts, by column
  size_t rows = 0;
  double width = 0, height = 0;     // pixels
};
LegendBox measure_legend(const AxesScene& scene, double px, double cell_width);

inline constexpr std::string_view outside_right = "outside right";
// outside_x: where it begins if it stands outside of the frame.
void draw_legend(Canvas& canvas, const AxesScene& scene, const Frame& frame, double cell_width, double outside_x);

}  // namespace miniten::viz
