#pragma once
#include <map>
#include "edge/quantization/ranges.h"
#include "miniten/edge/quantization.h"
#include "miniten/interchange/c.h"

// The steps of quantize_graph: decide what each node becomes, calibrate, place conversions, lower.
namespace miniten::edge {

struct Decision {
  enum Form { untouched, floats, integers, passes, stored } form = untouched;    // untouched: nothing worth telling; stored: floats, weights in integers
  std::string reason;                              // why floats
};
struct Decisions {
  std::vector<Decision> nodes;
  std::vector<int> group;                          // by value: its group's number; a group shares one scale
  std::vector<bool> quantized;                     // by group
  std::map<int, Tensor> rounded;                   // by weight: floats on the grid of its scales, where not simply the nearest
  std::map<int, Quantized> weights;                // by value: scales that stand already; the others' follow from their values
  std::vector<QuantizationConfig> configs;         // the model's, then those of layers with overrides
  std::vector<int> config;                         // by node: which
  std::vector<int> wanted;                         // values that are integers whoever reads them
  std::vector<int> leads;                          // by group: which config that says how its integers are stored
  const QuantizationConfig& config_of(size_t node) const { return configs[size_t(config[node])]; }
  const QuantizationConfig& config_of_value(int v) const { return configs[size_t(leads[size_t(group[size_t(v)])])]; }
  bool refines() const { return std::any_of(configs.begin(), configs.end(), [](auto& c) { return c.correct_bias || c.rounding == "adaptive"; }); }
  bool is_quantized(int value) const { return quantized[size_t(group[size_t(value)])]; }
};

void check_config(const QuantizationConfig&);      // throws for what no mode takes
QuantizationConfig resolved(QuantizationConfig);   // with what its fields imply: 16-bit weights want 16-bit activations
QuantizationConfig overridden(QuantizationConfig, const LayerOverride&);
// With layer names where patterns are numbers, or name ops that compose puts others in place of.
QuantizationConfig named(const Graph&, QuantizationConfig);
// Activations of 8 bits: the states that a recurrent layer hands from step to step have 16. -> whether there are any.
bool widen_states(const Graph&, QuantizationConfig&);

bool is_bit(uint32_t bits, size_t i);
bool is_activation(const Graph&, const Node&, size_t input);   // must that input be quantised for the node's integer form?

std::string layer_of(const Node&);                 // its layer's name, or the op's

bool is_named(const Node&, const std::string& pattern);

// Puts what has integer forms in place of ops that are the same as several, as a recurrent layer's steps.
void compose(Graph&, const QuantizationConfig&);
Graph with_sizes(const Graph&, const QuantizationConfig&, const std::vector<Spec>& inputs);      // those of the inputs, where one is composed with them alone

// config: resolved and named. mode: what will be done, "static", "dynamic" or "weight_only". Throws for a pattern of skip
// or overrides that matches nothing.
// integers: values that must be, whoever reads them.
Decisions decide(const Graph&, const QuantizationConfig& config, const std::string& mode, const std::vector<int>& integers = {});
void regroup(const Graph&, Decisions&);            // after nodes were turned to floats

// Values that get a quantize node in static mode: those of quantised groups that no movement gives.
std::vector<bool> origins(const Graph&, const Decisions&);

// Ranges of the origins over all batches, by value. Adds to samples. also: told of every value of every batch.
std::vector<Range> calibrate(const Graph&, const Decisions&, const Batches&, int64_t& samples,
                             const std::function<void(int value, const Tensor&)>& also = [](int, const Tensor&) {},
                             std::vector<Range>* as_int16 = nullptr);      // as_int16: the same for int16

// Scales of weight `id` of a node. Throws for NaN and infinities.
Quantized weight_parameters(const Graph&, const Node&, int id, const QuantizationConfig&);

// Parameters by group, and the ranges that they were made from where these are known.
struct GroupParameters { std::vector<Quantized> of; std::vector<Range> ranges; };
GroupParameters activation_parameters(const Graph&, const Decisions&, const std::vector<Range>&);

struct Placed {
  Graph graph;
  std::vector<int> result;                         // by node of the float graph: the value that holds what it gave, -1: none
  std::vector<std::string> refusals;               // by node: why it cannot be done; where any is set, graph is of no use
  bool is_refused() const { for (const std::string& r : refusals) if (!r.empty()) return true; return false; }
};
Placed place_static(const Graph&, const Decisions&, const GroupParameters&);
Placed place_dynamic(const Graph&, const Decisions&);        // and weight_only: by the decisions

// Layers that run faster in floats, timed on these inputs beside the float model. config: resolved, of mode static or dynamic.
struct Slower { std::string layer; double integer_us = 0, float_us = 0; };
std::vector<Slower> slower_in_integers(const Graph&, const QuantizationConfig&, const std::vector<Tensor>& inputs);

// The steps around them.
void check_graph(const Graph&, bool was_quantized = false);            // throws for what cannot be quantised
// Of a model in integers, its own or from a file: the graph of floats that these stand for. Throws for what has
// no float form. Tells what was lost.
bool holds_integers(const Graph&);
Graph floats_of(const Graph&, std::vector<std::string>& notes);
size_t float_bytes(const Graph&);                  // of a float model's file
// Ops of parts composed, constants folded, ops fused: what decisions are about. Values keep their ids.
Graph folded(const Graph&, const QuantizationConfig& = {}, const std::string& mode = "static");
void check_plain(const char* who, const QuantizationConfig&, bool overrides = false);      // throws for rounding, bias correction and equalisation, and overrides but skip
// Parameters by group for the decisions as they stand; null where the mode has none.
using Parameters = std::function<GroupParameters(const Decisions&)>;
// Places integers where it was decided, takes decisions back where it cannot be done, lowers. `from`: folded(given).
Graph place(const Graph& given, const Graph& from, Decisions&, const Parameters&, QuantizationReport&);
Ref<QuantizedModel> model_of(Graph, QuantizationReport);     // the report told of the file


// int8 with states of 16 bits, by whole sequences; states and ports stay where they are. report: told of config and layers.
Graph quantize_stream(const CarryingGraph&, const Batches& sequences, QuantizationReport& report, const std::vector<std::string>& skip);

}  // namespace miniten::edge
