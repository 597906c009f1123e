#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace miniten::viz {

struct AxesScene;

// Everywhere: an empty colour is the next of the cycle (marks) or the theme's text colour (rules, text). Widths and sizes are
// points (1/72 inch), a scatter's size is points squared. Only marks with a label stand in the legend. alpha is in [0, 1].
// Names that are not known throw Error(value) when given, never when drawn.

struct LineStyle {
  std::string color;
  std::string linestyle = "-";  // "-", "--", ":", "-." or "none"
  double linewidth = 1.5;
  std::string marker;           // one of o s ^ v < > D d + x * . p h | _ or empty
  double markersize = 6;
  std::string label;
  double alpha = 1;
  std::string markerfacecolor, markeredgecolor;  // empty: the line's; an edge only where the face has a colour of its own
  double markeredgewidth = 1;
  int markevery = 1;            // each n-th point carries a marker
};
// A LineStyle of matplotlib's format string: colour letter or 'C<digit>', marker and line style in any order, as "r--o".
LineStyle line_format(std::string_view format);

struct ScatterStyle {
  double size = 20;
  std::string color;
  std::vector<std::string> colors;  // one per point, instead of color
  std::vector<double> sizes;    // one per point, instead of size
  std::vector<double> values;   // one per point: coloured by cmap from vmin to vmax; colorbar() shows the scale
  std::string cmap = "viridis";
  std::optional<double> vmin, vmax;
  std::string marker = "o";
  std::string edgecolor;
  double linewidth = 0.8;       // of edges
  std::string label;
  double alpha = 1;
};

struct BarStyle {
  double width = 0.8;           // in data units; positions of categories are 0, 1, 2, ...
  bool centred = true;          // on their positions; else they begin there
  double linewidth = 1;         // of edges
  std::string color;
  std::vector<std::string> colors;  // one per bar, instead of color
  std::string edgecolor;
  std::vector<double> bottom;   // empty: 0; one value: for all; else one per bar (stacking)
  std::string label;
  std::string value_format;     // where given ('.1f'), each bar carries its value
  double alpha = 1;
};

struct GroupedBarStyle {
  double width = 0.8;           // of a whole group
  std::vector<std::string> colors;  // one per series; empty: the cycle
  std::string value_format;
  bool stacked = false;
  bool horizontal = false;
};

struct HistStyle {
  bool density = false;         // counts / (total * bin width)
  std::optional<double> lo, hi; // range; by default that of the finite data
  std::string color;
  std::string edgecolor;
  std::string label;
  double alpha = 1;
  std::string type = "bar";     // "bar", "step" (an outline) or "stepfilled"
  bool cumulative = false;
  std::vector<double> weights;  // one per value, instead of 1
  bool horizontal = false;
};
struct Histogram {
  std::vector<double> counts, edges;  // edges has one more
};
struct HistSet {
  std::vector<double> values;
  std::string label, color;     // no colour: the cycle's next
  std::vector<double> weights;  // one per value, instead of 1
};
struct Histograms {
  std::vector<std::vector<double>> counts;  // one per set; stacked: each on those before
  std::vector<double> edges;
};

struct ImageStyle {
  std::string cmap = "viridis";
  std::optional<double> vmin, vmax;   // default: the finite data's range
  std::string aspect = "equal";       // "equal": square pixels; "auto": fill the axes
  std::string origin = "upper";       // where row 0 is: "upper" or "lower"
  std::optional<std::array<double, 4>> extent;  // left, right, bottom, top of the whole image; else pixel (r, c) is centred on x = c, y = r
  std::string interpolation = "nearest";        // of what is enlarged: "nearest" (hard edges), "bilinear", "bicubic"; values before colours
  double alpha = 1;
};

struct HeatmapStyle {
  std::string cmap = "viridis";
  std::optional<double> vmin, vmax;
  bool annotate = false;              // each cell carries its value
  std::string format = ".2f";         // see format_value
  std::vector<std::string> xlabels, ylabels;
  bool colorbar = true;
  std::string colorbar_label;
  bool square = false;
  double linewidth = 0;               // gap between cells
};

struct FillStyle {
  std::string color;
  double alpha = 0.3;
  std::string label;
  bool horizontal = false;            // fill_between: x runs along the y axis
};

// Lengths of error bars; empty: none.
struct Errors {
  std::vector<double> low, high;
};
struct ErrorBarStyle {
  LineStyle line;                     // of the points themselves
  std::string color;                  // of the bars; empty: the line's
  double linewidth = 1.2, capsize = 3;
};

struct BoxStyle {
  std::vector<std::string> labels;    // one per box
  double width = 0.5, whis = 1.5;     // whiskers reach the last value within whis interquartile ranges
  bool horizontal = false, fliers = true;
  std::string color;                  // empty: the cycle's next, one for all
};

struct PieStyle {
  std::vector<std::string> labels, colors;
  std::string value_format;           // of each share, such as ".0%"
  double startangle = 90;             // degrees, counterclockwise from the right
  bool clockwise = true;
  double hole = 0;                    // of the radius: 0.6 makes a ring
  std::vector<double> explode;        // of the radius: how far each share is moved out; or empty
};

