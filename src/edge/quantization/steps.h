#pragma once
#include <map>
#include "edge/quantization/ranges.h"
#include "miniten/edge/quantization.h"

// The steps of quantize_graph: decide what each node becomes, calibrate, place conversions, lower.
namespace miniten::edge {

struct Decision {
  enum Form { untouched, floats, integers, passes } form = untouched;    // untouched: nothing worth telling
  std::string reason;                              // why floats
};
struct Decisions {
  std::vector<Decision> nodes;
  std::vector<int> group;                          // by value: its group's number; a group shares one scale
  std::vector<bool> quantized;                     // by group
  std::map<int, Tensor> rounded;                   // by weight: floats on the grid of its scales, where not simply the nearest
  std::map<int, Quantized> weights;                // by value: scales that stand already; the others' follow from their values
  bool is_quantized(int value) const { return quantized[size_t(group[size_t(value)])]; }
};

void check_config(const QuantizationConfig&);      // throws for what no mode takes
QuantizationConfig resolved(QuantizationConfig);   // with what its fields imply: 16-bit weights want 16-bit activations

bool is_bit(uint32_t bits, size_t i);
bool is_activation(const Graph&, const Node&, size_t input);   // must that input be quantised for the node's integer form?

std::string layer_of(const Node&);                 // its layer's name, or the op's

bool is_named(const Node&, const std::string& pattern);

// The pattern that leaves each node out, "" for none. Throws for a pattern that matches nothing.
std::vector<std::string> skipped_by(const Graph&, const std::vector<std::string>& patterns);

// Puts what has integer forms in place of ops that are the same as several, as a recurrent layer's steps.
void compose(Graph&, const std::vector<std::string>& skip);

// mode: what will be done, "static", "dynamic" or "weight_only".
Decisions decide(const Graph&, const std::vector<std::string>& skipped, const std::string& mode);
void regroup(const Graph&, Decisions&);            // after nodes were turned to floats

// Values that get a quantize node in static mode: those of quantised groups that no movement gives.
std::vector<bool> origins(const Graph&, const Decisions&);

// Ranges of the origins over all batches, by value. Adds to samples. also: told of every value of every batch.
std::vector<Range> calibrate(const Graph&, const Decisions&, const QuantizationConfig&, const Batches&, int64_t& samples,
                             const std::function<void(int value, const Tensor&)>& also = [](int, const Tensor&) {});

// Scales of weight `id` of a node. Throws for NaN and infinities.
Quantized weight_parameters(const Graph&, const Node&, int id, const QuantizationConfig&);

// Parameters by group.
std::vector<Quantized> activation_parameters(const Graph&, const Decisions&, const QuantizationConfig&, const std::vector<Range>&);

struct Placed {
  Graph graph;
  std::vector<int> result;                         // by node of the float graph: the value that holds what it gave, -1: none
  std::vector<std::string> refusals;               // by node: why it cannot be done; where any is set, graph is of no use
  bool is_refused() const { for (const std::string& r : refusals) if (!r.empty()) return true; return false; }
};
Placed place_static(const Graph&, const Decisions&, const QuantizationConfig&, const std::vector<Quantized>& groups);
Placed place_dynamic(const Graph&, const Decisions&, const QuantizationConfig&);
Placed place_weights(const Graph&, const Decisions&, const QuantizationConfig&);

// The steps around them.
void check_graph(const Graph&);                    // throws for what cannot be quantised
size_t float_bytes(const Graph&);                  // of a float model's file
// Ops of parts composed, constants folded, ops fused: what decisions are about. Values keep their ids.
Graph folded(const Graph&, const std::vector<std::string>& skip = {}, const std::string& mode = "static");
void check_plain(const char* who, const QuantizationConfig&);      // throws for rounding, bias correction and equalisation
// Parameters by group for the decisions as they stand; null where the mode has none.
using Parameters = std::function<std::vector<Quantized>(const Decisions&)>;
// Places integers where it was decided, takes decisions back where it cannot be done, lowers. `from`: folded(given).
Graph place(const Graph& given, const Graph& from, Decisions&, const Parameters&, QuantizationReport&);
Ref<QuantizedModel> model_of(Graph, QuantizationReport);     // the report told of the file

}  // namespace miniten::edge
