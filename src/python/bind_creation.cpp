#include <cmath>
#include <nanobind/stl/optional.h>
#include "python/both.h"

namespace miniten::python {

namespace {

Tensor values_of(std::string_view op, nb::handle data, nb::handle dtype) {
  Tensor t = to_tensor(op, data, {dtype_or_none(op, dtype)});
  return nb::isinstance<Tensor::Impl>(data) && t.same(nb::cast<Tensor>(data)) ? t.clone() : t;
}

Tensor arange(nb::handle first, nb::handle second, nb::handle step, nb::handle dtype) {
  nb::object start = second.is_none() ? nb::object(nb::int_(0)) : nb::borrow(first);
  nb::handle end = second.is_none() ? first : second;
  for (nb::handle h : {nb::handle(start), end, step})
    if (!is_number(h)) throw Error(ErrorKind::type, "arange", "numbers", type_text(h));
  bool whole = PyIndex_Check(start.ptr()) && PyIndex_Check(end.ptr()) && PyIndex_Check(step.ptr());
  DType t = dtype_or_none("arange", dtype).value_or(whole ? DType::i64 : DType::f32);
  double a = nb::cast<double>(nb::float_(start)), b = nb::cast<double>(nb::float_(end)), by = nb::cast<double>(nb::float_(step));
  if (by == 0 || !std::isfinite(by) || !std::isfinite(a) || !std::isfinite(b))
    throw Error(ErrorKind::value, "arange", "finite limits and a step other than 0", std::to_string(a) + ", " + std::to_string(b) + ", " + std::to_string(by));
  int64_t n = std::max<int64_t>(0, int64_t(std::ceil((b - a) / by)));
  check_sizes("arange", {n});
  if (whole) {
    Tensor out = Tensor::empty({DType::i64, {n}});
    int64_t from = integer_of("arange", start), stride = integer_of("arange", step);
    for (int64_t i = 0; i < n; ++i) out.view().i64()[i] = from + i * stride;
    return t == DType::i64 ? out : cast(out, t);
  }
  Tensor out = Tensor::empty({DType::f64, {n}});
  for (int64_t i = 0; i < n; ++i) out.view().as<double>()[i] = a + double(i) * by;
  return t == DType::f64 ? out : cast(out, t);
}

Shape checked_sizes(std::string_view op, const nb::args& size) {
  Shape shape = shape_of_args(op, size);
  check_sizes(op, shape);
  return shape;
}

Tensor evenly(std::string_view op, double first, double last, int64_t steps, nb::handle dtype, double base) {
  if (steps < 0) throw Error(ErrorKind::value, op, "steps of 0 or more", std::to_string(steps));
  check_sizes(op, {steps});
  DType t = dtype_or_none(op, dtype).value_or(DType::f32);
  Tensor out = Tensor::empty({DType::f64, {steps}});
  double* p = out.view().as<double>();
  double step = steps > 1 ? (last - first) / double(steps - 1) : 0;
  for (int64_t i = 0; i < steps; ++i) {                        // from both ends, so that both are exact
    p[i] = i < (steps + 1) / 2 ? first + step * double(i) : last - step * double(steps - 1 - i);
    if (base) p[i] = std::pow(base, p[i]);
  }
  return t == DType::f64 ? out : cast(out, t);
}

// A tensor of the shape and dtype of another, filled with one value.
Tensor filled_like(std::string_view op, const Tensor& x, double value, nb::handle dtype) {
  return Tensor::full(x.shape(), value, dtype_or_none(op, dtype).value_or(x.dtype()));
}

void bind_likes(nb::module_& m) {
  m.def("empty", [](nb::args size, DTypeLike dtype, bool requires_grad) {
          return with_grad("empty", Tensor::empty({dtype_or_none("empty", dtype.object).value_or(DType::f32), checked_sizes("empty", size)}), requires_grad);
        }, nb::arg("size"), nb::arg("dtype") = nb::none(), nb::arg("requires_grad") = false,
        nb::sig("def empty(*size: int | collections.abc.Sequence[int], dtype: DType | str | type | None = None, requires_grad: bool = False) -> Tensor"), "Values undefined.");
  struct Row { const char* name; double value; const char* doc; };
  for (auto [name, value, doc] : {Row{"zeros_like", 0, "Zeros of x's shape and dtype."}, {"ones_like", 1, "Ones of x's shape and dtype."}})
    m.def(name, [name = name, value = value](ArrayLike x, DTypeLike dtype, bool requires_grad) {
        return with_grad(name, filled_like(name, x.tensor(name), value, dtype.object), requires_grad);
      }, nb::arg("x"), nb::arg("dtype") = nb::none(), nb::kw_only(), nb::arg("requires_grad") = false, doc);
  m.def("empty_like", [](ArrayLike x, DTypeLike dtype) {
      Tensor t = x.tensor("empty_like");
      return Tensor::empty({dtype_or_none("empty_like", dtype.object).value_or(t.dtype()), t.shape()});
    }, nb::arg("x"), nb::arg("dtype") = nb::none(), "Values undefined, of x's shape and dtype.");
  m.def("full_like", [](ArrayLike x, nb::object value, DTypeLike dtype) {
      Tensor t = x.tensor("full_like");
      if (!is_number(value)) throw Error(ErrorKind::type, "full_like", "a number to fill with", type_text(value));
      Tensor one = to_tensor("full_like", value, {dtype_or_none("full_like", dtype.object).value_or(t.dtype())}), out = Tensor::empty({one.dtype(), t.shape()});
      View from = one.view();
      from.spec.shape = t.shape();
      from.strides = Dims::filled(t.rank(), 0);
      if (t.numel()) copy_values(from, out.view());
      return out;
    }, nb::arg("x"), nb::arg("fill_value"), nb::arg("dtype") = nb::none(), nb::sig("def full_like(x: Tensor | numpy.typing.ArrayLike, fill_value: float, dtype: DType | str | type | None = None) -> Tensor"),
    "One value, of x's shape and dtype.");
  m.def("linspace", [](double start, double end, int64_t steps, DTypeLike dtype) { return evenly("linspace", start, end, steps, dtype.object, 0); }, nb::arg("start"), nb::arg("end"), nb::arg("steps"),
        nb::arg("dtype") = nb::none(), "steps numbers evenly from start to end, both included.");
  m.def("logspace", [](double start, double end, int64_t steps, double base, DTypeLike dtype) {
      if (!(base > 0)) throw Error(ErrorKind::value, "logspace", "a base above 0", std::to_string(base));
      return evenly("logspace", start, end, steps, dtype.object, base);
    }, nb::arg("start"), nb::arg("end"), nb::arg("steps"), nb::arg("base") = 10.0, nb::arg("dtype") = nb::none(), "base to the powers that linspace gives.");
}

}  // namespace

void bind_creation(nb::module_& m) {
  m.def("tensor", [](ArrayLike data, DTypeLike dtype, bool requires_grad) { return with_grad("tensor", values_of("tensor", data.object, dtype.object), requires_grad); },
        nb::arg("data").none(), nb::arg("dtype") = nb::none(), nb::kw_only(), nb::arg("requires_grad") = false,
        "A new tensor with the values of data: numbers, nested lists, arrays or a tensor. Python numbers give float32, int64 or bool; arrays keep their dtype.");
  m.def("as_tensor", [](ArrayLike data, DTypeLike dtype) { return to_tensor("as_tensor", data.object, {dtype_or_none("as_tensor", dtype.object), true}); },
        nb::arg("data"), nb::arg("dtype") = nb::none(), "data as a tensor: itself where it is one, sharing an array's memory where it can.");
  m.def("from_numpy", [](ArrayLike array) { return share_array("from_numpy", array.object); }, nb::arg("array"),
        "A tensor on the array's own memory. Read-only arrays give tensors that cannot be overwritten.");
  m.def("from_dlpack", [](nb::object array) { return share_array("from_dlpack", array); }, nb::arg("array"), "A tensor on the memory of an array with __dlpack__ (torch, jax, NumPy) or of a capsule.");

  m.def("zeros", [](nb::args size, DTypeLike dtype, bool requires_grad) {
          return with_grad("zeros", Tensor::zeros(checked_sizes("zeros", size), dtype_or_none("zeros", dtype.object).value_or(DType::f32)), requires_grad);
        }, nb::arg("size"), nb::arg("dtype") = nb::none(), nb::arg("requires_grad") = false,
        nb::sig("def zeros(*size: int | collections.abc.Sequence[int], dtype: DType | str | type | None = None, requires_grad: bool = False) -> Tensor"), "zeros(2, 3) or zeros((2, 3)).");
  m.def("ones", [](nb::args size, DTypeLike dtype, bool requires_grad) {
          return with_grad("ones", Tensor::ones(checked_sizes("ones", size), dtype_or_none("ones", dtype.object).value_or(DType::f32)), requires_grad);
        }, nb::arg("size"), nb::arg("dtype") = nb::none(), nb::arg("requires_grad") = false,
        nb::sig("def ones(*size: int | collections.abc.Sequence[int], dtype: DType | str | type | None = None, requires_grad: bool = False) -> Tensor"));
  m.def("full", [](nb::object size, nb::object value, DTypeLike dtype, bool requires_grad) {
          if (!is_number(value)) throw Error(ErrorKind::type, "full", "a number to fill with", type_text(value));
          Tensor one = to_tensor("full", value, {dtype_or_none("full", dtype.object)});
          Shape shape = shape_of("full", size);
          check_sizes("full", shape);
          Tensor out = Tensor::empty({one.dtype(), shape});
          View from = one.view();
          from.spec.shape = shape;
          from.strides = Dims::filled(shape.rank, 0);
          if (shape.count() > 0) copy_values(from, out.view());
          return with_grad("full", out, requires_grad);
        }, nb::arg("size"), nb::arg("fill_value"), nb::arg("dtype") = nb::none(), nb::kw_only(), nb::arg("requires_grad") = false,
        nb::sig("def full(size: int | collections.abc.Sequence[int], fill_value: float, dtype: DType | str | type | None = None, *, requires_grad: bool = False) -> Tensor"));
  m.def("arange", arange, nb::arg("start"), nb::arg("end") = nb::none(), nb::arg("step") = 1, nb::arg("dtype") = nb::none(),
        nb::sig("def arange(start: float, end: float | None = None, step: float = 1, dtype: DType | str | type | None = None) -> Tensor"),
        "start, start + step, ... below end; arange(n) counts from 0. int64 where all are integers, else float32.");
  m.def("eye", [](int64_t n, std::optional<int64_t> columns, DTypeLike dtype) {
          check_sizes("eye", {n, columns.value_or(n)});
          Tensor out = Tensor::zeros({n, columns.value_or(n)});
          for (int64_t i = 0; i < std::min(n, columns.value_or(n)); ++i) out.view().f32()[i * columns.value_or(n) + i] = 1;
          DType t = dtype_or_none("eye", dtype.object).value_or(DType::f32);
          return t == DType::f32 ? out : cast(out, t);
        }, nb::arg("n"), nb::arg("m") = nb::none(), nb::arg("dtype") = nb::none(), "Ones on the diagonal of n x m.");
  bind_likes(m);
}

}  // namespace miniten::python
