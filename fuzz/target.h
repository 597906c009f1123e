#pragma once
#include "miniten/graph/session.h"

// What every reader's target does with bytes: read, and run where that is cheap. Errors are answers; anything else is a finding.
namespace miniten::fuzz {

inline constexpr int64_t most_elements = 1 << 16, most_work = 1 << 22;
inline constexpr size_t most_memory = size_t{1} << 28;

inline void run(Graph g, const CompileOptions& options = {.threads = 1}) {
  std::vector<Spec> inputs = g.specs(g.inputs);
  for (Spec& s : inputs) {
    for (Dim& d : s.shape) if (is_symbol(d)) d = 1;
    check_sizes("fuzz", s.shape);
    if (s.shape.count() > most_elements) return;
  }
  g = bind_inputs(std::move(g), inputs);
  for (const Value& v : g.values) {
    for (Dim d : v.spec.shape) if (d > most_elements) return;
    if (!v.spec.shape.is_static() || v.spec.shape.count() > most_elements) return;
  }
  Cost cost = cost_of(g);
  if (cost.macs > most_work || cost.flops > most_work || cost.macs < 0 || cost.flops < 0) return;
  std::vector<Tensor> zeros;
  for (const Spec& s : inputs) zeros.push_back(Tensor::zeros(s.shape, s.dtype));
  Session(std::move(g), options).run(zeros);
}

template <class Read> int target(const uint8_t* data, size_t size, Read read) {
  try {
    read(std::span(reinterpret_cast<const std::byte*>(data), size));
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace miniten::fuzz
