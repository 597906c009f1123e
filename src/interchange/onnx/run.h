#pragma once
#include <set>
#include "interchange/onnx/model.h"
#include "miniten/interchange/onnx.h"

// An ONNX graph's nodes, applied one after another.
namespace miniten::onnx_run {

class Islands;

// Names of one graph; what is not here is looked up in the graph around it.
struct Scope {
  const onnx_model::Model& model;
  const onnx_model::Opsets& opsets;
  int64_t& nodes_left;
  bool training = false;
  Islands* islands = nullptr;                            // where given, what can be traced runs compiled
  const Scope* outer = nullptr;
  int depth = 0;
  std::map<std::string, Tensor, std::less<>> values = {};
  std::set<std::string, std::less<>> open = {};          // those that hold sizes which are symbols
  std::set<std::string, std::less<>> computed = {};      // those that differ from run to run
  bool is_computed(std::string_view name) const {
    const Scope* s = this;
    while (s && !s->values.contains(name)) s = s->outer;
    return s && s->computed.contains(name);
  }
  bool is_open(std::string_view name) const {
    const Scope* s = this;
    while (s && !s->values.contains(name)) s = s->outer;
    return s && s->open.contains(name);
  }
  bool any_open() const { return !open.empty() || (outer && outer->any_open()); }
  const Tensor* find(std::string_view name) const {
    for (const Scope* s = this; s; s = s->outer) {
      auto v = s->values.find(name);
      if (v != s->values.end()) return &v->second;
    }
    return nullptr;
  }
};
void run_node(const onnx_model::Node&, Scope&);
// outputs: what is read of the graph afterwards.
void run_nodes(const std::vector<onnx_model::Node>&, const std::vector<std::string>& outputs, Scope&);
void run_islands(const std::vector<onnx_model::Node>&, const std::vector<std::string>& outputs, Scope&, Islands&);

}  // namespace miniten::onnx_run
