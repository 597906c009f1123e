#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
};
// A LineStyle of matplotlib's format string: colour letter or 'C<digit>', marker and line style in any order, as "r--o".
LineStyle line_format(std::string_view format);

struct ScatterStyle {
  double size = 20;
  std::string color;
  std::vector<double> values;   // one per point: coloured by cmap from vmin to vmax; colorbar() shows the scale
  std::string cmap = "viridis";
  std::optional<double> vmin, vmax;
  std::string marker = "o";
  std::string edgecolor;
  std::string label;
  double alpha = 1;
};

struct BarStyle {
  double width = 0.8;           // in data units; positions of categories are 0, 1, 2, ...
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
};
struct Histogram {
  std::vector<double> counts, edges;  // edges has one more
};

struct ImageStyle {
  std::string cmap = "viridis";
  std::optional<double> vmin, vmax;   // default: the finite data's range
  std::string aspect = "equal";       // "equal": square pixels; "auto": fill the axes
  std::string origin = "upper";       // where row 0 is: "upper" or "lower"
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
};

struct TextOptions {
  std::string color;
  double size = 10;
  std::string ha = "left";            // "left", "center", "right"
  std::string va = "baseline";        // "top", "center", "baseline", "bottom"
  double rotation = 0;                // degrees, counterclockwise
  bool bold = false;
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

  // data: rows x cols, row-major. Pixel (r, c) is centred on x = c, y = r. NaN is drawn in the theme's grey.
  void imshow(std::span<const double> data, int64_t rows, int64_t cols, const ImageStyle& style = {});
  // pixels: rows x cols x channels with 1 (grey), 3 (RGB) or 4 (RGBA) channels, shown as they are.
  void imshow(std::span<const uint8_t> pixels, int64_t rows, int64_t cols, int64_t channels, const ImageStyle& style = {});
  void heatmap(std::span<const double> data, int64_t rows, int64_t cols, const HeatmapStyle& style = {});
  void colorbar(const std::string& label = "");  // of the last image, heatmap or coloured scatter; none there: Error(value)

  void fill_between(std::span<const double> x, std::span<const double> y1, std::span<const double> y2, const FillStyle& style = {});
  void axhline(double y, const LineStyle& style = {});
  void axvline(double x, const LineStyle& style = {});
  void text(double x, double y, const std::string& text, const TextOptions& options = {});  // in data coordinates

  void set_title(const std::string& title);
  void set_xlabel(const std::string& label);
  void set_ylabel(const std::string& label);
  void set_xlim(double left, double right);      // left > right turns the axis round
  void set_ylim(double bottom, double top);
  void set_xscale(std::string_view scale);       // "linear" or "log"
  void set_yscale(std::string_view scale);
  void set_xticks(std::span<const double> positions, std::span<const std::string> labels = {});
  void set_yticks(std::span<const double> positions, std::span<const std::string> labels = {});
  void set_axis(bool visible);                   // false: no frame, ticks or axis labels
  void grid(bool on = true, std::string_view axis = "both");  // "x", "y" or "both"
  // loc: 'best' (where it hides least of the data), 'upper right', 'upper left', 'lower left', 'lower right', 'right',
  // 'center left', 'center right', 'lower center', 'upper center', 'center', and 'outside right', beside the frame.
  void legend(const std::string& loc = "best", int columns = 1);

  const AxesScene& scene() const { return *scene_; }

 private:
  std::unique_ptr<AxesScene> scene_;
};

// A number in Python's format language, of which [,][.precision][d|e|f|g|%] is known: format_value(0.123, ".1%") = "12.3%".
std::string format_value(double value, std::string_view format);

}  // namespace miniten::viz
