#pragma once
#include <gtest/gtest.h>
#include <cmath>
#include "miniten/base/random.h"
#include "miniten/core/autograd.h"
#include "miniten/graph/session.h"
#include "miniten/ops/ops.h"

namespace miniten::check {

inline Tensor normal(const Shape& shape, uint64_t seed, DType dtype = DType::f32) {
  Generator g(seed);
  Tensor t = Tensor::empty({DType::f32, shape});
  for (int64_t i = 0; i < t.numel(); ++i) t.view().f32()[i] = g.normal();
  return cast(t, dtype);
}

// Values in row-major order as double, whatever the dtype and strides.
inline std::vector<double> values(const Tensor& t) { return cast(t, DType::f64).to_vector<double>(); }

// max |a - b| / max(1, max |b|): the measure in which differences are stated.
inline double difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape().text(), b.shape().text());
  if (a.shape() != b.shape()) return HUGE_VAL;
  auto x = values(a), y = values(b);
  double worst = 0, scale = 1;
  for (double v : y) if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    if (x[i] == y[i]) continue;
    worst = std::max(worst, std::isnan(x[i] - y[i]) ? HUGE_VAL : std::abs(x[i] - y[i]));
  }
  return worst / scale;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

template <class F> std::string error_of(F f) {
  try { f(); } catch (const Error& e) { return e.what(); }
  return "no error";
}

}  // namespace miniten::check
