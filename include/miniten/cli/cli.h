#pragma once
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>
#include "miniten/core/tensor.h"

namespace miniten::cli {

// Another runtime with a model's file open: "onnxruntime 1.20.0". run is one inference on the inputs it was given.
struct Peer {
  std::string label;
  std::function<void()> run;
  std::vector<Tensor> outputs;                   // of one run
};
// name: onnxruntime (file: .onnx) or litert (.tflite). Throws where it is not installed. Python has them; see bench --against.
using Peers = std::function<Peer(const std::string& name, const std::string& file, const std::vector<Tensor>& inputs, int threads)>;

// The `miniten` program: docs/cli.md. args: without the program's own name. Results go to out, complaints to err.
// -> exit code: 0 done, 1 the thing asked failed, 2 wrong use (nothing is written then). Throws nothing.
int main(std::span<const std::string> args, std::ostream& out, std::ostream& err, const Peers& = nullptr);

}  // namespace miniten::cli
