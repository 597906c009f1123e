#pragma once
#include <cstdint>
#include <string>
#include <vector>
#include "viz/canvas.h"

namespace miniten::viz {

// The embedded typeface (Inter; assets/inter_license.txt). Lengths are of a font size of 1, y grows downwards from the baseline.
class Face {
 public:
  explicit Face(const std::string& truetype);
  bool has(char32_t c) const { return glyph(c) != 0; }
  double advance(char32_t c) const;                 // of the replacement box where the face has no such character
  double kerning(char32_t left, char32_t right) const;
  // Its contours, at `origin` and in `size`; nothing for a space.
  void outline(char32_t c, Point origin, double size, Path& path) const;

 private:
  unsigned glyph(char32_t c) const;
  unsigned u16(size_t at) const { return unsigned(data_[at]) << 8 | data_[at + 1]; }
  int s16(size_t at) const { return int16_t(u16(at)); }
  size_t u32(size_t at) const { return size_t(u16(at)) << 16 | u16(at + 2); }
  size_t table(const char* tag) const;              // 0 where there is none

  std::vector<uint8_t> data_;
  size_t cmap_ = 0, loca_ = 0, glyf_ = 0, hmtx_ = 0, kern_ = 0;
  unsigned widths_ = 0, pairs_ = 0;
  bool long_loca_ = false;
  double em_ = 1;
};

const Face& face(bool bold);

}  // namespace miniten::viz
