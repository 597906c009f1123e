#pragma once
#include "miniten/edge/quantization.h"

namespace miniten::edge {

// What quantisation costs, layer by layer, and why: docs/edge/quantization_doctor.md.

struct OutlierChannel { int64_t channel; double ratio; };      // ratio: its greatest magnitude over the median channel's

struct ComparisonRow {
  std::string layer, op;                 // of the float model, activations absorbed
  std::string form, dtype;               // what runs now, and what it computes
  double sqnr_db = 0;                    // of this layer alone: it reads what the float model computes. Infinite where equal
  double cumulative_sqnr_db = 0;         // of the whole quantised model up to here
  double cosine = 1;                     // likewise
  double saturation = 0;                 // share of values outside what its integers can stand for
  double unused_range = 0;               // share of its integers that no value becomes
  double lo = 0, hi = 0;                 // of the values
  double clip_lo = 0, clip_hi = 0;       // what the integers can stand for; equal where it stays float
  double deviation = 0;                  // standard deviation of the values
  double bias_ratio = 1;                 // how much coarser than its values want a channel's weights are stored, for the bias' sake
  std::vector<OutlierChannel> outlier_channels;                // above 8, the greatest first
  std::vector<int64_t> histogram;        // 64 bins from lo to hi
};

// What can be done about a finding; apply does it.
struct QuantizationFix {
  std::string kind;                      // recalibrate: the range of these data; clip: the range of least squared error;
                                         // percentile: that of 99.9 % of them; asymmetric: a zero point; float: the layer stays float
  std::string layer;
  std::string text;
};
struct QuantizationFinding {
  std::string layer;
  std::string cause;                     // outlier channel, dead range, bias overflow, saturating add, saturation, wide activation
  double value = 0;                      // how much of it, as text says
  std::string text;
  std::vector<QuantizationFix> fixes;                // the likeliest first
};

class QuantizationComparison {
 public:
  std::vector<ComparisonRow> rows;       // in the model's order
  double sqnr_db = 0;                    // of the outputs
  int64_t samples = 0;

  std::vector<QuantizationFinding> diagnose() const;             // the costliest layer first
  // A new quantised model with the fix; all other scales stay as they are. Throws for a layer or kind that it does not know.
  Ref<QuantizedModel> apply(const QuantizationFix&) const;
  std::string to_text() const;
  std::string to_json() const;
  std::string to_html() const;           // a page with tables and the layers' histograms

  struct State;
  std::shared_ptr<const State> state;    // the models and data compared
};

// Runs both on the data, which are kept for apply. `quantized`: what quantize_model or convert made of the model; layers
// are matched by name. Throws where none match, for data without samples, and for values that are not finite.
QuantizationComparison compare_quantized(nn::Module& model, nn::Module& quantized, const Batches& data);
QuantizationComparison compare_quantized(nn::Module& model, nn::Module& quantized, const std::vector<std::vector<Tensor>>& data);

}  // namespace miniten::edge
