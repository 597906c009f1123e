#pragma once
#include "miniten/core/memory_limit.h"
#include "miniten/graph/graph.h"

namespace miniten {

namespace tflite_model { struct Model; }

// TFLite, read without TensorFlow: schema version 3, the operators that docs/interchange/tflite.md lists; what it does not
// know is refused by operator, version and node. Shapes are the file's own: images are (N, H, W, C).
struct TfliteOptions {
  std::string exact;                             // "": MiniTen's arithmetic; "tflite": integers as LiteRT's reference kernels round
  std::string signature;                         // its key; "": the main graph
  uint64_t max_memory = default_max_memory;        // bytes of the file, and of the tensors it expands to or declares; TooLarge before
};

// A model as its operators: applied one by one through op functions, so eagerly, with gradients, or into a trace.
class TfliteProgram {
 public:
  explicit TfliteProgram(std::span<const std::byte>, TfliteOptions = {});
  explicit TfliteProgram(const std::string& path, TfliteOptions = {});
  struct Input { std::string name; Spec spec, fixed; };          // open sizes are symbols in spec, the file's numbers in fixed
  const std::vector<Input>& inputs() const { return inputs_; }
  const std::vector<std::string>& outputs() const { return outputs_; }
  std::vector<std::string> signatures() const;
  const std::vector<std::pair<Tensor, std::string>>& weights() const { return weights_; }   // float ones are parameters
  const std::map<std::string, std::string>& metadata() const;
  bool loops() const;                                            // whether it holds WHILE
  void reset();                                                  // variables are the file's again
  std::vector<Tensor> run(const std::vector<Tensor>& inputs) const;
  Graph trace(const std::vector<Spec>& inputs) const;            // throws where a size or a loop depends on values
  Graph graph() const;                                           // with open sizes where its operators allow it, else the file's

 private:
  std::shared_ptr<const tflite_model::Model> model_;
  TfliteOptions options_;
  int subgraph_ = 0;
  std::vector<Input> inputs_;
  std::vector<std::string> outputs_;
  std::vector<std::pair<Tensor, std::string>> weights_;
  friend struct TfliteReading;
  struct Memory;                                                 // variables, and weights as rules arrange them
  std::shared_ptr<Memory> memory_;
};

// graph() of a program.
Graph load_tflite(const std::string& path, const TfliteOptions& = {});
Graph load_tflite(std::span<const std::byte>, const TfliteOptions& = {});

}  // namespace miniten
