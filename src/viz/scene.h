#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include "miniten/viz/axes.h"
#include "viz/canvas.h"
#include "viz/colormap.h"
#include "viz/scale.h"
#include "viz/theme.h"

namespace miniten::viz {

// Where data lie on the page while they are drawn.
struct Frame {
  Rect area;
  Scale x, y;
  double px = 1;                // pixels per point
  const Theme* theme = nullptr;
  double x_at(double v) const { return area.x + area.width * x.unit(v); }
  double y_at(double v) const { return area.bottom() - area.height * y.unit(v); }
  Point at(double vx, double vy) const { return {x_at(vx), y_at(vy)}; }
};

// What a legend had better not cover, in pixels.
struct Obstacles {
  std::vector<Point> points;
  std::vector<std::pair<Point, Point>> segments;
  std::vector<Rect> boxes;
};

// What a page that can be asked shows beside the pointer. x, y NaN: not said.
struct HoverPoint { Point at; double x, y; std::string note = {}; };
struct HoverPoints {
  Color color;
  std::vector<HoverPoint> points = {};
  bool cells = false;           // they fill the frame: the nearest one counts however far it is
};

enum Layer : int { layer_image, layer_area, layer_line, layer_text };

class Mark {
 public:
  virtual ~Mark() = default;
  virtual void extend(Range& x, Range& y) const = 0;
  virtual void draw(Canvas& canvas, const Frame& frame) const = 0;
  virtual bool keyed() const { return true; }                         // may stand in a legend
  virtual void draw_key(Canvas&, const Rect&, const Frame&) const {}  // its sample in the legend
  virtual void avoid(const Frame&, Obstacles&) const {}
  virtual HoverPoints hover(const Frame&) const { return {}; }
  std::string label;
  double layer = layer_line;    // lower ones are drawn first
  bool clipped = true;
  char grounded = 0;            // 'x' or 'y': it stands on that axis' 0, which needs no margin; a log axis' low end takes its place
};

struct Look { double size; bool bold = false; std::optional<Color> color = {}; };  // no colour: the theme's

struct Axis {
  ScaleKind kind = ScaleKind::linear;
  std::optional<std::pair<double, double>> limits;
  std::string label;
  bool grid = false, fixed_ticks = false;
  GridStyle grid_style;
  Look label_look{10}, tick_look{9};
  double tick_length = 3.5;               // points
  bool tick_labels = true;
  std::optional<double> margin;
  bool dates = false;                     // values are seconds since 1970-01-01 UTC
  bool minor = false;                     // ticks between the ticks
  bool inner = false;                     // shares its numbers with the next plot of the grid: none here
  std::optional<double> rotation;         // of the tick labels; by default as they need it
  double threshold = 1;                   // symlog
  std::vector<double> tick_values;        // with fixed_ticks
  std::vector<std::string> tick_texts;    // one per value; empty: numbers
  std::vector<std::string> categories;    // at 0, 1, 2, ...
};

std::string axis_value(const Axis& axis, double v);  // one value, as exact as one wants to read it
Ticks axis_ticks(const Axis& axis, const Scale& scale, int most, bool integral);  // where none were set

struct ColorScale {
  Lut table;
  Norm norm;
  std::vector<double> ticks = {};         // of the colour bar; empty: nice ones
  Axis axis() const;                      // the colour bar's
};

struct DataLimits {
  Scale x, y;
  bool integral_x, integral_y;            // all data are integers there
};

struct AxesScene {
  AxesScene();
  ~AxesScene();
  AxesScene& operator=(AxesScene&&);
  const Theme* theme;
  std::vector<std::unique_ptr<Mark>> marks;
  Axis x, y;
  std::string title, title_loc = "center";
  Look title_look{12, true};
  std::optional<bool> spines[4];          // left, right, top, bottom; not set: left and bottom, or all where boxed
  bool has_spine(int side) const { return spines[side].value_or(boxed || side == 0 || side == 3); }
  int next_color = 0;
  bool visible = true, boxed = false;     // boxed: a frame on all four sides
  bool equal_aspect = false;
  bool x_turned = false, y_turned = false;
  std::optional<ColorScale> mappable;     // what colorbar() would show
  bool colorbar = false;
  std::string colorbar_label;
  std::optional<LegendStyle> legend;
  std::string legend_loc;
  std::unique_ptr<Axes> twinx, twiny;     // on the same frame: with a y axis of its own on the right, an x axis on top
  AxesScene* twin_of = nullptr;
  std::shared_ptr<std::vector<AxesScene*>> shared_x, shared_y;  // those with the same limits, this one too

  DataLimits limits() const;              // those that were set, else the data's
  int take_color();                       // the next of the cycle; twins take from one
  void share(AxesScene& other, bool x);   // from now on
};

}  // namespace miniten::viz
