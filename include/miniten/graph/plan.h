#pragma once
#include "miniten/graph/session.h"

namespace miniten {

// The arena of who runs a graph by other code than eval: an exporter.
struct PlanOptions {
  int workers = 1;
  uint64_t alignment = 64;
  bool exact = false;
  std::function<Work(const Call&)> work;         // memory that a node's code needs beside its operands
  bool caller_holds_outputs = false;             // row-major outputs are computed in the caller's memory, not in the arena
};
struct OutputPlan : Plan {
  std::vector<int> held_by;                      // by value: the output in whose memory it lives, -1: as `places` says
};
OutputPlan plan(const Graph&, const PlanOptions&, const std::vector<bool>& prepared = {});

}  // namespace miniten
