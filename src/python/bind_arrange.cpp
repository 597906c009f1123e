#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "python/both.h"

// Elements in another order, products over named axes, and questions about values.
namespace miniten::python {

namespace {

std::vector<Tensor> tensors(std::string_view op, nb::handle list) {
  if (!PySequence_Check(list.ptr()) || nb::isinstance<Tensor::Impl>(list)) throw Error(ErrorKind::type, op, "a sequence of tensors", type_text(list));
  std::vector<Tensor> out;
  for (nb::handle t : nb::steal<nb::tuple>(PySequence_Tuple(list.ptr()))) out.push_back(to_tensor(op, t));
  if (out.empty()) throw Error(ErrorKind::value, op, "at least one tensor", "none");
  return out;
}
Dims counts_of(std::string_view op, const nb::args& args) { return shape_of_args(op, args); }

Tensor einsum_args(nb::str equation, nb::args operands) {
  bool listed = operands.size() == 1 && (PyList_Check(nb::handle(operands[0]).ptr()) || PyTuple_Check(nb::handle(operands[0]).ptr()));
  std::vector<Tensor> in = tensors("einsum", listed ? nb::handle(operands[0]) : nb::handle(operands));
  return einsum(nb::cast<std::string>(equation), in);
}

// hstack and the like: torch's names for stacking along a given axis.
Tensor stacked(const char* op, nb::handle list, int least, int axis) {
  std::vector<Tensor> parts = tensors(op, list);
  for (Tensor& t : parts) {
    if (least == 3 && t.rank() == 1) t = unsqueeze(t, 0);
    while (t.rank() < least) t = unsqueeze(t, least == 3 ? t.rank() : 0);
  }
  return concat(parts, axis < 0 ? (parts[0].rank() == 1 ? 0 : 1) : axis);
}

std::vector<Tensor> grid(const nb::args& args, std::string_view indexing) {
  bool listed = args.size() == 1 && (PyList_Check(nb::handle(args[0]).ptr()) || PyTuple_Check(nb::handle(args[0]).ptr()));
  std::vector<Tensor> in = tensors("meshgrid", listed ? nb::handle(args[0]) : nb::handle(args)), out;
  if (indexing != "ij" && indexing != "xy") throw Error(ErrorKind::value, "meshgrid", "indexing 'ij' or 'xy'", "'" + std::string(indexing) + "'");
  bool swap = indexing == "xy" && in.size() > 1;
  Shape shape;
  for (const Tensor& t : in) {
    if (t.rank() > 1) throw Error(ErrorKind::value, "meshgrid", "vectors", t.shape().text());
    shape.push(t.numel());
  }
  if (swap) std::swap(shape[0], shape[1]);
  for (size_t i = 0; i < in.size(); ++i) {
    Shape one = Dims::filled(int(in.size()), 1);
    int axis = swap && i < 2 ? 1 - int(i) : int(i);
    one[axis] = in[i].numel();
    out.push_back(expand(reshape(in[i], one), shape));
  }
  return out;
}

// Arrays on both sides; numbers take the other's dtype.
std::pair<Tensor, Tensor> pair(std::string_view op, nb::handle a, nb::handle b) {
  if (is_number(a) && !is_number(b)) {
    Tensor y = to_tensor(op, b);
    return {number_tensor(op, a, y.dtype()), y};
  }
  Tensor x = to_tensor(op, a);
  return {x, is_number(b) ? number_tensor(op, b, x.dtype()) : to_tensor(op, b)};
}

void bind_order(Both b) {
  b.m.def("flip", [](ArrayLike x, nb::object dims) { return flip(x.tensor("flip"), shape_of("flip", dims)); }, nb::arg("x"), nb::arg("dims"), "The order of elements reversed along axes.");
  b.c.def("flip", [](const Tensor& x, nb::args dims) { return flip(x, shape_of_args("flip", dims)); },
          nb::sig("def flip(self, *dims: int | collections.abc.Sequence[int]) -> Tensor"), "The order of elements reversed along axes.");
  b.m.def("fliplr", [](ArrayLike x) { return flip(x.tensor("fliplr"), {1}); }, nb::arg("x"), "Columns in reverse order.");
  b.m.def("flipud", [](ArrayLike x) { return flip(x.tensor("flipud"), {0}); }, nb::arg("x"), "Rows in reverse order.");
  b.def_x("roll", [](ArrayLike x, nb::object shifts, nb::object dims) {
      return roll(x.tensor("roll"), shape_of("roll", shifts), axes_of("roll", dims));
    }, nb::arg("shifts"), nb::arg("dims") = nb::none(), "Elements moved along axes; what leaves at the end comes in at the front. Without dims: over all elements.");
  b.c.def("repeat", [](const Tensor& x, nb::args sizes) { return repeat(x, counts_of("repeat", sizes)); },
          nb::sig("def repeat(self, *sizes: int | collections.abc.Sequence[int]) -> Tensor"), "Copies along each axis; more counts than axes add axes in front.");
  auto tiled = [](const Tensor& x, Dims counts) {
    while (counts.rank < x.rank()) {
      Dims wider{1};
      for (Dim d : counts) wider.push(d);
      counts = wider;
    }
    return repeat(x, counts);
  };
  b.m.def("tile", [tiled](ArrayLike x, nb::object dims) { return tiled(x.tensor("tile"), shape_of("tile", dims)); }, nb::arg("x"), nb::arg("dims"), "Copies along the last axes, as many as dims has.");
  b.c.def("tile", [tiled](const Tensor& x, nb::args dims) { return tiled(x, counts_of("tile", dims)); },
          nb::sig("def tile(self, *dims: int | collections.abc.Sequence[int]) -> Tensor"));
  b.def_x("repeat_interleave", [](ArrayLike x, int64_t repeats, std::optional<int> dim) {
      Tensor t = x.tensor("repeat_interleave");
      return dim ? repeat_interleave(t, repeats, *dim) : repeat_interleave(reshape(t, {-1}), repeats, 0);
    }, nb::arg("repeats"), nb::arg("dim") = nb::none(), "Every element several times, one after another.");
  for (const char* name : {"movedim", "moveaxis"})
    b.def_x(name, [](ArrayLike x, nb::object source, nb::object destination) {
        return movedim(x.tensor("movedim"), shape_of("movedim", source), shape_of("movedim", destination));
      }, nb::arg("source"), nb::arg("destination"), "Axes at other places; the rest keep their order.");
  for (const char* name : {"swapaxes", "swapdims"})
    b.def_x(name, [](ArrayLike x, int a, int d) { return transpose(x.tensor("swapaxes"), a, d); }, nb::arg("axis0"), nb::arg("axis1"), "Two axes swapped.");
  b.c.def("t", [](const Tensor& x) {
      if (x.rank() > 2) throw Error(ErrorKind::value, "t", "at most two axes", x.shape().text(), "use transpose");
      return transpose(x);
    }, "A matrix transposed.");
  b.c.def_prop_ro("mT", [](const Tensor& x) {
      if (x.rank() == 1) throw Error(ErrorKind::value, "mT", "a matrix, or batches of them", x.shape().text());
      return transpose(x, -2, -1);
    }, "The last two axes swapped.");
  b.c.def("ravel", [](const Tensor& x) { return reshape(x, {-1}); }, "One axis.");
  b.m.def("ravel", [](ArrayLike x) { return reshape(x.tensor("ravel"), {-1}); }, nb::arg("x"), "One axis.");
  b.def_x("tril", [](ArrayLike x, int64_t diagonal) { return tril(x.tensor("tril"), diagonal); }, nb::arg("diagonal") = 0, "The lower triangle of the last two axes, 0 above.");
  b.def_x("triu", [](ArrayLike x, int64_t diagonal) { return triu(x.tensor("triu"), diagonal); }, nb::arg("diagonal") = 0, "The upper triangle of the last two axes, 0 below.");
  b.def_x("diagonal", [](ArrayLike x, int64_t offset, int dim1, int dim2) { return diagonal(x.tensor("diagonal"), offset, dim1, dim2); }, nb::arg("offset") = 0,
          nb::arg("dim1") = 0, nb::arg("dim2") = 1, "The diagonal of two axes, as the last axis.");
  b.def_x("diag", [](ArrayLike x, int64_t diagonal) { return diag(x.tensor("diag"), diagonal); }, nb::arg("diagonal") = 0, "A vector on the diagonal of a matrix, or a matrix's diagonal.");
  b.c.def("unfold", [](const Tensor& x, int dimension, int64_t size, int64_t step) { return unfold(x, dimension, size, step); }, nb::arg("dimension"), nb::arg("size"), nb::arg("step"),
          "Windows along an axis; their elements become the last axis. A copy.");
  b.def_x("chunk", [](ArrayLike x, int64_t chunks, int dim) { return chunk(x.tensor("chunk"), chunks, dim); }, nb::arg("chunks"), nb::arg("dim") = 0, "At most so many pieces of equal size (the last may be smaller).");
  b.def_x("unbind", [](ArrayLike x, int dim) { return unbind(x.tensor("unbind"), dim); }, nb::arg("dim") = 0, "Its slices along an axis.");
  b.def_x("narrow", [](ArrayLike x, int dim, int64_t start, int64_t length) {
      Tensor t = x.tensor("narrow");
      int axis = dim < 0 ? dim + t.rank() : dim;
      if (axis < 0 || axis >= t.rank()) throw Error(ErrorKind::index, "narrow", "an axis of " + t.shape().text(), std::to_string(dim));
      int64_t n = t.dim(axis), from = start < 0 ? start + n : start;
      if (from < 0 || length < 0 || from + length > n) throw Error(ErrorKind::index, "narrow", "a range inside the axis of " + std::to_string(n), std::to_string(start) + " and " + std::to_string(length));
      return slice(t, axis, from, from + length);
    }, nb::arg("dim"), nb::arg("start"), nb::arg("length"), "A range of an axis, as a view.");
  b.c.def("select", [](const Tensor& x, int dim, int64_t index) { return select(x, dim, index); }, nb::arg("dim"), nb::arg("index"), "One slice of an axis, as a view.");
  b.c.def("unflatten", [](const Tensor& x, int dim, nb::object sizes) {
      int axis = dim < 0 ? dim + x.rank() : dim;
      if (axis < 0 || axis >= x.rank()) throw Error(ErrorKind::index, "unflatten", "an axis of " + x.shape().text(), std::to_string(dim));
      Shape to;
      for (int i = 0; i < x.rank(); ++i) {
        if (i != axis) to.push(x.dim(i));
        else for (Dim d : shape_of("unflatten", sizes)) to.push(d);
      }
      return reshape(x, to);
    }, nb::arg("dim"), nb::arg("sizes"), "One axis as several.");
  b.c.def("view_as", [](const Tensor& x, const Tensor& other) { return reshape(x, other.shape()); }, nb::arg("other"));
  b.c.def("reshape_as", [](const Tensor& x, const Tensor& other) { return reshape(x, other.shape()); }, nb::arg("other"));
  b.def_x("broadcast_to", [](ArrayLike x, nb::object shape) { return expand(x.tensor("broadcast_to"), shape_of("broadcast_to", shape)); }, nb::arg("shape"), "Broadcast to a shape, as a view.");
  b.m.def("broadcast_tensors", [](nb::args list) {
      std::vector<Tensor> in = tensors("broadcast_tensors", list);
      Shape shape;
      for (const Tensor& t : in) shape = broadcast("broadcast_tensors", shape, t.shape());
      for (Tensor& t : in) t = expand(t, shape);
      return in;
    }, nb::arg("tensors"), nb::sig("def broadcast_tensors(*tensors: Tensor) -> list[Tensor]"), "All at the shape they broadcast to.");
  b.m.def("meshgrid", [](nb::args list, std::string_view indexing) { return grid(list, indexing); }, nb::arg("tensors"), nb::arg("indexing") = "ij",
          nb::sig("def meshgrid(*tensors: Tensor, indexing: str = 'ij') -> list[Tensor]"), "Coordinates of a grid, from vectors.");
  for (const char* name : {"concat", "concatenate"})
    b.m.def(name, [name](nb::object list, int dim) { return concat(tensors(name, list), dim); }, nb::arg("tensors"), nb::arg("dim") = 0, "cat by another name.");
  b.m.def("hstack", [](nb::object list) { return stacked("hstack", list, 1, -1); }, nb::arg("tensors"), "Side by side: along axis 1, vectors along axis 0.");
  b.m.def("vstack", [](nb::object list) { return stacked("vstack", list, 2, 0); }, nb::arg("tensors"), "One under another: along axis 0.");
  b.m.def("dstack", [](nb::object list) { return stacked("dstack", list, 3, 2); }, nb::arg("tensors"), "Behind each other: along axis 2.");
}

void bind_products(Both b) {
  b.m.def("einsum", einsum_args, nb::arg("equation"), nb::arg("operands"), nb::sig("def einsum(equation: str, *operands: typing.Any) -> Tensor"),
          "Products summed over named axes: einsum('bij,bjk->bik', a, b). Repeated labels are diagonals, ... stands for axes that broadcast.");
  struct Row { const char* name; Tensor (*f)(const Tensor&, const Tensor&); const char* doc; };
  for (auto [name, f, doc] : {Row{"dot", dot, "Of two vectors."}, {"mm", mm, "Of two matrices."}, {"mv", mv, "A matrix by a vector."}, {"bmm", bmm, "Of two batches of matrices."},
                              {"outer", outer, "Every product of two vectors' elements."},
                              {"kron", kron, "The Kronecker product."}})
    b.def_x(name, [name = name, f = f](ArrayLike x, ArrayLike other) { return f(x.tensor(name), other.tensor(name)); }, nb::arg("other"), doc);
  b.def_x("addmm", [](ArrayLike x, ArrayLike a, ArrayLike o, double beta, double alpha) { return addmm(x.tensor("addmm"), a.tensor("addmm"), o.tensor("addmm"), beta, alpha); },
          nb::arg("mat1"), nb::arg("mat2"), nb::kw_only(), nb::arg("beta") = 1.0, nb::arg("alpha") = 1.0, "beta * x + alpha * mat1 @ mat2.");
  b.def_x("baddbmm", [](ArrayLike x, ArrayLike a, ArrayLike o, double beta, double alpha) { return baddbmm(x.tensor("baddbmm"), a.tensor("baddbmm"), o.tensor("baddbmm"), beta, alpha); },
          nb::arg("batch1"), nb::arg("batch2"), nb::kw_only(), nb::arg("beta") = 1.0, nb::arg("alpha") = 1.0, "addmm of batches of matrices.");
  b.m.def("tensordot", [](ArrayLike a, ArrayLike o, nb::object dims) {
      Tensor x = a.tensor("tensordot"), y = o.tensor("tensordot");
      if (PyIndex_Check(dims.ptr())) {
        int64_t n = integer_of("tensordot", dims);
        if (n < 0 || n > x.rank() || n > y.rank()) throw Error(ErrorKind::value, "tensordot", "dims up to the number of axes", std::to_string(n));
        Axes of_x, of_y;
        for (int i = 0; i < n; ++i) { of_x.push(x.rank() - n + i); of_y.push(i); }
        return tensordot(x, y, of_x, of_y);
      }
      if (!PySequence_Check(dims.ptr()) || nb::len(dims) != 2) throw Error(ErrorKind::type, "tensordot", "dims as an int or two lists of axes", type_text(dims));
      return tensordot(x, y, shape_of("tensordot", dims[0]), shape_of("tensordot", dims[1]));
    }, nb::arg("a"), nb::arg("b"), nb::arg("dims") = 2, "Products summed over the last dims axes of a and the first of b, or over the axes listed.");
}

void bind_questions(Both b) {
  struct Row { const char* name; Tensor (*f)(const Tensor&); const char* doc; };
  for (auto [name, f, doc] : {Row{"isnan", isnan, "True where NaN."}, {"isinf", isinf, "True where infinite."}, {"isfinite", isfinite, "True where neither NaN nor infinite."},
                              {"tan", tan, ""}, {"asin", asin, ""}, {"acos", acos, ""}, {"atan", atan, ""}, {"sinh", sinh, ""}, {"cosh", cosh, ""}, {"asinh", asinh, ""},
                              {"acosh", acosh, ""}, {"atanh", atanh, ""}, {"exp2", exp2, "2 to the x."}, {"expm1", expm1, "exp(x) - 1, exact near 0."}, {"log2", log2, ""},
                              {"log10", log10, ""}, {"rsqrt", rsqrt, "1 / sqrt(x)."}, {"trunc", trunc, "The integer towards 0."}, {"bitwise_not", bitwise_not, "Of integers or bool."},
                              {"logical_not", logical_not, "True where 0."}})
    b.def_x(name, [name = name, f = f](ArrayLike x) { return f(x.tensor(name)); }, doc);
  struct Row2 { const char* name; Tensor (*f)(const Tensor&, const Tensor&); const char* doc; };
  for (auto [name, f, doc] : {Row2{"bitwise_and", bitwise_and, "Of integers or bool."}, {"bitwise_or", bitwise_or, "Of integers or bool."}, {"bitwise_xor", bitwise_xor, "Of integers or bool."},
                              {"bitwise_left_shift", left_shift, "Of integers."}, {"bitwise_right_shift", right_shift, "Of integers, arithmetic."},
                              {"logical_and", logical_and, "Where neither is 0."}, {"logical_or", logical_or, "Where one is not 0."}, {"logical_xor", logical_xor, "Where just one is not 0."},
                              {"atan2", atan2, "The angle of (other, x)."}}) {
    b.m.def(name, [name = name, f = f](ArrayLike a, ArrayLike o) { auto [x, y] = pair(name, a.object, o.object); return f(x, y); }, nb::arg("a"), nb::arg("b"), doc);
    b.c.def(name, [name = name, f = f](nb::handle a, ArrayLike o) { auto [x, y] = pair(name, a, o.object); return f(x, y); }, nb::arg("other"), doc);
  }
  b.def_x("isclose", [](ArrayLike x, ArrayLike other, double rtol, double atol, bool equal_nan) {
      auto [a, o] = pair("isclose", x.object, other.object);
      return isclose(a, o, rtol, atol, equal_nan);
    }, nb::arg("other"), nb::arg("rtol") = 1e-5, nb::arg("atol") = 1e-8, nb::arg("equal_nan") = false, "Where |x - other| <= atol + rtol * |other|.");
  b.def_x("allclose", [](ArrayLike x, ArrayLike other, double rtol, double atol, bool equal_nan) {
      auto [a, o] = pair("allclose", x.object, other.object);
      return allclose(a, o, rtol, atol, equal_nan);
    }, nb::arg("other"), nb::arg("rtol") = 1e-5, nb::arg("atol") = 1e-8, nb::arg("equal_nan") = false, "Whether all elements are close, see isclose.");
  b.def_x("equal", [](ArrayLike x, ArrayLike other) {
      Tensor a = x.tensor("equal"), o = other.tensor("equal");
      return a.shape() == o.shape() && sum(not_equal(a, o)).item() == 0;
    }, nb::arg("other"), "Whether shapes and all values are equal.");
  b.def_x("nan_to_num", [](ArrayLike x, double nan, std::optional<double> posinf, std::optional<double> neginf) {
      Tensor t = x.tensor("nan_to_num");
      if (!is_float(t.dtype())) return t;
      bool wide = t.dtype() == DType::f64;
      double most = wide ? std::numeric_limits<double>::max() : t.dtype() == DType::f16 ? 65504.0 : t.dtype() == DType::bf16 ? 0x1.fep127 : double(std::numeric_limits<float>::max());
      Tensor y = where(isnan(t), number_like(t, nan), t);
      y = where(equal(t, number_like(t, double(infinity))), number_like(t, posinf.value_or(most)), y);
      return where(equal(t, number_like(t, -double(infinity))), number_like(t, neginf.value_or(-most)), y);
    }, nb::arg("nan") = 0.0, nb::arg("posinf") = nb::none(), nb::arg("neginf") = nb::none(), "NaN and infinities replaced, by 0 and the greatest numbers.");
  b.def_x("lerp", [](ArrayLike x, ArrayLike end, ArrayLike weight) {
      Tensor a = x.tensor("lerp"), o = end.tensor("lerp");
      return a + Operand{weight.object}.tensor("lerp", a.dtype()) * (o - a);
    }, nb::arg("end"), nb::arg("weight"), "x + weight * (end - x).");
  b.def_x("frac", [](ArrayLike x) { Tensor t = x.tensor("frac"); return t - trunc(t); }, "What follows the point.");
  b.m.def("is_tensor", [](nb::handle o) { return nb::isinstance<Tensor::Impl>(o); }, nb::arg("obj"));
  b.c.def("is_floating_point", [](const Tensor& x) { return is_float(x.dtype()); });
  b.c.def("element_size", [](const Tensor& x) { return bytes_of(x.dtype(), 1); }, "Bytes of an element.");
  b.c.def_prop_ro("itemsize", [](const Tensor& x) { return bytes_of(x.dtype(), 1); });
  b.c.def_prop_ro("nbytes", [](const Tensor& x) { return x.spec().bytes(); });
  b.c.def("data_ptr", [](const Tensor& x) { return reinterpret_cast<uintptr_t>(x.view().data); }, "The address of the first element.");
  b.c.def("storage_offset", [](const Tensor& x) { return x->offset / bytes_of(x.dtype(), 1); });
  b.c.def("stride", [](const Tensor& x) { return shape_tuple(x.strides()); }, nb::sig("def stride(self) -> tuple[int, ...]"), "In elements.");
  b.c.def("nelement", [](const Tensor& x) { return x.numel(); });
}

}  // namespace

void bind_arrange(nb::module_& m, TensorClass& c) {
  Both b{m, c};
  bind_order(b);
  bind_products(b);
  bind_questions(b);
}

}  // namespace miniten::python
