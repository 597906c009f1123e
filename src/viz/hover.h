#pragma once
#include <string>
#include "viz/layout.h"

namespace miniten::viz {

// A page that needs nothing from outside: the picture, and a script that shows the data next to the pointer.
std::string hover_page(const std::string& svg, const PageLayout& page, const std::string& title, const Theme& theme, const Color& background);

}  // namespace miniten::viz
