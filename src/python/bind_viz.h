#pragma once
#include <string>
#include <vector>
#include "miniten/viz/axes.h"
#include "python/bind.h"

namespace miniten::python {

void bind_axes(nb::module_& m);
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

}  // namespace miniten::python
