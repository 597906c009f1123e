#pragma once
#include "edge/quantization/steps.h"
#include "miniten/edge/compare_quantized.h"

namespace miniten::edge {

// A node of the folded float graph and the one that stands for it in the quantised graph.
struct Match { int node, quantized; };

struct QuantizationComparison::State {
  Graph given, from, quantized;                    // the float model, folded(given), what is compared with it
  std::vector<Match> matches;                      // by row
  std::vector<std::vector<Tensor>> data;
  QuantizationReport report;                       // of the quantised model; an empty one where it has none
};

std::vector<Match> match(const Graph& from, const Graph& quantized);

// What a float value of `from` is in the quantised graph: its integers' scale; null where it stays float.
std::shared_ptr<const Quantized> integers_of(const Graph& quantized, int value);

// The value of the quantised graph that stands for a node's output or an input of `from`; -1: none.
int counterpart(const QuantizationComparison::State&, int value);

}  // namespace miniten::edge
