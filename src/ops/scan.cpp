#include <cmath>
#include <utility>
#include "miniten/base/half.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"

namespace miniten {

// Running sums and products, and reductions made of other ops.
namespace {

struct Walk {                                                // along an axis, from one end to the other
  int64_t n, from, to;                                       // elements, steps in x and in y
  bool exclusive;
};
// Lines whose sums do not wait for each other.
template <class T, class A, class Store, size_t... line>
void cumsum_lines(const Walk& w, const T* x, int64_t x_line, Store* y, int64_t y_line, std::index_sequence<line...>) {
  const auto [n, from, to, exclusive] = w;
  A total[sizeof...(line)] = {};
  const auto add = [exclusive](A& sum, T value, Store& out) {
    if (exclusive) out = Store(sum);
    if constexpr (std::is_integral_v<A>) sum = A(uint64_t(sum) + uint64_t(value));
    else sum += A(value);
    if (!exclusive) out = Store(sum);
  };
  for (int64_t k = 0; k < n; ++k, x += from, y += to) (add(total[line], x[int64_t(line) * x_line], y[int64_t(line) * y_line]), ...);
}
template <class T, class A, class Store> void cumsum_as(const Context& c) {
  const auto& at = c.as<ScanAttrs>();
  const View &x = c.in[0], &y = c.out[0];
  const int axis = int(at.axis);
  const int64_t n = x.shape()[axis], x_step = x.strides[axis], y_step = y.strides[axis];
  View operands[] = {y, x};
  Shape lines = y.shape();
  lines[axis] = operands[0].spec.shape[axis] = operands[1].spec.shape[axis] = 1;
  if (n == 0) return;
  const Walk walk{n, at.reverse ? -x_step : x_step, at.reverse ? -y_step : y_step, at.exclusive};
  const T* x_begin = x.as<T>() + (at.reverse ? (n - 1) * x_step : 0);
  Store* y_begin = y.as<Store>() + (at.reverse ? (n - 1) * y_step : 0);
  ElementLoop(lines, operands).run(c, [&](const int64_t* start, const int64_t* s, int64_t rows) {
    const T* from = x_begin + start[1];
    Store* to = y_begin + start[0];
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) cumsum_lines<T, A>(walk, from + r * s[1], s[1], to + r * s[0], s[0], std::make_index_sequence<4>());
    for (; r < rows; ++r) cumsum_lines<T, A>(walk, from + r * s[1], 0, to + r * s[0], 0, std::make_index_sequence<1>());
  });
}

}  // namespace

constinit const OpDef cumsum_op{.name = "cumsum", .doc = "sum of the elements so far along an axis",
    .infer = [](const Call& c, Specs& out) {
      Spec spec = c.in[0];
      int64_t axis = c.as<ScanAttrs>().axis;
      if (axis < 0 || axis >= spec.shape.rank) c.fail("an axis below " + std::to_string(spec.shape.rank), std::to_string(axis), "", ErrorKind::index);
      if (!is_float(spec.dtype)) spec.dtype = DType::i64;
      out.push(spec);
    },
    .eval = [](const Context& c) {
      switch (c.in[0].spec.dtype) {
        case DType::f32: return cumsum_as<float, double, float>(c);
        case DType::f64: return cumsum_as<double, double, double>(c);
        case DType::f16: return cumsum_as<Half, float, Half>(c);
        case DType::bf16: return cumsum_as<BFloat16, float, BFloat16>(c);
        default:
          visit_dtype(c.in[0].spec.dtype, [&](auto zero) {
            if constexpr (std::is_integral_v<decltype(zero)>) cumsum_as<decltype(zero), int64_t, int64_t>(c);
          });
      }
    },
    .work = elementwise_work,
    .vjp = [](const Vjp& v) {
      ScanAttrs at = v.as<ScanAttrs>();
      at.reverse = !at.reverse;
      v.result[0] = apply(cumsum_op, {v.grad[0]}, at);
    },
    .cost = [](const Call& c) { return Cost{0, c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({2, 4})}, std::make_shared<ScanAttrs>(ScanAttrs{1})}, {{transpose(sample_values({3, 2}))}, std::make_shared<ScanAttrs>(ScanAttrs{0, true, true})}};
    },
    .traits = {.out = Layout::dense}, .onnx = {"CumSum", 11, &onnx::cumsum}, .tflite = {"CUMSUM", 1, &to_tflite::cumsum}, .c = {"cumsum", 0, &c::cumsum}, .attrs = codec<ScanAttrs>};

