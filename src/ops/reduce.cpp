#include "kernels/reduce.h"
#include "kernels/transpose.h"
#include <cmath>
#include "miniten/base/half.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/lowering.h"
#include "ops/tflite_write.h"

namespace miniten {

// Reduced axes stay, with size 1. Sums of integers and bool are int64.
namespace {

void reduce_infer(const Call& call, Specs& out) {
  Spec spec = call.in[0];
  for (Dim axis : call.as<ReduceAttrs>().axes) {
    if (axis < 0 || axis >= spec.shape.rank)
      call.fail("an axis below " + std::to_string(spec.shape.rank), std::to_string(axis), "", ErrorKind::index);
    spec.shape[int(axis)] = 1;
  }
  out.push(spec);
}
void sum_infer(const Call& call, Specs& out) {
  reduce_infer(call, out);
  if (!is_float(out.at[0].dtype)) out.at[0].dtype = DType::i64;
}
void mean_infer(const Call& call, Specs& out) {
  require_floats(call);
  reduce_infer(call, out);
}
void extreme_infer(const Call& call, Specs& out) {
  reduce_infer(call, out);
  const Shape& shape = call.in[0].shape;
  for (Dim axis : call.as<ReduceAttrs>().axes)
    if (shape[int(axis)] == 0) call.fail("an axis of at least one element", shape.text());
}

// The loop nest of a reduction: kept axes outside, reduced ones inside; the fastest axis of the input is the row.
struct Nest {
  struct Axis { int64_t size, from, to; bool reduced; };       // strides of input and output
  Axis axis[Dims::capacity];
  int rank = 0;
  Nest(const View& x, const View& y) {
    Axes order;
    auto step = [&](int k) { return std::abs(x.strides[int(order[k])]); };
    for (int i = 0; i < x.shape().rank; ++i) {                   // by insertion: nothing is allocated here
      if (x.shape()[i] == 1) continue;
      order.push(i);
      for (int k = order.rank - 1; k > 0 && step(k - 1) < step(k); --k) std::swap(order[k - 1], order[k]);
    }
    for (Dim d : order) {
      int i = int(d);
      bool reduced = y.shape()[i] == 1;
      Axis next{x.shape()[i], x.strides[i], reduced ? 0 : y.strides[i], reduced};
      Axis* last = rank ? &axis[rank - 1] : nullptr;
      if (last && last->reduced == reduced && last->from == next.from * next.size && (reduced || last->to == next.to * next.size)) {
        last->size *= next.size;
        last->from = next.from;
        last->to = next.to;
      } else axis[rank++] = next;
    }
  }
  bool row_is_reduced() const { return rank && axis[rank - 1].reduced; }
  int64_t count(bool reduced, bool without_row) const {
    int64_t n = 1;
    for (int i = 0; i < rank - (without_row ? 1 : 0); ++i) if (axis[i].reduced == reduced) n *= axis[i].size;
    return n;
  }
  // Offsets of the index-th combination of the kept or reduced axes, the row's aside.
  std::pair<int64_t, int64_t> at(int64_t index, bool reduced, bool without_row) const {
    int64_t from = 0, to = 0;
    int outer = 0;
    while (outer < rank && axis[outer].reduced != reduced) ++outer;
    for (int i = rank - (without_row ? 2 : 1); i >= outer; --i) {
      if (axis[i].reduced != reduced) continue;
      int64_t rest = index;
      if (i > outer) {                                           // a division costs more than a short row
        index /= axis[i].size;
        rest -= index * axis[i].size;
      }
      from += rest * axis[i].from;
      to += rest * axis[i].to;
    }
    return {from, to};
  }
};

struct Add {
  template <class A> static A start() { return A(0); }
  template <class A> static A join(A a, A b) {
    if constexpr (std::is_integral_v<A>) return A(uint64_t(a) + uint64_t(b));
    else return a + b;
  }
  static float row(const float* x, int64_t n) { return kernels::sum(x, n); }
  static void rows(const float* x, int64_t m, int64_t s, int64_t n, float* y) { kernels::add_rows(x, m, s, n, y); }
};
template <bool greatest> struct Extreme {
  template <class A> static A start() {
    if constexpr (std::is_floating_point_v<A>) return greatest ? -A(infinity) : A(infinity);
    else return greatest ? std::numeric_limits<A>::min() : std::numeric_limits<A>::max();
  }
  template <class A> static A join(A a, A b) {
    if (a != a) return a;                                      // NaN wins
    return greatest ? (b <= a ? a : b) : (b >= a ? a : b);
  }
  static float row(const float* x, int64_t n) { return greatest ? kernels::max(x, n) : kernels::min(x, n); }
  static void rows(const float* x, int64_t m, int64_t s, int64_t n, float* y) {
    greatest ? kernels::max_rows(x, m, s, n, y) : kernels::min_rows(x, m, s, n, y);
  }
};

constexpr int64_t block = 256;                                 // rows summed on their own before they join: bounds rounding

// Reduces combinations [begin, end) of the reduced axes for one output row (column form) or element (row form).
template <class Join, class T, class A> void reduce_columns(const Nest& nest, const T* x, int64_t begin, int64_t end, A* y, A* temporary) {
  const auto& row = nest.axis[nest.rank - 1];
  int64_t n = row.size;
  for (int64_t j = 0; j < n; ++j) y[j] = Join::template start<A>();
  for (int64_t r = begin; r < end; r += block) {
    int64_t stop = std::min(end, r + block);
    for (int64_t j = 0; j < n; ++j) temporary[j] = Join::template start<A>();
    for (int64_t i = r, rows; i < stop; i += rows) {
      const T* from = x + nest.at(i, true, true).first;
      rows = 1;
      if constexpr (std::is_same_v<T, float> && std::is_same_v<A, float>) {
        if (row.from == 1) {                                     // as many as lie evenly
          const Nest::Axis* above = nest.rank > 1 ? &nest.axis[nest.rank - 2] : nullptr;
          if (above && above->reduced) rows = std::min(stop - i, above->size - i % above->size);
          Join::rows(from, rows, above ? above->from : 0, n, temporary);
          continue;
        }
      }
      for (int64_t j = 0; j < n; ++j) temporary[j] = Join::template join<A>(temporary[j], A(from[j * row.from]));
    }
    for (int64_t j = 0; j < n; ++j) y[j] = Join::template join<A>(y[j], temporary[j]);
  }
}
template <class Join, class T, class A> A reduce_rows(const Nest& nest, const T* x, int64_t begin, int64_t end) {
  Nest::Axis row = nest.rank && nest.row_is_reduced() ? nest.axis[nest.rank - 1] : Nest::Axis{1, 1, 0, true};
  A total = Join::template start<A>();
  for (int64_t i = begin; i < end; ++i) {
    const T* from = x + nest.at(i, true, nest.row_is_reduced()).first;
    A part = Join::template start<A>();
    if constexpr (std::is_same_v<T, float> && std::is_same_v<A, float>) {
      if (row.from == 1) { total = Join::template join<A>(total, Join::row(from, row.size)); continue; }
    }
    for (int64_t j = 0; j < row.size; ++j) part = Join::template join<A>(part, A(from[j * row.from]));
    total = Join::template join<A>(total, part);
  }
  return total;
}

// Pieces split the outputs; where there are few, they split what is reduced, and phase 1 joins the parts in order.
struct Split { int pieces; bool inner; };
Split split_of(const Shape& in, const Shape& out) {
  int pieces = pieces_for(in.count());
  return {pieces, pieces > 1 && out.count() < 64 * pieces};
}
Work reduce_work(const Call& call) {
  Split s = split_of(call.in[0].shape, call.out[0].shape);
  auto row = uint64_t(call.out[0].shape.count()) * 8;
  return {.pieces = s.pieces, .scratch = row, .shared = s.inner ? row * uint64_t(s.pieces) : 0, .phases = s.inner ? 2 : 1};
}

// Rows of few floats, many of them: turned, so that vectors go along the outputs.
constexpr int64_t short_row = 64;
bool has_short_rows(const Nest& nest) {
  return nest.rank == 2 && !nest.axis[0].reduced && nest.axis[0].size >= 16 && nest.axis[1].reduced && nest.axis[1].size <= short_row && nest.axis[1].from == 1 &&
         nest.axis[0].from > 0;
}
template <class Join, class Finish> void reduce_short_rows(const Nest& nest, const float* x, int64_t first, int64_t last, float* y, Finish finish) {
  constexpr int64_t many = 64;
  float turned[short_row * many], results[many];
  const int64_t n = nest.axis[1].size, step = nest.axis[0].from;
  for (int64_t r = first; r < last; r += many) {
    const int64_t rows = std::min(many, last - r);
    kernels::transpose(x + r * step, step, turned, many, n, rows);
    std::fill_n(results, rows, Join::template start<float>());
    Join::rows(turned, n, many, rows, results);
    for (int64_t i = 0; i < rows; ++i) y[(r + i) * nest.axis[0].to] = finish(results[i]);
  }
}

template <class Join, class T, class A, class Store> void reduce_as(const Context& c, double scale) {
  const View &x = c.in[0], &y = c.out[0];
  Nest nest(x, y);
  int64_t outputs = y.shape().count();
  bool inner = split_of(x.shape(), y.shape()).inner, row_reduced = nest.row_is_reduced() || nest.rank == 0;
  auto finish = [&](A v) { return Store(scale == 1 ? v : A(v * A(scale))); };
  auto* partial = reinterpret_cast<A*>(c.shared);
  auto* temporary = reinterpret_cast<A*>(c.scratch);
  if (c.phase == 1) {                                          // outputs in the order in which phase 0 numbered them
    if (c.piece) return;
    int64_t width = row_reduced ? 1 : nest.axis[nest.rank - 1].size;
    for (int64_t o = 0; o < outputs; ++o) {
      A v = partial[o];
      for (int p = 1; p < c.pieces; ++p) v = Join::template join<A>(v, partial[p * outputs + o]);
      int64_t to = nest.at(o / width, false, !row_reduced || nest.row_is_reduced()).second;
      if (!row_reduced) to += o % width * nest.axis[nest.rank - 1].to;
      y.as<Store>()[to] = finish(v);
    }
    return;
  }
  bool without_row = !row_reduced || nest.row_is_reduced();
  int64_t rows = nest.count(false, without_row), width = row_reduced ? 1 : nest.axis[nest.rank - 1].size;
  int64_t reduced = nest.count(true, without_row);
  auto [first, last] = inner ? std::pair<int64_t, int64_t>{0, rows} : c.slice(rows);
  auto [begin, end] = inner ? c.slice(reduced) : std::pair<int64_t, int64_t>{0, reduced};
  if constexpr (std::is_same_v<T, float> && std::is_same_v<Store, float>)
    if (!inner && has_short_rows(nest)) return reduce_short_rows<Join>(nest, x.f32(), first, last, y.f32(), finish);
  for (int64_t r = first; r < last; ++r) {
    auto [from, to] = nest.at(r, false, without_row);
    A one;
    A* row = row_reduced ? &one : inner ? partial + c.piece * outputs + r * width : temporary;
    if (row_reduced) one = reduce_rows<Join, T, A>(nest, x.as<T>() + from, begin, end);
    else reduce_columns<Join, T, A>(nest, x.as<T>() + from, begin, end, row, temporary + width);
    if (inner) { if (row_reduced) partial[c.piece * outputs + r] = one; continue; }
    for (int64_t j = 0; j < width; ++j) y.as<Store>()[to + (row_reduced ? 0 : j * nest.axis[nest.rank - 1].to)] = finish(row[j]);
  }
}

template <class Join, bool sums> void reduce_eval(const Context& c, double scale = 1) {
  switch (c.in[0].spec.dtype) {
    case DType::f32: return reduce_as<Join, float, float, float>(c, scale);
    case DType::f64: return reduce_as<Join, double, double, double>(c, scale);
    case DType::f16: return reduce_as<Join, Half, float, Half>(c, scale);
    case DType::bf16: return reduce_as<Join, BFloat16, float, BFloat16>(c, scale);
    default:
      visit_dtype(c.in[0].spec.dtype, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (sums) reduce_as<Join, T, int64_t, int64_t>(c, 1);
        else reduce_as<Join, T, T, T>(c, 1);
      });
  }
}
Work column_work(const Call& call) {
  Work w = reduce_work(call);
  w.scratch *= 2;                                              // a row and its block
  return w;
}

Tensor spread(const Vjp& v, const Tensor& g) { return expand(g, v.in[0].shape()); }
void extreme_vjp(const Vjp& v) {
  Tensor hit = cast(equal(v.in[0], spread(v, v.out[0])), v.grad[0].dtype());
  v.result[0] = hit * spread(v, v.grad[0] / apply(sum_op, {hit}, v.as<ReduceAttrs>()));
}
Cost reduce_cost(const Call& call) { return {0, call.in[0].shape.count()}; }
std::vector<Sample> reduce_samples() {
  auto axes = [](Axes a) { return std::make_shared<ReduceAttrs>(ReduceAttrs{a}); };
  return {{{sample_values({2, 3})}, axes({0})}, {{sample_values({2, 3})}, axes({1})},
          {{transpose(sample_values({2, 3}))}, axes({0, 1})}, {{sample_values({2, 3, 2, 2})}, axes({0, 2, 3})}};
}
constexpr OpDef reduce_row(std::string_view name, std::string_view doc, void (*infer)(const Call&, Specs&), void (*eval)(const Context&),
                           void (*vjp)(const Vjp&), Keep keep, Foreign onnx, Foreign c, QuantRule quant = {}) {
  return {.name = name, .doc = doc, .infer = infer, .eval = eval, .work = column_work, .vjp = vjp, .keep = keep, .cost = reduce_cost,
          .samples = reduce_samples, .quant = quant, .traits = {.out = Layout::dense}, .onnx = onnx, .c = c, .attrs = codec<ReduceAttrs>};
}

}  // namespace

