#pragma once
#include "python/bind.h"

// The parts of the optim namespace.
namespace miniten::python {

void bind_averages(nb::module_&);             // EMA, clipping
void bind_schedules(nb::module_&);

}  // namespace miniten::python
