#pragma once
#include "miniten/interchange/native.h"
#include "miniten/interchange/onnx.h"
#include "miniten/nn/graph_module.h"
#include "miniten/optim/optimizer.h"

namespace miniten::edge {

// ONNX file of a model; shapes given, else those of its last call. dynamic_batch keeps the first axis open where the
// model allows it. Nothing is written where a layer has no form: the error names it.
OnnxReport export_onnx(nn::Module& model, const std::vector<Spec>& inputs, const std::string& path, const OnnxExport& = {}, bool dynamic_batch = false);
Ref<nn::GraphModule> load_onnx(const std::string& path, const OnnxOptions& = {});
Ref<nn::GraphModule> load_onnx(std::span<const std::byte>, const OnnxOptions& = {});

// Native file of any model; with an optimizer its state goes along. -> bytes written.
size_t export_miniten(nn::Module& model, const std::string& path, const std::vector<Spec>& inputs = {}, const optim::Optimizer* = nullptr);
// The model as what it was: GraphModule, QuantizedModel or PrunedModel. optimizer_state: filled where the file holds one.
Ref<nn::GraphModule> load_miniten(const std::string& path, optim::Optimizer::State* optimizer_state = nullptr);
Ref<nn::GraphModule> load_miniten(std::span<const std::byte>, optim::Optimizer::State* optimizer_state = nullptr);

}  // namespace miniten::edge
