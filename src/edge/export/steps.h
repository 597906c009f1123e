#pragma once
#include "miniten/edge/export.h"
#include "miniten/edge/quantization.h"
#include "miniten/interchange/tflite_export.h"

namespace miniten::edge {

// A model's graph as exporters write it: of the given sizes, or its own.
Graph graph_to_export(const char* who, nn::Module&, const std::vector<Spec>& inputs);

// Runs what a file's bytes were read as beside the graph that was written; the report is told, a difference throws.
// ports: where the file's inputs and outputs lie otherwise. sizes: of the inputs; without them open ones are 1.
void check_file(const char* who, const Graph&, const Graph& back, ExportReport&, const TfliteReport* ports = nullptr, const std::vector<Spec>* sizes = nullptr);

// Layers (or ops, where these have no name) whose integer op has no form in a format: what a quantiser is to skip for it.
std::vector<std::string> layers_without_form(const QuantizationReport&, Foreign OpDef::* format);

// Conversions to int8 or int16 around every op that TFLite computes in integers and that is still in floats, with ranges
// of the calibration data; int8 weights of such ops are rounded. What stays float is told: layer and op.
void quantize_islands(Graph&, DType, const Batches&, std::vector<std::string>& stays_float);

}  // namespace miniten::edge