struct ContourStyle {
  std::vector<double> levels;         // empty: about `count` nice ones
  int count = 8;
  std::string cmap = "viridis";
  std::string color;                  // one colour, instead of cmap
  double linewidth = 1.2;
  bool labels = false;                // each level's value on its longest line
  double alpha = 1;
};

struct ContourFillStyle {
  std::vector<double> levels;         // where bands begin and end; empty: about `count` nice ones around all values
  int count = 8;
  std::string cmap = "viridis";
  std::vector<std::string> colors;    // one per band, instead of cmap
  std::string extend = "neither";     // bands without an end, too: "min", "max" or "both"
  double alpha = 1;
};

struct TextOptions {
  std::string color;
  double size = 10;
  std::string ha = "left";            // "left", "center", "right"
  std::string va = "baseline";        // "top", "center", "baseline", "bottom"
  double rotation = 0;                // degrees, counterclockwise
  bool bold = false;
  bool fraction = false;              // x and y are of the frame: (0, 0) its lower left corner, (1, 1) its upper right
  std::string box;                    // colour of a ground with a thin edge; empty: none
};

// How titles, labels and ticks look; what is not given stays as it was.
struct TextLook {
  std::optional<double> size;
  std::string color;
  std::optional<bool> bold;
  std::string loc;                    // of a title: "left", "center", "right"
};
struct TickLook {
  std::optional<double> size, rotation, length;  // of the labels; of the ticks (0: none)
  std::string color;                  // of the labels
  std::optional<bool> labels;         // false: none
};
struct GridStyle {
  std::string color, linestyle = "-";
  double linewidth = 0.8, alpha = 1;
  bool minor = false;                 // lines at the minor ticks, too
};
struct LegendStyle {
  int columns = 1;
  std::string title;
  double size = 9;
  bool frame = true;
};

struct ArrowOptions {
  TextOptions text;
  bool arrow = true;                  // from the text to the point
  std::string arrow_color;            // empty: the theme's
};

// One plot of a Figure. Data are copied. Points that are NaN or infinite, or not positive on a log axis, are gaps; they do not
// move the limits. Lengths that differ throw Error(value).
class Axes {
 public:
  explicit Axes(std::string theme);
  ~Axes();
  Axes(const Axes&) = delete;
  Axes& operator=(const Axes&) = delete;

  void plot(std::span<const double> x, std::span<const double> y, const LineStyle& style = {});
  void plot(std::span<const double> y, const LineStyle& style = {});  // x = 0, 1, 2, ...
  void scatter(std::span<const double> x, std::span<const double> y, const ScatterStyle& style = {});

  void bar(std::span<const double> x, std::span<const double> height, const BarStyle& style = {});
  void bar(std::span<const std::string> categories, std::span<const double> height, const BarStyle& style = {});
  void barh(std::span<const double> y, std::span<const double> width, const BarStyle& style = {});
  void barh(std::span<const std::string> categories, std::span<const double> width, const BarStyle& style = {});
  // values: one row per series, one column per category, row-major.
  void grouped_bar(std::span<const std::string> categories, std::span<const std::string> series,
                   std::span<const double> values, const GroupedBarStyle& style = {});
  // NumPy's histogram: equal bins, the last one closed; values outside the range and non-finite ones are not counted.
  Histogram hist(std::span<const double> data, int bins = 10, const HistStyle& style = {});
  Histogram hist(std::span<const double> data, std::span<const double> edges, const HistStyle& style = {});

  // Several sets in the same bins: beside each other in each bin, or stacked. style's colour, label and weights are not asked.
  Histograms hist(std::span<const HistSet> sets, int bins = 10, const HistStyle& style = {}, bool stacked = false);
  Histograms hist(std::span<const HistSet> sets, std::span<const double> edges, const HistStyle& style = {}, bool stacked = false);

  // data: rows x cols, row-major. NaN is drawn in the theme's grey.
  void imshow(std::span<const double> data, int64_t rows, int64_t cols, const ImageStyle& style = {});
  // pixels: rows x cols x channels with 1 (grey), 3 (RGB) or 4 (RGBA) channels, shown as they are.
  void imshow(std::span<const uint8_t> pixels, int64_t rows, int64_t cols, int64_t channels, const ImageStyle& style = {});
  void heatmap(std::span<const double> data, int64_t rows, int64_t cols, const HeatmapStyle& style = {});
  void colorbar(const std::string& label = "");  // of the last image, heatmap or coloured scatter; none there: Error(value)

