#include <cmath>
#include "miniten/nn/functional.h"

namespace miniten::nn::functional {

static Tensor positive(const Tensor& x) { return greater(x, number_like(x, 0)); }
static Tensor zeros_of(const Tensor& x) { return cast(number_like(x, 0), x.dtype()); }
Tensor leaky_relu(const Tensor& x, double slope) { return miniten::leaky_relu(x, slope); }

Tensor prelu(const Tensor& x, const Tensor& weight) {
  if (weight.rank() > 1) throw Error(ErrorKind::value, "prelu", "a weight of shape (1,) or (C,)", weight.shape().text());
  Tensor slope = weight;
  if (weight.rank() == 1 && weight.dim(0) != 1) {
    if (x.rank() < 2 || x.dim(1) != weight.dim(0))
      throw Error(ErrorKind::value, "prelu", "input (N, " + std::to_string(weight.dim(0)) + ", ..)", x.shape().text());
    Shape s = Dims::filled(x.rank() - 1, 1);
    s[0] = weight.dim(0);
    slope = reshape(weight, s);
  } else slope = reshape(weight, {});
  return where(positive(x), x, x * slope);
}

Tensor elu(const Tensor& x, double alpha) { return miniten::elu(x, alpha); }
Tensor celu(const Tensor& x, double alpha) {
  if (alpha == 0) throw Error(ErrorKind::value, "celu", "an alpha other than 0", "0");
  return alpha == 1 ? miniten::elu(x) : miniten::elu(x / alpha) * alpha;
}
Tensor selu(const Tensor& x) {
  return miniten::elu(x, 1.6732632423543772848170429916717) * 1.0507009873554804934193349852946;
}

Tensor gelu(const Tensor& x, std::string_view approximate) {
  if (approximate == "none") return miniten::gelu(x);
  if (approximate != "tanh") throw Error(ErrorKind::value, "gelu", "approximate 'none' or 'tanh'", "'" + std::string(approximate) + "'");
  constexpr double root = 0.79788456080286535588;              // sqrt(2 / pi)
  return x * 0.5 * (tanh((x + x * x * x * 0.044715) * root) + 1.0);
}
Tensor mish(const Tensor& x) { return x * tanh(miniten::softplus(x)); }
Tensor hardsigmoid(const Tensor& x) { return clamp(x + 3.0, 0, 6) * (1.0 / 6.0); }
Tensor hardswish(const Tensor& x) { return hard_swish(x); }
Tensor hardtanh(const Tensor& x, double low, double high) {
  if (!(low <= high)) throw Error(ErrorKind::value, "hardtanh", "min_val <= max_val", std::to_string(low) + " and " + std::to_string(high));
  return clamp(x, float(low), float(high));
}
Tensor softplus(const Tensor& x, double beta, double threshold) {
  if (beta == 1 && threshold == 20) return miniten::softplus(x);
  if (beta == 0) throw Error(ErrorKind::value, "softplus", "a beta other than 0", "0");
  Tensor scaled = x * beta;
  return where(greater(scaled, number_like(scaled, threshold)), x, miniten::softplus(scaled) / beta);
}
Tensor logsigmoid(const Tensor& x) { return -miniten::softplus(-x); }
Tensor softsign(const Tensor& x) { return x / (abs(x) + 1.0); }
Tensor tanhshrink(const Tensor& x) { return x - tanh(x); }
Tensor glu(const Tensor& x, int dim) {
  int axis = dim < 0 ? dim + x.rank() : dim;
  if (axis < 0 || axis >= x.rank()) throw Error(ErrorKind::index, "glu", "an axis of " + x.shape().text(), std::to_string(dim));
  if (is_symbol(x.dim(axis)) || x.dim(axis) % 2) throw Error(ErrorKind::value, "glu", "an even size along axis " + std::to_string(axis), x.shape().text());
  int64_t half = x.dim(axis) / 2;
  return slice(x, axis, 0, half) * sigmoid(slice(x, axis, half, 2 * half));
}

// |x|_p along one axis. The gradient at 0 is 0, as in torch.
static Tensor p_norm(const Tensor& x, double p, int dim, bool keepdim) {
  if (!(p > 0)) throw Error(ErrorKind::value, "norm", "a p above 0", std::to_string(p));
  if (std::isinf(p)) return max(abs(x), {dim}, keepdim);
  if (p == 1) return sum(abs(x), {dim}, keepdim);
  Tensor total = sum(p == 2 ? square(x) : pow(abs(x), p), {dim}, keepdim);
  Tensor zero = equal(total, number_like(total, 0)), safe = where(zero, cast(number_like(total, 1), total.dtype()), total);
  return where(zero, zeros_of(total), p == 2 ? sqrt(safe) : pow(safe, 1 / p));
}
Tensor normalize(const Tensor& x, double p, int dim, double eps) {
  return x / clamp(p_norm(x, p, dim, true), float(eps), infinity);
}
Tensor cosine_similarity(const Tensor& a, const Tensor& b, int dim, double eps) {
  auto unit = [&](const Tensor& x) { return x / clamp(p_norm(x, 2, dim, true), float(eps), infinity); };
  return sum(unit(a) * unit(b), {dim});
}
Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p, double eps, bool keepdim) { return p_norm(a - b + eps, p, -1, keepdim); }

Tensor logsumexp(const Tensor& x, int dim, bool keepdim) { return miniten::logsumexp(x, {dim}, keepdim); }

}  // namespace miniten::nn::functional
