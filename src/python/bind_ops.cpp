#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "python/both.h"

namespace miniten::python {

namespace {

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);

[[noreturn]] void refuse(std::string_view op, std::string want, std::string got, std::string hint = "", ErrorKind kind = ErrorKind::value) {
  throw Error(kind, op, std::move(want), std::move(got), std::move(hint));
}

// The operands of a binary function, either of which may be a number.
std::pair<Tensor, Tensor> operands(std::string_view op, nb::handle a, nb::handle b) {
  if (is_number(a) && !is_number(b)) {
    Tensor y = to_tensor(op, b);
    return {number_tensor(op, a, y.dtype()), y};
  }
  Tensor x = to_tensor(op, a);
  return {x, is_number(b) ? number_tensor(op, b, x.dtype()) : to_tensor(op, b)};
}

Tensor power(const Tensor& a, const Operand& b) {
  if (!is_number(b.object)) return pow(a, b.tensor("pow", a.dtype()));
  Tensor e = b.tensor("pow", a.dtype());
  return e.dtype() == a.dtype() ? pow(a, e.item()) : pow(a, e);
}
Tensor flat(const Tensor& x) { return x.rank() == 1 ? x : reshape(x, {-1}); }

Tensor cat(nb::handle tensors, int64_t dim, const char* op, Tensor (*join)(std::span<const Tensor>, int)) {
  std::vector<Tensor> parts;
  if (!PySequence_Check(tensors.ptr())) refuse(op, "a sequence of tensors", type_text(tensors), "", ErrorKind::type);
  for (nb::handle t : nb::steal<nb::tuple>(PySequence_Tuple(tensors.ptr()))) parts.push_back(to_tensor(op, t));
  if (parts.empty()) refuse(op, "at least one tensor", "none");
  return join(parts, int(dim));
}

int normal(std::string_view op, int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) refuse(op, "an axis in [-" + std::to_string(rank) + ", " + std::to_string(rank) + ")", std::to_string(axis), "", ErrorKind::index);
  return int(axis < 0 ? axis + rank : axis);
}

std::vector<Tensor> pieces(const Tensor& x, nb::handle size_or_sections, int64_t dim) {
  if (PyIndex_Check(size_or_sections.ptr())) return split(x, integer_of("split", size_or_sections), int(dim));
  Dims sections;
  std::vector<Tensor> out;
  int axis = normal("split", dim, x.rank());
  int64_t at = 0;
  for (nb::handle s : nb::steal<nb::tuple>(PySequence_Tuple(size_or_sections.ptr()))) {
    int64_t n = integer_of("split", s);
    if (n < 0 || at + n > x.dim(axis)) refuse("split", "sections that add up to " + std::to_string(x.dim(axis)), nb::cast<std::string>(nb::str(size_or_sections)));
    out.push_back(slice(x, axis, at, at + n));
    at += n;
  }
  if (at != x.dim(axis)) refuse("split", "sections that add up to " + std::to_string(x.dim(axis)), nb::cast<std::string>(nb::str(size_or_sections)));
  return out;
}

// torch's form (left, right, top, bottom, ...) counts from the last axis, NumPy's ((before, after), ...) from the first.
Tensor padded(const Tensor& x, nb::handle widths, double value) {
  Dims before = Dims::filled(x.rank(), 0), after = before;
  nb::tuple list = nb::steal<nb::tuple>(PySequence_Check(widths.ptr()) ? PySequence_Tuple(widths.ptr()) : PyTuple_New(0));
  bool flat_list = list.size() > 0 && PyIndex_Check(nb::handle(list[0]).ptr());
  auto wrong = [&] {
    refuse("pad", "(left, right, top, bottom, ..) or a pair for each axis of " + x.shape().text(), nb::cast<std::string>(nb::repr(widths)));
  };
  if (flat_list) {
    if (list.size() % 2 || int(list.size()) / 2 > x.rank()) wrong();
    for (int i = 0; i < int(list.size()) / 2; ++i) {
      before[-1 - i] = integer_of("pad", list[size_t(2 * i)]);
      after[-1 - i] = integer_of("pad", list[size_t(2 * i + 1)]);
    }
  } else {
    if (int(list.size()) != x.rank() || x.rank() == 0) wrong();
    for (int i = 0; i < x.rank(); ++i) {
      Dims both = pair_of("pad", list[size_t(i)]);
      before[i] = both[0];
      after[i] = both[1];
    }
  }
  for (int i = 0; i < x.rank(); ++i) if (before[i] < 0 || after[i] < 0) refuse("pad", "widths of 0 or more", nb::cast<std::string>(nb::repr(widths)), "cut with a slice");
  return pad(x, before, after, value);
}

