#include "miniten/nn/functional.h"

namespace miniten::nn::functional {

namespace {
Axes last_axes(const Tensor& x, int n) {
  Axes axes;
  for (int i = x.rank() - n; i < x.rank(); ++i) axes.push(i);
  return axes;
}
Tensor standardised(const Tensor& x, const Axes& axes, double eps) {
  Tensor centred = x - mean(x, axes, true);
  return centred / sqrt(mean(square(centred), axes, true) + eps);
}
Shape per_channel(const Tensor& x) {
  Shape s = Dims::filled(x.rank(), 1);
  s[1] = x.dim(1);
  return s;
}
Tensor affine(const Tensor& y, const Shape& shape, const Tensor& weight, const Tensor& bias) {
  Tensor out = weight ? y * reshape(weight, shape) : y;
  return bias ? out + reshape(bias, shape) : out;
}
void require_channels(const char* op, const Tensor& x, std::initializer_list<Tensor> parameters) {
  if (x.rank() < 2) throw Error(ErrorKind::value, op, "input (N, C, ..)", x.shape().text());
  if (!is_float(x.dtype())) throw Error(ErrorKind::type, op, "floating-point input", x.spec().text(), "convert with cast first");
  for (const Tensor& p : parameters)
    if (p && p.shape() != Shape{x.dim(1)})
      throw Error(ErrorKind::value, op, "weight, bias and statistics of shape " + Shape{x.dim(1)}.text(), p.shape().text());
}
void require_normalized(const char* op, const Tensor& x, const Shape& shape, std::initializer_list<Tensor> parameters) {
  bool fits = shape.rank > 0 && x.rank() >= shape.rank && is_float(x.dtype());
  for (int i = 1; i <= shape.rank && fits; ++i) fits = x.dim(-i) == shape[-i];
  if (!fits) throw Error(ErrorKind::value, op, "floating-point input whose last axes are " + shape.text(), x.spec().text());
  for (const Tensor& p : parameters)
    if (p && p.shape() != shape) throw Error(ErrorKind::value, op, "weight and bias of shape " + shape.text(), p.shape().text());
}
}  // namespace

Tensor batch_norm(const Tensor& x, const BatchNormState& running, const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps) {
  require_channels("batch_norm", x, {weight, bias, running.mean, running.var});
  if (!training && running.mean) {
    auto given = [&](const Tensor& t, double otherwise) { return cast(t ? t : Tensor::full({x.dim(1)}, otherwise), x.dtype()); };
    return miniten::batch_norm(x, given(weight, 1), given(bias, 0), {cast(running.mean, x.dtype()), cast(running.var, x.dtype()), running.batches, momentum}, eps);
  }
  return batch_norm_tracked(x, {training ? running.mean : Tensor(), running.var, running.batches, momentum}, weight, bias, eps);
}

Tensor layer_norm(const Tensor& x, const Shape& shape, const Tensor& weight, const Tensor& bias, double eps) {
  require_normalized("layer_norm", x, shape, {weight, bias});
  Tensor y = standardised(x, last_axes(x, shape.rank), eps);
  if (weight) y = y * weight;
  return bias ? y + bias : y;
}

Tensor rms_norm(const Tensor& x, const Shape& shape, const Tensor& weight, double eps) {
  require_normalized("rms_norm", x, shape, {weight});
  Tensor y = x / sqrt(mean(square(x), last_axes(x, shape.rank), true) + eps);
  return weight ? y * weight : y;
}

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  require_channels("group_norm", x, {weight, bias});
  if (groups < 1 || is_symbol(x.dim(1)) || x.dim(1) % groups)
    throw Error(ErrorKind::value, "group_norm", "a number of groups that divides the channels of " + x.shape().text(), std::to_string(groups));
  Tensor grouped = reshape(x, {x.dim(0), groups, -1});
  if (grouped.shape().is_static() && grouped.dim(2) * x.dim(0) == 1)
    throw Error(ErrorKind::value, "group_norm", "more than one value per group", x.shape().text());
  return affine(reshape(standardised(grouped, {2}, eps), x.shape()), per_channel(x), weight, bias);
}

Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  require_channels("instance_norm", x, {weight, bias});
  if (x.rank() < 3) throw Error(ErrorKind::value, "instance_norm", "input (N, C, L) or (N, C, H, W)", x.shape().text());
  Axes inner = last_axes(x, x.rank() - 2);
  int64_t values = 1;
  for (Dim axis : inner) values *= is_symbol(x.dim(int(axis))) ? 2 : x.dim(int(axis));
  if (values == 1) throw Error(ErrorKind::value, "instance_norm", "more than one value per channel", x.shape().text());
  return affine(standardised(x, inner, eps), per_channel(x), weight, bias);
}

}  // namespace miniten::nn::functional
