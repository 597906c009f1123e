#pragma once
#include "miniten/edge/devices.h"

namespace miniten::edge {

// A step of a compiled model as predictions see it.
struct StepWork {
  std::string op;
  Cost cost;
  size_t bytes = 0, outputs = 0, channels = 1;         // elements of the outputs; of its last output
  bool integers = false;
  bool transformed = false;                            // its weights are packed in a form that does fewer products: Winograd's
  double footprint = 0;                                // of the whole model, bytes
  double seconds = 0;                                  // where it was measured
};
StepWork work_of(std::string_view op, const Cost&, std::span<const Spec> in, std::span<const Spec> out);
std::vector<StepWork> steps_of(const Session&);
const Device& this_machine();                          // peak_rates(1), measured once

std::string kind_of(const StepWork&);                  // as Device::slowdown has it
MeasuredStep measured_step(const Device&, const StepWork&);
double predicted_seconds(const Device&, const StepWork&);
double predicted_seconds(const Device&, const std::vector<StepWork>&);

}  // namespace miniten::edge