void bind_elementwise(Both b) {
  struct Row { const char* name; Unary f; const char* doc; };
  for (auto [name, f, doc] : {Row{"relu", relu, "max(x, 0); NaN stays NaN."}, {"exp", exp, "e to the x."}, {"log", log, "Natural logarithm."}, {"tanh", tanh, ""},
                              {"sigmoid", sigmoid, "1 / (1 + exp(-x))."}, {"sqrt", sqrt, ""}, {"abs", abs, ""}, {"square", square, ""}, {"reciprocal", reciprocal, "1 / x."},
                              {"erf", erf, ""}, {"sin", sin, ""}, {"cos", cos, ""}, {"floor", floor, ""},
                              {"ceil", ceil, ""}, {"round", round, "To the nearest integer, halves to even."}, {"sign", sign, ""}, {"log1p", log1p, "log(1 + x)."},
                              {"neg", +[](const Tensor& x) { return -x; }, ""}})
    b.def_x(name, [name = name, f = f](ArrayLike x) { return f(x.tensor(name)); }, doc);
  for (auto [name, f, doc] : {Row{"silu", silu, "x * sigmoid(x)."}})
    b.m.def(name, [name = name, f = f](ArrayLike x) { return f(x.tensor(name)); }, nb::arg("x"), doc);

  struct Row2 { const char *name, *reflected, *function; Binary f; };
  using T = const Tensor&;
  for (auto [name, reflected, function, f] :
       {Row2{"__add__", "__radd__", "add", +[](T a, T b) { return a + b; }}, {"__sub__", "__rsub__", "sub", +[](T a, T b) { return a - b; }},
        {"__mul__", "__rmul__", "mul", +[](T a, T b) { return a * b; }}, {"__truediv__", "__rtruediv__", "div", +[](T a, T b) { return a / b; }},
        {"__floordiv__", "__rfloordiv__", "floor_divide", floor_divide}, {"__mod__", "__rmod__", "remainder", remainder}, {"__matmul__", "__rmatmul__", "matmul", matmul},
        {"__and__", "__rand__", "bitwise_and", bitwise_and}, {"__or__", "__ror__", "bitwise_or", bitwise_or}, {"__xor__", "__rxor__", "bitwise_xor", bitwise_xor},
        {"__lshift__", "__rlshift__", "left_shift", left_shift}, {"__rshift__", "__rrshift__", "right_shift", right_shift}}) {
    b.c.def(name, [f = f, function = function](const Tensor& a, Operand o) { return f(a, o.tensor(function, a.dtype())); }, nb::is_operator());
    b.c.def(reflected, [f = f, function = function](const Tensor& a, Operand o) { return f(o.tensor(function, a.dtype()), a); }, nb::is_operator());
  }
  b.c.def("__pow__", power, nb::is_operator());
  b.c.def("__rpow__", [](const Tensor& a, Operand o) { return pow(o.tensor("pow", a.dtype()), a); }, nb::is_operator());
  b.c.def("__neg__", [](const Tensor& a) { return -a; });
  b.c.def("__pos__", [](const Tensor& a) { return a; });
  b.c.def("__abs__", [](const Tensor& a) { return abs(a); });
  b.c.def("__invert__", bitwise_not);
  b.c.def("pow", [](const Tensor& x, ArrayLike exponent) { return power(x, {exponent.object}); }, nb::arg("exponent"));
  b.m.def("pow", [](ArrayLike a, ArrayLike exponent) {
      if (is_number(a.object)) return pow(operands("pow", a.object, exponent.object).first, exponent.tensor("pow"));
      return power(a.tensor("pow"), {exponent.object});
    }, nb::arg("x"), nb::arg("exponent"));

  struct Row3 { const char *name, *op; Binary f; const char* doc; };
  auto both = [b](const char* name, Binary f, const char* doc) {
    auto call = [name, f](nb::handle a, nb::handle o) { auto [x, y] = operands(name, a, o); return f(x, y); };
    b.m.def(name, [call](ArrayLike a, ArrayLike o) { return call(a.object, o.object); }, nb::arg("a"), nb::arg("b"), doc);
    b.c.def(name, [call](nb::handle a, ArrayLike o) { return call(a, o.object); }, nb::arg("other"), doc);
  };
  for (auto [name, op, f, doc] : {Row3{"eq", "__eq__", equal, "a == b, as bool."}, {"ne", "__ne__", not_equal, "a != b, as bool."}, {"lt", "__lt__", less, "a < b, as bool."},
                                  {"le", "__le__", less_equal, "a <= b, as bool."}, {"gt", "__gt__", greater, "a > b, as bool."}, {"ge", "__ge__", greater_equal, "a >= b, as bool."}}) {
    b.c.def(op, [f = f, op = name](const Tensor& a, Operand o) { return f(a, o.tensor(op, a.dtype())); }, nb::is_operator());
    both(name, f, doc);
  }
  for (auto [name, op, f, doc] :
       {Row3{"mul", "", +[](T a, T b) { return a * b; }, "a * b, broadcast."}, {"div", "", +[](T a, T b) { return a / b; }, "True division: integers give float32."},
        {"maximum", "", maximum, "The greater of each pair."}, {"minimum", "", minimum, "The lesser of each pair."},
        {"matmul", "", matmul, "torch.matmul: vectors, matrices, and batches that broadcast."}, {"floor_divide", "", floor_divide, "The greatest integer <= a / b."},
        {"remainder", "", remainder, "a - floor(a / b) * b, as Python's %."}})
    both(name, f, doc);
  for (auto [name, op, f, doc] : {Row3{"add", "", +[](T a, T b) { return a + b; }, "a + alpha * b, broadcast."}, {"sub", "", +[](T a, T b) { return a - b; }, "a - alpha * b, broadcast."}}) {
    auto call = [name = name, f = f](nb::handle a, nb::handle o, double alpha) { auto [x, y] = operands(name, a, o); return f(x, alpha == 1 ? y : y * alpha); };
    b.m.def(name, [call](ArrayLike a, ArrayLike o, double alpha) { return call(a.object, o.object, alpha); }, nb::arg("a"), nb::arg("b"), nb::kw_only(), nb::arg("alpha") = 1.0, doc);
    b.c.def(name, [call](nb::handle a, ArrayLike o, double alpha) { return call(a, o.object, alpha); }, nb::arg("other"), nb::kw_only(), nb::arg("alpha") = 1.0, doc);
  }

  auto clip = [](ArrayLike x, ArrayLike lo, ArrayLike hi) { return clamped(x.tensor("clamp"), lo.object, hi.object); };
  for (const char* name : {"clamp", "clip"}) b.def_x(name, clip, nb::arg("min") = nb::none(), nb::arg("max") = nb::none(), "x cut to [min, max]: numbers, or tensors that broadcast.");
  b.m.def("where", [](ArrayLike condition, ArrayLike a, ArrayLike o) {
      auto [x, y] = operands("where", a.object, o.object);
      return where(condition.tensor("where"), x, y);
    }, nb::arg("condition"), nb::arg("a"), nb::arg("b"), "a where condition, else b; broadcast.");
  b.c.def("where", [](const Tensor& x, ArrayLike condition, ArrayLike other) {
      return where(condition.tensor("where"), x, Operand{other.object}.tensor("where", x.dtype()));
    }, nb::arg("condition"), nb::arg("other"), "This where condition, else other.");
}

