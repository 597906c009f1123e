#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "python/both.h"

// Order, running sums, and elements picked and placed by index.
namespace miniten::python {

namespace {

nb::object named(const char* kind, nb::args fields) { return nb::module_::import_("miniten._results").attr(kind)(*fields); }
template <class... T> nb::object result(const char* kind, const T&... tensors) { return named(kind, nb::borrow<nb::args>(nb::make_tuple(tensor_object(tensors)...))); }

Tensor like(std::string_view op, const Tensor& x, nb::handle value) { return Operand{value}.tensor(op, x.dtype()); }

std::string_view reduction_of(std::string_view op, nb::handle reduce) {
  if (reduce.is_none()) return "none";
  std::string word = nb::isinstance<nb::str>(reduce) ? nb::cast<std::string>(reduce) : type_text(reduce);
  if (word == "add" || word == "sum") return "add";
  if (word == "multiply" || word == "prod") return "mul";
  if (word == "amax") return "max";
  if (word == "amin") return "min";
  throw Error(ErrorKind::value, op, "a reduction of 'sum', 'prod', 'amax' or 'amin'", "'" + word + "'");
}

void bind_sorting(Both b) {
  b.def_x("sort", [](ArrayLike x, int dim, bool descending, bool) {
      Sorted s = sort(x.tensor("sort"), dim, descending);
      return result("Sorted", s.values, s.indices);
    }, nb::arg("dim") = -1, nb::arg("descending") = false, nb::arg("stable") = true, nb::sig("def sort(x: Tensor | numpy.typing.ArrayLike, dim: int = -1, descending: bool = False, stable: bool = True) -> typing.Any"),
    "(values, indices) in order along an axis; equal values keep theirs, NaN is greatest.");
  b.def_x("argsort", [](ArrayLike x, int dim, bool descending, bool) { return argsort(x.tensor("argsort"), dim, descending); }, nb::arg("dim") = -1, nb::arg("descending") = false, nb::arg("stable") = true,
          "Indices that put an axis in order.");
  b.def_x("topk", [](ArrayLike x, int64_t k, int dim, bool largest, bool) {
      Sorted s = topk(x.tensor("topk"), k, dim, largest);
      return result("Sorted", s.values, s.indices);
    }, nb::arg("k"), nb::arg("dim") = -1, nb::arg("largest") = true, nb::arg("sorted") = true,
    nb::sig("def topk(x: Tensor | numpy.typing.ArrayLike, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> typing.Any"), "(values, indices) of the k greatest along an axis, in order.");
  b.def_x("median", [](ArrayLike x, std::optional<int> dim, bool keepdim) {
      Tensor t = x.tensor("median");
      return dim ? median(t, *dim, keepdim) : median(reshape(t, {-1}), 0, false);
    }, nb::arg("dim") = nb::none(), nb::arg("keepdim") = false, "The middle value, the lower of two.");
  b.def_x("quantile", [](ArrayLike x, nb::object q, std::optional<int> dim, bool keepdim, std::string_view interpolation) {
      Tensor t = x.tensor("quantile");
      std::vector<double> numbers;
      bool several = PyList_Check(q.ptr()) || PyTuple_Check(q.ptr());
      if (several) numbers = nb::cast<std::vector<double>>(q);
      else if (is_number(q)) numbers = {nb::cast<double>(nb::float_(q))};
      else {
        Tensor at = to_tensor("quantile", q);
        if (at.rank() > 1) throw Error(ErrorKind::value, "quantile", "a number, or a vector of them, as q", at.shape().text());
        Swap<Recorder*> now(mode().recorder, nullptr);
        NoGrad no_grad;
        numbers = reshape(cast(at, DType::f64), {-1}).to_vector<double>();
        several = at.rank() == 1;
      }
      constexpr std::string_view names[] = {"linear", "lower", "higher", "nearest", "midpoint"};
      auto kind = std::find(std::begin(names), std::end(names), interpolation);
      if (kind == std::end(names)) throw Error(ErrorKind::value, "quantile", "interpolation 'linear', 'lower', 'higher', 'nearest' or 'midpoint'", "'" + std::string(interpolation) + "'");
      int axis = dim ? *dim < 0 ? *dim + t.rank() : *dim : 0;
      Tensor y = movedim(quantile(dim ? t : reshape(t, {-1}), numbers, axis, Quantile(kind - names)), {axis}, {0});
      if (dim ? keepdim && t.rank() : false) y = unsqueeze(y, axis + 1);
      if (!dim && keepdim) for (int i = 0; i < t.rank(); ++i) y = unsqueeze(y, -1);
      return several ? y : squeeze(y, 0);
    }, nb::arg("q"), nb::arg("dim") = nb::none(), nb::arg("keepdim") = false, nb::kw_only(), nb::arg("interpolation") = "linear",
    nb::sig("def quantile(x: Tensor | numpy.typing.ArrayLike, q: float | Tensor | collections.abc.Sequence[float], dim: int | None = None, keepdim: bool = False, *, interpolation: str = 'linear') -> Tensor"),
    "The q-quantiles, of all elements or along an axis; several come along a new first axis.");
  b.def_x("unique", [](ArrayLike x, bool, bool return_inverse, bool return_counts) -> nb::object {
      Unique u = unique(x.tensor("unique"));
      if (!return_inverse && !return_counts) return tensor_object(u.values);
      nb::list out;
      out.append(tensor_object(u.values));
      if (return_inverse) out.append(tensor_object(u.inverse));
      if (return_counts) out.append(tensor_object(u.counts));
      return nb::tuple(out);
    }, nb::arg("sorted") = true, nb::arg("return_inverse") = false, nb::arg("return_counts") = false,
    nb::sig("def unique(x: Tensor | numpy.typing.ArrayLike, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> typing.Any"), "The values that occur, ascending. Not while tracing.");
  b.def_x("bincount", [](ArrayLike x, ArrayLike weights, int64_t minlength) {
      Tensor t = x.tensor("bincount");
      if (t.rank() != 1 || !is_integer(t.dtype())) throw Error(ErrorKind::value, "bincount", "a vector of integers", t.spec().text());
      if (minlength < 0) throw Error(ErrorKind::value, "bincount", "a minlength of 0 or more", std::to_string(minlength));
      Tensor at = cast(t, DType::i64);
      int64_t n = minlength;
      for (int64_t i : at.to_vector<int64_t>()) {
        if (i < 0) throw Error(ErrorKind::value, "bincount", "integers of 0 or more", std::to_string(i));
        n = std::max(n, i + 1);
      }
      Tensor w = weights.none() ? Tensor::ones(t.shape(), DType::i64) : weights.tensor("bincount");
      if (w.shape() != t.shape()) throw Error(ErrorKind::value, "bincount", "weights of shape " + t.shape().text(), w.shape().text());
      if (w.dtype() == DType::f32) w = cast(w, DType::f64);
      Tensor zeros = Tensor::zeros({n}, w.dtype());
      return t.numel() ? scatter_elements(zeros, at, w, 0, "add") : zeros;
    }, nb::arg("weights") = nb::none(), nb::arg("minlength") = 0, "How often each integer occurs, or the sum of its weights.");
  b.def_x("searchsorted", [](ArrayLike sorted, ArrayLike values, bool right) {
      Tensor line = sorted.tensor("searchsorted"), v = Operand{values.object}.tensor("searchsorted", line.dtype());
      if (line.rank() != 1) throw Error(ErrorKind::value, "searchsorted", "an ascending vector", line.shape().text());
      Tensor before = right ? less_equal(line, unsqueeze(v, -1)) : less(line, unsqueeze(v, -1));
      return sum(before, {-1});
    }, nb::arg("values"), nb::arg("right") = false, "Where values would go into an ascending vector.");
}

void bind_sums(Both b) {
  b.def_x("cumsum", [](ArrayLike x, int dim) { return cumsum(x.tensor("cumsum"), dim); }, nb::arg("dim"), "Sums so far along an axis. Integers and bool give int64.");
  b.def_x("cumprod", [](ArrayLike x, int dim) { return cumprod(x.tensor("cumprod"), dim); }, nb::arg("dim"), "Products so far along an axis.");
  auto axes_def = [&](const char* name, Tensor (*f)(const Tensor&, Axes, bool), const char* doc) {
    b.def_x(name, [name, f](ArrayLike x, nb::object dim, bool keepdim, nb::object axis, nb::object keepdims) {
        auto [axes, keep] = words(name, dim, keepdim, axis, keepdims);
        return f(x.tensor(name), axes_of(name, axes), keep);
      }, nb::arg("dim") = nb::none(), nb::arg("keepdim") = false, nb::kw_only(), nb::arg("axis") = nb::none(), nb::arg("keepdims") = nb::none(), doc);
  };
  axes_def("prod", prod, "Over the axes given, or all. Integers and bool give int64.");
  axes_def("logsumexp", logsumexp, "log(sum(exp(x))), without overflow.");
  axes_def("amax", max, "Greatest value over the axes given, or all.");
  axes_def("amin", min, "Least value over the axes given, or all.");
  axes_def("count_nonzero", +[](const Tensor& x, Axes axes, bool keep) { return sum(not_equal(x, Tensor::zeros({}, x.dtype())), axes, keep); }, "How many elements are not 0.");
  b.def_x("norm", [](ArrayLike x, nb::object p, nb::object dim, bool keepdim) {
      double order = 2;
      if (nb::isinstance<nb::str>(p)) {
        if (nb::cast<std::string>(p) != "fro") throw Error(ErrorKind::value, "norm", "a number or 'fro'", nb::cast<std::string>(nb::repr(p)), "see linalg.norm");
      } else if (!p.is_none()) order = nb::cast<double>(nb::float_(p));
      return norm(x.tensor("norm"), order, axes_of("norm", dim), keepdim);
    }, nb::arg("p") = "fro", nb::arg("dim") = nb::none(), nb::arg("keepdim") = false,
    nb::sig("def norm(x: Tensor | numpy.typing.ArrayLike, p: float | str = 'fro', dim: int | collections.abc.Sequence[int] | None = None, keepdim: bool = False) -> Tensor"),
    "The p-norm of elements over axes: p also 0, 1, inf, -inf.");
}

void bind_places(Both b) {
  b.def_x("take_along_dim", [](ArrayLike x, ArrayLike index, std::optional<int> dim) {
      Tensor t = x.tensor("take_along_dim"), at = index.tensor("take_along_dim");
      return dim ? gather_elements(t, at, *dim) : gather_elements(reshape(t, {-1}), reshape(at, {-1}), 0);
    }, nb::arg("indices"), nb::arg("dim") = nb::none(), "Elements by an index of their own along an axis; what argsort gives fits.");
  b.def_x("index_select", [](ArrayLike x, int dim, ArrayLike index) { return index_select(x.tensor("index_select"), dim, index.tensor("index_select")); }, nb::arg("dim"), nb::arg("index"), "Slices of an axis by a 1-D index.");
  b.def_x("index_add", [](ArrayLike x, int dim, ArrayLike index, ArrayLike source, double alpha) {
      return index_add(x.tensor("index_add"), dim, index.tensor("index_add"), source.tensor("index_add"), alpha);
    }, nb::arg("dim"), nb::arg("index"), nb::arg("source"), nb::kw_only(), nb::arg("alpha") = 1.0, "x with alpha * source added to the slices that index names.");
  b.def_x("index_copy", [](ArrayLike x, int dim, ArrayLike index, ArrayLike source) { return index_copy(x.tensor("index_copy"), dim, index.tensor("index_copy"), source.tensor("index_copy")); },
          nb::arg("dim"), nb::arg("index"), nb::arg("source"), "x with source in the place of the slices that index names.");
  b.def_x("index_fill", [](ArrayLike x, int dim, ArrayLike index, double value) { return index_fill(x.tensor("index_fill"), dim, index.tensor("index_fill"), value); }, nb::arg("dim"), nb::arg("index"),
          nb::arg("value"), "x with a number in the slices that index names.");
  b.def_x("scatter", [](ArrayLike x, int dim, ArrayLike index, nb::object src, nb::object reduce, nb::object value) {
      Tensor t = x.tensor("scatter");
      if (src.is_none() == value.is_none()) throw Error(ErrorKind::type, "scatter", "src or value", src.is_none() ? "neither" : "both");
      return scatter_elements(t, index.tensor("scatter"), like("scatter", t, src.is_none() ? value : src), dim, reduction_of("scatter", reduce));
    }, nb::arg("dim"), nb::arg("index"), nb::arg("src") = nb::none(), nb::kw_only(), nb::arg("reduce") = nb::none(), nb::arg("value") = nb::none(),
    nb::sig("def scatter(x: Tensor | numpy.typing.ArrayLike, dim: int, index: Tensor | numpy.typing.ArrayLike, src: typing.Any = None, *, reduce: str | None = None, value: float | None = None) -> Tensor"),
    "x with src (or a value) placed at index along dim: out[index[i][j]][j] = src[i][j] for dim 0.");
  b.def_x("scatter_add", [](ArrayLike x, int dim, ArrayLike index, ArrayLike src) {
      return scatter_elements(x.tensor("scatter_add"), index.tensor("scatter_add"), src.tensor("scatter_add"), dim, "add");
    }, nb::arg("dim"), nb::arg("index"), nb::arg("src"), "x with src added at index along dim.");
  b.def_x("scatter_reduce", [](ArrayLike x, int dim, ArrayLike index, ArrayLike src, nb::object reduce, bool include_self) {
      if (!include_self) throw Error(ErrorKind::unsupported, "scatter_reduce", "include_self=True", "False", "scatter the neutral number of the reduction first");
      return scatter_elements(x.tensor("scatter_reduce"), index.tensor("scatter_reduce"), src.tensor("scatter_reduce"), dim, reduction_of("scatter_reduce", reduce));
    }, nb::arg("dim"), nb::arg("index"), nb::arg("src"), nb::arg("reduce"), nb::kw_only(), nb::arg("include_self") = true, "x joined with src at index by 'sum', 'prod', 'amax' or 'amin'.");
  b.def_x("masked_fill", [](ArrayLike x, ArrayLike mask, nb::object value) {
      Tensor t = x.tensor("masked_fill");
      return masked_fill(t, mask.tensor("masked_fill"), like("masked_fill", t, value));
    }, nb::arg("mask"), nb::arg("value"), nb::sig("def masked_fill(x: Tensor | numpy.typing.ArrayLike, mask: Tensor | numpy.typing.ArrayLike, value: typing.Any) -> Tensor"), "x with one value where mask is True.");
  b.def_x("masked_select", [](ArrayLike x, ArrayLike mask) { return masked_select(x.tensor("masked_select"), mask.tensor("masked_select")); }, nb::arg("mask"), "The elements where mask is True, as a vector.");
}

}  // namespace

void bind_selection(nb::module_& m, TensorClass& c) {
  Both b{m, c};
  bind_sorting(b);
  bind_sums(b);
  bind_places(b);
}

}  // namespace miniten::python
