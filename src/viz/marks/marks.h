#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>
#include "miniten/viz/axes.h"
#include "viz/isolines.h"
#include "viz/scene.h"

namespace miniten::viz {

struct Pen {
  Color color;
  double width = 1.5;                    // points
  std::string style = "-";               // "none": not drawn
  Stroke stroke(double px) const;
};

class LineMark : public Mark {
 public:
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  void draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const override;
  void avoid(const Frame& frame, Obstacles& obstacles) const override;
  HoverPoints hover(const Frame& frame) const override;
  std::vector<double> x, y;
  Pen pen;
  char marker = 0;
  double marker_size = 6;                // points
  std::optional<Color> marker_face;      // else the line's
  Color marker_edge{0, 0, 0, 0};
  double marker_edge_width = 1;          // points
  size_t marker_every = 1;

 private:
  void draw_points(Canvas& canvas, const Frame& frame, char shape, std::span<const Point> points, double size) const;
};

class ScatterMark : public Mark {
 public:
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  void draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const override;
  void avoid(const Frame& frame, Obstacles& obstacles) const override;
  HoverPoints hover(const Frame& frame) const override;
  std::vector<double> x, y;
  std::vector<Color> colors;             // one, or one per point
  Color edge{0, 0, 0, 0};
  char marker = 'o';
  double size = 20, edge_width = 0.8;    // points squared, points
  std::vector<double> sizes;             // one per point; or empty
};

// Bars, stacked ones and histograms: boxes standing on a foot.
class BarMark : public Mark {
 public:
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  void draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const override;
  void avoid(const Frame& frame, Obstacles& obstacles) const override;
  HoverPoints hover(const Frame& frame) const override;
  bool horizontal = false;
  std::vector<double> left, right, foot, top;   // across the bar, along the bar
  std::vector<Color> fills;              // one, or one per bar
  Color edge{0, 0, 0, 0};
  double edge_width = 1;                 // points
  std::vector<std::string> texts;        // at the ends; or empty
  std::vector<double> reach;             // where whiskers end, which texts keep clear of; or empty
  bool texts_inside = false;             // stacked: in the middle

 private:
  bool box(const Frame& frame, size_t i, Rect& box) const;
};

class ImageMark : public Mark {
 public:
  ImageMark() { layer = layer_image; }
  bool keyed() const override { return false; }
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  HoverPoints hover(const Frame& frame) const override;
  Bitmap bitmap;
  std::vector<bool> missing;             // drawn in the theme's grey; or empty
  std::vector<float> values;             // of few pixels, for whoever asks, and of those that are smoothed
  double left = -0.5, right = 0, first = -0.5, last = 0;  // edges: of the columns, of row 0 and of the last row
  std::string interpolation = "nearest";
  std::optional<ColorScale> colors;      // of values that are smoothed
  static constexpr size_t most_asked = 10000;

 protected:
  Rect place(const Frame& frame) const;
  // The visible part of the image, smoothed, at the canvas' pixels; and where it stands.
  Bitmap smoothed(const Frame& frame, Rect& part) const;
};

class HeatmapMark : public ImageMark {
 public:
  void draw(Canvas& canvas, const Frame& frame) const override;
  std::vector<std::string> texts;        // one per cell; or empty
  double gap = 0;                        // points
};

class FillMark : public Mark {
 public:
  FillMark() { layer = layer_area; }
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  void draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const override;
  void avoid(const Frame& frame, Obstacles& obstacles) const override;
  std::vector<double> x, low, high;
  Color color;
  bool horizontal = false;               // x runs along the y axis

 private:
  Point at(const Frame& frame, double across, double along) const;
};

class RuleMark : public Mark {
 public:
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  void draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const override;
  void avoid(const Frame& frame, Obstacles& obstacles) const override;
  bool horizontal = true;
  double at = 0;
  Pen pen;
};

class TextMark : public Mark {
 public:
  TextMark() { layer = layer_text, clipped = false; }
  bool keyed() const override { return false; }
  void extend(Range&, Range&) const override {}
  void draw(Canvas& canvas, const Frame& frame) const override;
  void avoid(const Frame& frame, Obstacles& obstacles) const override;
  double x = 0, y = 0;
  std::string text;
  Color color;
  std::optional<Color> box;
  TextOptions options;

 protected:
  Point place(const Frame& frame) const;
};

// Whiskers around points.
class ErrorMark : public Mark {
 public:
  bool keyed() const override { return false; }
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  void avoid(const Frame& frame, Obstacles& obstacles) const override;
  std::vector<double> x, y;
  Errors x_error, y_error;
  Pen pen;
  double cap = 3;                        // points
};

// A band across the frame.
class SpanMark : public Mark {
 public:
  SpanMark() { layer = layer_area; }
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  void draw_key(Canvas& canvas, const Rect& box, const Frame& frame) const override;
  bool horizontal = true;
  double low = 0, high = 0;
  Color color;
};

class ArrowMark : public TextMark {
 public:
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  double to_x = 0, to_y = 0;
  bool arrow = true;
  Color arrow_color;
};

class BoxMark : public Mark {
 public:
  struct Box { double at, low, q1, median, q3, high; std::vector<double> fliers; };
  bool keyed() const override { return false; }
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  void avoid(const Frame& frame, Obstacles& obstacles) const override;
  HoverPoints hover(const Frame& frame) const override;
  std::vector<Box> boxes;
  bool horizontal = false;
  double width = 0.5;
  Color color;
};

class PieMark : public Mark {
 public:
  PieMark() { layer = layer_area, clipped = false; }
  bool keyed() const override { return false; }
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  HoverPoints hover(const Frame& frame) const override;
  std::vector<double> shares, explode;   // of 1; of the radius, or empty
  std::vector<std::string> labels, texts;
  std::vector<Color> fills;
  double start = 90, hole = 0;
  bool clockwise = true;
};

class ContourMark : public Mark {
 public:
  struct Line { double level; std::vector<GridPoints> parts; Color color; };
  struct Band { std::vector<GridPoints> outlines; Color color; };
  bool keyed() const override { return false; }
  void extend(Range& x, Range& y) const override;
  void draw(Canvas& canvas, const Frame& frame) const override;
  std::vector<double> x, y;              // the grid's
  std::vector<Band> bands;               // from the lowest, each drawn over the one before
  std::vector<Line> lines;
  double width = 1.2, text_size = 8;     // points
  bool texts = false;
};

bool known_marker(char marker);
// size: pixels across; fills: one, or one per point.
void draw_markers(Canvas& canvas, char marker, std::span<const Point> points, double size, const Color& edge, double edge_width,
                  std::span<const Color> fills);

}  // namespace miniten::viz
