#include "miniten/ops/ops.h"
#include "ops/loops.h"

namespace miniten {

// The floats that integers would stand for, with a straight-through gradient. Scales and zero points are floats: one for
// all, or one for each index along an axis.
namespace {

// To even, without a call: adding 1.5 * 2^23 leaves no bit below 1. Greater values are clamped whatever they become.
template <class T> T rounded(T x) {
  constexpr T shift = sizeof(T) == 4 ? T(12582912) : T(6755399441055744);
  return x + shift - shift;
}

void check(const Call& c) {
  const auto& at = c.as<FakeQuantizeAttrs>();
  const Shape& x = c.in[0].shape;
  if (DType t = c.in[0].dtype; t != DType::f32 && t != DType::f64) c.fail("float32 or float64", c.in[0].text(), "convert with cast first", ErrorKind::type);
  if (at.axis >= x.rank) c.fail("an axis below " + std::to_string(x.rank), std::to_string(at.axis), "", ErrorKind::index);
  Shape want = at.axis < 0 ? Shape{} : Shape{x[int(at.axis)]};
  for (size_t i : {1, 2})
    if (c.in[i] != Spec{c.in[0].dtype, want}) c.fail((i == 1 ? "a scale " : "a zero point ") + Spec{c.in[0].dtype, want}.text(), c.in[i].text());
  if (at.lo >= at.hi) c.fail("lo < hi", std::to_string(at.lo) + " and " + std::to_string(at.hi));
}

// f(x, scale, zero) of every element, scale and zero broadcast along the axis.
template <class T, class F> void each(const Context& c, F f) {
  const auto& at = c.as<FakeQuantizeAttrs>();
  View operands[] = {c.out[0], c.in[0], c.in[1], c.in[2]};
  for (int i : {2, 3}) {
    View& v = operands[i];
    int64_t step = at.axis < 0 ? 0 : v.strides[0];
    v.spec.shape = Dims::filled(c.out[0].shape().rank, 1);
    v.strides = Dims::filled(c.out[0].shape().rank, 0);
    if (at.axis >= 0) { v.spec.shape[int(at.axis)] = c.out[0].shape()[int(at.axis)]; v.strides[int(at.axis)] = step; }
  }
  const T lo = T(at.lo), hi = T(at.hi);
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* o, const int64_t* step, int64_t n) {
    T* y = c.out[0].as<T>() + o[0];
    const T *x = c.in[0].as<T>() + o[1], *scale = c.in[1].as<T>() + o[2], *zero = c.in[2].as<T>() + o[3];
    if (step[0] == 1 && step[1] == 1 && step[2] == 0) {
      const T s = *scale, z = *zero;
      for (int64_t i = 0; i < n; ++i) y[i] = f(x[i], s, z, lo, hi);
    } else for (int64_t i = 0; i < n; ++i) y[i * step[0]] = f(x[i * step[1]], scale[i * step[2]], zero[i * step[3]], lo, hi);
  });
}
template <class F> void by_type(const Context& c, F f) { c.in[0].spec.dtype == DType::f64 ? each<double>(c, f) : each<float>(c, f); }

// Points outside the range: there alone the gradient is that of the function itself.
std::vector<Sample> samples() {
  auto all = std::make_shared<FakeQuantizeAttrs>(FakeQuantizeAttrs{-8, 7, -1}), by_axis = std::make_shared<FakeQuantizeAttrs>(FakeQuantizeAttrs{-8, 7, 1});
  return {{{sample_values({3, 5}, 2, 3), Tensor::full({}, 0.1), Tensor::full({}, 2)}, all},
          {{sample_values({2, 3, 2}, -4, -3), Tensor::of({3}, {0.2f, 0.1f, 0.3f}), Tensor::of({3}, {0, 1, -2})}, by_axis}};
}
Axes all_but(const Tensor& x, int64_t axis) {
  Axes others;
  for (int i = 0; i < x.rank(); ++i) if (i != axis) others.push(i);
  return others;
}

}  // namespace

constinit const OpDef fake_quantize_mask_op{.name = "fake_quantize_mask", .doc = "1 where round(x / scale) + zero lies in [lo, hi], else 0", .min_inputs = 3, .max_inputs = 3,
    .infer = [](const Call& c, Specs& out) { check(c); out.push(c.in[0]); },
    .eval = [](const Context& c) {
      by_type(c, [](auto x, auto scale, auto zero, auto lo, auto hi) {
        auto q = rounded(x / scale) + zero;
        return decltype(x)(q >= lo && q <= hi);
      });
    },
    .work = elementwise_work, .cost = [](const Call& c) { return Cost{0, 4 * c.in[0].shape.count()}; }, .samples = samples,
    .traits = {.pointwise = true, .stops_gradient = true}, .attrs = codec<FakeQuantizeAttrs>};

constinit const OpDef fake_quantize_op{.name = "fake_quantize", .doc = "(clamp(round(x / scale) + zero, lo, hi) - zero) * scale, straight through where not clamped",
    .min_inputs = 3, .max_inputs = 3,
    .infer = [](const Call& c, Specs& out) { check(c); out.push(c.in[0]); },
    .eval = [](const Context& c) {
      by_type(c, [](auto x, auto scale, auto zero, auto lo, auto hi) {
        auto q = rounded(x / scale) + zero;
        q = q < lo ? lo : q > hi ? hi : q;                       // NaN stays NaN
        return (q - zero) * scale;
      });
    },
    .work = elementwise_work,
    .vjp = [](const Vjp& v) {
      const auto& at = v.as<FakeQuantizeAttrs>();
      const Tensor &x = v.in[0], &g = v.grad[0];
      Axes others = all_but(x, at.axis);
      Tensor inside = apply(fake_quantize_mask_op, {x, v.in[1], v.in[2]}, at), passed = g * inside;
      if (v.needs(0)) v.result[0] = passed;
      if (v.needs(1)) {                                          // q - zero, less x / scale inside (LSQ, Esser et al. 2020)
        Tensor of_scale = g * v.out[0] - passed * x;
        v.result[1] = (others.rank ? sum(of_scale, others) : of_scale) / v.in[1];
      }
      if (v.needs(2)) {
        Tensor of_zero = passed - g;
        v.result[2] = (others.rank ? sum(of_zero, others) : of_zero) * v.in[1];
      }
    },
    .keep = {7, 1}, .cost = [](const Call& c) { return Cost{0, 5 * c.in[0].shape.count()}; }, .samples = samples,
    .traits = {.pointwise = true}, .attrs = codec<FakeQuantizeAttrs>};

Tensor fake_quantize(const Tensor& x, const Tensor& scale, const Tensor& zero, int64_t lo, int64_t hi, int axis) {
  return apply(fake_quantize_op, {x, scale, zero}, FakeQuantizeAttrs{lo, hi, axis < 0 && scale.rank() ? axis + x.rank() : axis});
}

}  // namespace miniten
