#pragma once
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>
#include "miniten/viz/axes.h"
#include "python/bind.h"

namespace miniten::python {

void bind_axes(nb::module_& m);
void bind_composed(nb::class_<viz::Axes>& axes);           // what is put together of other marks
void bind_settings(nb::module_& m, nb::class_<viz::Axes>& axes);
void bind_marks(nb::class_<viz::Axes>& axes);              // lines, points, bars, areas, text
void bind_fields(nb::class_<viz::Axes>& axes);             // what is drawn of many values: histograms, images, contours, shares

// What a plotting call gave: the mark, for fig.colorbar(mark) and for a label set later.
struct Mark {
  nb::object axes;
  size_t index;
};
nb::object last_mark(nb::handle axes);

// What plotting calls take, read.
std::string word(nb::handle o);                            // "" for None
std::vector<std::string> strings(nb::handle o);            // none for None
std::vector<double> numbers(const char* op, nb::handle o); // of one axis, or one number
std::vector<double> flat(const char* op, nb::handle o);    // of any shape
struct Grid {                                              // a matrix of numbers
  std::vector<double> values;
  int64_t rows, cols;
};
Grid matrix(const char* op, nb::handle o);
// Along an axis: numbers, names of categories, or dates.
std::vector<double> positions(viz::Axes& a, const char* axis, const char* op, nb::handle o);
double position(viz::Axes& a, const char* axis, const char* op, nb::handle o);
// A colour as text, or as (r, g, b) or (r, g, b, a) of [0, 1].
std::string color_of(const char* op, nb::handle o);
std::vector<std::string> colors_of(const char* op, nb::handle o);
bool is_color_list(nb::handle o);
bool is_text(nb::handle o);                                // strings, or an array of them
bool is_date(nb::handle o);
bool first_is_sequence(nb::handle o);                      // a list of lists or arrays, and no array itself
double font_size(const char* op, nb::handle o);            // points, or 'small', 'large' ...

// The keywords a call does not name itself: each is taken by one of its names, what is left is refused.
class Keywords {
 public:
  Keywords(const char* op, const nb::kwargs& given) : op_(op), left_(given) {}
  nb::object take(std::initializer_list<const char*> names);  // None where it is not given
  std::string color(std::initializer_list<const char*> names) { return color_of(op_, take(names)); }
  double number(std::initializer_list<const char*> names, double otherwise);
  std::optional<double> number(std::initializer_list<const char*> names);
  bool flag(std::initializer_list<const char*> names, bool otherwise);
  viz::TextLook look();                                      // fontsize, color, fontweight, loc
  void done(const char* known);                              // throws for what nobody took

 private:
  const char* op_;
  nb::kwargs left_;
};

}  // namespace miniten::python
