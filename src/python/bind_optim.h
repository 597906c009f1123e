#pragma once
#include "python/bind.h"

// The parts of the optim namespace.
namespace miniten::python {

std::vector<Tensor> parameter_list(const char* op, nb::handle iterable);   // throws for what is no parameter
void bind_averages(nb::module_&);             // EMA, clipping
void bind_schedules(nb::module_&);

}  // namespace miniten::python
