#pragma once
#include "viz/layout.h"

namespace miniten::viz {

void draw_page(Canvas& canvas, const PageLayout& page, const Theme& theme, double width, double height, const Color& background);

}  // namespace miniten::viz
