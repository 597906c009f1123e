#include "miniten/base/half.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"

namespace miniten {

// Elements picked and placed by an index of their own: out[i][j] = x[index[i][j]][j] along axis 0.
namespace {

int64_t checked_axis(const Call& c, int64_t axis) {
  int rank = c.in[0].shape.rank;
  if (axis < 0 || axis >= rank) c.fail("an axis below " + std::to_string(rank), std::to_string(axis), "", ErrorKind::index);
  return axis;
}
void check_index(const Call& c, int64_t axis) {
  require_integers(c, 1);
  const Shape &table = c.in[0].shape, &index = c.in[1].shape;
  bool fits = index.rank == table.rank;
  for (int i = 0; i < table.rank && fits; ++i)
    fits = i == axis || index[i] == table[i] || (!is_symbol(index[i]) && !is_symbol(table[i]) && index[i] <= table[i]);
  if (!fits) c.fail("an index of as many axes as " + table.text() + ", no longer beside axis " + std::to_string(axis), index.text());
  if (bits_of(c.in[0].dtype) < 8) c.fail("whole bytes", c.in[0].text(), "convert with cast first", ErrorKind::type);
  Dim size = table[int(axis)];
  check_range(c, 1, is_symbol(size) ? 0 : -size, size, "indices");
  if (size == 0 && index.is_static() && index.count() > 0) c.fail("a table with entries", table.text(), "", ErrorKind::index);
}

// Calls f(element of the index, element of the table) for elements [begin, end) of the index; both are row-major.
template <class F> void for_elements(const View& index, const Shape& table, int axis, int64_t begin, int64_t end, F f) {
  const Shape& shape = index.shape();
  Strides step = contiguous(table);
  int64_t size = table[axis], last = shape[-1];
  bool along_row = axis == shape.rank - 1;
  for (int64_t i = begin; i < end;) {
    int64_t row = i / last, j = i % last, stop = std::min(end, i - j + last), base = 0, rest = row;
    for (int a = shape.rank - 2; a >= 0; --a) {
      if (a != axis) base += rest % shape[a] * step[a];
      rest /= shape[a];
    }
    for (; i < stop; ++i, ++j) {
      int64_t at = index_at(index, i);
      at = std::clamp<int64_t>(at < 0 ? at + size : at, 0, size - 1) * step[axis];
      f(i, base + at + (along_row ? 0 : j));
    }
  }
}

template <class T> void gather_as(const Context& c) {
  const T* x = c.in[0].as<T>();
  T* y = c.out[0].as<T>();
  auto [begin, end] = c.slice(c.out[0].shape().count());
  for_elements(c.in[1], c.in[0].shape(), int(c.as<AxisAttrs>().axis), begin, end, [&](int64_t i, int64_t at) { y[i] = x[at]; });
}

enum class Join { none, add, mul, max, min };
bool parse_join(std::string_view name, Join& join) {
  constexpr std::string_view names[] = {"none", "add", "mul", "max", "min"};
  for (int i = 0; i < 5; ++i) if (names[i] == name) { join = Join(i); return true; }
  return false;
}
template <class T> T joined(Join join, T a, T b) {
  auto wide = [](auto x) { if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) return uint64_t(x); else return x; };
  using A = std::conditional_t<std::is_class_v<T>, float, T>;
  switch (join) {
    case Join::none: return b;
    case Join::add: return T(wide(A(a)) + wide(A(b)));
    case Join::mul: return T(wide(A(a)) * wide(A(b)));
    case Join::max: return A(a) != A(a) || A(a) > A(b) ? a : b;
    default: return A(a) != A(a) || A(a) < A(b) ? a : b;
  }
}

void scatter_eval(const Context& c) {
  const auto& at = c.as<ScatterAttrs>();
  Join join = Join::none;
  parse_join(at.reduction, join);
  copy_values(c.in[0], c.out[0]);
  auto run = [&](auto zero) {
    using T = decltype(zero);
    const T* from = c.in[2].as<T>();
    T* y = c.out[0].as<T>();
    for_elements(c.in[1], c.in[0].shape(), int(at.axis), 0, c.in[1].shape().count(), [&](int64_t i, int64_t to) { y[to] = joined(join, y[to], from[i]); });
  };
  if (c.out[0].spec.dtype == DType::f16) run(Half(0.0f));
  else if (c.out[0].spec.dtype == DType::bf16) run(BFloat16(0.0f));
  else visit_dtype(c.out[0].spec.dtype, run);
}

Tensor indices(const Shape& shape, std::initializer_list<int64_t> values) { return Tensor::of<int64_t>(shape, std::span(values.begin(), values.size())); }

}  // namespace