void bind_casts(Both b) {
  b.c.def("to", [](const Tensor& x, nb::object dtype) {
      if (nb::isinstance<nb::str>(dtype) && nb::cast<std::string>(dtype) == "cpu") return x;
      return cast(x, dtype_of("to", dtype));
    }, nb::arg("dtype"), nb::sig("def to(self, dtype: DType | str | type) -> Tensor"), "In another dtype; gradients are cast back.");
  struct Row { const char* name; DType t; };
  for (auto [name, t] : {Row{"float", DType::f32}, {"double", DType::f64}, {"half", DType::f16}, {"bfloat16", DType::bf16}, {"int", DType::i32}, {"long", DType::i64}, {"bool", DType::boolean}})
    b.c.def(name, [t = t](const Tensor& x) { return cast(x, t); });
  b.c.def("type", [](const Tensor& x, DTypeLike dtype) { return cast(x, dtype_of("type", dtype.object)); }, nb::arg("dtype"));
  b.m.def("cast", [](ArrayLike x, DTypeLike dtype) { return cast(x.tensor("cast"), dtype_of("cast", dtype.object)); }, nb::arg("x"), nb::arg("dtype"), "x in another dtype.");
}

void bind_reductions(Both b) {
  using Reduce = Tensor (*)(const Tensor&, Axes, bool);
  struct Row { const char* name; Reduce f; const char* doc; };
  auto all = +[](const Tensor& x, Axes axes, bool keep) { Tensor zeros = sum(equal(x, Tensor::zeros({}, x.dtype())), axes, keep); return equal(zeros, Tensor::zeros({}, DType::i64)); };
  auto any = +[](const Tensor& x, Axes axes, bool keep) { Tensor others = sum(not_equal(x, Tensor::zeros({}, x.dtype())), axes, keep); return greater(others, Tensor::zeros({}, DType::i64)); };
  for (auto [name, f, doc] : {Row{"sum", sum, "Over the axes given, or all. Integers and bool sum to int64."}, {"mean", mean, "Over the axes given, or all."},
                              {"max", max, "Greatest value over the axes given, or all; equal maxima share the gradient."}, {"min", min, "Least value over the axes given, or all."},
                              {"all", all, "True where no value is 0."}, {"any", any, "True where some value is not 0."}})
    b.def_x(name, [name = name, f = f](ArrayLike x, nb::object dim, bool keepdim, nb::object axis, nb::object keepdims) {
        auto [axes, keep] = words(name, dim, keepdim, axis, keepdims);
        return f(x.tensor(name), axes_of(name, axes), keep);
      }, nb::arg("dim") = nb::none(), nb::arg("keepdim") = false, nb::kw_only(), nb::arg("axis") = nb::none(), nb::arg("keepdims") = nb::none(), doc);
  struct Spread { const char* name; bool root; };
  for (auto [name, root] : {Spread{"var", false}, {"std", true}})
    b.def_x(name, [name = name, root = root](ArrayLike x, nb::object dim, bool unbiased, bool keepdim, std::optional<int> correction, nb::object axis, nb::object keepdims) {
        auto [axes, keep] = words(name, dim, keepdim, axis, keepdims);
        Tensor v = var(x.tensor(name), axes_of(name, axes), keep, correction.value_or(unbiased));
        return root ? sqrt(v) : v;
      }, nb::arg("dim") = nb::none(), nb::arg("unbiased") = true, nb::arg("keepdim") = false, nb::kw_only(), nb::arg("correction") = nb::none(), nb::arg("axis") = nb::none(),
      nb::arg("keepdims") = nb::none(), "Divided by the count less correction, 1 by default (torch's).");
  using Arg = Tensor (*)(const Tensor&, int, bool);
  struct Arg3 { const char* name; Arg f; const char* doc; };
  for (auto [name, f, doc] : {Arg3{"argmax", argmax, "Index of the first greatest value along dim, or in the flattened tensor."}, {"argmin", argmin, "Index of the first least value along dim, or in the flattened tensor."}})
    b.def_x(name, [name = name, f = f](ArrayLike x, nb::object dim, bool keepdim, nb::object axis, nb::object keepdims) {
        auto [at, keep] = words(name, dim, keepdim, axis, keepdims);
        Tensor t = x.tensor(name);
        return at.is_none() ? f(flat(t), 0, false) : f(t, int(integer_of(name, at)), keep);
      }, nb::arg("dim") = nb::none(), nb::arg("keepdim") = false, nb::kw_only(), nb::arg("axis") = nb::none(), nb::arg("keepdims") = nb::none(), doc);
}

