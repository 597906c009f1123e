#pragma once
#include "miniten/nn/module.h"

namespace miniten::nn {

// Channels are axis 1. Training: statistics of the batch, biased for normalising, unbiased in the running variance.
// momentum none: the running statistics are the plain mean over all batches.
class BatchNorm : public Module {
 public:
  BatchNorm(int64_t num_features, double eps, std::optional<double> momentum, int rank, bool affine = true, bool track_running_stats = true);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return rank_ == 4 ? "BatchNorm2d" : "BatchNorm1d"; }
  std::string extra_repr() const override;
  int64_t num_features;
  double eps;
  std::optional<double> momentum;
  bool affine, track_running_stats;

 private:
  int rank_;                               // 4: (N, C, H, W); 2: (N, C) or (N, C, L)
};
struct BatchNorm1d : BatchNorm {
  explicit BatchNorm1d(int64_t n, double eps = 1e-5, std::optional<double> momentum = 0.1, bool affine = true, bool track = true) : BatchNorm(n, eps, momentum, 2, affine, track) {}
};
struct BatchNorm2d : BatchNorm {
  explicit BatchNorm2d(int64_t n, double eps = 1e-5, std::optional<double> momentum = 0.1, bool affine = true, bool track = true) : BatchNorm(n, eps, momentum, 4, affine, track) {}
};

class LayerNorm : public Module {          // over the last axes
 public:
  explicit LayerNorm(const Shape& normalized_shape, double eps = 1e-5, bool elementwise_affine = true, bool bias = true);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "LayerNorm"; }
  std::string extra_repr() const override;
  Shape normalized_shape;
  double eps;
};
class RMSNorm : public Module {            // x / sqrt(mean(x^2) + eps); no eps: the dtype's step
 public:
  explicit RMSNorm(const Shape& normalized_shape, std::optional<double> eps = {}, bool elementwise_affine = true);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "RMSNorm"; }
  std::string extra_repr() const override;
  Shape normalized_shape;
  std::optional<double> eps;
};
class GroupNorm : public Module {
 public:
  GroupNorm(int64_t num_groups, int64_t num_channels, double eps = 1e-5, bool affine = true);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "GroupNorm"; }
  std::string extra_repr() const override;
  int64_t num_groups, num_channels;
  double eps;
};
class InstanceNorm : public Module {       // statistics of each sample and channel
 public:
  InstanceNorm(int64_t num_features, double eps, bool affine, int rank);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return rank_ == 4 ? "InstanceNorm2d" : "InstanceNorm1d"; }
  std::string extra_repr() const override;
  int64_t num_features;
  double eps;

 private:
  int rank_;
};
struct InstanceNorm1d : InstanceNorm { explicit InstanceNorm1d(int64_t n, double eps = 1e-5, bool affine = false) : InstanceNorm(n, eps, affine, 3) {} };
struct InstanceNorm2d : InstanceNorm { explicit InstanceNorm2d(int64_t n, double eps = 1e-5, bool affine = false) : InstanceNorm(n, eps, affine, 4) {} };

}  // namespace miniten::nn
