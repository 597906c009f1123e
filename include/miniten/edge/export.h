#pragma once
#include <map>
#include "miniten/interchange/native.h"
#include "miniten/interchange/onnx.h"
#include "miniten/interchange/tflite.h"
#include "miniten/interchange/tflite_export.h"
#include "miniten/nn/graph_module.h"
#include "miniten/optim/optimizer.h"

namespace miniten::edge {

// Any model to a file and back: docs/edge/export.md. Inputs: specs, or none for those of the model's last call. The model
// given is not modified. Files appear whole or not at all.
struct ExportedPort {                            // an input or output of the file
  std::string name;
  Spec spec;                                     // as in the file
  std::string axes;                              // "NHWC"; "" where they are the model's
  float scale = 0;                               // of integers; 0: plain numbers
  int32_t zero_point = 0;
};
struct ExportReport {
  std::string path;
  size_t bytes = 0;
  int opset = 0, ir_version = 0, nodes = 0;      // opset and ir_version: of ONNX
  std::vector<std::string> checked_by;           // readers that read it again and ran it: "miniten"
  double difference = 0;                         // of one run of what was read against the model: max |a - b| / max(1, max |b|)
  std::vector<ExportedPort> inputs, outputs;     // of TFLite, as the next three
  std::map<std::string, int> operators;          // how often each stands in the file
  std::string quantization;                      // "float32", "float16", "dynamic", "int8", "int16x8"
  std::vector<std::string> notes;
  std::string to_text() const;
  std::string to_json() const;
};

// Sizes left open: name of an input -> axis -> name of the symbol, one name for sizes that are equal. What follows from
// them (strides, joined or cut axes) stays open too, and the file is checked at twice the sizes of `inputs`.
using OpenAxes = std::map<std::string, std::map<int64_t, std::string>>;

// Without open axes the sizes are those of `inputs`, or the graph's own. Before anything is written the bytes are read again by
// MiniTen's own reader and run once beside the model (random inputs): a difference above 1e-3, a step of the output for
// quantised models, throws. Nothing is written where a layer has no form: the error names it.
ExportReport export_onnx(nn::Module& model, const std::vector<Spec>& inputs, const std::string& path, const OnnxExport& = {}, const OpenAxes& = {});

struct TfliteSettings : TfliteExport {
  std::string quantize;                          // "" (as the model is), "int8", "int16x8", "dynamic" or "float16"
  std::function<std::function<std::vector<Tensor>()>()> calibration;     // starts over: one batch at a time, an empty list at the end
};
// Pictures are stored (N, H, W, C); see TfliteExport. Checked as export_onnx does, where the reader knows what was written. A quantised model keeps its scales; a float one is quantised first:
// "int8" and "int16x8" need calibration data, without which "int8" becomes "dynamic" and the report says so.
ExportReport export_tflite(nn::Module& model, const std::vector<Spec>& inputs, const std::string& path, const TfliteSettings& = {});

// A model whose sizes or branches need the inputs: one graph for each set of input shapes where shapes decide alone, else
// (loops, values that shape others) its nodes one by one. Trains, and is traced, as any module.
class OnnxModule : public nn::Module {
 public:
  explicit OnnxModule(OnnxProgram);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "OnnxModule"; }
  const OnnxProgram& program() const { return program_; }
  int compiled() const { return int(compiled_.size()) + islands_.compiled(); }       // graphs made so far
  const std::string& runs_by_node() const { return by_node_; }   // why, after a call: nodes of that kind run alone, what lies between compiled; empty: as one graph

 private:
  OnnxProgram program_;
  std::string by_node_;
  struct Compiled { std::vector<Spec> inputs; Ref<nn::GraphModule> graph; };
  std::vector<Compiled> compiled_;
  OnnxIslands islands_;
};
// A GraphModule where the file's open sizes can stay symbols, else an OnnxModule.
nn::ModuleRef load_onnx(const std::string& path, const OnnxOptions& = {});
nn::ModuleRef load_onnx(std::span<const std::byte>, const OnnxOptions& = {});

// A TFLite model whose loops end when computed values say so: its operators run one by one, without gradients.
class TfliteModule : public nn::Module {
 public:
  explicit TfliteModule(TfliteProgram p) : program_(std::move(p)) { eval(); }
  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) override;
  std::string type_name() const override { return "TfliteModule"; }
  const TfliteProgram& program() const { return program_; }
  void reset() { program_.reset(); }

 private:
  TfliteProgram program_;
};
// A GraphModule, in eval mode, else a TfliteModule; its variables keep their values from call to call.
nn::ModuleRef load_tflite(const std::string& path, const TfliteOptions& = {});
nn::ModuleRef load_tflite(std::span<const std::byte>, const TfliteOptions& = {});

// Native file of any model; with an optimizer its state goes along, by the names of its parameters. Throws for an optimizer
// of another model. metadata: added to the graph's own; "labels" is a JSON list of the classes' names, "history" a JSON object of what
// training measured.
ExportReport export_miniten(nn::Module& model, const std::string& path, const std::vector<Spec>& inputs = {}, const optim::Optimizer* = nullptr,
                            const std::map<std::string, std::string>& metadata = {}, Entropy = Entropy::none);
std::vector<std::string> labels_of(const Graph&);        // of its metadata; none: empty
// The model as what it was: GraphModule, QuantizedModel or PrunedModel, in eval mode. optimizer_state: filled where the file
// holds one, in the order of the model's parameters(), ready for load_state_dict.
Ref<nn::GraphModule> load_miniten(const std::string& path, optim::Optimizer::State* optimizer_state = nullptr, uint64_t max_memory = default_max_memory);
Ref<nn::GraphModule> load_miniten(std::span<const std::byte>, optim::Optimizer::State* optimizer_state = nullptr, uint64_t max_memory = default_max_memory);
Ref<nn::GraphModule> load_miniten(const NativeFile&, optim::Optimizer::State* optimizer_state = nullptr);

}  // namespace miniten::edge
