#pragma once
#include "miniten/nn/module.h"

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
  Dims kernel_size{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};     // height, width
  int64_t groups = 1;
  bool bias = true;
};
class Conv2d : public Module {             // (N, C, H, W) -> (N, O, H', W'); weight (O, C / groups, R, S), bias (O,)
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

// Channels are axis 1. Training: statistics of the batch, biased for normalising, unbiased in the running variance.
class BatchNorm : public Module {
 public:
  BatchNorm(int64_t num_features, float eps, float momentum, int rank);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return rank_ == 4 ? "BatchNorm2d" : "BatchNorm1d"; }
  std::string extra_repr() const override;
  int64_t num_features;
  float eps, momentum;

 private:
  int rank_;                               // 4: (N, C, H, W); 2: (N, C) or (N, C, L)
};
struct BatchNorm1d : BatchNorm { explicit BatchNorm1d(int64_t n, float eps = 1e-5f, float momentum = 0.1f) : BatchNorm(n, eps, momentum, 2) {} };
struct BatchNorm2d : BatchNorm { explicit BatchNorm2d(int64_t n, float eps = 1e-5f, float momentum = 0.1f) : BatchNorm(n, eps, momentum, 4) {} };

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
struct MaxPool2d : Pool2d { explicit MaxPool2d(Dims kernel, Dims stride = {}, Dims padding = {0, 0}); };
struct AvgPool2d : Pool2d { explicit AvgPool2d(Dims kernel, Dims stride = {}, Dims padding = {0, 0}, bool count_include_pad = true); };
class AdaptiveAvgPool2d : public Module {
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
class Dropout : public Module {            // zeroes with probability p in training and scales the rest by 1 / (1 - p)
 public:
  explicit Dropout(float p = 0.5f);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Dropout"; }
  std::string extra_repr() const override;
  float p;

 private:
  Tensor key_;                             // seed, counter: moved on by each training call, so noise replays
};

// An activation without parameters: one op function under the name of its layer.
class Activation : public Module {
 public:
  using Function = Tensor (*)(const Tensor&);
  Activation(const char* name, Function f) : name_(name), f_(f) {}
  std::vector<Tensor> forward(const std::vector<Tensor>& in) override;
  std::string type_name() const override { return name_; }

 private:
  const char* name_;
  Function f_;
};
#define MINITEN_ACTIVATION(Name) struct Name : Activation { Name(); }
MINITEN_ACTIVATION(ReLU);
MINITEN_ACTIVATION(ReLU6);
MINITEN_ACTIVATION(Sigmoid);
MINITEN_ACTIVATION(Tanh);
MINITEN_ACTIVATION(GELU);
MINITEN_ACTIVATION(SiLU);
MINITEN_ACTIVATION(Softplus);
#undef MINITEN_ACTIVATION
class Softmax : public Module {
 public:
  explicit Softmax(int dim = -1) : dim(dim) {}
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Softmax"; }
  std::string extra_repr() const override;
  int dim;
};

class Sequential : public Module {         // children by number; each gets the one before's output
 public:
  Sequential() = default;
  explicit Sequential(const std::vector<ModuleRef>&);
  void append(ModuleRef);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Sequential"; }
};

// Losses take (prediction, target) and give a scalar.
class CrossEntropyLoss : public Module {   // logits (N, C), labels (N,) integers in [0, C)
 public:
  explicit CrossEntropyLoss(float label_smoothing = 0);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "CrossEntropyLoss"; }
  float label_smoothing;
};
class MSELoss : public Module {
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "MSELoss"; }
};

}  // namespace miniten::nn
