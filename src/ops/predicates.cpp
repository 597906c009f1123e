#include "miniten/ops/ops.h"

namespace miniten {

// Questions answered by comparisons: NaN alone differs from itself.
static Tensor truth(const Tensor& x) { return x.dtype() == DType::boolean ? x : not_equal(x, Tensor::zeros({}, x.dtype())); }

Tensor logical_not(const Tensor& x) { return equal(x, Tensor::zeros({}, x.dtype())); }
Tensor logical_and(const Tensor& a, const Tensor& b) {
  Tensor x = truth(a);
  return where(x, truth(b), x);
}
Tensor logical_or(const Tensor& a, const Tensor& b) {
  Tensor x = truth(a);
  return where(x, x, truth(b));
}
Tensor logical_xor(const Tensor& a, const Tensor& b) { return not_equal(truth(a), truth(b)); }
Tensor isnan(const Tensor& x) { return not_equal(x, x); }
Tensor isinf(const Tensor& x) { return is_float(x.dtype()) ? equal(abs(x), number_like(x, double(infinity))) : not_equal(x, x); }
Tensor isfinite(const Tensor& x) { return is_float(x.dtype()) ? less(abs(x), number_like(x, double(infinity))) : equal(x, x); }
Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  if (a.dtype() != b.dtype()) throw Error(ErrorKind::type, "isclose", "tensors of one dtype", a.spec().text() + " and " + b.spec().text(), "convert with cast first");
  if (rtol < 0 || atol < 0) throw Error(ErrorKind::value, "isclose", "tolerances of 0 or more", std::to_string(rtol) + " and " + std::to_string(atol));
  Tensor same = equal(a, b);
  if (equal_nan) same = logical_or(same, logical_and(isnan(a), isnan(b)));
  Tensor x = is_float(a.dtype()) ? a : cast(a, DType::f64), y = is_float(b.dtype()) ? b : cast(b, DType::f64);
  Tensor near = less_equal(abs(x - y), abs(y) * rtol + atol);
  return logical_or(same, logical_and(near, isfinite(y)));
}
bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  NoGrad no_grad;
  Tensor close = isclose(a, b, rtol, atol, equal_nan);
  return sum(logical_not(close)).item() == 0;
}

}  // namespace miniten