constinit const OpDef gather_elements_op{.name = "gather_elements", .doc = "elements by an index of their own along an axis", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      check_index(c, checked_axis(c, c.as<AxisAttrs>().axis));
      out.push({c.in[0].dtype, c.in[1].shape});
    },
    .eval = [](const Context& c) {
      switch (bits_of(c.out[0].spec.dtype)) {
        case 8: return gather_as<uint8_t>(c);
        case 16: return gather_as<uint16_t>(c);
        case 32: return gather_as<uint32_t>(c);
        default: return gather_as<uint64_t>(c);
      }
    },
    .work = elementwise_work,
    .vjp = [](const Vjp& v) {
      Tensor zeros = expand(number_like(v.grad[0], 0), v.in[0].shape());
      v.result[0] = scatter_elements(zeros, v.in[1], v.grad[0], int(v.as<AxisAttrs>().axis), "add");
    },
    .keep = {2, 0}, .samples = []() -> std::vector<Sample> {
      return {{{sample_values({3, 2}), indices({2, 2}, {2, 0, -1, 0})}, std::make_shared<AxisAttrs>()},
              {{sample_values({2, 3, 2}), indices({1, 3, 3}, {1, 1, 0, 0, 1, 0, 1, 0, 0})}, std::make_shared<AxisAttrs>(AxisAttrs{2})}};
    },
    .traits = {.movement = true, .dense = 3, .out = Layout::dense}, .onnx = {"GatherElements", 11, &onnx::gather_elements}, .c = {"gather_elements", 0, &c::gather_elements}, .attrs = codec<AxisAttrs>};

constinit const OpDef scatter_elements_op{.name = "scatter_elements", .doc = "values placed or added by an index of their own along an axis", .min_inputs = 3, .max_inputs = 3,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<ScatterAttrs>();
      Join join;
      if (!parse_join(at.reduction, join)) c.fail("a reduction of none, add, mul, max or min", at.reduction);
      check_index(c, checked_axis(c, at.axis));
      if (c.in[2].dtype != c.in[0].dtype) c.fail("values of " + std::string(name_of(c.in[0].dtype)), c.in[2].text(), "convert with cast first", ErrorKind::type);
      if (c.in[2].shape != c.in[1].shape) c.fail("values of the index's shape " + c.in[1].shape.text(), c.in[2].shape.text());
      out.push(c.in[0]);
    },
    .eval = scatter_eval,
    .vjp = [](const Vjp& v) {
      const auto& at = v.as<ScatterAttrs>();
      int axis = int(at.axis);
      if (at.reduction != "none" && at.reduction != "add")
        throw Error(ErrorKind::unsupported, v.op.name, "reduction none or add where a gradient is wanted", at.reduction, "detach() the result");
      if (v.needs(0)) {
        Tensor zero = expand(number_like(v.grad[0], 0), v.in[1].shape());
        v.result[0] = at.reduction == "add" ? v.grad[0] : scatter_elements(v.grad[0], v.in[1], zero, axis);
      }
      if (v.needs(2)) v.result[2] = gather_elements(v.grad[0], v.in[1], axis);
    },
    .keep = {2, 0}, .cost = [](const Call& c) { return Cost{0, c.in[2].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({3, 2}), indices({2, 2}, {2, 0, -3, 1}), sample_values({2, 2}, 0.2f, 1.7f)}, std::make_shared<ScatterAttrs>()},
              {{sample_values({3, 4}), indices({3, 2}, {2, 2, 1, 0, 0, 0}), sample_values({3, 2}, 0.2f, 1.7f)}, std::make_shared<ScatterAttrs>(ScatterAttrs{1, "add"})}};
    },
    .traits = {.dense = 6, .out = Layout::dense}, .onnx = {"ScatterElements", 11, &onnx::scatter_elements}, .attrs = codec<ScatterAttrs>};

