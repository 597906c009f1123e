#pragma once
#include <span>
#include <vector>
#include "viz/canvas.h"

namespace miniten::viz {

using Polyline = std::vector<Point>;

bool finite(Point p);
// The parts of a line that lie inside the rectangle; NaN points are gaps. Keeps file coordinates small however far the data go.
std::vector<Polyline> clip_polyline(std::span<const Point> points, const Rect& rect);
Polyline clip_polygon(std::span<const Point> points, const Rect& rect);
// Of each run of points within one column of the given width only the first, lowest, highest and last are kept: the picture
// stays the same, extremes included.
Polyline thin_out(const Polyline& line, double column);
bool segment_meets(Point a, Point b, const Rect& rect);

}  // namespace miniten::viz
