#include <cmath>
#include "kernels/norm.h"
#include "kernels/reduce.h"
#include "miniten/ops/ops.h"
#include "ops/loops.h"

namespace miniten {

// Normalisation by the statistics of the batch itself, two passes over the data forward and two backward. Channels are
// axis 1; in memory they are last, so data is rows of one value a channel.
namespace {

struct StatisticsAttrs { double eps = 1e-5; void fields(auto f) { f("eps", eps); } };
struct Rows {
  int64_t n, count;                                            // channels, values of each
  explicit Rows(const Shape& x) : n(x[1]), count(n ? x.count() / n : 0) {}
};
// By piece two rows of sums, then three rows of coefficients.
Work row_work(const Call& c) {
  Rows rows(c.in[0].shape);
  int pieces = int(std::min<int64_t>(pieces_for(rows.n * rows.count), std::max<int64_t>(1, rows.count / 64)));
  return {.pieces = pieces, .shared = uint64_t((2 * pieces + 3) * rows.n) * sizeof(double), .phases = 3};
}
void require_channels(const Call& c, size_t inputs) {
  require_same_dtype(c);
  if (DType t = c.in[0].dtype; t != DType::f32 && t != DType::f64) c.fail("float32 or float64", c.in[0].text(), "convert with cast first", ErrorKind::type);
  const Shape& x = c.in[0].shape;
  if (x.rank < 2) c.fail("input (N, C, ...)", x.text());
  for (size_t i = 1; i < inputs; ++i)
    if (c.in[i].shape != Shape{x[1]}) c.fail("parameters and statistics of shape (" + std::to_string(x[1]) + ",)", c.in[i].shape.text());
  if (!(c.as<StatisticsAttrs>().eps >= 0)) c.fail("eps of 0 or more", std::to_string(c.as<StatisticsAttrs>().eps));
}

template <class T> void forward(const Context& c) {
  Rows rows(c.in[0].shape());
  const int64_t n = rows.n;
  const T *x = c.in[0].as<T>(), *gamma = c.in[1].as<T>(), *beta = c.in[2].as<T>();
  T *parts = reinterpret_cast<T*>(c.shared), *scale = parts + 2 * c.pieces * n, *shift = scale + n;
  auto [begin, end] = c.slice(rows.count);
  if (c.phase == 0) return kernels::mean_var_rows(x + begin * n, end - begin, n, n, parts + 2 * c.piece * n, parts + (2 * c.piece + 1) * n);
  if (c.phase == 2) return kernels::affine_rows(x + begin * n, end - begin, n, scale, shift, c.out[0].as<T>() + begin * n);
  auto [first, last] = c.slice(n);
  for (int64_t j = first; j < last; ++j) {                     // Chan, Golub and LeVeque's pooling
    double mean = 0, squares = 0;
    auto share = [&](int piece) { return double(rows.count * (piece + 1) / c.pieces - rows.count * piece / c.pieces) / double(rows.count); };
    for (int p = 0; p < c.pieces; ++p) mean += share(p) * double(parts[2 * p * n + j]);
    for (int p = 0; p < c.pieces; ++p) {
      double apart = double(parts[2 * p * n + j]) - mean;
      squares += share(p) * (double(parts[(2 * p + 1) * n + j]) + apart * apart);
    }
    c.out[1].as<T>()[j] = T(mean);
    c.out[2].as<T>()[j] = T(squares);
    double s = double(gamma[j]) / std::sqrt(squares + c.as<StatisticsAttrs>().eps);
    scale[j] = T(s);
    shift[j] = T(double(beta[j]) - mean * s);
  }
}

// dx = gamma * r * (g - mean(g) - (x - mean) * r^2 * mean(g * (x - mean))) with r = 1 / sqrt(var + eps).
template <class T> void backward(const Context& c) {
  Rows rows(c.in[0].shape());
  const int64_t n = rows.n;
  const T *x = c.in[0].as<T>(), *gamma = c.in[1].as<T>(), *mean = c.in[2].as<T>(), *var = c.in[3].as<T>(), *g = c.in[4].as<T>();
  T *parts = reinterpret_cast<T*>(c.shared), *a = parts + 2 * c.pieces * n, *b = a + n, *d = b + n;
  auto [begin, end] = c.slice(rows.count);
  if (c.phase == 0) {
    T* sums = parts + 2 * c.piece * n;
    std::fill_n(sums, 2 * n, T(0));
    return kernels::moments_rows(g + begin * n, x + begin * n, end - begin, n, mean, sums, sums + n);
  }
  if (c.phase == 2) return kernels::blend_rows(g + begin * n, x + begin * n, end - begin, n, a, b, d, c.out[0].as<T>() + begin * n);
  auto [first, last] = c.slice(n);
  for (int64_t j = first; j < last; ++j) {
    double sum = 0, product = 0, r = 1 / std::sqrt(double(var[j]) + c.as<StatisticsAttrs>().eps), count = double(rows.count);
    for (int p = 0; p < c.pieces; ++p) {
      sum += double(parts[2 * p * n + j]);
      product += double(parts[(2 * p + 1) * n + j]);
    }
    c.out[1].as<T>()[j] = T(product * r);
    c.out[2].as<T>()[j] = T(sum);
    double scale = double(gamma[j]) * r, slope = -scale * r * r * product / count;
    a[j] = T(scale);
    b[j] = T(slope);
    d[j] = T(-scale * sum / count - slope * double(mean[j]));
  }
}

// The gradients by other ops, which can be differentiated again.
void written_out(const Vjp& v) {
  const Tensor &x = v.in[0], &g = v.grad[0];
  Shape shape = Dims::filled(x.rank(), 1);
  shape[1] = x.dim(1);
  Axes others;
  for (int i = 0; i < x.rank(); ++i) if (i != 1) others.push(i);
  auto flat = [&](const Tensor& t) { return reshape(t, {x.dim(1)}); };
  Tensor centred = x - mean(x, others, true), inverse = reciprocal(sqrt(mean(square(centred), others, true) + v.as<StatisticsAttrs>().eps));
  if (g) {
    Tensor unit = centred * inverse, scaled = g * reshape(v.in[1], shape) * inverse;
    if (v.needs(0)) v.result[0] = scaled - mean(scaled, others, true) - unit * mean(scaled * unit, others, true);
    if (v.needs(1)) v.result[1] = flat(sum(g * unit, others));
    if (v.needs(2)) v.result[2] = flat(sum(g, others));
  }
  if (!v.needs(0) || (!v.grad[1] && !v.grad[2])) return;
  Tensor each = count(v.in[1]) / count(x), more;               // of a mean, each value's share
  each = cast(each, x.dtype());
  if (v.grad[1]) more = reshape(v.grad[1], shape) * each + x * 0.0;
  if (v.grad[2]) {
    Tensor spread = centred * (reshape(v.grad[2], shape) * each * 2.0);
    more = more ? more + spread : spread;
  }
  v.result[0] = v.result[0] ? v.result[0] + more : more;
}
void training_vjp(const Vjp& v) {
  if (mode().grad || !v.grad[0] || v.grad[1] || v.grad[2]) return written_out(v);
  Tensor out[3];
  Input in[]{v.in[0], v.in[1], v.out[1], v.out[2], v.grad[0]};
  StatisticsAttrs at = v.as<StatisticsAttrs>();
  apply(batch_norm_gradient_op, in, &at, out);
  for (size_t i = 0; i < 3; ++i) if (v.needs(int(i))) v.result[i] = out[i];
}

}  // namespace

constinit const OpDef batch_norm_training_op{.name = "batch_norm_training", .doc = "batch_norm by the batch's own statistics; these too (mean, biased variance)",
    .min_inputs = 3, .max_inputs = 3, .outputs = 3,
    .infer = [](const Call& c, Specs& out) {
      require_channels(c, 3);
      out.push(c.in[0]);
      out.push(c.in[1]);
      out.push(c.in[1]);
    },
    .eval = [](const Context& c) { c.in[0].spec.dtype == DType::f64 ? forward<double>(c) : forward<float>(c); }, .work = row_work,
    .vjp = training_vjp, .keep = {0b11, 0b110}, .cost = [](const Call& c) { return Cost{0, 6 * c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({2, 3, 2, 2}), sample_values({3}), sample_values({3}, 0, 1)}, std::make_shared<StatisticsAttrs>(StatisticsAttrs{0.01})},
              {{sample_values({5, 2}), sample_values({2}), sample_values({2}, 0, 1)}, std::make_shared<StatisticsAttrs>(StatisticsAttrs{0.01})}};
    },
    .traits = {.dense = 0b110, .channels_last = 1, .out = Layout::channels_last}, .attrs = codec<StatisticsAttrs>};

