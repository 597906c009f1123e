#pragma once
#include <span>
#include <string>
#include "viz/layout.h"

namespace miniten::viz {

// The page as lines of text, each at most `columns` wide; `lines` is what the figure may take, legends come on top.
std::string draw_terminal(std::span<const CellScene> cells, const std::string& suptitle, const Theme& theme, int columns, int lines, bool color);

}  // namespace miniten::viz
