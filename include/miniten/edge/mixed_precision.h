#pragma once
#include "miniten/edge/quantization.h"

namespace miniten::edge {

// int8 where that costs no more than a given drop, int16 or floats elsewhere: docs/edge/quantization_doctor.md.

struct MixedPrecisionOptions {
  QuantizationConfig config;             // mode static
  double max_drop = 0.01;                // of the score, below that of the float model
  std::string objective = "latency";     // what is made small: latency (ms, measured on the first batch), size (bytes of the
                                         // file), energy (uJ, estimated from multiply-adds and bytes; Horowitz, ISSCC 2014)
  std::vector<std::string> precisions{"int8", "int16", "float"};       // what a layer may be
  std::string journal;                   // a file that remembers what was tried, so that a stopped search goes on; empty: none
};

struct LayerSensitivity {
  std::string layer, op;
  double sqnr_db = 0;                    // of the outputs with this layer alone in integers
  double saving = 0;                     // of the objective, by this layer in integers; may be negative
};
struct MixedPrecisionRow {               // one mix that was tried
  std::vector<std::string> float_layers, int16_layers;
  double score = 0, cost = 0;
  bool is_float = false;                 // the model given
  bool pareto = false;                   // none is both better and cheaper
  bool chosen = false;
};
struct MixedPrecision {
  Ref<QuantizedModel> model;
  double float_score = 0, score = 0;
  std::string objective;
  std::vector<LayerSensitivity> layers;  // the most sensitive first
  std::vector<MixedPrecisionRow> table;  // the cheapest first
  int64_t evaluations = 0, remembered = 0;       // how often evaluate was called, and how often the journal knew
  std::string to_text() const;
  std::string to_json() const;
};

// evaluate: a score of a model, the greater the better. Layers are ranked by what they add to the outputs' error over
// what integers save; the most harmful become int16 where that costs less than floats, else stay float, as few as keep
// the score. The calibration data are read once.
// Throws where no mix with a layer in integers keeps the score, and for a journal of another model or other options.
using Evaluate = std::function<double(nn::Module&)>;
MixedPrecision quantize_with_accuracy(nn::Module& model, const Batches& calibration, const Evaluate& evaluate, const MixedPrecisionOptions& = {});

}  // namespace miniten::edge
