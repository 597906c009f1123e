#include "miniten/nn/init.h"
#include <cmath>
#include <functional>
#include "miniten/base/random.h"
#include "miniten/ops/ops.h"

namespace miniten::nn::init {

namespace {
// Values in row-major order, whatever the tensor's dtype and strides.
Tensor filled(const char* op, const Tensor& t, const std::function<double(int64_t)>& value) {
  if (!is_float(t.dtype())) throw Error(ErrorKind::type, op, "a floating-point tensor", t.spec().text());
  std::vector<double> v(static_cast<size_t>(t.numel()));
  for (int64_t i = 0; i < t.numel(); ++i) v[size_t(i)] = value(i);
  NoGrad no_grad;
  assign(t, cast(Tensor::of<double>(t.shape(), v), t.dtype()));
  return t;
}
double uniform01() { return (double(default_generator().next()) + 0.5) * 0x1p-32; }
std::pair<double, double> fans(const char* op, const Tensor& t) {
  if (t.rank() < 2) throw Error(ErrorKind::value, op, "a weight of at least two axes", t.shape().text());
  double taps = 1;
  for (int i = 2; i < t.rank(); ++i) taps *= double(t.dim(i));
  return {double(t.dim(1)) * taps, double(t.dim(0)) * taps};
}
double kaiming_std(const char* op, const Tensor& t, double a, std::string_view mode, std::string_view nonlinearity) {
  auto [in, out] = fans(op, t);
  if (mode != "fan_in" && mode != "fan_out") throw Error(ErrorKind::value, op, "mode 'fan_in' or 'fan_out'", "'" + std::string(mode) + "'");
  double fan = mode == "fan_in" ? in : out;
  if (fan == 0) throw Error(ErrorKind::value, op, "a weight that is not empty", t.shape().text());
  return calculate_gain(nonlinearity, a) / std::sqrt(fan);
}
}  // namespace

double calculate_gain(std::string_view f, double param) {
  if (f == "tanh") return 5.0 / 3;
  if (f == "relu") return std::sqrt(2.0);
  if (f == "leaky_relu") return std::sqrt(2.0 / (1 + param * param));
  if (f == "selu") return 0.75;
  for (std::string_view linear : {"linear", "sigmoid", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"}) if (f == linear) return 1;
  throw Error(ErrorKind::value, "calculate_gain", "linear, sigmoid, tanh, relu, leaky_relu, selu or a convolution", "'" + std::string(f) + "'");
}
Tensor uniform_(const Tensor& t, double a, double b) {
  if (!(a <= b)) throw Error(ErrorKind::value, "uniform_", "a <= b", std::to_string(a) + " and " + std::to_string(b));
  return filled("uniform_", t, [=](int64_t) { return a + (b - a) * uniform01(); });
}
Tensor normal_(const Tensor& t, double mean, double std) {
  if (!(std >= 0)) throw Error(ErrorKind::value, "normal_", "a std of 0 or more", std::to_string(std));
  return filled("normal_", t, [=](int64_t) { return mean + std * double(default_generator().normal()); });
}
Tensor trunc_normal_(const Tensor& t, double mean, double std, double a, double b) {
  if (!(std > 0 && a < b)) throw Error(ErrorKind::value, "trunc_normal_", "std above 0 and a < b", std::to_string(std) + ", " + std::to_string(a) + ", " + std::to_string(b));
  auto below = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  double low = below((a - mean) / std), high = below((b - mean) / std);
  return filled("trunc_normal_", t, [=](int64_t) {             // the inverse of the distribution, by halving
    double wanted = low + (high - low) * uniform01(), left = (a - mean) / std, right = (b - mean) / std;
    for (int i = 0; i < 60; ++i) (below((left + right) / 2) < wanted ? left : right) = (left + right) / 2;
    return std::min(b, std::max(a, mean + std * left));
  });
}
Tensor constant_(const Tensor& t, double v) { return filled("constant_", t, [=](int64_t) { return v; }); }
Tensor zeros_(const Tensor& t) { return constant_(t, 0); }
Tensor ones_(const Tensor& t) { return constant_(t, 1); }
Tensor eye_(const Tensor& t) {
  if (t.rank() != 2) throw Error(ErrorKind::value, "eye_", "a matrix", t.shape().text());
  return filled("eye_", t, [=](int64_t i) { return i / t.dim(1) == i % t.dim(1) ? 1.0 : 0.0; });
}
Tensor dirac_(const Tensor& t, int64_t groups) {
  if (t.rank() < 3 || groups < 1 || t.dim(0) % groups) throw Error(ErrorKind::value, "dirac_", "a convolution's weight and groups that divide its outputs", t.shape().text());
  int64_t per_group = t.dim(0) / groups, taps = t.numel() / std::max<int64_t>(1, t.dim(0) * t.dim(1)), centre = 0;
  for (int i = 2; i < t.rank(); ++i) centre = centre * t.dim(i) + t.dim(i) / 2;
  return filled("dirac_", t, [=](int64_t i) { return i % taps == centre && i / taps % t.dim(1) == i / taps / t.dim(1) % per_group ? 1.0 : 0.0; });
}
Tensor xavier_uniform_(const Tensor& t, double gain) {
  auto [in, out] = fans("xavier_uniform_", t);
  double bound = gain * std::sqrt(6.0 / (in + out));
  return uniform_(t, -bound, bound);
}
Tensor xavier_normal_(const Tensor& t, double gain) {
  auto [in, out] = fans("xavier_normal_", t);
  return normal_(t, 0, gain * std::sqrt(2.0 / (in + out)));
}
Tensor kaiming_uniform_(const Tensor& t, double a, std::string_view mode, std::string_view f) {
  double bound = std::sqrt(3.0) * kaiming_std("kaiming_uniform_", t, a, mode, f);
  return uniform_(t, -bound, bound);
}
Tensor kaiming_normal_(const Tensor& t, double a, std::string_view mode, std::string_view f) { return normal_(t, 0, kaiming_std("kaiming_normal_", t, a, mode, f)); }

Tensor orthogonal_(const Tensor& t, double gain) {
  if (t.rank() < 2) throw Error(ErrorKind::value, "orthogonal_", "a weight of at least two axes", t.shape().text());
  int64_t rows = t.dim(0), columns = rows ? t.numel() / rows : 0, n = std::min(rows, columns), m = std::max(rows, columns);
  std::vector<std::vector<double>> basis;                      // n orthonormal vectors of length m, by Gram and Schmidt, twice
  while (int64_t(basis.size()) < n) {
    std::vector<double> v(static_cast<size_t>(m));
    for (double& x : v) x = default_generator().normal();
    for (int pass = 0; pass < 2; ++pass)
      for (const auto& b : basis) {
        double dot = 0;
        for (size_t i = 0; i < v.size(); ++i) dot += v[i] * b[i];
        for (size_t i = 0; i < v.size(); ++i) v[i] -= dot * b[i];
      }
    double norm = 0;
    for (double x : v) norm += x * x;
    if (norm < 1e-20) continue;
    for (double& x : v) x /= std::sqrt(norm);
    basis.push_back(std::move(v));
  }
  return filled("orthogonal_", t, [&](int64_t i) {
    int64_t r = i / columns, c = i % columns;
    return gain * (rows <= columns ? basis[size_t(r)][size_t(c)] : basis[size_t(c)][size_t(r)]);
  });
}
Tensor sparse_(const Tensor& t, double sparsity, double std) {
  if (t.rank() != 2) throw Error(ErrorKind::value, "sparse_", "a matrix", t.shape().text());
  if (!(sparsity >= 0 && sparsity <= 1)) throw Error(ErrorKind::value, "sparse_", "a sparsity in [0, 1]", std::to_string(sparsity));
  int64_t rows = t.dim(0), columns = t.dim(1);
  auto zeros = int64_t(std::ceil(sparsity * double(rows)));
  std::vector<uint8_t> keep(size_t(rows * columns), 1);
  for (int64_t c = 0; c < columns; ++c) {
    std::vector<int64_t> order(static_cast<size_t>(rows));
    for (int64_t r = 0; r < rows; ++r) order[size_t(r)] = r;
    for (int64_t k = 0; k < zeros; ++k) {
      std::swap(order[size_t(k)], order[size_t(k) + default_generator().below(uint64_t(rows - k))]);
      keep[size_t(order[size_t(k)] * columns + c)] = 0;
    }
  }
  return filled("sparse_", t, [&](int64_t i) { double x = std * double(default_generator().normal()); return keep[size_t(i)] ? x : 0.0; });
}

}  // namespace miniten::nn::init
