#pragma once
#include "viz/mask.h"

namespace miniten::viz {

// Draws into pixels: edges by exact coverage, text from the embedded typeface at fractions of a pixel.
class RasterCanvas : public Canvas {
 public:
  RasterCanvas(int width, int height);
  Bitmap finish() { return std::move(page_); }

  void polyline(std::span<const Point> points, const Stroke& stroke) override;
  void path(const Path& path, const Paint& paint) override;
  void rect(const Rect& rect, const Paint& paint, double radius) override;
  void circles(std::span<const Point> centres, double radius, const Paint& paint, std::span<const Color> fills) override;
  void text(Point baseline, const Label& label, const TextStyle& style) override;
  void image(const Rect& rect, const Bitmap& bitmap) override;
  void push_clip(const Rect& rect) override;
  void pop_clip() override;

 private:
  void blend(const Color& color);                   // what is in the mask
  void blend_row(int y, int x, std::span<const float> coverage, const Color& color);
  void outline(std::span<const Point> points, bool closed, const Stroke& stroke, Join join);

  Bitmap page_;
  Mask mask_;
  std::vector<Pixels> clips_;
};

}  // namespace miniten::viz
