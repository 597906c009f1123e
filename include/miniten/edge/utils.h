#pragma once
#include <map>
#include "miniten/nn/module.h"

namespace miniten::edge {

// Estimates from the model's graph. Inputs: specs, or none for those of the model's last call. _mb is 2^20 bytes.

struct ParameterCount { int64_t total = 0, trainable = 0, non_trainable = 0; };
ParameterCount count_parameters(nn::Module& model);     // each tensor once; buffers are not counted

// A multiply-add is one MAC and two FLOPs; elementwise work is counted apart. The batch of the inputs counts.
struct LayerFlops { std::string layer, op; int64_t macs = 0, flops = 0; };
struct FlopCount {
  int64_t macs = 0, elementwise_flops = 0;
  std::vector<LayerFlops> by_layer;
  int64_t total() const { return 2 * macs + elementwise_flops; }
};
FlopCount count_flops(nn::Module& model, const std::vector<Spec>& inputs = {});

// activation: the planner's arena for one thread, where inputs are not. Floats count in the width of dtype.
struct MemoryEstimate {
  int64_t parameter = 0, input = 0, activation = 0;
  int64_t total() const { return parameter + input + activation; }
};
MemoryEstimate estimate_memory(nn::Module& model, const std::vector<Spec>& inputs = {}, DType dtype = DType::f32);

// Energy from FLOPs and operations per watt-second: an estimate, no measurement. ops_per_watt 0: the device's default
// (cpu 1e9, gpu 1e10, edge_cpu 5e9, npu 2e10, dsp 1.5e10); an unknown device throws.
struct PowerEstimate { int64_t flops = 0; std::string device; double ops_per_watt = 0, energy_j = 0, inferences_per_joule = 0; };
PowerEstimate estimate_power(nn::Module& model, const std::vector<Spec>& inputs = {}, const std::string& device = "cpu", double ops_per_watt = 0);

std::string model_summary(nn::Module& model, const std::vector<Spec>& inputs = {});   // a table of layers

// Constraints: max_parameters, max_memory_mb, max_flops; others throw. None: 10e6, 100 and 1e9.
struct Check { std::string name; double actual = 0, limit = 0; bool passes = false; };
struct Compatibility {
  std::vector<Check> checks;
  bool passes_all() const;
};
Compatibility check_edge_compatibility(nn::Module& model, const std::vector<Spec>& inputs = {}, const std::map<std::string, double>& constraints = {});

}  // namespace miniten::edge
