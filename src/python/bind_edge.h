#pragma once
#include <nanobind/stl/optional.h>
#include "miniten/interchange/native.h"
#include "python/bind.h"

namespace miniten::python {

void bind_package(nb::module_&);                              // edge.package
std::vector<std::string> skip_patterns(nb::handle skip);      // None, one pattern, or several

inline Entropy entropy_of(const std::optional<std::string>& name) { return name ? entropy_named(*name) : Entropy::none; }

}  // namespace miniten::python