constinit const OpDef sum_op = to_tflite::with(reduce_row("sum", "sum over axes", sum_infer, [](const Context& c) { reduce_eval<Add, true>(c); },
    [](const Vjp& v) { v.result[0] = spread(v, v.grad[0]); }, keep_nothing, {"ReduceSum", 1, &onnx::reduce}, {"sum", 0, &c::sum}), {"SUM", 1, &to_tflite::sum});
constinit const OpDef mean_op = to_tflite::with(reduce_row("mean", "mean over axes", mean_infer,
    [](const Context& c) {
      reduce_eval<Add, true>(c, double(c.out[0].shape().count()) / double(c.in[0].shape().count()));
    },
    [](const Vjp& v) {
      DType t = v.grad[0].dtype();
      v.result[0] = spread(v, v.grad[0] * (cast(miniten::count(v.out[0]), t) / cast(miniten::count(v.in[0]), t)));
    }, keep_nothing, {"ReduceMean", 1, &onnx::reduce}, {"mean", 0, &c::mean}, {QuantMode::has_integer_form, 1, lower_mean}), {"MEAN", 1, &to_tflite::mean});
constinit const OpDef max_op = to_tflite::with(reduce_row("max", "greatest over axes; NaN wins", extreme_infer,
    [](const Context& c) { reduce_eval<Extreme<true>, false>(c); }, extreme_vjp, {1, 1}, {"ReduceMax", 1, &onnx::reduce}, {"max", 0, &c::max}), {"REDUCE_MAX", 1, &to_tflite::max});
