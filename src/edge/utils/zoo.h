#pragma once
#include "miniten/nn/module.h"

namespace miniten::edge {

struct ProbeNet {
  nn::ModuleRef model;
  Spec input;
  bool net = false;                                    // a whole one: its latency is predicted from the others'
};
// Nets of the kinds that edge devices run, and layers and ops of other sizes, all in float32.
std::vector<ProbeNet> probe_nets();

}  // namespace miniten::edge
