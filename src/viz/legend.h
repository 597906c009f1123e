#pragma once
#include "viz/layout.h"
#include "viz/scene.h"

namespace miniten::viz {

struct LegendBox {
  std::vector<const Mark*> marks;   // those with a label; none: nothing is drawn
  std::vector<std::string> texts;
  std::vector<double> widths;       // of the texts, by column
  size_t rows = 0;
  std::string title;
  double width = 0, height = 0;     // pixels
};
LegendBox measure_legend(const AxesScene& scene, double px, double cell_width);

inline constexpr std::string_view outside_right = "outside right";
void draw_legend(Canvas& canvas, const AxesLayout& layout);
// The marks a legend of these axes tells of: their own, and those of twins that have no legend themselves.
std::vector<const Mark*> legend_marks(const AxesScene& scene);

}  // namespace miniten::viz
