#include <cmath>
#include "miniten/ops/linalg.h"
#include "ops/linalg_gradients.h"
#include "ops/loops.h"

namespace miniten::linalg {

static std::vector<Tensor> results(const OpDef& op, const Tensor& a, const void* attrs = nullptr) {
  std::vector<Tensor> out(size_t(op.outputs));
  Input in[] = {a};
  apply(op, in, attrs, out);
  return out;
}
// Infinite or NaN results of finite input: there was no answer.
static void require_finite(std::string_view op, const Tensor& x, const Tensor& y, std::string want, std::string got) {
  if (!y.has_data()) return;
  NoGrad no_grad;
  Swap<Recorder*> off(mode().recorder, nullptr);
  auto finite = [](const Tensor& t) { return sum(logical_not(isfinite(detach(t)))).item() == 0; };
  if (!finite(y) && finite(x)) throw Error(ErrorKind::value, op, std::move(want), std::move(got));
}

Tensor inv(const Tensor& a) {
  Tensor y = apply(linalg_inv_op, {a});
  require_finite("inv", a, y, "matrices that have an inverse", "a singular one");
  return y;
}
Tensor solve(const Tensor& a, const Tensor& b) {
  if (a.rank() < 2) throw Error(ErrorKind::value, "solve", "a matrix", a.shape().text());
  bool vector = b.rank() == 1 || (b.rank() == a.rank() - 1 && b.shape() == [&] { Shape s = a.shape(); --s.rank; return s; }());
  Tensor right = vector ? unsqueeze(b, -1) : b;
  if (right.rank() < 2) throw Error(ErrorKind::value, "solve", "right sides", b.shape().text());
  Shape batch = broadcast("solve", batch_of(a.shape()), batch_of(right.shape()));
  Tensor x = apply(linalg_solve_op, {expand(a, with(batch, {a.dim(-2), a.dim(-1)})), expand(right, with(batch, {right.dim(-2), right.dim(-1)}))});
  require_finite("solve", a, x, "matrices that have an inverse", "a singular one");
  return vector ? squeeze(x, -1) : x;
}
Tensor det(const Tensor& a) { return apply(linalg_det_op, {a}); }
SlogDet slogdet(const Tensor& a) {
  auto r = results(linalg_slogdet_op, a);
  return {r[0], r[1]};
}
Tensor cholesky(const Tensor& a) {
  Tensor y = apply(linalg_cholesky_op, {a});
  require_finite("cholesky", a, y, "positive definite matrices", "one that is not");
  return y;
}
QR qr(const Tensor& a) {
  auto r = results(linalg_qr_op, a);
  return {r[0], r[1]};
}
SVD svd(const Tensor& a, bool full_matrices) {
  AxisAttrs full{full_matrices};
  auto r = results(linalg_svd_op, a, &full);
  return {r[0], r[1], r[2]};
}
Eigh eigh(const Tensor& a) {
  auto r = results(linalg_eigh_op, a);
  return {r[0], r[1]};
}
Tensor pinv(const Tensor& a, double rcond) { return apply(linalg_pinv_op, {a, Tensor::full({}, rcond, a.dtype())}); }
LeastSquares lstsq(const Tensor& a, const Tensor& b, std::optional<double> rcond) {
  if (a.rank() < 2) throw Error(ErrorKind::value, "lstsq", "a matrix", a.shape().text());
  bool vector = b.rank() == a.rank() - 1;
  Tensor right = cast(vector ? unsqueeze(b, -1) : b, DType::f64), wide = cast(a, DType::f64);
  if (right.rank() != a.rank() || right.dim(-2) != a.dim(-2)) throw Error(ErrorKind::value, "lstsq", "right sides with a row for each of the " + std::to_string(a.dim(-2)) + " equations", b.shape().text());
  double tolerance = rcond.value_or((a.dtype() == DType::f64 ? 0x1p-52 : 0x1p-23) * double(std::max(a.dim(-1), a.dim(-2))));
  Tensor x = matmul(pinv(wide, tolerance), right), rest = sum(square(matmul(wide, x) - right), {-2});
  Tensor s = svd(a, false).s, rank = s.dim(-1) ? sum(greater(s, slice(s, -1, 0, 1) * tolerance), {-1}) : Tensor::zeros(batch_of(a.shape()), DType::i64);
  return {cast(vector ? squeeze(x, -1) : x, a.dtype()), cast(rest, a.dtype()), rank, s};
}
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool unitriangular) {
  Tensor t = upper ? triu(a, unitriangular) : tril(a, unitriangular ? -1 : 0);
  return solve(unitriangular ? t + identity(a.dim(-1), a.dtype()) : t, b);
}
Tensor matrix_rank(const Tensor& a, std::optional<double> tolerance) {
  Tensor s = svd(a, false).s;
  if (s.dim(-1) == 0) return Tensor::zeros(batch_of(a.shape()), DType::i64);
  double eps = a.dtype() == DType::f64 ? 0x1p-52 : 0x1p-23;
  Tensor least = tolerance ? number_like(s, *tolerance) : slice(s, -1, 0, 1) * (eps * double(std::max(a.dim(-1), a.dim(-2))));
  return sum(greater(s, least), {-1});
}
Tensor matrix_power(const Tensor& a, int64_t n) {
  if (a.rank() < 2 || a.dim(-1) != a.dim(-2)) throw Error(ErrorKind::value, "matrix_power", "square matrices", a.shape().text());
  if (n == 0) {
    return expand(identity(a.dim(-1), a.dtype()), a.shape());
  }
  Tensor base = n < 0 ? inv(a) : a, result;
  for (uint64_t left = n < 0 ? 0 - uint64_t(n) : uint64_t(n); left; left >>= 1) {
    if (left & 1) result = result ? matmul(result, base) : base;
    if (left > 1) base = matmul(base, base);
  }
  return result;
}
Tensor matrix_norm(const Tensor& a, MatrixNorm kind, bool keepdim) {
  if (a.rank() < 2) throw Error(ErrorKind::value, "matrix_norm", "a matrix, or batches of them", a.shape().text());
  auto both = [&](const Tensor& t) { return keepdim ? t : squeeze(squeeze(t, -1), -1); };
  switch (kind) {
    case MatrixNorm::frobenius: return norm(a, 2, {-2, -1}, keepdim);
    case MatrixNorm::one: return both(max(sum(abs(a), {-2}, true), {-1}, true));
    case MatrixNorm::minus_one: return both(min(sum(abs(a), {-2}, true), {-1}, true));
    case MatrixNorm::inf: return both(max(sum(abs(a), {-1}, true), {-2}, true));
    case MatrixNorm::minus_inf: return both(min(sum(abs(a), {-1}, true), {-2}, true));
    default: break;
  }
  Tensor s = unsqueeze(svd(a, false).s, -1);
  if (kind == MatrixNorm::nuclear) return both(sum(s, {-2}, true));
  return both(kind == MatrixNorm::two ? max(s, {-2}, true) : min(s, {-2}, true));
}

}  // namespace miniten::linalg
