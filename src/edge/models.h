#pragma once
#include <map>
#include "miniten/nn/graph_module.h"

// What every room of edge asks of a model.
namespace miniten::edge {

// The specs given, else those of the model's last call; every size known.
std::vector<Spec> known_specs(const char* who, nn::Module&, const std::vector<Spec>& given);

// A model's graph with its symbols, sharing the weights of a model that has them. A GraphModule that waits for its first
// call stays as it is: the graph is a copy's.
Graph graph_for(const char* who, nn::Module&, const std::vector<Spec>& inputs);
Graph whole_graph(const char* who, nn::Module&, const std::vector<Spec>& inputs);     // one that is there already as it is
Graph bound_graph(const char* who, nn::Module&, const std::vector<Spec>& given);      // for known_specs

// A copy of a GraphModule that waits for its first call: its class, its weights, nothing shared.
Ref<nn::GraphModule> copy_waiting(const nn::GraphModule&);

// The same graph with constants of its own.
Graph own_copy(const Graph&);

// Values that no node, input or output names; the others get new ids.
void drop_unread(Graph&);

// What a product or convolution multiplies by its weights, a row for each output pixel: its input, or its patches.
Tensor read_rows(const Node&, const std::vector<Tensor>& in);

// Layer name -> class of the module; of a GraphModule nothing.
std::map<std::string, std::string> layer_types(nn::Module&);

// A weight: a constant that the weights bits of an op's traits name, read as it is, moved, or dequantised.
struct Weight {
  int value;
  std::shared_ptr<const Quantized> quantized;          // null: floats, or integers of unknown scales
  std::vector<std::string> layers, ops;                // of the nodes that read it
};
std::vector<Weight> weights_of(const Graph&);          // each once, in the order of the nodes

// Value ids of what counts as parameters: trainable constants, weights, and the constants beside them but their scales.
std::vector<int> parameters_of(const Graph&);

int64_t zeros_of(const Tensor&, const Quantized* = nullptr);       // elements that stand for 0

// Layers in the order of their first node; nodes without a name are layers of their own.
struct LayerWork {
  std::string name, op;                                // the op with most work
  Cost cost;
  int input = -1, output = -1;                         // values: what its first node reads, what its last one gives
  std::vector<int> parameters;                         // value ids that no earlier layer reads
};
std::vector<LayerWork> layers_of(const Graph&);

// The planner's arena for one thread of a graph that went through the passes, as if every float32 value were of this dtype.
uint64_t planned_arena(Graph, DType = DType::f32);

bool matches(std::string_view pattern, std::string_view name);     // * stands for any characters, ? for one

}  // namespace miniten::edge
