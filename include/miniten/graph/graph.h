#pragma once
#include <functional>
#include <map>
#include "miniten/core/op.h"

namespace miniten {

// The graph: vectors and ids. Whatever comes in becomes one, whatever goes out leaves from one.
struct Graph;

struct Value {
  Spec spec;
  std::string name;
  Tensor constant;                       // or a state's home; null when a node computes it
  bool trainable = false;                // a constant that is a parameter
  std::shared_ptr<const Quantized> quantized;   // what the integers stand for
  Tensor mask;                           // of a pruned constant: bool, true where a weight may be non-zero
  Tensor codebook;                       // of a clustered constant: its distinct values
};
struct Node {
  const OpDef* op;
  Attrs attrs;                           // null: the defaults
  std::vector<int> in, out;
  std::string name;                      // of the layer it came from; may be empty
  std::vector<Graph> subgraphs;          // of control flow
  bool stays_float = false;              // lower_quantized leaves it
  const void* attributes() const { return attrs ? attrs.get() : op->attrs.defaults; }
};
struct State { int entry, exit; };       // exit: the value that stands in the entry's memory after a run

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<int> inputs, outputs;
  std::vector<State> states;
  std::string name;
  std::map<std::string, std::string> metadata;

  bool is_state(int value) const;
  bool is_constant(int value) const { return values[size_t(value)].constant && !is_state(value); }
  std::vector<int> readers(int value) const;                    // node indices
  int producer(int value) const;                                // node index, -1: none
  std::vector<Spec> specs(const std::vector<int>& ids) const;
  std::vector<Tensor> constants(const std::vector<int>& ids) const;    // null tensors where not constant
  int add_value(Spec, std::string name = "", Tensor constant = {});
  bool is_static() const;                                       // no symbolic size anywhere
  std::string to_text() const;                                  // stable: what tests compare
};

// Runs f on traced inputs and records it. Tensors met with data become constants (states where an op overwrites
// them); parameters become trainable constants. names: storage -> name, for constants.
struct TraceNames { std::vector<std::pair<Tensor, std::string>> constants; std::vector<std::string> inputs; };
Graph trace(const std::vector<Spec>& inputs, const std::function<std::vector<Tensor>(const std::vector<Tensor>&)>& f, const TraceNames& = {});

// Name of the layer that is running, put on the nodes recorded meanwhile.
struct LayerScope {
  explicit LayerScope(std::string_view name);
  ~LayerScope();
  LayerScope(const LayerScope&) = delete;
  static std::string current();          // "features.0.conv"
};

// Applies every node again, eagerly or into an outer trace; gradients flow to constants that require them.
struct Replay {
  bool training = false;                 // ops with a form for training do that
  Tensor frozen;                         // see Training
  std::function<void(int node, std::vector<Tensor>& in)> reads;         // may change what a node reads
  std::function<Tensor(int value, const Tensor&)> gives;                // what stands for an input or a computed value
};
std::vector<Tensor> replay(const Graph&, const std::vector<Tensor>& inputs, const Replay& = {});

Graph bind(const Graph&, Dim symbol, int64_t size);
Graph bind_inputs(Graph, const std::vector<Spec>& inputs);             // binds every symbol that the inputs tell; throws where they disagree
void infer_all(Graph&);                                                // specs of computed values from the inputs on

// Throws naming node, value, got and want: unknown or twice written values, wrong specs, reads of overwritten states.
void verify(const Graph&);

// The constant that a value is, or is moved from by one-input movement ops (reshape, permute ...); -1: none.
int source_constant(const Graph&, int value);

// Multiply-adds, elementwise operations and bytes of one node or all; sizes must be known.
Cost cost_of(const Graph&, const Node&);
Cost cost_of(const Graph&);

}  // namespace miniten