Tensor cumsum(const Tensor& x, int axis, bool exclusive, bool reverse) {
  axis = normal_axis("cumsum", axis, x.rank());
  if (x.rank() == 0) return reshape(apply(cumsum_op, {reshape(x, {1})}, ScanAttrs{0, exclusive, reverse}), {});
  return apply(cumsum_op, {x}, ScanAttrs{axis, exclusive, reverse});
}

static int64_t known_size(std::string_view op, const Tensor& x, int axis) {
  if (is_symbol(x.dim(axis))) throw Error(ErrorKind::unsupported, op, "a known size on axis " + std::to_string(axis), x.shape().text(), "trace with a fixed shape");
  return x.dim(axis);
}
static Tensor counting(const Tensor& x) { return is_float(x.dtype()) ? x : cast(x, DType::i64); }

// By doubling: log2(n) products of neighbours at growing distance, so gradients are right where elements are 0.
Tensor cumprod(const Tensor& x, int axis) {
  axis = normal_axis("cumprod", axis, x.rank());
  Tensor y = counting(x);
  if (x.rank() == 0) return y;
  int64_t n = known_size("cumprod", x, axis);
  for (int64_t d = 1; d < n; d *= 2) {
    Dims before = Dims::filled(x.rank(), 0), after = before;
    before[axis] = d;
    y = y * pad(slice(y, axis, 0, n - d), before, after, 1);
  }
  return y;
}
Tensor prod(const Tensor& x, Axes axes, bool keepdim) {
  Tensor y = counting(x);
  bool all = axes.rank == 0;
  if (all) {
    axes = Dims::iota(x.rank());
    y = reshape(y, {-1});
  }
  Axes normal;
  for (Dim a : axes) {
    int axis = normal_axis("prod", a, x.rank());
    if (normal.has(axis)) throw Error(ErrorKind::value, "prod", "each axis once", axes.text());
    if (x.rank() > 0) normal.push(axis);
  }
  auto one_axis = [](Tensor t, int axis) {                    // halves multiplied, until one is left
    int64_t n = known_size("prod", t, axis);
    if (n == 0) {
      Dims before = Dims::filled(t.rank(), 0), after = before;
      after[axis] = n = 1;
      t = pad(t, before, after, 1);
    }
    for (; n > 1; n = (n + 1) / 2) {
      int64_t half = n / 2;
      Tensor product = slice(t, axis, 0, half) * slice(t, axis, half, 2 * half);
      t = n % 2 ? concat(std::vector<Tensor>{product, slice(t, axis, n - 1, n)}, axis) : product;
    }
    return t;
  };
  Shape kept = x.shape(), left;
  for (Dim a : normal) kept[int(a)] = 1;
  for (int i = 0; i < x.rank(); ++i) if (!normal.has(i)) left.push(x.dim(i));
  if (all) y = one_axis(y, 0);
  else for (Dim a : normal) y = one_axis(y, int(a));
  return reshape(y, keepdim ? kept : left);
}
Tensor logsumexp(const Tensor& x, Axes axes, bool keepdim) {
  Tensor real = is_float(x.dtype()) ? x : cast(x, DType::f32);
  if (x.shape().is_static() && x.numel() == 0) return log(sum(exp(real), axes, keepdim));      // there may be no greatest
  Tensor top = detach(max(real, axes, true));
  top = where(isfinite(top), top, number_like(top, 0));
  Tensor y = log(sum(exp(real - top), axes, true)) + top;
  return keepdim ? y : sum(y, axes, false);                   // of single elements: drops the axes
}
Tensor norm(const Tensor& x, double p, Axes axes, bool keepdim) {
  if (!is_float(x.dtype())) throw Error(ErrorKind::type, "norm", "a floating-point tensor", x.spec().text(), "convert with float() first");
  if (std::isnan(p)) throw Error(ErrorKind::value, "norm", "an order p", "nan");
  if (p == 2) {                                               // the gradient at 0 is 0, as torch
    Tensor squares = sum(square(x), axes, keepdim), zero = number_like(squares, 0), none = equal(squares, zero);
    return where(none, zero, sqrt(where(none, number_like(squares, 1), squares)));
  }
  Tensor size = abs(x);
  if (p == 1) return sum(size, axes, keepdim);
  if (p == double(infinity)) return max(size, axes, keepdim);
  if (p == -double(infinity)) return min(size, axes, keepdim);
  if (p == 0) return cast(sum(not_equal(x, number_like(x, 0)), axes, keepdim), x.dtype());
  return pow(sum(pow(size, p), axes, keepdim), 1 / p);
}

}  // namespace miniten
