#pragma once
#include <span>
#include <vector>
#include "viz/canvas.h"

namespace miniten::viz {

struct Pixels { int left, top, right, bottom; };  // right and bottom are behind the last

// How much of each pixel closed shapes cover: every edge adds its signed area, a sweep along the rows sums them up. Parts of a
// shape that turn the same way may overlap; those that turn the other way are holes.
class Mask {
 public:
  Mask(int width, int height);
  void clip(const Pixels& to) { clip_ = to; }
  const Pixels& clip() const { return clip_; }
  void edge(Point a, Point b);
  void polygon(std::span<const Point> corners);
  void fill(const Path& path);                    // open subpaths are closed
  // Calls row(y, x, coverage) for each touched row with coverage in [0, 1] from x on, and empties the mask.
  template <class Row> void sweep(Row&& row) {
    for (int y = first_; y < last_; ++y) {
      const Touched t = touched_[size_t(y)];
      touched_[size_t(y)] = {};
      if (t.low > t.high) continue;
      float* line = &area_[size_t(y) * stride_];
      float sum = 0;
      for (int x = t.low; x <= t.high; ++x) {
        sum += line[x];
        const float covered = sum < 0 ? -sum : sum;
        line[x] = covered > 1 ? 1 : covered < 1.0f / 1024 ? 0 : covered;
      }
      const int from = t.low > clip_.left ? t.low : clip_.left, to = t.high + 1 < clip_.right ? t.high + 1 : clip_.right;
      if (from < to) row(y, from, std::span<const float>(line + from, size_t(to - from)));
      for (int x = t.low; x <= t.high; ++x) line[x] = 0;
    }
    first_ = height_, last_ = 0;
  }

 private:
  struct Touched { int low = 1 << 30, high = -1; };
  void piece(double x, double y, double to_x, double to_y, float sign);
  int height_;
  size_t stride_;
  int first_, last_ = 0;
  Pixels clip_;
  std::vector<float> area_;
  std::vector<Touched> touched_;
};

// Corners of a path, curves as lines that keep within a fiftieth of a pixel.
struct Subpath { std::vector<Point> points; bool closed = false; };
std::vector<Subpath> flatten(const Path& path);

// The outline of a stroke as shapes that all turn the same way. Dashes are cut before.
enum class Join : uint8_t { round, miter };
void stroke_outline(Mask& mask, std::span<const Point> points, bool closed, double width, Join join, bool square_cap);
std::vector<Subpath> cut_dashes(std::span<const Point> points, bool closed, std::span<const double> dashes);

}  // namespace miniten::viz
