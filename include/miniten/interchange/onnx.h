#pragma once
#include <memory>
#include "miniten/core/memory_limit.h"
#include "miniten/graph/graph.h"

namespace miniten {

namespace onnx_model { struct Model; }
namespace onnx_run { class Islands; }

// What a model has compiled of itself: the stretches between nodes whose sizes or branches follow from values, in its
// subgraphs too, for each set of sizes met. One run at a time.
struct OnnxIslands {
  OnnxIslands();
  ~OnnxIslands();
  int compiled() const;                                        // sessions made so far
  std::unique_ptr<onnx_run::Islands> all;
};

// ONNX, read and written without the onnx package. Reads opsets 7 and up of what docs/interchange/onnx.md lists; what
// it does not know is refused by op, version and node name.

// A model as its nodes: applied one by one through op functions, so eagerly, with gradients, or into a trace. What shapes
// and branches depend on need only be known where it is run.
class OnnxProgram {
 public:
  explicit OnnxProgram(std::span<const std::byte>, const std::string& folder = "", uint64_t max_memory = default_max_memory);   // folder: where external data lies
  explicit OnnxProgram(const std::string& path, uint64_t max_memory = default_max_memory);
  struct Input { std::string name; Spec spec; };                 // open sizes are symbols
  const std::vector<Input>& inputs() const { return inputs_; }
  const std::vector<std::string>& outputs() const;
  const std::vector<std::pair<Tensor, std::string>>& weights() const { return weights_; }   // float ones are parameters
  const std::string& name() const;
  const std::map<std::string, std::string>& metadata() const;
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, bool training = false, OnnxIslands* = nullptr) const;
  Graph trace(const std::vector<Spec>& inputs) const;            // throws where a size or a branch depends on values

 private:
  std::shared_ptr<const onnx_model::Model> model_;
  std::vector<Input> inputs_;
  std::vector<std::pair<Tensor, std::string>> weights_;
  uint64_t max_memory_;
};

struct OnnxOptions {
  bool fold_batch_norm = false;
  uint64_t max_memory = default_max_memory;        // bytes of each file, and of the tensors they expand to or declare; TooLarge before
};
Graph load_onnx(const std::string& path, const OnnxOptions& = {});
Graph load_onnx(std::span<const std::byte>, const OnnxOptions& = {});

struct OnnxExport {
  int opset = 13;
  int ir_version = 0;                            // 0: the one that came with the opset
  std::string quantization = "qdq";              // qdq: float ops between QuantizeLinear and DequantizeLinear. qoperator: QLinearConv and
                                                 // the like, onnxruntime's where ONNX has none; qdq for what has neither
  std::vector<std::string> input_names, output_names;
  bool sparse = false;                           // constants with many zeros as sparse initializers, where that is smaller
};
struct OnnxReport {
  std::string path;
  std::string to_text() const;
  size_t bytes = 0;
  int opset = 0, ir_version = 0, nodes = 0;
};
// What a runtime reads, as "onnxruntime==1.14": its newest opset that MiniTen writes, and its IR version. Throws for names it does not know.
struct OnnxTarget { int opset, ir_version; };
OnnxTarget onnx_target(std::string_view runtime);

OnnxReport export_onnx(const Graph&, const std::string& path, const OnnxExport& = {});   // atomic write
std::vector<std::byte> onnx_bytes(const Graph&, const OnnxExport& = {}, OnnxReport* report = nullptr);

}  // namespace miniten
