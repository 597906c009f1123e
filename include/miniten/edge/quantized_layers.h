#pragma once
#include "miniten/edge/quantization.h"
#include "miniten/nn/layers.h"
#include "miniten/nn/recurrent.h"

namespace miniten::edge {

// Layers in integers that stand alone, with the arithmetic of docs/edge/quantization.md. Static ones take float32, and
// give it, or take integers at input_scale and give those at output_scale. Dynamic ones take and give float32; the
// input's scale is found at each call.
//
// Buffers: weight int8 in the float layer's shape, weight_scale (out,), bias int32 (float32 where dynamic) and, where
// static, input_scale, input_zero_point, output_scale, output_zero_point, whose dtype is that of the activations.
struct ActivationScale { float scale = 1; int32_t zero_point = 0; };
struct QuantizedLayerOptions {
  bool dynamic = false;
  DType activation_dtype = DType::i8;                        // or uint8
};

class QuantizedLayer : public nn::Module {
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string extra_repr() const override;
  QuantizedLayerOptions options;

 protected:
  QuantizedLayer(const Shape& weight, bool bias, const QuantizedLayerOptions&);
  // Fills the buffers from a float layer: by data, by scales, or (neither) dynamic.
  struct Scales { ActivationScale input, output; };
  void take(nn::Module& layer, const Spec& input, const Batches&, const std::optional<Scales>&, const QuantizationConfig&);
  virtual std::string sizes() const = 0;                     // for repr
  virtual Tensor run(const Tensor& q) const = 0;
  virtual Tensor run_dynamic(const std::vector<Tensor>& q) const = 0;      // integers, scale, zero point
};

class QuantizedLinear : public QuantizedLayer {              // zeros until a state is loaded
 public:
  QuantizedLinear(int64_t in_features, int64_t out_features, bool bias = true, const QuantizedLayerOptions& = {});
  // A layer of the same values in integers; the one given is not modified. Ranges follow the calibration data (inputs of
  // the layer); without it is dynamic. Throws for NaN and infinities and for a bias that no scale fits.
  static Ref<QuantizedLinear> from_float(nn::Linear&, const Batches& calibration = nullptr, const QuantizationConfig& = {});
  static Ref<QuantizedLinear> from_float(nn::Linear&, const ActivationScale& input, const ActivationScale& output, DType activation_dtype = DType::i8);
  std::string type_name() const override { return "QuantizedLinear"; }
  int64_t in_features, out_features;

 private:
  std::string sizes() const override;
  Tensor run(const Tensor&) const override;
  Tensor run_dynamic(const std::vector<Tensor>&) const override;
};

class QuantizedConv2d : public QuantizedLayer {
 public:
  QuantizedConv2d(int64_t in_channels, int64_t out_channels, const nn::Conv2dOptions&, const QuantizedLayerOptions& = {});
  static Ref<QuantizedConv2d> from_float(nn::Conv2d&, const Batches& calibration = nullptr, const QuantizationConfig& = {});
  static Ref<QuantizedConv2d> from_float(nn::Conv2d&, const ActivationScale& input, const ActivationScale& output, DType activation_dtype = DType::i8);
  std::string type_name() const override { return "QuantizedConv2d"; }
  int64_t in_channels, out_channels;
  nn::Conv2dOptions conv;

 private:
  std::string sizes() const override;
  Tensor run(const Tensor&) const override;
  Tensor run_dynamic(const std::vector<Tensor>&) const override;
};

// A recurrent layer in integers: int8 weights, states of 16 bits (or as the config's activation_dtype says), any number of
// steps. Takes and gives what the float layer does. Its cells are quantised models of one step, children "l0", "l0_reverse".
class QuantizedRecurrent : public nn::Module {
 public:
  // Cells of a float layer; the one given is not modified. Without calibration data (inputs of the layer) scales are found
  // at each step.
  static std::vector<Ref<QuantizedModel>> cells_of(nn::Recurrent&, const Batches& calibration, const QuantizationConfig&);
  template <class Shape>                           // of a float layer or another of these; cells by layer, then direction
  QuantizedRecurrent(const Shape& s, std::vector<Ref<QuantizedModel>> cells) : input_size(s.input_size), hidden_size(s.hidden_size), options(s.options), kind(s.kind) { take(std::move(cells)); }
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;                            // (x, [h0, [c0]]) -> output, h (and c)
  std::vector<Tensor> step(const Tensor& x, const std::vector<Tensor>& states);                // see nn::Recurrent::step
  std::string type_name() const override;                                                      // QuantizedLSTM, QuantizedGRU, QuantizedRNN
  std::string extra_repr() const override;
  bool takes_options() const override { return true; }
  int64_t input_size, hidden_size;
  nn::RecurrentOptions options;
  CellKind kind;

 private:
  void take(std::vector<Ref<QuantizedModel>>);
  std::vector<Tensor> initial(const std::vector<Tensor>& given, int64_t batch) const;
  std::vector<Tensor> next(int64_t layer, int64_t direction, const Tensor& x, const std::vector<Tensor>& state);
};
template <class Layer> struct QuantizedSequence : QuantizedRecurrent {
  using QuantizedRecurrent::QuantizedRecurrent;
  static Ref<QuantizedSequence> from_float(Layer& layer, const Batches& calibration = nullptr, const QuantizationConfig& config = {.activation_dtype = DType::i16}) {
    return make<QuantizedSequence>(layer, cells_of(layer, calibration, config));
  }
};
using QuantizedLSTM = QuantizedSequence<nn::LSTM>;
using QuantizedGRU = QuantizedSequence<nn::GRU>;
using QuantizedRNN = QuantizedSequence<nn::RNN>;

}  // namespace miniten::edge