void bind_movement(Both b) {
  auto reshaped = [](const Tensor& x, nb::args shape) { return reshape(x, shape_of_args("reshape", shape)); };
  for (const char* name : {"reshape", "view"})
    b.c.def(name, reshaped, nb::sig((std::string("def ") + name + "(self, *shape: int | collections.abc.Sequence[int]) -> Tensor").c_str()), "Same elements, other shape; one -1 is worked out.");
  b.m.def("reshape", [](ArrayLike x, nb::object shape) { return reshape(x.tensor("reshape"), shape_of("reshape", shape)); }, nb::arg("x"), nb::arg("shape"));
  b.c.def("permute", [](const Tensor& x, nb::args dims) { return permute(x, shape_of_args("permute", dims)); },
          nb::sig("def permute(self, *dims: int | collections.abc.Sequence[int]) -> Tensor"), "Axes in another order.");
  b.m.def("permute", [](ArrayLike x, nb::object dims) { return permute(x.tensor("permute"), shape_of("permute", dims)); }, nb::arg("x"), nb::arg("dims"));
  b.def_x("transpose", [](ArrayLike x, int dim0, int dim1) { return transpose(x.tensor("transpose"), dim0, dim1); }, nb::arg("dim0") = -2, nb::arg("dim1") = -1, "Two axes swapped.");
  b.c.def_prop_ro("T", [](const Tensor& x) {
    Axes order;
    for (int i = x.rank(); i-- > 0;) order.push(i);
    return permute(x, order);
  }, "Axes in reverse order.");
  b.def_x("flatten", [](ArrayLike x, int start_dim, int end_dim) { return flatten(x.tensor("flatten"), start_dim, end_dim); }, nb::arg("start_dim") = 0, nb::arg("end_dim") = -1);
  b.def_x("squeeze", [](ArrayLike x, nb::object dim) {
      Tensor t = x.tensor("squeeze");
      if (!dim.is_none()) return squeeze(t, int(integer_of("squeeze", dim)));
      Shape shape;
      for (Dim d : t.shape()) if (d != 1) shape.push(d);
      return shape.rank == t.rank() ? t : reshape(t, shape);
    }, nb::arg("dim") = nb::none(), "Without the axes of size 1, or without one of them.");
  b.def_x("unsqueeze", [](ArrayLike x, int dim) { return unsqueeze(x.tensor("unsqueeze"), dim); }, nb::arg("dim"), "With a new axis of size 1.");
  b.c.def("expand", [](const Tensor& x, nb::args size) { return expand(x, shape_of_args("expand", size)); },
          nb::sig("def expand(self, *size: int | collections.abc.Sequence[int]) -> Tensor"), "Broadcast to a shape; -1 keeps a size.");
  b.m.def("expand", [](ArrayLike x, nb::object size) { return expand(x.tensor("expand"), shape_of("expand", size)); }, nb::arg("x"), nb::arg("size"));
  b.c.def("expand_as", [](const Tensor& x, const Tensor& other) { return expand(x, other.shape()); }, nb::arg("other"));
  b.m.def("cat", [](nb::object tensors, int64_t dim) { return cat(tensors, dim, "cat", concat); }, nb::arg("tensors"), nb::arg("dim") = 0,
          nb::sig("def cat(tensors: collections.abc.Sequence[Tensor], dim: int = 0) -> Tensor"), "Tensors one after another along an axis.");
  b.m.def("stack", [](nb::object tensors, int64_t dim) { return cat(tensors, dim, "stack", stack); }, nb::arg("tensors"), nb::arg("dim") = 0,
          nb::sig("def stack(tensors: collections.abc.Sequence[Tensor], dim: int = 0) -> Tensor"), "Tensors of equal shape along a new axis.");
  b.def_x("split", [](ArrayLike x, nb::object size, int64_t dim) { return pieces(x.tensor("split"), size, dim); }, nb::arg("split_size_or_sections"), nb::arg("dim") = 0,
          "Pieces of one size (the last may be smaller), or of the sizes listed.");
  b.m.def("pad", [](ArrayLike x, nb::object widths, double value) { return padded(x.tensor("pad"), widths, value); }, nb::arg("x"), nb::arg("pad"), nb::arg("value") = 0.0,
          nb::sig("def pad(x: Tensor | numpy.typing.ArrayLike, pad: collections.abc.Sequence[typing.Any], value: float = 0.0) -> Tensor"),
          "Constant values around x: (left, right, top, bottom, ..) from the last axis on, or ((before, after), ..) for each axis.");
  b.c.def("pad", [](const Tensor& x, nb::object widths, double value) { return padded(x, widths, value); }, nb::arg("pad"), nb::arg("value") = 0.0);
  b.def_x("take", [](ArrayLike x, ArrayLike indices, int dim) { return gather(x.tensor("take"), indices.tensor("take"), normal("take", dim, x.tensor("take").rank())); },
          nb::arg("indices"), nb::arg("dim") = 0, "Slices of x by index along dim; negative indices count from the end.");
  b.def_x("gather", [](ArrayLike x, int64_t dim, ArrayLike index) { return gather_elements(x.tensor("gather"), index.tensor("gather"), int(dim)); }, nb::arg("dim"), nb::arg("index"),
          "torch.gather: out[i][j] = x[index[i][j]][j] for dim 0.");
  b.def_x("nonzero", [](ArrayLike x) { return nonzero(x.tensor("nonzero")); }, "Indices of the elements that are not 0: (n, ndim) int64.");
}