constinit const OpDef min_op = to_tflite::with(reduce_row("min", "least over axes; NaN wins", extreme_infer,
    [](const Context& c) { reduce_eval<Extreme<false>, false>(c); }, extreme_vjp, {1, 1}, {"ReduceMin", 1, &onnx::reduce}, {"min", 0, &c::min}), {"REDUCE_MIN", 1, &to_tflite::min});

// A mean over a symbolic batch cannot hold 1/n as a number in its attributes: n is a value, folded when the symbol is bound.
constinit const OpDef count_op{.name = "count", .doc = "how many elements, as float32",
    .infer = [](const Call&, Specs& out) { out.push({}); },
    .eval = [](const Context& c) { *c.out[0].f32() = float(c.in[0].shape().count()); },
    .traits = {.shape_only = 1, .stops_gradient = true}, .onnx = {"Size", 1, &onnx::count}};
Tensor count(const Tensor& x) { return apply(count_op, {x}); }

// ---- argmax, argmin: the first of equals; NaN wins ----
namespace {
template <bool greatest> void arg_eval(const Context& c) {
  const View &x = c.in[0], &y = c.out[0];
  int axis = int(c.as<AxisAttrs>().axis);
  int64_t n = x.shape()[axis], step = x.strides[axis];
  View operands[] = {y, x};
  operands[1].spec.shape[axis] = 1;
  auto run = [&](auto zero) {
    using T = decltype(zero);
    ElementLoop(y.shape(), operands).run(c, [&](const int64_t* at, const int64_t* s, int64_t rows) {
      for (int64_t r = 0; r < rows; ++r) {
        const T* from = x.as<T>() + at[1] + r * s[1];
        int64_t best = 0;
        for (int64_t i = 1; i < n; ++i) {
          auto a = from[i * step], b = from[best * step];
          if (b != b) break;
          if (a != a || (greatest ? a > b : a < b)) best = i;
        }
        y.i64()[at[0] + r * s[0]] = best;
      }
    });
  };
  if (x.spec.dtype == DType::f16) run(Half(0.0f));
  else if (x.spec.dtype == DType::bf16) run(BFloat16(0.0f));
  else visit_dtype(x.spec.dtype, run);
}
void arg_infer(const Call& call, Specs& out) {
  const Shape& shape = call.in[0].shape;
  int64_t axis = call.as<AxisAttrs>().axis;
  if (axis < 0 || axis >= shape.rank) call.fail("an axis below " + std::to_string(shape.rank), std::to_string(axis), "", ErrorKind::index);
  if (shape[int(axis)] == 0) call.fail("an axis of at least one element", shape.text());
  Spec spec{DType::i64, shape};
  spec.shape[int(axis)] = 1;
  out.push(spec);
}
template <bool greatest> constexpr OpDef arg_row(std::string_view name, std::string_view doc, Foreign onnx, Foreign c) {
  return {.name = name, .doc = doc, .infer = arg_infer, .eval = arg_eval<greatest>, .work = elementwise_work, .cost = reduce_cost,
          .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 3})}, std::make_shared<AxisAttrs>(AxisAttrs{1})}}; },
          .traits = {.stops_gradient = true, .out = Layout::dense}, .onnx = onnx, .c = c, .attrs = codec<AxisAttrs>};
}
}  // namespace
constinit const OpDef argmax_op = to_tflite::with(arg_row<true>("argmax", "index of the greatest along an axis", {"ArgMax", 1, &onnx::arg}, {"argmax", 0, &c::argmax}), {"ARG_MAX", 1, &to_tflite::argmax});
constinit const OpDef argmin_op = to_tflite::with(arg_row<false>("argmin", "index of the least along an axis", {"ArgMin", 1, &onnx::arg}, {"argmin", 0, &c::argmin}), {"ARG_MIN", 1, &to_tflite::argmin});

