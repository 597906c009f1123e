#include "miniten/nn/normalization.h"
#include "nn/layer_parts.h"

namespace miniten::nn {

namespace F = functional;

BatchNorm::BatchNorm(int64_t n, double eps, std::optional<double> momentum, int rank, bool affine, bool track)
    : num_features(n), eps(eps), momentum(momentum), affine(affine), track_running_stats(track), rank_(rank) {
  require_positive(rank == 4 ? "BatchNorm2d" : "BatchNorm1d", "num_features", n);
  if (affine) {
    register_parameter("weight", Tensor::ones({n}));
    register_parameter("bias", Tensor::zeros({n}));
  }
  if (!track) return;
  register_buffer("running_mean", Tensor::zeros({n}));
  register_buffer("running_var", Tensor::ones({n}));
  register_buffer("num_batches_tracked", Tensor::zeros({}, DType::i64));
}
std::vector<Tensor> BatchNorm::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  bool fits = rank_ == 4 ? x.rank() == 4 : x.rank() == 2 || x.rank() == 3;
  if (!fits || x.dim(1) != num_features)
    throw Error(ErrorKind::value, type_name(), std::string("input (N, ") + std::to_string(num_features) + (rank_ == 4 ? ", H, W)" : ") or (N, C, L)"), x.shape().text());
  if (training() && x.shape().is_static() && x.numel() <= num_features)
    throw Error(ErrorKind::value, type_name(), "more than one value per channel in training", x.shape().text(), "use a larger batch, or eval()");
  Tensor weight = parameter_of("weight"), bias = parameter_of("bias"), batches = buffer_of("num_batches_tracked");
  if (training() && batches && momentum) {
    NoGrad no_grad;
    assign(batches, batches + 1.0);
  }
  F::BatchNormState running{buffer_of("running_mean"), buffer_of("running_var"), momentum ? Tensor() : batches};   // counts where it is the plain mean
  return {F::batch_norm(x, running, weight, bias, training(), momentum.value_or(0), eps)};
}
std::string BatchNorm::extra_repr() const {
  return std::to_string(num_features) + ", eps=" + number(eps) + ", momentum=" + (momentum ? number(*momentum) : "None") + ", affine=" + truth(affine) +
         ", track_running_stats=" + truth(track_running_stats);
}

static std::string eps_text(double eps, bool affine) { return ", eps=" + number(eps) + ", elementwise_affine=" + truth(affine); }
static void require_sizes(const char* layer, const Shape& shape) {
  if (shape.rank < 1) throw Error(ErrorKind::value, layer, "at least one size", "none");
  for (Dim d : shape) require_positive(layer, "normalized_shape", d);
}

LayerNorm::LayerNorm(const Shape& shape, double eps, bool affine, bool bias) : normalized_shape(shape), eps(eps) {
  require_sizes("LayerNorm", shape);
  if (affine) register_parameter("weight", Tensor::ones(shape));
  if (affine && bias) register_parameter("bias", Tensor::zeros(shape));
}
std::vector<Tensor> LayerNorm::forward(const std::vector<Tensor>& in) {
  return {F::layer_norm(only(*this, in), normalized_shape, parameter_of("weight"), parameter_of("bias"), eps)};
}
std::string LayerNorm::extra_repr() const { return normalized_shape.text() + eps_text(eps, bool(parameter_of("weight"))); }

RMSNorm::RMSNorm(const Shape& shape, std::optional<double> eps, bool affine) : normalized_shape(shape), eps(eps) {
  require_sizes("RMSNorm", shape);
  if (affine) register_parameter("weight", Tensor::ones(shape));
}
std::vector<Tensor> RMSNorm::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  double step = x.dtype() == DType::f64 ? 0x1p-52 : x.dtype() == DType::f16 ? 0x1p-10 : x.dtype() == DType::bf16 ? 0x1p-7 : 0x1p-23;
  return {F::rms_norm(x, normalized_shape, parameter_of("weight"), eps.value_or(step))};
}
std::string RMSNorm::extra_repr() const {
  return normalized_shape.text() + ", eps=" + (eps ? number(*eps) : "None") + ", elementwise_affine=" + truth(bool(parameter_of("weight")));
}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, double eps, bool affine) : num_groups(groups), num_channels(channels), eps(eps) {
  require_positive("GroupNorm", "num_groups", groups);
  require_positive("GroupNorm", "num_channels", channels);
  if (channels % groups) throw Error(ErrorKind::value, "GroupNorm", "num_groups that divides num_channels", std::to_string(groups) + " for " + std::to_string(channels));
  if (!affine) return;
  register_parameter("weight", Tensor::ones({channels}));
  register_parameter("bias", Tensor::zeros({channels}));
}
std::vector<Tensor> GroupNorm::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  if (x.rank() < 2 || x.dim(1) != num_channels) throw Error(ErrorKind::value, "GroupNorm", "input (N, " + std::to_string(num_channels) + ", ..)", x.shape().text());
  return {F::group_norm(x, num_groups, parameter_of("weight"), parameter_of("bias"), eps)};
}
std::string GroupNorm::extra_repr() const {
  return std::to_string(num_groups) + ", " + std::to_string(num_channels) + ", eps=" + number(eps) + ", affine=" + truth(bool(parameter_of("weight")));
}

InstanceNorm::InstanceNorm(int64_t n, double eps, bool affine, int rank) : num_features(n), eps(eps), rank_(rank) {
  require_positive("InstanceNorm", "num_features", n);
  if (!affine) return;
  register_parameter("weight", Tensor::ones({n}));
  register_parameter("bias", Tensor::zeros({n}));
}
std::vector<Tensor> InstanceNorm::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  if (x.rank() == rank_ - 1 && x.dim(0) == num_features) return {squeeze(InstanceNorm::forward({unsqueeze(x, 0)})[0], 0)};
  if (x.rank() != rank_ || x.dim(1) != num_features)
    throw Error(ErrorKind::value, type_name(), "input (N, " + std::to_string(num_features) + (rank_ == 4 ? ", H, W)" : ", L)"), x.shape().text());
  return {F::instance_norm(x, parameter_of("weight"), parameter_of("bias"), eps)};
}
std::string InstanceNorm::extra_repr() const { return std::to_string(num_features) + ", eps=" + number(eps) + ", affine=" + truth(bool(parameter_of("weight"))); }

}  // namespace miniten::nn
