#pragma once
#include "miniten/edge/devices.h"

namespace miniten::edge {

// A step of a compiled model as predictions see it.
struct StepWork {
  std::string op;
  Cost cost;
  size_t bytes = 0, outputs = 0;                       // elements of the outputs
  bool integers = false;
  bool transformed = false;                            // its weights are packed in a form that does fewer products: Winograd's
  double seconds = 0;                                  // where it was measured
};
StepWork work_of(std::string_view op, const Cost&, std::span<const Spec> in, std::span<const Spec> out);
std::vector<StepWork> steps_of(const Session&);
const Device& this_machine();                          // peak_rates(1), measured once

// Products of one output element tell kinds of one op apart: depthwise, first layers, wide ones.
std::string kind_of(const StepWork&);                  // "conv2d/2", "conv2d+/4" with transformed weights
double predicted_seconds(const Device&, const StepWork&);
double predicted_seconds(const Device&, const std::vector<StepWork>&);

}  // namespace miniten::edge
