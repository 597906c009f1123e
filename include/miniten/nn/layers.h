#pragma once
#include "miniten/nn/activations.h"
#include "miniten/nn/losses.h"
#include "miniten/nn/module.h"
#include "miniten/nn/normalization.h"

namespace miniten::nn {

// Every layer takes and gives one tensor unless said otherwise. Initial weights are torch's (Kaiming uniform with
// a = sqrt(5), bias uniform within 1 / sqrt(fan_in)), drawn from default_generator().

class Linear : public Module {             // (.., in) -> (.., out); weight (out, in), bias (out,)
 public:
  Linear(int64_t in_features, int64_t out_features, bool bias = true);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Linear"; }
  std::string extra_repr() const override;
  int64_t in_features, out_features;
};

struct Conv2dOptions {
  Dims kernel_size{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};     // height, width; padding also top, left, bottom, right
  int64_t groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";      // or "reflect", "replicate", "circular"; transposed convolutions: zeros
};
class Conv2d : public Module {             // (N, C, H, W) -> (N, O, H', W'); weight (O, C / groups, R, S), bias (O,); N may be missing
 public:
  Conv2d(int64_t in_channels, int64_t out_channels, const Conv2dOptions&);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Conv2d"; }
  std::string extra_repr() const override;
  int64_t in_channels, out_channels;
  Conv2dOptions options;
};

class DepthwiseSeparableConv2d : public Module {   // depthwise (groups = in_channels), then pointwise
 public:
  DepthwiseSeparableConv2d(int64_t in_channels, int64_t out_channels, const Conv2dOptions&);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "DepthwiseSeparableConv2d"; }
};

class Pool2d : public Module {
 public:
  enum Kind { max, average };
  Pool2d(Kind, const Pool2dAttrs&);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return kind_ == max ? "MaxPool2d" : "AvgPool2d"; }
  std::string extra_repr() const override;

 private:
  Kind kind_;
  Pool2dAttrs attrs_;
};
// stride 0: the kernel's size
struct MaxPool2d : Pool2d { explicit MaxPool2d(Dims kernel, Dims stride = {}, Dims padding = {0, 0}, Dims dilation = {1, 1}, bool ceil_mode = false); };
struct AvgPool2d : Pool2d { explicit AvgPool2d(Dims kernel, Dims stride = {}, Dims padding = {0, 0}, bool count_include_pad = true, bool ceil_mode = false); };
class AdaptiveAvgPool2d : public Module {   // any sizes; -1 keeps the input's
 public:
  explicit AdaptiveAvgPool2d(Dims output_size);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "AdaptiveAvgPool2d"; }
  std::string extra_repr() const override;
  Dims output_size;
};
class GlobalAvgPool2d : public Module {    // (N, C, H, W) -> (N, C, 1, 1)
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "GlobalAvgPool2d"; }
};

class Flatten : public Module {
 public:
  explicit Flatten(int start_dim = 1, int end_dim = -1) : start_dim(start_dim), end_dim(end_dim) {}
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Flatten"; }
  std::string extra_repr() const override;
  int start_dim, end_dim;
};
class Identity : public Module {
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>& in) override { return in; }
  std::string type_name() const override { return "Identity"; }
};
class Sequential : public Module {         // children by number; each gets the one before's output
 public:
  Sequential() = default;
  explicit Sequential(const std::vector<ModuleRef>&);
  void append(ModuleRef);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Sequential"; }
};

}  // namespace miniten::nn
