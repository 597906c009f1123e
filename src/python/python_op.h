#pragma once
#include "python/bind.h"

namespace miniten::python {

// Ops registered at run time with rules written in Python.
void bind_python_op(nb::module_&);

}  // namespace miniten::python
