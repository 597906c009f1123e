#include "kernels/binary.h"

#include <cmath>

#include "kernels/ftable.h"

namespace miniten::kernels {
namespace {

template <class F>
void zip(const double* a, int64_t a_step, const double* b, int64_t b_step, double* y, int64_t n, F f) {
  const int64_t da = a_step != 0, db = b_step != 0;
  for (int64_t i = 0; i < n; ++i) y[i] = f(a[i * da], b[i * db]);
}

}  // namespace

void binary(Binary op, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n) {
  if (op == Binary::pow && n > 0 && a_step && !b_step && *b == 2) return ftable().unary(Unary::square, a, y, n);
  ftable().binary(op, a, a_step, b, b_step, y, n);
}

void binary(Binary op, const double* a, int64_t a_step, const double* b, int64_t b_step, double* y, int64_t n) {
  switch (op) {
    case Binary::add: return zip(a, a_step, b, b_step, y, n, [](double p, double q) { return p + q; });
    case Binary::sub: return zip(a, a_step, b, b_step, y, n, [](double p, double q) { return p - q; });
    case Binary::mul: return zip(a, a_step, b, b_step, y, n, [](double p, double q) { return p * q; });
    case Binary::div: return zip(a, a_step, b, b_step, y, n, [](double p, double q) { return p / q; });
    case Binary::maximum:
      return zip(a, a_step, b, b_step, y, n, [](double p, double q) { return p != p || p > q ? p : q; });
    case Binary::minimum:
      return zip(a, a_step, b, b_step, y, n, [](double p, double q) { return p != p || p < q ? p : q; });
    case Binary::pow: return zip(a, a_step, b, b_step, y, n, [](double p, double q) { return std::pow(p, q); });
    case Binary::gate: return zip(a, a_step, b, b_step, y, n, [](double p, double q) { return q > 0 ? p : 0; });
    case Binary::prelu: return zip(a, a_step, b, b_step, y, n, [](double p, double q) { return p > 0 ? p : p * q; });
    default: return;
  }
}

void choose(const bool* condition, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n) {
  ftable().choose(condition, a, a_step, b, b_step, y, n);
}

void add_scaled(const float* a, float scale, float* y, int64_t n) { ftable().add_scaled(a, scale, y, n); }

void add_scaled(const double* a, double scale, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += scale * a[i];
}

}  // namespace miniten::kernels
