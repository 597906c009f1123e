#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// ONNX normalisations and reductions as compositions.
namespace miniten::onnx {

namespace {

Axes axes_from(int axis, int rank) {
  Axes a;
  for (int i = axis; i < rank; ++i) a.push(i);
  return a;
}
Axes spatial(const ForeignNode& n, const Tensor& x) {
  if (x.rank() < 3) n.fail("(N, C, spatial axes..)", x.spec().text());
  return axes_from(2, x.rank());
}
DType wide(DType t) { return t == DType::f64 ? t : DType::f32; }

Tensors read_layer_norm(const ForeignNode& n) {
  Tensor given = n.required(0), scale = n.required(1), bias = optional(n, 2);
  DType t = given.dtype();
  Tensor x = miniten::cast(given, wide(t));
  Axes axes = axes_from(axis_of(n, n.integer("axis", -1), x.rank()), x.rank());
  Tensor middle = mean(x, axes, true), centred = x - middle;
  Tensor inverse = reciprocal(sqrt(mean(miniten::square(centred), axes, true) + n.number("epsilon", 1e-5)));
  Tensor y = miniten::cast(centred * inverse, t) * scale;
  return {bias ? y + bias : y, middle, inverse};
}
Tensors read_rms_norm(const ForeignNode& n) {
  Tensor given = n.required(0);
  DType t = given.dtype();
  Tensor x = miniten::cast(given, wide(t));
  Axes axes = axes_from(axis_of(n, n.integer("axis", -1), x.rank()), x.rank());
  return {miniten::cast(x * reciprocal(sqrt(mean(miniten::square(x), axes, true) + n.number("epsilon", 1e-5))), t) * n.required(1)};
}
Tensor by_channel(const Tensor& t, int rank) {
  Shape s = Dims::filled(rank, 1);
  s[1] = -1;
  return miniten::reshape(t, s);
}
Tensor normalised(const Tensor& x, const Axes& axes, double eps) {
  Tensor centred = x - mean(x, axes, true);
  return centred * reciprocal(sqrt(mean(miniten::square(centred), axes, true) + eps));
}
Tensors read_instance_norm(const ForeignNode& n) {
  Tensor x = n.required(0);
  Tensor y = normalised(x, spatial(n, x), n.number("epsilon", 1e-5));
  return {y * by_channel(n.required(1), x.rank()) + by_channel(n.required(2), x.rank())};
}
Tensors read_group_norm(const ForeignNode& n) {
  Tensor x = n.required(0), scale = n.required(1), bias = n.required(2);
  int64_t groups = n.integer("num_groups", 0);
  if (x.rank() < 2 || groups < 1 || x.dim(1) % groups) n.fail("channels in " + std::to_string(groups) + " groups", x.spec().text());
  DType t = x.dtype();
  Shape split{x.dim(0), groups, -1};
  Tensor y = miniten::cast(normalised(miniten::cast(miniten::reshape(x, split), wide(t)), {2}, n.number("epsilon", 1e-5)), t);
  if (n.version() < 21) {                                                 // a scale for each group
    y = y * miniten::reshape(scale, {1, groups, 1}) + miniten::reshape(bias, {1, groups, 1});
    return {miniten::reshape(y, x.shape())};
  }
  return {miniten::reshape(y, x.shape()) * by_channel(scale, x.rank()) + by_channel(bias, x.rank())};
}
Tensors read_mean_variance(const ForeignNode& n) {
  Tensor x = n.required(0);
  Ints given = n.integers("axes", {0, 2, 3});
  Axes axes;
  for (int64_t a : given) axes.push(axis_of(n, a, x.rank()));
  Tensor middle = mean(x, axes, true), spread = sqrt(mean(miniten::square(x), axes, true) - miniten::square(middle));
  return {(x - middle) / (spread + 1e-9)};
}
Tensors read_lp_norm(const ForeignNode& n) {
  Tensor x = n.required(0);
  int axis = axis_of(n, n.integer("axis", -1), x.rank());
  Tensor length = n.integer("p", 2) == 1 ? sum(abs(x), {axis}, true) : sqrt(sum(miniten::square(x), {axis}, true));
  Tensor zero = equal(length, number_like(length, 0));
  return {x / miniten::where(zero, number_like(length, 1), length)};
}
Tensors read_lrn(const ForeignNode& n) {
  Tensor x = n.required(0);
  int64_t size = n.integer("size", 1), c = x.rank() > 1 ? x.dim(1) : 0, before = (size - 1) / 2, after = size - 1 - before;
  if (x.rank() < 2 || size < 1 || is_symbol(c)) n.fail("(N, C, ..) of known channels", x.spec().text());
  double alpha = n.number("alpha", 1e-4), beta = n.number("beta", 0.75), bias = n.number("bias", 1);
  Dims low = Dims::filled(x.rank(), 0), high = low;
  low[1] = before;
  high[1] = after;
  Tensor squares = miniten::pad(miniten::square(x), low, high), total;
  for (int64_t i = 0; i < size; ++i) {
    Tensor part = miniten::slice(squares, 1, i, i + c);
    total = total ? total + part : part;
  }
  return {x / miniten::pow(total * (alpha / double(size)) + bias, beta)};
}

// ---- reductions ----
struct Reduction { Tensor x; Axes axes; bool keep = true, none = false; };
Reduction reduction_of(const ForeignNode& n) {
  Reduction r{n.required(0), {}, n.integer("keepdims", 1) != 0, false};
  Ints given = n.has("axes") ? n.integers("axes", {}) : optional(n, 1) ? n.constant_integers(1) : Ints{};
  r.none = given.empty() && n.integer("noop_with_empty_axes", 0) != 0;
  for (int64_t a : given) r.axes.push(axis_of(n, a, r.x.rank()));
  if (given.empty()) for (int i = 0; i < r.x.rank(); ++i) r.axes.push(i);
  return r;
}
Tensor total(const Reduction& r, const Tensor& x) { return r.none || r.axes.rank == 0 ? x : miniten::cast(sum(x, r.axes, r.keep), x.dtype()); }
Tensors read_l1(const ForeignNode& n) { auto r = reduction_of(n); return {total(r, abs(r.x))}; }
Tensors read_l2(const ForeignNode& n) {
  auto r = reduction_of(n);
  Tensor s = total(r, miniten::square(is_float(r.x.dtype()) ? r.x : miniten::cast(r.x, DType::f64)));
  return {miniten::cast(sqrt(s), r.x.dtype())};
}
Tensors read_sum_square(const ForeignNode& n) { auto r = reduction_of(n); return {total(r, miniten::square(r.x))}; }
Tensors read_log_sum(const ForeignNode& n) { auto r = reduction_of(n); return {miniten::log(total(r, r.x))}; }
Tensors read_log_sum_exp(const ForeignNode& n) {
  auto r = reduction_of(n);
  if (r.none || r.axes.rank == 0) return {miniten::log(exp(r.x))};
  for (Dim a : r.axes) if (r.x.dim(int(a)) == 0) return {miniten::log(total(r, exp(r.x)))};
  Tensor top = max(r.x, r.axes, true), finite = miniten::where(equal(abs(top), number_like(top, double(infinity))), number_like(top, 0), top);
  Reduction kept = r;
  kept.keep = true;
  Tensor y = miniten::log(total(kept, exp(r.x - finite))) + finite;
  if (r.keep) return {y};
  Shape shape;
  for (int i = 0; i < y.rank(); ++i) if (!r.axes.has(i)) shape.push(y.dim(i));
  return {miniten::reshape(y, shape)};
}
Tensors read_prod(const ForeignNode& n) {                                 // halves times halves
  auto r = reduction_of(n);
  Tensor x = r.x;
  if (r.none) return {x};
  for (Dim d : r.axes) {
    int axis = int(d);
    if (is_symbol(x.dim(axis))) n.fail("a known size to multiply over", x.spec().text());
    if (x.dim(axis) == 0) { Shape s = x.shape(); s[axis] = 1; x = miniten::expand(Tensor::full({}, 1, x.dtype()), s); continue; }
    while (x.dim(axis) > 1) {
      int64_t half = x.dim(axis) / 2, size = x.dim(axis);
      Tensor y = miniten::slice(x, axis, 0, half) * miniten::slice(x, axis, half, 2 * half);
      Tensor both[] = {y, miniten::slice(x, axis, 2 * half, size)};
      x = size % 2 ? miniten::concat(both, axis) : y;
    }
  }
  if (r.keep) return {x};
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) if (!r.axes.has(i)) shape.push(x.dim(i));
  return {miniten::reshape(x, shape)};
}

constexpr ForeignComposition rules[] = {
    {"onnx", "LayerNormalization", read_layer_norm}, {"onnx", "RMSNormalization", read_rms_norm}, {"onnx", "InstanceNormalization", read_instance_norm},
    {"onnx", "GroupNormalization", read_group_norm}, {"onnx", "MeanVarianceNormalization", read_mean_variance}, {"onnx", "LpNormalization", read_lp_norm},
    {"onnx", "LRN", read_lrn}, {"onnx", "ReduceL1", read_l1}, {"onnx", "ReduceL2", read_l2}, {"onnx", "ReduceSumSquare", read_sum_square},
    {"onnx", "ReduceLogSum", read_log_sum}, {"onnx", "ReduceLogSumExp", read_log_sum_exp}, {"onnx", "ReduceProd", read_prod}};

}  // namespace

Compositions norm_rules() { return rules; }

}  // namespace miniten::onnx
