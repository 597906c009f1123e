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

// x cut to [lo, hi]. The op's limits are float32; float64 values between its numbers are met by comparing.
inline Tensor clamped(const Tensor& x, std::optional<double> lo, std::optional<double> hi) {
  auto narrow = [](std::optional<double> v) { return !v || *v != *v || double(float(*v)) == *v; };
  if (x.dtype() != DType::f64 || (narrow(lo) && narrow(hi))) return clamp(x, lo ? float(*lo) : -infinity, hi ? float(*hi) : infinity);
  if (lo && hi && !(*lo <= *hi)) throw Error(ErrorKind::value, "clamp", "min <= max", std::to_string(*lo) + " and " + std::to_string(*hi));
  Tensor y = x;
  if (lo) y = where(less(x, number_like(x, *lo)), number_like(x, *lo), y);
  if (hi) y = where(greater(x, number_like(x, *hi)), number_like(x, *hi), y);
  return y;
}

}  // namespace miniten::python
