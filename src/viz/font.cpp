#include "viz/font.h"
#include <cstring>
#include "base/embedded.h"

namespace miniten::viz {
namespace {

constexpr uint8_t regular[] = {
#include "embedded/inter_regular.ttf.inc"
};
constexpr uint8_t semibold[] = {
#include "embedded/inter_semibold.ttf.inc"
};

Point between(Point a, Point b, double t) { return {a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t}; }

}  // namespace

const Face& face(bool bold) {
  static const Face light(unpacked(regular)), heavy(unpacked(semibold));
  return bold ? heavy : light;
}

size_t Face::table(const char* tag) const {
  for (unsigned i = 0; i < u16(4); ++i) {
    const size_t row = 12 + 16 * size_t(i);
    if (std::memcmp(&data_[row], tag, 4) == 0) return u32(row + 8);
  }
  return 0;
}

Face::Face(const std::string& truetype) : data_(truetype.begin(), truetype.end()) {
  const size_t head = table("head");
  em_ = u16(head + 18);
  long_loca_ = u16(head + 50) != 0;
  loca_ = table("loca"), glyf_ = table("glyf"), hmtx_ = table("hmtx");
  widths_ = u16(table("hhea") + 34);
  const size_t cmap = table("cmap");
  for (unsigned i = 0; i < u16(cmap + 2); ++i) {
    const size_t at = cmap + u32(cmap + 8 + 8 * size_t(i));
    if (u16(at) == 4) cmap_ = at;
  }
  if (const size_t kern = table("kern")) kern_ = kern + 18, pairs_ = u16(kern + 10);
}

unsigned Face::glyph(char32_t c) const {
  if (c > 0xffff) return 0;
  const unsigned twice = u16(cmap_ + 6);  // format 4: ends, a gap, starts, deltas, offsets
  const size_t ends = cmap_ + 14, starts = ends + twice + 2, deltas = starts + twice, offsets = deltas + twice;
  unsigned low = 0, high = twice / 2;
  while (low < high) {
    const unsigned middle = (low + high) / 2;
    if (u16(ends + 2 * middle) < c) low = middle + 1;
    else high = middle;
  }
  const size_t k = 2 * size_t(low);
  if (k >= twice || u16(starts + k) > c) return 0;
  const unsigned offset = u16(offsets + k), delta = u16(deltas + k);
  if (offset == 0) return (unsigned(c) + delta) & 0xffff;
  const unsigned found = u16(offsets + k + offset + 2 * (size_t(c) - u16(starts + k)));
  return found ? (found + delta) & 0xffff : 0;
}

double Face::advance(char32_t c) const {
  const unsigned g = glyph(c);
  return u16(hmtx_ + 4 * size_t(g < widths_ ? g : widths_ - 1)) / em_;
}

double Face::kerning(char32_t left, char32_t right) const {
  if (left > 0x7f || right > 0x7f || kern_ == 0) return 0;
  const size_t key = size_t(glyph(left)) << 16 | glyph(right);
  unsigned low = 0, high = pairs_;
  while (low < high) {
    const unsigned middle = (low + high) / 2;
    if (u32(kern_ + 6 * size_t(middle)) < key) low = middle + 1;
    else high = middle;
  }
  const size_t at = kern_ + 6 * size_t(low);
  return low < pairs_ && u32(at) == key ? s16(at + 4) / em_ : 0;
}

void Face::outline(char32_t c, Point origin, double size, Path& path) const {
  const unsigned g = glyph(c);
  const size_t begin = long_loca_ ? u32(loca_ + 4 * size_t(g)) : 2 * size_t(u16(loca_ + 2 * size_t(g)));
  const size_t end = long_loca_ ? u32(loca_ + 4 * size_t(g) + 4) : 2 * size_t(u16(loca_ + 2 * size_t(g) + 2));
  if (begin == end) return;
  size_t at = glyf_ + begin;
  const int contours = s16(at);
  if (contours <= 0) return;
  const size_t last = at + 10;
  const size_t count = u16(last + 2 * size_t(contours - 1)) + 1;
  at = last + 2 * size_t(contours);
  at += 2 + u16(at);
  std::vector<uint8_t> flags;
  while (flags.size() < count) {
    const uint8_t flag = data_[at++];
    for (int repeat = flag & 8 ? data_[at++] : 0; repeat >= 0; --repeat) flags.push_back(flag);
  }
  std::vector<Point> points(count);
  for (int axis = 0; axis < 2; ++axis) {
    const uint8_t is_short = axis ? 4 : 2, same = axis ? 32 : 16;
    int v = 0;
    for (size_t i = 0; i < count; ++i) {
      if (flags[i] & is_short) v += flags[i] & same ? data_[at] : -int(data_[at]), ++at;
      else if (!(flags[i] & same)) v += s16(at), at += 2;
      (axis ? points[i].y : points[i].x) = axis ? origin.y - v * size / em_ : origin.x + v * size / em_;
    }
  }
  for (size_t contour = 0, first = 0; contour < size_t(contours); ++contour) {
    const size_t n = u16(last + 2 * contour) + 1 - first;
    auto on = [&](size_t i) { return (flags[first + i % n] & 1) != 0; };
    auto p = [&](size_t i) { return points[first + i % n]; };
    size_t start = 0;
    while (start < n && !on(start)) ++start;
    Point now = start < n ? p(start) : between(p(0), p(n - 1), 0.5);
    if (start == n) start = n - 1;  // no corner lies on the curve
    path.move(now);
    for (size_t k = 1; k <= n; ++k) {
      const size_t i = start + k;
      if (on(i)) {
        if (k < n) path.line(now = p(i));
        continue;
      }
      const Point control = p(i), to = on(i + 1) ? p(i + 1) : between(control, p(i + 1), 0.5);
      path.cubic(between(now, control, 2 / 3.0), between(to, control, 2 / 3.0), to);
      now = to;
      if (on(i + 1)) ++k;
    }
    path.close();
    first += n;
  }
}

}  // namespace miniten::viz