// ---- functions ----
static Tensor index_like(std::string_view op, const Tensor& index) {
  if (!is_integer(index.dtype())) throw Error(ErrorKind::type, op, "an index of integers", index.spec().text());
  return index.dtype() == DType::i32 ? index : cast(index, DType::i64);
}
Tensor gather_elements(const Tensor& x, const Tensor& index, int axis) {
  return apply(gather_elements_op, {x, index_like("gather", index)}, AxisAttrs{normal_axis("gather", axis, x.rank())});
}
Tensor scatter_elements(const Tensor& x, const Tensor& index, const Tensor& values, int axis, std::string_view reduction) {
  Tensor at = index_like("scatter", index), v = cast(values, x.dtype());
  if (v.rank() == 0) v = expand(v, at.shape());
  for (int i = 0; i < v.rank() && v.rank() == at.rank() && v.shape() != at.shape(); ++i)     // torch: values may be larger
    if (v.dim(i) > at.dim(i)) v = slice(v, i, 0, at.dim(i));
  return apply(scatter_elements_op, {x, at, v}, ScatterAttrs{normal_axis("scatter", axis, x.rank()), std::string(reduction)});
}

// A 1-D index along an axis, spread over the shape of what it stands beside.
static Tensor spread_index(std::string_view op, const Tensor& index, int axis, const Shape& shape) {
  if (index.rank() > 1) throw Error(ErrorKind::value, op, "a 1-D index", index.shape().text());
  Shape to = Dims::filled(shape.rank, 1);
  to[axis] = index.numel();
  return expand(reshape(index_like(op, index), to), shape);
}
static void check_source(std::string_view op, const Tensor& x, int axis, const Tensor& index, const Tensor& source) {
  Shape want = x.shape();
  want[axis] = index.numel();
  if (source.shape() != want) throw Error(ErrorKind::value, op, "a source of shape " + want.text(), source.shape().text());
}
Tensor index_select(const Tensor& x, int axis, const Tensor& index) {
  if (index.rank() > 1) throw Error(ErrorKind::value, "index_select", "a 1-D index", index.shape().text());
  return gather(x, reshape(index_like("index_select", index), {-1}), axis);
}
Tensor index_add(const Tensor& x, int axis, const Tensor& index, const Tensor& source, double alpha) {
  axis = normal_axis("index_add", axis, x.rank());
  check_source("index_add", x, axis, index, source);
  Tensor values = cast(alpha == 1 ? source : source * alpha, x.dtype());
  return scatter_elements(x, spread_index("index_add", index, axis, source.shape()), values, axis, "add");
}
Tensor index_copy(const Tensor& x, int axis, const Tensor& index, const Tensor& source) {
  axis = normal_axis("index_copy", axis, x.rank());
  check_source("index_copy", x, axis, index, source);
  return scatter_elements(x, spread_index("index_copy", index, axis, source.shape()), source, axis);
}
Tensor index_fill(const Tensor& x, int axis, const Tensor& index, double value) {
  axis = normal_axis("index_fill", axis, x.rank());
  Shape shape = x.shape();
  shape[axis] = index.numel();
  return scatter_elements(x, spread_index("index_fill", index, axis, shape), Tensor::full({}, value, x.dtype()), axis);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
  if (value.rank() > 0) throw Error(ErrorKind::value, "masked_fill", "one value", value.shape().text(), "use where for more");
  return where(mask, cast(value, x.dtype()), x);
}
Tensor masked_select(const Tensor& x, const Tensor& mask) {
  if (mask.dtype() != DType::boolean) throw Error(ErrorKind::type, "masked_select", "a bool mask", mask.spec().text(), "compare first");
  Shape shape = broadcast("masked_select", x.shape(), mask.shape());
  return gather(reshape(expand(x, shape), {-1}), select(nonzero(reshape(expand(mask, shape), {-1})), 1, 0));
}
Tensor put(const Tensor& x, const Tensor& positions, const Tensor& values, bool accumulate) {
  Tensor at = reshape(index_like("put", positions), {-1});
  return reshape(scatter_elements(reshape(x, {-1}), at, reshape(expand(values, positions.shape()), {-1}), 0, accumulate ? "add" : "none"), x.shape());
}

}  // namespace miniten
