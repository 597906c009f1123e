#pragma once
#include "miniten/edge/quantization.h"
#include "miniten/nn/layers.h"

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

}  // namespace miniten::edge
