#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>
#include "viz/canvas.h"

namespace miniten::viz {

enum class ScaleKind : uint8_t { linear, log, symlog };

// lo may be above hi: the axis is turned round.
struct Scale {
  ScaleKind kind = ScaleKind::linear;
  double lo = 0, hi = 1;
  double threshold = 1;         // symlog: linear from -threshold to threshold, logarithmic beyond
  double unit(double v) const;  // 0 at lo, 1 at hi; NaN where the scale has no place for v
  double foot(double v) const { return kind == ScaleKind::log && v <= 0 ? (lo < hi ? lo : hi) : v; }  // of what stands there
};

// What the data span. Values that are not finite, or too large to compute with, do not count.
struct Range {
  double lo = 1 / 0.0, hi = -1 / 0.0, least_positive = 1 / 0.0;
  std::vector<double> sticky;   // no margin is put beyond these (the foot of bars, an image's edge)
  double margin = 0.05;         // of the span, at both ends
  bool integral = true;         // all values are integers: so are the ticks
  void add(double v);
  void join(const Range& other);
  bool empty() const { return lo > hi; }
};
Scale auto_scale(const Range& range, ScaleKind kind, double threshold = 1, std::optional<double> margin = {});

struct Ticks {
  std::vector<double> major, minor;
  std::vector<Label> labels;    // of the major ones
  Label offset;                 // what all labels leave out: a factor, a summand, or nothing
};
// At most about `most` major ticks inside the scale; at least two where nice numbers allow.
Ticks choose_ticks(const Scale& scale, int most, bool integral);
// For values in seconds since 1970-01-01 UTC: ticks at whole units of the calendar, named by what changes from one to the next.
Ticks date_ticks(const Scale& scale, int most);
std::string date_text(double seconds);  // ISO 8601, as exact as the value
// Between the major ticks of a linear scale: 4 or 5 steps each.
void add_minor_ticks(const Scale& scale, Ticks& ticks);

}  // namespace miniten::viz
