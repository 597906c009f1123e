#pragma once
#include "python/bind.h"

namespace miniten::python {

void bind_package(nb::module_&);                              // edge.package
std::vector<std::string> skip_patterns(nb::handle skip);      // None, one pattern, or several

}  // namespace miniten::python
