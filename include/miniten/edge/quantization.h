#pragma once
#include "miniten/nn/graph_module.h"

namespace miniten {
struct NativeFile;
}
namespace miniten::edge {

// Integers instead of floats, with one arithmetic for eager calls, sessions, every instruction set and exported files:
// docs/edge/quantization.md.

// ---- single tensors ----
// real = (q - zero_point) * scale; q = round_half_even(x / scale) + zero_point, saturated.
struct QuantizedTensor {
  Tensor q, scale, zero_point;           // scale float32, zero_point of q's dtype (of int4: int8): scalars, (n,) along axis, or, in
  int axis = -1;                         // blocks, of x's shape with ceil(n / block) along axis. -1: one scale for all
};
// float tensors to int4 (stored in 4 bits), int8, uint8 or int16; block: so many values along axis share a scale. symmetric: zero point 0 (uint8: 128) and a range of equal sides, [-127, 127] for
// int8, [-7, 7] for int4; else the whole range of the type for [min(x, 0), max(x, 0)]. Scales are above 0 for any finite x, empty ones too.
// Throws for NaN and infinities, other dtypes and an axis out of range; negative axes count from the end.
QuantizedTensor quantize_tensor(const Tensor& x, DType dtype = DType::i8, bool symmetric = true, std::optional<int> axis = {}, int64_t block = 0);
// float32. A null zero_point is 0; a scale of rank 1 needs the axis it belongs to.
Tensor dequantize_tensor(const Tensor& q, const Tensor& scale, const Tensor& zero_point = {}, std::optional<int> axis = {}, int64_t block = 0);

// ---- models ----
// What some layers have of their own; what is not set is the model's. Of activations it tells how the layer's output is
// stored; an input that is stored otherwise is converted.
struct LayerOverride {
  std::string layers;                    // a name with * and ?, the name of an op, or the number of a layer with weights: "#0" the
                                         // first, "#-1" the last. One that matches nothing is an error
  std::optional<std::string> dtype;      // int8, int16, int16x8, or int4, which stores the layer's weights alone
  std::optional<std::string> activation_dtype, method, rounding;
  std::optional<std::string> mode;       // weight_only: stored in integers, computed in floats
  std::optional<bool> per_channel, symmetric, activation_symmetric, skip;        // skip: stays float
  std::optional<float> percentile;
  std::optional<int64_t> block;
  void fields(auto f) {                  // every field but layers
    f("dtype", dtype); f("activation_dtype", activation_dtype); f("per_channel", per_channel); f("symmetric", symmetric);
    f("activation_symmetric", activation_symmetric); f("method", method); f("percentile", percentile); f("rounding", rounding);
    f("mode", mode); f("block", block); f("skip", skip);
  }
};

struct QuantizationConfig {
  DType dtype = DType::i8;               // of weights: int8, int16 with activations of int16, or int4, for mode "weight_only" alone
  int64_t block = 0;                     // weight_only: so many weights along a product's inputs share a scale (a multiple of 16),
                                         // and run as they are stored; 0: one for each output channel. int4: at least 32
  bool per_channel = true;               // weights: one scale for each output channel
  bool symmetric = true;                 // weights: zero point 0. Asymmetric ones are for mode "weight_only" alone
  DType activation_dtype = DType::i8;    // int8, uint8 or int16; int16 has zero point 0
  bool activation_symmetric = false;
  std::string method = "minmax";         // how ranges follow from data: minmax, moving_average, percentile, mse, entropy, octav,
                                         // auto (the one of best signal to noise, value by value)
  float percentile = 99.999f;            // method percentile: the share of values inside the range
  float momentum = 0.9f;                 // method moving_average: what the range keeps at each batch
  std::string rounding = "nearest";      // of weights; adaptive: chosen with calibration data so that outputs change least
  bool correct_bias = false;             // takes away, by calibration data, what quantised weights shift outputs by on average
  bool equalize = false;                 // balances the weights of neighbouring layers first
  std::string optimize = "none";         // accuracy: adaptive rounding, bias correction, method auto, and equalize without per_channel
  std::string mode = "static";           // static: integers throughout. Without calibration data, and as
                                         // dynamic: activations get their scales at run time. weight_only: stored in integers
  std::vector<std::string> skip;         // layers that stay float: names with * and ?, "features" means all below it too,
                                         // "=features" it alone, names of ops, or numbers as in an override. One that matches nothing is an error
  std::vector<LayerOverride> overrides;  // for some layers; later ones win
  std::string fallback = "none";         // auto: layers that run faster in floats, here and now, stay so. They are timed on the
                                         // first calibration batch, without one on zeros. Not for weight_only
};

// int4, int8, int16, or int16x8: int8 weights with activations of int16.
void set_dtype(QuantizationConfig&, std::string_view name);

struct QuantizationRow {
  std::string layer, op;                 // where, and the op of the float model
  std::string form;                      // the op that runs now: "qconv2d"; the same op where integers pass through or floats stay
  std::string dtype;                     // "int8", "float32", ...: what it computes
  std::string reason;                    // why it stays float; empty otherwise
  float input_scale = 0, output_scale = 0;               // 0: none fixed
};
struct QuantizationReport {
  QuantizationConfig config;
  std::string mode;                      // what was done: "static", "dynamic" or "weight_only"
  std::vector<QuantizationRow> rows;
  std::vector<std::string> notes;
  std::vector<std::string> fallback;     // patterns of the layers that were slower in integers: given as skip, they decide the same again
  bool requantized = false;              // the model given was quantised already; the notes say what that means
  int64_t calibration_samples = 0;
  size_t float_bytes = 0;                // of the float model's file
  size_t bytes = 0;                      // of this model's file when it was made
  std::string to_text() const;
  std::string to_json() const;
  static QuantizationReport from_json(std::string_view);
};

// A model in integers: its graph computes with integer ops where the report says so, and takes and gives what the float
// model does. Weights are int8 constants of the graph with Value.quantized set.
class QuantizedModel : public nn::GraphModule {
 public:
  QuantizedModel(Graph, QuantizationReport);
  // Quantised when its first call tells the shapes; see GraphModule.
  QuantizedModel(nn::ModuleRef source, std::vector<std::function<void(Graph&)>> before, const QuantizationConfig&);
  std::string type_name() const override { return "QuantizedModel"; }

