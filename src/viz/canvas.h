#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include "miniten/viz/color.h"

namespace miniten::viz {

// Units are pixels, y grows downwards.
struct Point { double x = 0, y = 0; };
struct Rect {
  double x = 0, y = 0, width = 0, height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
  Rect grown(double by) const { return {x - by, y - by, width + 2 * by, height + 2 * by}; }
};

struct Stroke {
  Color color;
  double width = 0;                // 0: nothing is drawn
  std::vector<double> dashes = {}; // on, off, on, off, ...; empty: solid
  bool square_cap = false;
};
struct Paint {
  Color fill{0, 0, 0, 0};          // alpha 0: not filled
  Stroke stroke = {};
};

struct Path {
  enum class Verb : uint8_t { move, line, cubic, close };  // cubic takes three points, close none
  std::vector<Verb> verbs;
  std::vector<Point> points;
  void move(Point p) { verbs.push_back(Verb::move), points.push_back(p); }
  void line(Point p) { verbs.push_back(Verb::line), points.push_back(p); }
  void cubic(Point a, Point b, Point p) { verbs.push_back(Verb::cubic), points.insert(points.end(), {a, b, p}); }
  void close() { verbs.push_back(Verb::close); }
};

// One line of text with an exponent raised behind it, as 10 and -3.
struct Label {
  std::string text, exponent = {};
  bool operator==(const Label&) const = default;
};
enum class Anchor : uint8_t { start, middle, end };
struct TextStyle {
  Color color;
  double size = 10;                // pixels
  Anchor anchor = Anchor::start;
  double rotation = 0;             // degrees, counterclockwise around the given point
  bool bold = false;
};

struct Bitmap {
  int width = 0, height = 0;
  std::vector<uint8_t> rgba;       // row by row
};

// What marks draw on: a file format, a raster or a terminal.
class Canvas {
 public:
  virtual ~Canvas() = default;
  virtual void polyline(std::span<const Point> points, const Stroke& stroke) = 0;
  virtual void path(const Path& path, const Paint& paint) = 0;
  virtual void rect(const Rect& rect, const Paint& paint, double radius = 0) = 0;
  // fills: one colour each, instead of paint.fill; or empty.
  virtual void circles(std::span<const Point> centres, double radius, const Paint& paint, std::span<const Color> fills = {}) = 0;
  virtual void text(Point baseline, const Label& label, const TextStyle& style) = 0;
  virtual void image(const Rect& rect, const Bitmap& bitmap) = 0;  // pixels keep hard edges
  virtual void push_clip(const Rect& rect) = 0;
  virtual void pop_clip() = 0;
};

}  // namespace miniten::viz
