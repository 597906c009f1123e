#pragma once
#include "miniten/graph/graph.h"

namespace miniten {

// A graph as a .tflite file: docs/edge/export.md. Pictures are stored (N, H, W, C), also as inputs and outputs; no
// TRANSPOSE stands between layers that the format knows. Integer graphs keep their scales.
struct TfliteExport {
  bool keep_layout = false;                      // inputs and outputs as the graph has them, behind a TRANSPOSE where need be
  bool unroll = false;                           // recurrent layers step by step: no state stands between runs
  bool sparse = false;                           // constants with many zeros as sparse tensors, each behind a DENSIFY, where that is smaller
  bool float16 = false;                          // float constants stored in float16, each behind a DEQUANTIZE
  DType input_type = DType::f32, output_type = DType::f32;       // of float inputs and outputs that are quantised inside: f32, i8, u8 or i16
  std::vector<std::string> input_names, output_names;
};
struct TflitePort {
  std::string name;
  Spec spec;                                     // as in the file
  Axes order;                                    // the graph's axis that each axis of the file is
  float scale = 0;                               // of integers; 0: plain numbers
  int32_t zero_point = 0;
};
struct TfliteReport {
  size_t bytes = 0;
  std::vector<TflitePort> inputs, outputs;
  std::map<std::string, int> operators;          // how often each stands in the file
  std::string runtime;                           // the first release of TensorFlow Lite that reads it
};
// Throws for what has no form, naming layer and op.
std::vector<std::byte> tflite_bytes(const Graph&, const TfliteExport& = {}, TfliteReport* report = nullptr);

}  // namespace miniten