  // The rows are empty before the first call of a model whose shapes are not known yet.
  const QuantizationReport& report() const { return *report_; }
  size_t size_bytes() const;             // of the native file, byte for byte what save writes
  double size_reduction() const;         // the float model's file over this one's
  NativeFile file() const;               // what save writes
  size_t save(const std::string& path) const;                    // atomic; -> bytes
  static Ref<QuantizedModel> load(const std::string& path);
  static Ref<QuantizedModel> from_file(const NativeFile&);
  Ref<QuantizedModel> clone() const;     // shares nothing

 private:
  friend Ref<QuantizedModel> quantize_model(nn::Module&, const QuantizationConfig&, const std::function<std::vector<Tensor>()>&);
  std::shared_ptr<QuantizationReport> report_;
  size_t own_transform_ = 0;             // which of transforms() quantises
};

// One batch of the model's inputs at a time, an empty list at the end. Each batch is read once and not kept.
using Batches = std::function<std::vector<Tensor>()>;

// A quantised copy; the model given is not modified. Shapes are those of the calibration data, else of the model's last
// call; a model that was never called is quantised at its first call. Batch norm, bias and activations are absorbed into
// the layer before them. A quantised model, one from a file too, is taken back to the floats that its integers stand for
// and quantised anew; the report says so. Throws for an unknown mode, method or dtype, a training graph, NaN and infinities
// in weights or calibration data (naming the layer), calibration data without samples or of wrong shapes, and
// patterns of skip and overrides that match nothing.
Ref<QuantizedModel> quantize_model(nn::Module& model, const QuantizationConfig& = {}, const Batches& calibration = nullptr);
Ref<QuantizedModel> quantize_model(nn::Module& model, const QuantizationConfig&, const std::vector<std::vector<Tensor>>& calibration);

// The same on a graph: changed in place, the report returned.
QuantizationReport quantize_graph(Graph&, const QuantizationConfig& = {}, const Batches& calibration = nullptr);

}  // namespace miniten::edge
