#pragma once
#include "python/bind.h"

namespace miniten::python {

std::vector<std::string> skip_patterns(nb::handle skip);      // None, one pattern, or several

}  // namespace miniten::python