  void fill_between(std::span<const double> x, std::span<const double> y1, std::span<const double> y2, const FillStyle& style = {});
  void axhline(double y, const LineStyle& style = {});
  void axvline(double x, const LineStyle& style = {});
  void axhspan(double low, double high, const FillStyle& style = {});
  void axvspan(double low, double high, const FillStyle& style = {});
  void errorbar(std::span<const double> x, std::span<const double> y, const Errors& yerr, const Errors& xerr = {}, const ErrorBarStyle& style = {});
  // where: 'pre' (y[i] holds up to x[i]), 'post' (from x[i] on), 'mid'.
  void step(std::span<const double> x, std::span<const double> y, std::string_view where = "pre", const LineStyle& style = {});
  // One box per group at 1, 2, ...: quartiles by linear interpolation, median, whiskers, and what lies beyond them.
  void boxplot(std::span<const std::vector<double>> groups, const BoxStyle& style = {});
  void pie(std::span<const double> values, const PieStyle& style = {});
  // Lines of equal value of z (rows x cols, row-major) over the columns' x and the rows' y; empty: 0, 1, 2, ...
  void contour(std::span<const double> z, int64_t rows, int64_t cols, std::span<const double> x = {}, std::span<const double> y = {},
               const ContourStyle& style = {});
  // What lies between levels, by colour; above and below them nothing is drawn unless style.extend says so.
  void contourf(std::span<const double> z, int64_t rows, int64_t cols, std::span<const double> x = {}, std::span<const double> y = {},
                const ContourFillStyle& style = {});
  void text(double x, double y, const std::string& text, const TextOptions& options = {});  // in data coordinates

  // Text at (text_x, text_y) with an arrow to (x, y), all in data coordinates.
  void annotate(const std::string& text, double x, double y, double text_x, double text_y, const ArrowOptions& options = {});

  // Axes on the same frame that share x and have a y axis of their own on the right; twiny: an x axis of their own on top.
  // The same call gives the same axes. Their marks take colours from one cycle, and stand in one legend unless they have two.
  Axes& twinx();
  Axes& twiny();
  void set_inner(std::string_view axis, bool inner);  // true: no numbers and no label, as a neighbour has the same
  void share(Axes& other, std::string_view axis);  // "x" or "y": one scale, one set of limits from now on

  void set_title(const std::string& title, const TextLook& look = {});
  void set_xlabel(const std::string& label, const TextLook& look = {});
  void set_ylabel(const std::string& label, const TextLook& look = {});
  const std::string& title() const;
  const std::string& label(std::string_view axis) const;   // "x" or "y"
  void set_xlim(double left, double right);      // left > right turns the axis round
  void set_ylim(double bottom, double top);
  std::pair<double, double> get_xlim() const;
  std::pair<double, double> get_ylim() const;
  void invert_xaxis();
  void invert_yaxis();
  // "linear", "log", or "symlog": logarithmic both ways, linear from -linthresh to linthresh.
  void set_xscale(std::string_view scale, double linthresh = 1);
  void set_yscale(std::string_view scale, double linthresh = 1);
  void set_aspect(std::string_view aspect);      // "equal": a unit is as long on both axes; "auto"
  void set_dates(std::string_view axis);         // "x" or "y": values are seconds since 1970-01-01 UTC
  void minorticks(bool on = true);
  std::vector<double> categories(std::string_view axis, std::span<const std::string> names);  // their positions, new ones added
  // rotation: of the labels, -90 to 90 degrees; by default upright where they fit.
  void set_xticks(std::span<const double> positions, std::span<const std::string> labels = {}, std::optional<double> rotation = {});
  void set_xtick_rotation(double degrees);
  void set_tick_labels(std::string_view axis, std::span<const std::string> labels);  // for the positions that were set before
  void set_yticks(std::span<const double> positions, std::span<const std::string> labels = {});
  void set_axis(bool visible);                   // false: no frame, ticks or axis labels
  void set_spine(std::string_view side, bool visible);  // "left", "right", "top", "bottom"
  void set_ticks_look(std::string_view axis, const TickLook& look);  // "x", "y" or "both"
  void set_margins(std::optional<double> x, std::optional<double> y);  // of the data's span, at both ends
  void grid(bool on = true, std::string_view axis = "both", const GridStyle& style = {});  // "x", "y" or "both"
  // loc: 'best' (where it hides least of the data), 'upper right', 'upper left', 'lower left', 'lower right', 'right',
  // 'center left', 'center right', 'lower center', 'upper center', 'center', and 'outside right', beside the frame.
  void legend(const std::string& loc = "best", const LegendStyle& style = {});

  void clear();                                               // as new: no marks, titles, limits or looks; what is shared stays so
  size_t mark_count() const;
  std::string mark_label(size_t mark) const;                  // in the order of the calls that made them
  void set_mark_label(size_t mark, const std::string& label);
  void set_labels(std::span<const std::string> labels);       // of the marks that a legend can show, in order
  void set_mark_zorder(size_t mark, double order);            // lower ones are drawn first: images 0, areas 1, lines 2, text 3
  void clabel(size_t mark, double size = 8);                  // of contour: each level's value on its longest line
  void bar_label(size_t mark, std::string_view format = "g"); // each bar carries its value

  const AxesScene& scene() const { return *scene_; }

 private:
  std::unique_ptr<AxesScene> scene_;
};

// A number in Python's format language, of which [,][.precision][d|e|f|g|%] is known: format_value(0.123, ".1%") = "12.3%".
std::string format_value(double value, std::string_view format);

}  // namespace miniten::viz
