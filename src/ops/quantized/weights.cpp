#include "ops/quantized/weights.h"
#include "miniten/ops/ops.h"

namespace miniten {

namespace {
bool is_conv(const Call& c) { return &c.op == &conv2d_op; }
bool is_matmul(const Call& c) { return &c.op == &matmul_op && c.in[1].shape.rank == 2; }
}  // namespace

Tensor rows_of_input(const Call& c, const Tensor& x, int64_t most) {
  if (is_matmul(c)) {
    Tensor rows = reshape(x, {-1, x.dim(-1)});
    return rows.dim(0) > most ? slice(rows, 0, 0, most) : rows;
  }
  if (!is_conv(c)) return {};
  Conv2dAttrs at = c.as<Conv2dAttrs>();
  const Shape& w = c.in[1].shape;
  if (at.groups != 1) return {};
  at.lo = -infinity;
  at.hi = infinity;
  const int64_t taps = w[1] * w[2] * w[3], outputs = std::max<int64_t>(1, c.out[0].shape[2] * c.out[0].shape[3]);
  Tensor images = slice(x, 0, 0, std::clamp<int64_t>(most / outputs, 1, x.dim(0)));
  std::vector<float> one(size_t(taps * taps));
  for (int64_t i = 0; i < taps; ++i) one[size_t(i * taps + i)] = 1;
  Tensor patches = conv2d(images, Tensor::of<float>({taps, w[1], w[2], w[3]}, one), {}, at);
  return reshape(permute(patches, {0, 2, 3, 1}), {-1, taps});
}
Tensor weight_matrix(const Call& c, const Tensor& weight) {
  return is_matmul(c) ? copy(transpose(weight)) : reshape(copy(weight), {weight.dim(0), -1});
}
Tensor weight_from_matrix(const Call& c, const Tensor& matrix) {
  return is_matmul(c) ? transpose(matrix) : reshape(matrix, c.in[1].shape);
}

int input_axis(const Call& c) {
  if (is_matmul(c)) return 0;
  if (!is_conv(c)) return -1;
  const auto groups = c.as<Conv2dAttrs>().groups;
  if (groups == 1) return 1;
  return c.in[1].shape[1] == 1 && groups == c.in[1].shape[0] ? 0 : -1;   // depthwise
}
bool commutes_with_scale(const Call& c) {
  auto open = [](float lo, float hi) { return (lo == 0 || lo == -infinity) && hi == infinity; };
  if (is_matmul(c)) return open(c.as<ClampAttrs>().lo, c.as<ClampAttrs>().hi);
  return is_conv(c) && open(c.as<Conv2dAttrs>().lo, c.as<Conv2dAttrs>().hi);
}
Tensor apply_linear(const Call& c, const Tensor& x, const Tensor& weight) {
  if (is_matmul(c)) return matmul(x, weight);
  if (!is_conv(c)) return {};
  Conv2dAttrs at = c.as<Conv2dAttrs>();
  at.lo = -infinity;
  at.hi = infinity;
  return conv2d(x, weight, {}, at);
}
int channel_axis_of_output(const Call& c) { return is_conv(c) ? 1 : c.out[0].shape.rank - 1; }

}  // namespace miniten
