#pragma once
#include "miniten/nn/module.h"

namespace miniten::nn {

// A Graph whose trainable constants are parameters, with the graph's names. In training mode, or where an input
// requires a gradient, forward replays the nodes through apply, so an imported model can be trained: its batch norms take
// the batch's statistics and move their running ones, as the layers do. Else it runs Sessions, one for each set of input
// shapes, rebuilt when a weight was overwritten.
class GraphModule : public Module {
 public:
  explicit GraphModule(Graph);
  GraphModule(const GraphModule&) = delete;
  // Not traced yet: a snapshot of `source`'s weights, which `transforms` change once the first call tells the shapes.
  // Weights may be replaced by name until then.
  GraphModule(ModuleRef source, std::vector<std::function<void(Graph&)>> transforms);

  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "GraphModule"; }
  bool has_graph() const { return has_graph_; }
  const Graph& graph() const;                                    // throws telling how to mend it while there is none
  void materialize(const std::vector<Spec>& inputs);             // traces and transforms now
  void add_transform(std::function<void(Graph&)>);               // applied at once where there is a graph
  const std::vector<std::pair<std::string, Tensor>>& snapshot() const { return snapshot_; }
  const ModuleRef& source() const { return source_; }            // null once there is a graph, as transforms() is empty
  const std::vector<std::function<void(Graph&)>>& transforms() const { return transforms_; }
  void replace_weight(const std::string& name, const Tensor&);   // in snapshot and graph
  std::vector<Spec> input_specs() const;                         // of the last call, or the graph's
  Session& session(const std::vector<Spec>& inputs);
  void reset();                                                  // states (variables, what streams) as they were when the graph came
  size_t session_count() const { return sessions_.size(); }

 private:
  void adopt(Graph);
  uint64_t weights_version() const;
  Graph graph_;
  std::vector<Tensor> initial_;                                  // of graph_.states
  bool has_graph_ = false;
  ModuleRef source_;
  std::vector<std::pair<std::string, Tensor>> snapshot_;
  std::vector<std::function<void(Graph&)>> transforms_;
  const Graph& bound_graph(const std::vector<Spec>& inputs);
  struct Bound { std::vector<Spec> inputs; Graph graph; };
  std::vector<Bound> bound_;
  struct Compiled { std::vector<Spec> inputs; uint64_t version; std::unique_ptr<Session> session; };
  std::vector<Compiled> sessions_;
};

// The graph of any model: a GraphModule's own, else traced for the specs given or of the last call.
Graph graph_of(std::string_view op, Module&, const std::vector<Spec>& inputs = {});

}  // namespace miniten::nn