// ---- functions ----
static Axes normal_axes(std::string_view op, const Tensor& x, const Axes& axes) {
  if (axes.rank == 0) return Dims::iota(x.rank());
  Axes out;
  for (Dim a : axes) {
    int axis = normal_axis(op, a, x.rank());
    if (out.has(axis)) throw Error(ErrorKind::value, op, "each axis once", axes.text());
    if (x.rank() > 0) out.push(axis);
  }
  std::sort(out.begin(), out.end());
  return out;
}
static Tensor without(const Tensor& y, const Axes& axes, bool keepdim) {
  if (keepdim || axes.rank == 0) return y;
  Shape shape;
  for (int i = 0; i < y.rank(); ++i) if (!axes.has(i)) shape.push(y.dim(i));
  return reshape(y, shape);
}
static Tensor reduced(const OpDef& op, const Tensor& x, const Axes& axes, bool keepdim) {
  Axes normal = normal_axes(op.name, x, axes);
  return without(apply(op, {x}, ReduceAttrs{normal}), normal, keepdim);
}
Tensor sum(const Tensor& x, Axes axes, bool keepdim) { return reduced(sum_op, x, axes, keepdim); }
Tensor mean(const Tensor& x, Axes axes, bool keepdim) { return reduced(mean_op, x, axes, keepdim); }
Tensor max(const Tensor& x, Axes axes, bool keepdim) { return reduced(max_op, x, axes, keepdim); }
Tensor min(const Tensor& x, Axes axes, bool keepdim) { return reduced(min_op, x, axes, keepdim); }
Tensor var(const Tensor& x, Axes axes, bool keepdim, int correction) {
  Axes normal = normal_axes("var", x, axes);
  Tensor centred = x - apply(mean_op, {x}, ReduceAttrs{normal});
  Tensor total = apply(sum_op, {square(centred)}, ReduceAttrs{normal});
  Tensor n = cast(count(x), x.dtype()) / cast(count(total), x.dtype()) - double(correction);
  return without(total / n, normal, keepdim);
}
Tensor argmax(const Tensor& x, int axis, bool keepdim) {
  axis = normal_axis("argmax", axis, x.rank());
  return without(apply(argmax_op, {x}, AxisAttrs{axis}), {axis}, keepdim);
}
Tensor argmin(const Tensor& x, int axis, bool keepdim) {
  axis = normal_axis("argmin", axis, x.rank());
  return without(apply(argmin_op, {x}, AxisAttrs{axis}), {axis}, keepdim);
}
Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  Axes axes;
  for (int i = 0, lead = x.rank() - shape.rank; i < x.rank(); ++i)
    if (i < lead || (shape[i - lead] == 1 && x.dim(i) != 1)) axes.push(i);
  Tensor s = axes.rank ? apply(sum_op, {x}, ReduceAttrs{axes}) : x;
  return s.shape() == shape ? s : reshape(s, shape);
}

}  // namespace miniten
