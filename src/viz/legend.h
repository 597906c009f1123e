#pragma once
#include "viz/scene.h"

namespace miniten::viz {

// Where the marks ask for it; nothing where no mark has a label.
void draw_legend(Canvas& canvas, const AxesScene& scene, const Frame& frame);

}  // namespace miniten::viz
