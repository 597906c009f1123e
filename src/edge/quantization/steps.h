#pragma once
#include "edge/quantization/ranges.h"
#include "miniten/edge/quantization.h"

// The steps of quantize_graph, in order: decide, calibrate, place, lower, report.
namespace miniten::edge {

// What becomes of each node.
struct Decision {
  enum Form { untouched, floats, integers, passes } form = untouched;    // untouched: no float arithmetic to speak of
  std::string reason;                              // why floats
};
struct Decisions {
  std::vector<Decision> nodes;
  std::vector<int> group;                          // by value: values that share one range, named by one of them
  std::vector<bool> quantized;                     // by group
};

// Throws for a skip pattern that matches nothing. mode is what will be done: "static", "dynamic" or "weight_only".
std::vector<std::string> skipped_by(const Graph&, const std::vector<std::string>& patterns);   // by node, "": not skipped
Decisions decide(const Graph&, const std::vector<std::string>& skipped, const std::string& mode);
void regroup(const Graph&, Decisions&);            // after a decision was changed by hand

// Ranges of every quantised group from the batches; counts the samples. Constant memory.
std::vector<Range> calibrate(const Graph&, const Decisions&, const QuantizationConfig&, const Batches&, int64_t& samples);

// Parameters by group: scale 0 where it is not quantised.
std::vector<Quantized> activation_parameters(const Graph&, const Decisions&, const QuantizationConfig&, const std::vector<Range>&);

struct Placed {
  Graph graph;
  std::vector<int> integers;                       // by node of the float graph: the value of integers it ought to give, -1: none
  std::vector<std::string> reasons;                // by node: why it could not be done; empty: done
};
Placed place_static(const Graph&, const Decisions&, const QuantizationConfig&, const std::vector<Quantized>& groups);
Placed place_dynamic(const Graph&, const Decisions&, const QuantizationConfig&);
Placed place_weights(const Graph&, const Decisions&, const QuantizationConfig&);

// Values that nothing reads are dropped; ids change.
void drop_unused_values(Graph&);

std::string layer_of(const Node&);                 // its layer's name, or the op's

}  // namespace miniten::edge
