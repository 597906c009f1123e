#pragma once
#include <string>
#include "viz/canvas.h"

namespace miniten::viz {

class SvgCanvas : public Canvas {
 public:
  SvgCanvas(double width, double height, std::string title);
  std::string finish();  // the whole element; the canvas is empty then

  void polyline(std::span<const Point> points, const Stroke& stroke) override;
  void path(const Path& path, const Paint& paint) override;
  void rect(const Rect& rect, const Paint& paint, double radius) override;
  void circles(std::span<const Point> centres, double radius, const Paint& paint, std::span<const Color> fills) override;
  void text(Point baseline, const Label& label, const TextStyle& style) override;
  void image(const Rect& rect, const Bitmap& bitmap) override;
  void push_clip(const Rect& rect) override;
  void pop_clip() override;

 private:
  void attribute(const char* name, double value);
  void color(const char* property, const Color& value);
  void paint(const Paint& paint);
  void stroke(const Stroke& stroke);
  void point(Point p);

  double width_, height_;
  std::string title_, body_;
  int clips_ = 0;
};

// Text and attribute values of XML 1.0: markup escaped, what is no character of XML replaced by U+FFFD.
std::string escape_xml(std::string_view text);

}  // namespace miniten::viz
