#pragma once
#include "miniten/graph/graph.h"
#include "miniten/graph/session.h"
#include "miniten/ops/ops.h"

namespace miniten::nn {

class Module;
using ModuleRef = Ref<Module>;
using StateDict = std::vector<std::pair<std::string, Tensor>>;

// Base of every layer and model. Derive, register parameters, buffers and children in the constructor, override
// forward. Names, order and training flag follow torch.nn.Module.
class Module : public Object {
 public:
  // The one virtual. Inputs and outputs are tensors; a single one is the common case.
  virtual std::vector<Tensor> forward(const std::vector<Tensor>& inputs) = 0;
  virtual std::string type_name() const = 0;                     // "Conv2d"
  virtual std::string extra_repr() const { return ""; }          // "3, 8, kernel_size=(3, 3)"
  virtual void on_train(bool) {}
  virtual bool takes_options() const { return false; }           // its own call takes more than tensors by position, as attention's masks
  virtual std::vector<std::pair<std::string, std::string>> config() const { return {}; }   // constructor arguments by name, as text

  // Remembers the inputs' specs, names the layer for traces, then calls forward between its hooks.
  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs);
  Tensor operator()(const Tensor& x);                            // throws where forward gives more than one
  const std::vector<Spec>& last_input_specs() const { return last_inputs_; }   // empty: never called
  void note_call(const std::vector<Tensor>& inputs);
  const std::string& label() const { return label_; }            // name in its first parent; "" at the top

  Tensor register_parameter(std::string name, Tensor);           // becomes a parameter; null is allowed and stays absent
  Tensor register_buffer(std::string name, Tensor);
  ModuleRef register_module(std::string name, ModuleRef);        // throws for a module that contains this one
  template <class M> Ref<M> add(std::string name, Ref<M> m) { register_module(std::move(name), m); return m; }
  bool remove(std::string_view name);                            // of any kind; false: no such name

  Tensor parameter_of(std::string_view name) const;              // own ones; null: none
  Tensor buffer_of(std::string_view name) const;
  ModuleRef child(std::string_view name) const;
  const std::vector<std::pair<std::string, Tensor>>& own_parameters() const { return parameters_; }
  const std::vector<std::pair<std::string, Tensor>>& own_buffers() const { return buffers_; }
  const std::vector<std::pair<std::string, ModuleRef>>& children() const { return children_; }

  StateDict named_parameters() const;                            // shared ones once, under their first name
  StateDict named_buffers() const;
  std::vector<std::pair<std::string, ModuleRef>> named_modules();   // this one first, as ""
  std::vector<Tensor> parameters() const;
  StateDict state_dict() const;                                  // parameters and buffers; tensors share memory with the model
  struct LoadResult { std::vector<std::string> missing, unexpected; };
  LoadResult load_state_dict(const StateDict&, bool strict = true);   // strict: throws listing every missing, unexpected and mis-shaped name; nothing is changed then

  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }
  void zero_grad();
  void set_requires_grad(bool);
  void to(DType);                                                // every parameter and buffer of a float dtype; gradients are dropped

  // Called around forward, in the order of registration; what a hook returns stands in for what it was given, null
  // leaves it. -> a number for remove_hook.
  using PreHook = std::function<std::optional<std::vector<Tensor>>(Module&, const std::vector<Tensor>& inputs)>;
  using Hook = std::function<std::optional<std::vector<Tensor>>(Module&, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs)>;
  int add_forward_pre_hook(PreHook);
  int add_forward_hook(Hook);
  bool remove_hook(int number);                                  // false: no such hook
  ModuleRef find_module(std::string_view path);                  // "encoder.layers.0"; "" is this one; null: none
  std::string repr() const;                                      // nested, as torch's

  void visit_refs(const std::function<void(Object*)>&) const;    // everything this module owns, for a host's cycle collector
  void clear_refs();

 private:
  void collect(std::string_view prefix, bool buffers, StateDict&) const;
  void collect_modules(std::string prefix, std::vector<std::pair<std::string, ModuleRef>>&);
  std::vector<std::pair<std::string, Tensor>> parameters_, buffers_;
  std::vector<std::pair<std::string, ModuleRef>> children_;
  std::vector<Spec> last_inputs_;
  std::string label_;                                            // name in its parent
  bool training_ = true;
  int next_hook_ = 0;
  std::vector<std::pair<int, PreHook>> pre_hooks_;
  std::vector<std::pair<int, Hook>> hooks_;
};

// Traces a module in eval mode (restored afterwards). The first axis of every input of rank 2 or more becomes the
// symbol "batch" where the module allows it; else, or with fixed_batch, the graph has the shapes given.
Graph trace_module(Module&, const std::vector<Spec>& inputs, bool fixed_batch = false);

// Session for a module and input specs: traced, optimised, planned.
Session compile(Module&, const std::vector<Spec>& inputs, const CompileOptions& = {});

// Specs to use where a call names none: those given, else the model's last call's. Throws telling how to mend it.
std::vector<Spec> specs_or_last(std::string_view op, const Module&, const std::vector<Spec>& given);

}  // namespace miniten::nn
