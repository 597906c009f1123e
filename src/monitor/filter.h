#pragma once
#include <functional>
#include <string_view>
#include "miniten/monitor/logger.h"
#include "monitor/files.h"

namespace miniten::monitor {

// What an expression may look at: one run.
struct FilterRun {
  const std::string& name;
  const Json& metadata;
  std::function<const RunData&()> data;          // read when a metric is named
};

// or, and, not; < <= > >= == != (chained as in Python), in, not in; + - * / and brackets; numbers, strings, True, False,
// None; metric('x') (the last value), min_metric('x'), max_metric('x'), params['lr'], tags, name, status, comment,
// created. A metric or parameter that a run has not is None; an order with None does not hold. Throws Error(value) naming the place.
bool matches(std::string_view expression, const FilterRun&);

}  // namespace miniten::monitor
