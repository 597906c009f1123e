#pragma once
#include <map>
#include "miniten/edge/devices.h"

namespace miniten::edge {

// Estimates from the graph of a model, any Module: docs/edge/utils.md. Inputs: specs of known sizes, or none for those of
// the model's last call; the batch counts. _mb is 2^20 bytes. Every to_json has the keys of the Python results.

// Each tensor once. Buffers (running statistics) are not counted; of a graph, integer weights and the integer biases beside
// them are: parameters that are not trained.
struct ParameterCount {
  int64_t total = 0, trainable = 0, non_trainable = 0, nonzero = 0;
  std::string to_json() const;
};
ParameterCount count_parameters(nn::Module& model);

// A multiply-add is one MAC and two FLOPs; elementwise work is counted apart. By layer: nodes that came from one.
struct LayerFlops {
  std::string layer, op;                         // name, and its op with most work
  int64_t macs = 0, flops = 0;                   // flops: 2 * macs + elementwise work
  int64_t effective_macs = 0;                    // as FlopCount's
  int64_t elementwise_flops() const { return flops - 2 * macs; }
};
struct FlopCount {
  int64_t macs = 0, elementwise_flops = 0;
  std::vector<LayerFlops> by_layer;
  std::optional<int64_t> effective_macs;         // without those by weights that are zero
  std::optional<int64_t> backward_macs, backward_elementwise_flops;  // of the gradients of all parameters beside the forward pass
  int64_t total() const { return 2 * macs + elementwise_flops; }
  std::string to_json() const;
};
struct FlopOptions { bool effective = false, backward = false; };
FlopCount count_flops(nn::Module& model, const std::vector<Spec>& inputs = {}, const FlopOptions& = {});

// Bytes. parameter: what count_parameters counts, integers with their scales. activation: the planner's arena for one
// thread, which holds no inputs. Floats count in the width of dtype (the plan is made for it); integers as they are.
struct MemoryEstimate {
  int64_t parameter = 0, input = 0, activation = 0;
  int64_t total() const { return parameter + input + activation; }
  std::string to_json() const;
};
MemoryEstimate estimate_memory(nn::Module& model, const std::vector<Spec>& inputs = {}, DType dtype = DType::f32);

// Of one training step as train::CompiledStep runs it on one thread, of a loss that is a mean of squares: parameters and
// buffers, the optimizer's states, inputs, and the planner's arena, which holds activations and gradients. gradient: all of
// them, as an eager step holds them at the end of backward. optimizer: sgd, momentum, adam, adamw, rmsprop, adagrad, lion.
struct TrainingMemory {
  std::string optimizer;
  int64_t batch = 0;                             // the first axis of the inputs
  int64_t parameter = 0, optimizer_state = 0, input = 0, arena = 0, gradient = 0;
  std::optional<int64_t> largest_batch;          // whose total is at most the limit; 0: not even one. None: no limit given
  int64_t total() const { return parameter + optimizer_state + input + arena; }
  std::string to_json() const;
};
// limit_bytes above 0: looks for the largest batch. Throws for integer models and unknown optimizers; nothing is run or changed.
TrainingMemory estimate_training_memory(nn::Module& model, const std::vector<Spec>& inputs = {}, const std::string& optimizer = "adam", int64_t limit_bytes = 0);

// Energy from FLOPs and operations per watt-second: an estimate, no measurement. ops_per_watt 0: the device's default
// (cpu 1e9, gpu 1e10, edge_cpu 5e9, npu 2e10, dsp 1.5e10); an unknown device and a number that is not above 0 throw.
struct PowerEstimate {
  int64_t flops = 0;
  std::string device;
  double ops_per_watt = 0, energy_j = 0, inferences_per_joule = 0;       // of one inference; infinite where there is no work
  double latency_ms = 0, watts = 0, error = 0;   // of a board: what energy is the product of, and how far latency may be off
  std::string to_json() const;
};
PowerEstimate estimate_power(nn::Module& model, const std::vector<Spec>& inputs = {}, const std::string& device = "cpu", double ops_per_watt = 0);
// Of a board: estimate_latency times the watts that it draws while computing; watts 0: the table's, which must be known then.
PowerEstimate estimate_power(nn::Module& model, const std::vector<Spec>& inputs, const Device&, double watts = 0);

// A table of layers, indented as the modules they are in, then totals. What only holds other layers has its first layer's input
// and its last one's output; depth folds deeper layers into it. int8: bytes of the layer's parameters once the model is really quantised. RAM: bytes of the
// planned arena that are alive at its steps; "-" where another layer took its work up. time: on a device.
struct SummaryOptions {
  int depth = 0;                                 // above 0: "features.0.conv" of depth 1 is part of "features"; 0: every layer
  const Device* device = nullptr;
};
std::string model_summary(nn::Module& model, const std::vector<Spec>& inputs = {}, const SummaryOptions& = {});

// Constraints, any of them: max_parameters, max_memory_mb (estimate_memory's total), max_flops, max_latency_ms (the median
// measured on this machine with one thread), max_flash_kb (parameters), max_ram_kb (input and activation); kb is 2^10
// bytes. None given: 10e6 parameters, 100 MB and 1e9 FLOPs. Others, and limits that are no number or negative, throw.
struct Check {
  std::string name;
  double actual = 0, limit = 0;
  bool passes = false;
  std::string fix;                               // of a failed one: what quantising makes of it
};
// Where a check fails, the model is really quantised to int8, and where that is not enough channels are cut out as well: the
// least hundredth of all, or of one of the layers that weigh most. Each is made and checked again; those that fit stand
// first, the fewest channels before. Accuracy is not known here: train a while after cutting.
struct Fix {
  std::string name, text;                        // "int8", "int8 and 30 % fewer channels in block3.conv fit"
  bool int8 = false;
  double channels = 0;                           // share that goes, of method structured
  std::string layer;                             // where, a name for PruneOptions::ratios; empty: everywhere
  int64_t cut = 0;                               // channels that went
  bool passes_all = false;
  std::vector<Check> checks;                     // of the changed model
};
struct Compatibility {
  std::vector<Check> checks;
  std::vector<Fix> fixes;
  bool passes_all() const;
  std::string to_text() const;
  std::string to_json() const;
};
Compatibility check_edge_compatibility(nn::Module& model, const std::vector<Spec>& inputs = {}, const std::map<std::string, double>& constraints = {});
// What a device's memory allows; latency is not checked.
std::map<std::string, double> constraints_of(const Device&);

}  // namespace miniten::edge