constinit const OpDef batch_norm_gradient_op{.name = "batch_norm_gradient", .doc = "gradients of batch_norm_training from x, gamma, mean, variance and y's gradient",
    .min_inputs = 5, .max_inputs = 5, .outputs = 3,
    .infer = [](const Call& c, Specs& out) {
      require_channels(c, 4);
      if (c.in[4].shape != c.in[0].shape) c.fail("a gradient of shape " + c.in[0].shape.text(), c.in[4].shape.text());
      out.push(c.in[0]);
      out.push(c.in[1]);
      out.push(c.in[1]);
    },
    .eval = [](const Context& c) { c.in[0].spec.dtype == DType::f64 ? backward<double>(c) : backward<float>(c); }, .work = row_work,
    .cost = [](const Call& c) { return Cost{0, 8 * c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({2, 3, 2, 2}), sample_values({3}), sample_values({3}, -0.2f, 0.2f), sample_values({3}, 0.5f, 2), sample_values({2, 3, 2, 2}, -1, 1)},
               std::make_shared<StatisticsAttrs>(StatisticsAttrs{0.01})}};
    },
    .traits = {.stops_gradient = true, .dense = 0b1110, .channels_last = 0b10001, .out = Layout::channels_last}, .attrs = codec<StatisticsAttrs>};

BatchNormed batch_norm_training(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  Tensor out[3];
  Input in[]{x, gamma, beta};
  StatisticsAttrs at{eps};
  apply(batch_norm_training_op, in, &at, out);
  return {out[0], out[1], out[2]};
}

}  // namespace miniten
