#pragma once
#include <span>
#include <utility>
#include <vector>

namespace miniten::viz {

using GridPoints = std::vector<std::pair<double, double>>;

// Of z on a grid (row by row, at the columns' x and the rows' y), linear along the edges of its squares; a square with a corner
// that is not finite is a hole.
// Lines of equal value; they end at the border.
std::vector<GridPoints> contour_lines(std::span<const double> z, std::span<const double> x, std::span<const double> y, double level);
// Where z >= level: closed outlines, holes turning the other way.
std::vector<GridPoints> contour_regions(std::span<const double> z, std::span<const double> x, std::span<const double> y, double level);

}  // namespace miniten::viz
