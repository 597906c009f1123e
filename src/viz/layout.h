#pragma once
#include <span>
#include <string>
#include <vector>
#include "viz/scene.h"

namespace miniten::viz {

// Sizes of text, and distances; points.
namespace type {
inline constexpr double bar_tick = 9, bar_label = 10;
}
namespace space {
inline constexpr double page = 8, columns = 16, rows = 14, bar_tick = 3.5, tick_pad = 3.5, label_pad = 4, title_pad = 7, suptitle_pad = 10;
inline constexpr double color_bar_gap = 10, color_bar = 11;
}

struct AxisLayout {
  Ticks ticks;
  double rotation = 0;          // of the tick labels, degrees
  double tick_length = 0;       // pixels
  double depth = 0;             // from the frame to the end of the tick labels
  bool offset_below = false;    // of an x axis: its offset takes a line of its own, above the label
};

// Axes on the frame of others: an axis of its own on the right (twinx) or on top (twiny).
struct TwinLayout {
  const AxesScene* scene = nullptr;
  Frame frame;
  AxisLayout axis;
  std::string label;
  bool integral = false;
};

struct AxesLayout {
  const AxesScene* scene = nullptr;
  Frame frame;
  AxisLayout x, y, bar;         // bar: the colour bar's
  Rect color_bar;
  std::vector<std::string> title;
  std::string xlabel, ylabel, bar_label;
  double left = 0, right = 0, top = 0, bottom = 0;  // what stands around the frame
  TwinLayout twinx, twiny;
  double offset_rise = 0;                           // from the frame up to the baseline of what y axes leave out
  double title_rise = 0, bar_offset = 0;            // from the frame up to the title, right to the colour bar's place
  double cell_width = 0, legend_offset = 0;         // from the frame to a legend outside of it
  bool integral_x = false, integral_y = false;
};

// From the cell `index` to the cell `last` of a grid, both counted from 1 row by row.
struct CellScene {
  int rows, cols, index, last;
  const AxesScene* scene;
  int row() const { return (index - 1) / cols; }
  int column() const { return (index - 1) % cols; }
  int end_row() const { return (last - 1) / cols + 1; }
  int end_column() const { return (last - 1) % cols + 1; }
};

struct PageLayout {
  std::vector<AxesLayout> axes;
  std::vector<std::string> suptitle;
  double suptitle_top = 0, suptitle_size = 0;       // pixels
};
struct PageScene {
  std::span<const CellScene> cells;
  std::string suptitle;
  double suptitle_size = 14;                       // points
  std::span<const double> widths = {}, heights = {};  // of columns and rows to each other, in grids of so many
};
PageLayout lay_out(const PageScene& scene, double width, double height, double px);

// The ticks that were set, of those inside the limits; false where none were.
bool given_ticks(const Axis& axis, const Scale& scale, double size, double longest, Ticks& ticks);

double crisp(double v);         // the middle of a pixel: lines one pixel wide stay sharp

}  // namespace miniten::viz