Conv2dAttrs conv_attrs(nb::handle stride, nb::handle padding, nb::handle dilation, int64_t groups, const Tensor& weight) {
  Conv2dAttrs a;
  a.stride = pair_of("conv2d", stride);
  a.dilation = pair_of("conv2d", dilation);
  a.groups = groups;
  if (nb::isinstance<nb::str>(padding)) {
    std::string word = nb::cast<std::string>(padding);
    if (word == "same" && (a.stride[0] != 1 || a.stride[1] != 1)) refuse("conv2d", "stride 1 with padding='same'", a.stride.text());
    if (word != "same" && word != "valid") refuse("conv2d", "padding as ints, 'same' or 'valid'", "'" + word + "'");
    if (word == "same" && weight.rank() == 4)
      for (int i : {0, 1}) {
        int64_t total = a.dilation[i] * (weight.dim(2 + i) - 1);
        a.padding[i] = total / 2;
        a.padding[2 + i] = total - total / 2;
      }
    return a;
  }
  Dims p = pair_of("conv2d", padding);
  a.padding = {p[0], p[1], p[0], p[1]};
  return a;
}

// ---- what miniten.nn.functional lifts ----
void bind_functional(Both b) {
  nb::module_& m = b.m;
  b.def_x("softmax", [](ArrayLike x, int dim) { return softmax(x.tensor("softmax"), dim); }, nb::arg("dim") = -1);
  b.def_x("log_softmax", [](ArrayLike x, int dim) { return log_softmax(x.tensor("log_softmax"), dim); }, nb::arg("dim") = -1);
  m.def("linear", [](ArrayLike x, ArrayLike w, ArrayLike bias) { return linear(x.tensor("linear"), w.tensor("linear"), bias.or_null("linear")); },
        nb::arg("input"), nb::arg("weight"), nb::arg("bias") = nb::none(), "input (.., in) @ weight (out, in)^T + bias.");
  m.def("conv2d", [](ArrayLike x, ArrayLike w, ArrayLike bias, nb::object stride, nb::object padding, nb::object dilation, int64_t groups) {
      Tensor weight = w.tensor("conv2d");
      return conv2d(x.tensor("conv2d"), weight, bias.or_null("conv2d"), conv_attrs(stride, padding, dilation, groups, weight));
    }, nb::arg("input"), nb::arg("weight"), nb::arg("bias") = nb::none(), nb::arg("stride") = 1, nb::arg("padding") = 0, nb::arg("dilation") = 1, nb::arg("groups") = 1,
    "input (N, C, H, W), weight (O, C / groups, R, S) -> (N, O, H', W').");
  m.def("one_hot", [](ArrayLike labels, int64_t num_classes) { return one_hot(labels.tensor("one_hot"), num_classes); }, nb::arg("labels"), nb::arg("num_classes"),
        "float32; a label outside [0, num_classes) raises IndexError.");
}

}  // namespace

void bind_ops(nb::module_& m, TensorClass& c) {
  Both both{m, c};
  bind_elementwise(both);
  bind_casts(both);
  bind_reductions(both);
  bind_movement(both);
  bind_functional(both);
}

}  // namespace miniten::python
