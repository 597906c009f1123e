#pragma once
#include <span>
#include <string>
#include <vector>
#include "viz/canvas.h"

namespace miniten::viz {

// Decimal text without locale; `decimals` digits behind the point.
std::string fixed(double value, int decimals);
// At most two decimals, no trailing zeros, never "-0": coordinates in files.
void append_coordinate(std::string& out, double value);
// Decimals needed so that values at multiples of step differ and are shown exactly.
int decimals_for(double step);
// One text each for rising values, of one precision, with a true minus. offset: the power of ten of very large or small ones, and the
// leading digits that long ones share.
std::vector<Label> tick_labels(std::span<const double> values, double step, Label& offset);
Label power_of_ten(double value);   // the one below value

// A format that passes may be given to format_value; throws Error(value) for op otherwise.
void check_format(std::string_view op, std::string_view format);

}  // namespace miniten::viz
