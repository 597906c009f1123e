#include <cmath>
#include <nanobind/stl/optional.h>
#include "miniten/ops/linalg.h"
#include "python/both.h"

namespace miniten::python {

namespace {

nb::object named(const char* kind, nb::tuple fields) { return nb::module_::import_("miniten._results").attr(kind)(*fields); }

linalg::MatrixNorm kind_of(std::string_view op, nb::handle ord) {
  using N = linalg::MatrixNorm;
  if (nb::isinstance<nb::str>(ord)) {
    std::string word = nb::cast<std::string>(ord);
    if (word == "fro") return N::frobenius;
    if (word == "nuc") return N::nuclear;
  } else if (PyFloat_Check(ord.ptr()) || PyLong_Check(ord.ptr())) {
    double p = nb::cast<double>(nb::float_(ord));
    if (p == 1) return N::one;
    if (p == -1) return N::minus_one;
    if (p == 2) return N::two;
    if (p == -2) return N::minus_two;
    if (std::isinf(p)) return p > 0 ? N::inf : N::minus_inf;
  }
  throw Error(ErrorKind::value, op, "'fro', 'nuc', 1, -1, 2, -2, inf or -inf", nb::cast<std::string>(nb::repr(ord)));
}

}  // namespace

void bind_linalg(nb::module_& m) {
  m.def("linalg_inv", [](ArrayLike a) { return linalg::inv(a.tensor("inv")); }, nb::arg("a"), "The inverse; a singular matrix raises ValueError.");
  m.def("linalg_solve", [](ArrayLike a, ArrayLike b) { return linalg::solve(a.tensor("solve"), b.tensor("solve")); }, nb::arg("a"), nb::arg("b"), "x with a @ x = b.");
  m.def("linalg_det", [](ArrayLike a) { return linalg::det(a.tensor("det")); }, nb::arg("a"), "The determinant.");
  m.def("linalg_slogdet", [](ArrayLike a) {
      auto r = linalg::slogdet(a.tensor("slogdet"));
      return named("SlogDet", nb::make_tuple(tensor_object(r.sign), tensor_object(r.logabsdet)));
    }, nb::arg("a"), nb::sig("def linalg_slogdet(a: Tensor | numpy.typing.ArrayLike) -> typing.Any"), "(sign, logabsdet) of the determinant.");
  m.def("linalg_cholesky", [](ArrayLike a) { return linalg::cholesky(a.tensor("cholesky")); }, nb::arg("a"), "Lower l with l @ l.mT = a; where a is not positive definite ValueError.");
  m.def("linalg_qr", [](ArrayLike a, std::string_view mode) {
      if (mode != "reduced") throw Error(ErrorKind::unsupported, "qr", "mode 'reduced'", "'" + std::string(mode) + "'");
      auto r = linalg::qr(a.tensor("qr"));
      return named("QR", nb::make_tuple(tensor_object(r.q), tensor_object(r.r)));
    }, nb::arg("a"), nb::arg("mode") = "reduced", nb::sig("def linalg_qr(a: Tensor | numpy.typing.ArrayLike, mode: str = 'reduced') -> typing.Any"), "(Q, R) with orthonormal columns of Q.");
  m.def("linalg_svd", [](ArrayLike a, bool full_matrices) {
      auto r = linalg::svd(a.tensor("svd"), full_matrices);
      return named("SVD", nb::make_tuple(tensor_object(r.u), tensor_object(r.s), tensor_object(r.vh)));
    }, nb::arg("a"), nb::arg("full_matrices") = true, nb::sig("def linalg_svd(a: Tensor | numpy.typing.ArrayLike, full_matrices: bool = True) -> typing.Any"), "(U, S, Vh), S descending.");
  m.def("linalg_svdvals", [](ArrayLike a) { return linalg::svd(a.tensor("svdvals"), false).s; }, nb::arg("a"), "Singular values, descending.");
  m.def("linalg_eigh", [](ArrayLike a) {
      auto r = linalg::eigh(a.tensor("eigh"));
      return named("Eigh", nb::make_tuple(tensor_object(r.values), tensor_object(r.vectors)));
    }, nb::arg("a"), nb::sig("def linalg_eigh(a: Tensor | numpy.typing.ArrayLike) -> typing.Any"), "(eigenvalues, eigenvectors) of a symmetric matrix, ascending.");
  m.def("linalg_eigvalsh", [](ArrayLike a) { return linalg::eigh(a.tensor("eigvalsh")).values; }, nb::arg("a"), "Eigenvalues of a symmetric matrix, ascending.");
  m.def("linalg_pinv", [](ArrayLike a, double rcond) { return linalg::pinv(a.tensor("pinv"), rcond); }, nb::arg("a"), nb::arg("rcond") = 1e-15, "The pseudo-inverse; singular values at most rcond times the greatest count as 0.");
  m.def("linalg_lstsq", [](ArrayLike a, ArrayLike b, std::optional<double> rcond, nb::object) {
      auto r = linalg::lstsq(a.tensor("lstsq"), b.tensor("lstsq"), rcond);
      return named("LeastSquares", nb::make_tuple(tensor_object(r.solution), tensor_object(r.residuals), tensor_object(r.rank), tensor_object(r.singular_values)));
    }, nb::arg("a"), nb::arg("b"), nb::arg("rcond") = nb::none(), nb::kw_only(), nb::arg("driver") = nb::none(),
    nb::sig("def linalg_lstsq(a: Tensor | numpy.typing.ArrayLike, b: Tensor | numpy.typing.ArrayLike, rcond: float | None = None, *, driver: str | None = None) -> typing.Any"),
    "(solution, residuals, rank, singular_values): the x of least norm with the least |a @ x - b|. driver is torch's and changes nothing.");
  m.def("linalg_solve_triangular", [](ArrayLike a, ArrayLike b, bool upper, bool unitriangular) {
      return linalg::solve_triangular(a.tensor("solve_triangular"), b.tensor("solve_triangular"), upper, unitriangular);
    }, nb::arg("a"), nb::arg("b"), nb::kw_only(), nb::arg("upper"), nb::arg("unitriangular") = false, "x with a @ x = b; reads one triangle of a.");
  m.def("linalg_matrix_rank", [](ArrayLike a, std::optional<double> tol) { return linalg::matrix_rank(a.tensor("matrix_rank"), tol); }, nb::arg("a"), nb::arg("tol") = nb::none(), "How many singular values are above tol.");
  m.def("linalg_matrix_power", [](ArrayLike a, int64_t n) { return linalg::matrix_power(a.tensor("matrix_power"), n); }, nb::arg("a"), nb::arg("n"), "a @ a @ ..; of the inverse where n < 0.");
  m.def("linalg_matrix_norm", [](ArrayLike a, nb::object ord, bool keepdim) { return linalg::matrix_norm(a.tensor("matrix_norm"), kind_of("matrix_norm", ord), keepdim); }, nb::arg("a"), nb::arg("ord") = "fro",
        nb::arg("keepdim") = false, nb::sig("def linalg_matrix_norm(a: Tensor | numpy.typing.ArrayLike, ord: float | str = 'fro', keepdim: bool = False) -> Tensor"), "Of the last two axes: 'fro', 'nuc', 1, -1, 2, -2, inf, -inf.");
  m.def("linalg_vector_norm", [](ArrayLike x, double ord, nb::object dim, bool keepdim) { return norm(x.tensor("vector_norm"), ord, axes_of("vector_norm", dim), keepdim); }, nb::arg("x"), nb::arg("ord") = 2.0,
        nb::arg("dim") = nb::none(), nb::arg("keepdim") = false, "The ord-norm of elements over axes.");
  m.def("linalg_norm", [](ArrayLike x, nb::object ord, nb::object dim, bool keepdim) {
      Tensor t = x.tensor("norm");
      Axes axes = axes_of("norm", dim);
      if (ord.is_none()) return norm(t, 2, axes, keepdim);
      bool matrix = nb::isinstance<nb::str>(ord) || axes.rank == 2 || (axes.rank == 0 && t.rank() == 2);
      if (!matrix) return norm(t, nb::cast<double>(nb::float_(ord)), axes, keepdim);
      if (axes.rank == 2) t = movedim(t, axes, {-2, -1});
      else if (axes.rank != 0 || t.rank() != 2) throw Error(ErrorKind::value, "norm", "a matrix or two axes for a matrix norm", t.shape().text() + " and " + axes.text());
      Tensor y = linalg::matrix_norm(t, kind_of("norm", ord), keepdim);
      return keepdim && axes.rank == 2 ? movedim(y, {-2, -1}, axes) : y;
    }, nb::arg("x"), nb::arg("ord") = nb::none(), nb::arg("dim") = nb::none(), nb::arg("keepdim") = false,
    nb::sig("def linalg_norm(x: Tensor | numpy.typing.ArrayLike, ord: float | str | None = None, dim: typing.Any = None, keepdim: bool = False) -> Tensor"),
    "A vector's norm; a matrix's for a matrix with ord, for two axes, 'fro' or 'nuc'.");
}

}  // namespace miniten::python
