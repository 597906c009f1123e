#pragma once
#include <optional>
#include "miniten/ops/ops.h"
#include "python/bind.h"

namespace miniten::python {

// A function of the module that is a method of Tensor too.
struct Both {
  nb::module_& m;
  TensorClass& c;
  template <class F, class... Extra> void def(const char* name, F f, const Extra&... extra) {
    m.def(name, f, extra...);
    c.def(name, f, extra...);
  }
  template <class F, class... Extra> void def_x(const char* name, F f, const Extra&... extra) {   // the first argument is named
    m.def(name, f, nb::arg("x"), extra...);
    c.def(name, f, extra...);
  }
};

struct AxisWords {                                     // torch says dim and keepdim, NumPy axis and keepdims
  nb::handle axes;
  bool keep;
};
inline AxisWords words(std::string_view op, nb::handle dim, bool keepdim, nb::handle axis, nb::handle keepdims) {
  if (!dim.is_none() && !axis.is_none()) throw Error(ErrorKind::type, op, "dim or axis", "both");
  return {dim.is_none() ? axis : dim, keepdims.is_none() ? keepdim : nb::cast<bool>(keepdims)};
}

// x cut to [lo, hi]: numbers, tensors that broadcast, or None. The op's limits are float32; float64 values between its
// numbers are met by comparing, and what is no float keeps its dtype beside integers.
inline Tensor clamped(const Tensor& x, nb::handle lo, nb::handle hi) {
  if (lo.is_none() && hi.is_none()) throw Error(ErrorKind::type, "clamp", "min or max", "neither");
  auto is_limit = [](nb::handle v) { return v.is_none() || is_number(v); };
  if (!is_float(x.dtype()) || !is_limit(lo) || !is_limit(hi)) {
    Tensor y = lo.is_none() ? x : maximum(x, Operand{lo}.tensor("clamp", x.dtype()));
    return hi.is_none() ? y : minimum(y, Operand{hi}.tensor("clamp", x.dtype()));
  }
  double least = lo.is_none() ? -infinity : nb::cast<double>(lo), most = hi.is_none() ? infinity : nb::cast<double>(hi);
  auto narrow = [](double v) { return v != v || double(float(v)) == v; };
  if (x.dtype() != DType::f64 || (narrow(least) && narrow(most))) return clamp(x, float(least), float(most));
  if (!(least <= most)) throw Error(ErrorKind::value, "clamp", "min <= max", std::to_string(least) + " and " + std::to_string(most));
  Tensor y = where(less(x, number_like(x, least)), number_like(x, least), x);
  return where(greater(x, number_like(x, most)), number_like(x, most), y);
}

}  // namespace miniten::python
