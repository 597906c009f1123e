#pragma once
#include "miniten/graph/graph.h"

namespace miniten {

// ONNX, read and written without the onnx package. Reads opsets 7 and up of what docs/interchange/onnx.md lists; what
// it does not know is refused by op, version and node name.
struct OnnxOptions { bool fold_batch_norm = false; };
Graph load_onnx(const std::string& path, const OnnxOptions& = {});
Graph load_onnx(std::span<const std::byte>, const OnnxOptions& = {});

struct OnnxExport {
  int opset = 13;
  std::string quantization = "qdq";              // integer ops as QDQ pairs
  std::vector<std::string> input_names, output_names;
  bool dynamic_batch = true;                     // symbolic sizes stay symbolic
};
struct OnnxReport {
  std::string path;
  std::string to_text() const;
  size_t bytes = 0;
  int opset = 0, ir_version = 0, nodes = 0;
};
OnnxReport export_onnx(const Graph&, const std::string& path, const OnnxExport& = {});   // atomic write
std::vector<std::byte> onnx_bytes(const Graph&, const OnnxExport& = {}, OnnxReport* report = nullptr);

}  // namespace miniten
