#pragma once
#include <string>
#include <vector>
#include "miniten/viz/axes.h"
#include "python/bind.h"

namespace miniten::python {

void bind_axes(nb::module_& m);
std::string word(nb::handle o);                            // "" for None
std::vector<std::string> strings(nb::handle o);            // none for None
std::vector<double> numbers(const char* op, nb::handle o); // of one axis, or one number

}  // namespace miniten::python
