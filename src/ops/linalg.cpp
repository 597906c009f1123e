#include "miniten/ops/linalg.h"
#include <cmath>
#include "ops/linalg_eval.h"
#include "ops/linalg_gradients.h"
#include "ops/loops.h"

namespace miniten {

namespace {

using linalg::batch_of, linalg::with;

void matrices(const Call& c, int i, bool square) {
  const Spec& s = c.in[size_t(i)];
  if (s.dtype != DType::f32 && s.dtype != DType::f64) c.fail("float32 or float64", s.text(), "convert with float() first", ErrorKind::type);
  if (s.shape.rank < 2) c.fail("a matrix, or batches of them", s.shape.text());
  if (is_symbol(s.shape[-1]) || is_symbol(s.shape[-2])) c.fail("known sizes", s.shape.text(), "trace with a fixed shape", ErrorKind::unsupported);
  if (square && s.shape[-1] != s.shape[-2]) c.fail("square matrices", s.shape.text());
}
// Matrices in and out of row-major doubles; all views are row-major.
void load(const View& v, int64_t batch, int64_t n, double* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = v.spec.dtype == DType::f64 ? v.as<double>()[batch * n + i] : double(v.f32()[batch * n + i]);
}
void store(const View& v, int64_t batch, int64_t n, const double* from) {
  for (int64_t i = 0; i < n; ++i)
    if (v.spec.dtype == DType::f64) v.as<double>()[batch * n + i] = from[i];
    else v.f32()[batch * n + i] = float(from[i]);
}

void halve(double* a, int64_t n) {                             // (a + a^T) / 2
  for (int64_t i = 0; i < n; ++i) for (int64_t j = 0; j < i; ++j) a[i * n + j] = a[j * n + i] = (a[i * n + j] + a[j * n + i]) / 2;
}

struct Sizes { int64_t m, n, batches; };
Sizes sizes_of(const Shape& shape) { return {shape[-2], shape[-1], batch_of(shape).count()}; }
// Scratch for each worker, in doubles.
template <int64_t (*doubles)(int64_t m, int64_t n, int64_t columns)> Work batch_work(const Call& c) {
  Sizes s = sizes_of(c.in[0].shape);
  int64_t columns = c.in.size() > 1 && c.in[1].shape.rank ? c.in[1].shape[-1] : 0, per = s.m * s.n * std::max(s.m, s.n);
  return {.pieces = int(std::clamp<int64_t>(std::min(s.batches, s.batches * per / 65536), 1, 64)), .scratch = uint64_t(doubles(s.m, s.n, columns)) * 8};
}
template <class F> void each_matrix(const Context& c, F f) {
  Sizes s = sizes_of(c.in[0].shape());
  auto [begin, end] = c.slice(s.batches);
  for (int64_t b = begin; b < end; ++b) f(b, s.m, s.n, reinterpret_cast<double*>(c.scratch));
}
Cost cube_cost(const Call& c) {
  Sizes s = sizes_of(c.in[0].shape);
  return {s.batches * s.m * s.n * std::min(s.m, s.n), 0};
}

Tensor well_conditioned(int64_t rows = 3) {                    // dominated by the diagonal, and not symmetric
  Tensor a = sample_values({2, rows, 3}, -0.6f, 0.9f);
  for (int64_t b = 0; b < 2; ++b) for (int64_t i = 0; i < 3; ++i) a.view().f32()[b * rows * 3 + i * 4] += float(2 + b + i);
  return a;
}
std::vector<Sample> square_samples() { return {{{well_conditioned()}, nullptr}, {{transpose(slice(well_conditioned(), 0, 0, 1))}, nullptr}}; }
constexpr Keep keep_outputs{0, ~0u};
constexpr Traits dense_all{.dense = 3, .out = Layout::dense};

template <int64_t n> constexpr int64_t squares(int64_t m, int64_t, int64_t columns) { return n * m * m + 2 * m * std::max(columns, m) + 2 * m; }
constexpr int64_t any_shape(int64_t m, int64_t n, int64_t) { return 3 * std::max(m, n) * std::max(m, n) + 2 * std::max(m, n); }

}  // namespace

constinit const OpDef linalg_inv_op{.name = "linalg_inv", .doc = "the inverse of matrices; inf where singular",
    .infer = [](const Call& c, Specs& out) { matrices(c, 0, true); out.push(c.in[0]); },
    .eval = [](const Context& c) {
      each_matrix(c, [&](int64_t b, int64_t n, int64_t, double* a) {
        double *identity = a + n * n, *x = identity + n * n;
        auto* order = reinterpret_cast<int64_t*>(x + n * n);
        load(c.in[0], b, n * n, a);
        bool singular = linalg::lu(a, order, n) == 0;
        for (int64_t i = 0; i < n * n; ++i) identity[i] = i % (n + 1) == 0;
        if (singular) std::fill(x, x + n * n, double(infinity));
        else linalg::lu_solve(a, order, n, identity, n, x);
        store(c.out[0], b, n * n, x);
      });
    },
    .work = batch_work<squares<2>>,
    .vjp = [](const Vjp& v) { Tensor t = transpose(v.out[0]); v.result[0] = -matmul(matmul(t, v.grad[0]), t); },
    .keep = keep_output, .cost = cube_cost, .samples = square_samples, .traits = dense_all};

constinit const OpDef linalg_solve_op{.name = "linalg_solve", .doc = "x with a @ x = b; inf where a is singular", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      matrices(c, 0, true);
      matrices(c, 1, false);
      require_same_dtype(c);
      if (batch_of(c.in[0].shape) != batch_of(c.in[1].shape) || c.in[0].shape[-1] != c.in[1].shape[-2])
        c.fail("right sides with a row for each of the " + std::to_string(c.in[0].shape[-1]) + " unknowns", c.in[0].shape.text() + " and " + c.in[1].shape.text());
      out.push(c.in[1]);
    },
    .eval = [](const Context& c) {
      int64_t columns = c.in[1].shape()[-1];
      each_matrix(c, [&](int64_t b, int64_t n, int64_t, double* a) {
        double *right = a + n * n, *x = right + n * columns;
        auto* order = reinterpret_cast<int64_t*>(x + n * columns);
        load(c.in[0], b, n * n, a);
        load(c.in[1], b, n * columns, right);
        if (linalg::lu(a, order, n) == 0) std::fill(x, x + n * columns, double(infinity));
        else linalg::lu_solve(a, order, n, right, columns, x);
        store(c.out[0], b, n * columns, x);
      });
    },
    .work = batch_work<squares<1>>,
    .vjp = [](const Vjp& v) {
      Tensor g = apply(linalg_solve_op, {transpose(v.in[0]), v.grad[0]});
      if (v.needs(0)) v.result[0] = -matmul(g, transpose(v.out[0]));
      if (v.needs(1)) v.result[1] = g;
    },
    .keep = {1, 1}, .cost = cube_cost, .samples = []() -> std::vector<Sample> { return {{{well_conditioned(), sample_values({2, 3, 2})}, nullptr}}; }, .traits = dense_all};

constinit const OpDef linalg_det_op{.name = "linalg_det", .doc = "the determinant of matrices",
    .infer = [](const Call& c, Specs& out) { matrices(c, 0, true); out.push({c.in[0].dtype, batch_of(c.in[0].shape)}); },
    .eval = [](const Context& c) {
      each_matrix(c, [&](int64_t b, int64_t n, int64_t, double* a) {
        load(c.in[0], b, n * n, a);
        double d = linalg::lu(a, reinterpret_cast<int64_t*>(a + n * n), n);
        for (int64_t i = 0; i < n; ++i) d *= a[i * n + i];
        store(c.out[0], b, 1, &d);
      });
    },
    .work = batch_work<squares<1>>,
    .vjp = [](const Vjp& v) {
      Tensor inverse = linalg::inv(v.in[0]), scale = v.grad[0] * v.out[0];
      v.result[0] = unsqueeze(unsqueeze(scale, -1), -1) * transpose(inverse);
    },
    .keep = {1, 1}, .cost = cube_cost, .samples = square_samples, .traits = dense_all, .onnx = {"Det", 11}};

constinit const OpDef linalg_slogdet_op{.name = "linalg_slogdet", .doc = "sign and logarithm of the size of the determinant", .outputs = 2,
    .infer = [](const Call& c, Specs& out) { matrices(c, 0, true); for (int i : {0, 1}) { (void)i; out.push({c.in[0].dtype, batch_of(c.in[0].shape)}); } },
    .eval = [](const Context& c) {
      each_matrix(c, [&](int64_t b, int64_t n, int64_t, double* a) {
        load(c.in[0], b, n * n, a);
        double sign = linalg::lu(a, reinterpret_cast<int64_t*>(a + n * n), n), size = sign == 0 ? -double(infinity) : 0;
        for (int64_t i = 0; i < n && sign != 0; ++i) {
          size += std::log(std::abs(a[i * n + i]));
          if (a[i * n + i] < 0) sign = -sign;
        }
        store(c.out[0], b, 1, &sign);
        store(c.out[1], b, 1, &size);
      });
    },
    .work = batch_work<squares<1>>,
    .vjp = [](const Vjp& v) {
      if (v.grad[1]) v.result[0] = unsqueeze(unsqueeze(v.grad[1], -1), -1) * transpose(linalg::inv(v.in[0]));
    },
    .keep = {1, 0}, .cost = cube_cost, .samples = square_samples, .traits = dense_all};

constinit const OpDef linalg_cholesky_op{.name = "linalg_cholesky", .doc = "lower l with l @ l^T = (a + a^T) / 2; NaN where there is none",
    .infer = [](const Call& c, Specs& out) { matrices(c, 0, true); out.push(c.in[0]); },
    .eval = [](const Context& c) {
      each_matrix(c, [&](int64_t b, int64_t n, int64_t, double* a) {
        load(c.in[0], b, n * n, a);
        halve(a, n);
        if (!linalg::cholesky(a, n)) std::fill(a, a + n * n, std::nan(""));
        store(c.out[0], b, n * n, a);
      });
    },
    .work = batch_work<squares<1>>,
    .vjp = [](const Vjp& v) {
      const Tensor& l = v.out[0];
      int64_t n = l.dim(-1);
      Tensor half = Tensor::empty({DType::f64, {n, n}});       // the lower triangle, the diagonal by half
      for (int64_t i = 0; i < n * n; ++i) half.view().as<double>()[i] = i / n > i % n ? 1 : i / n == i % n ? 0.5 : 0;
      Tensor inverse = linalg::inv(l), inner = matmul(transpose(l), v.grad[0]) * cast(half, l.dtype());
      Tensor s = matmul(matmul(transpose(inverse), inner), inverse);
      v.result[0] = (s + transpose(s)) * 0.5;
    },
    .keep = keep_output, .cost = cube_cost, .samples = square_samples, .traits = dense_all};

constinit const OpDef linalg_qr_op{.name = "linalg_qr", .doc = "q @ r with orthonormal columns of q, r upper triangular", .outputs = 2,
    .infer = [](const Call& c, Specs& out) {
      matrices(c, 0, false);
      const Shape& s = c.in[0].shape;
      Dim k = std::min(s[-2], s[-1]);
      out.push({c.in[0].dtype, with(batch_of(s), {s[-2], k})});
      out.push({c.in[0].dtype, with(batch_of(s), {k, s[-1]})});
    },
    .eval = [](const Context& c) {
      each_matrix(c, [&](int64_t b, int64_t m, int64_t n, double* a) {
        int64_t k = std::min(m, n);
        double *q = a + m * n, *scratch = q + m * k;
        load(c.in[0], b, m * n, a);
        linalg::qr(a, m, n, q, scratch);
        store(c.out[0], b, m * k, q);
        store(c.out[1], b, k * n, a);
      });
    },
    .work = batch_work<any_shape>, .vjp = linalg::qr_gradient, .keep = keep_outputs, .cost = cube_cost,
    .samples = []() -> std::vector<Sample> { return {{{well_conditioned(4)}, nullptr}, {{transpose(well_conditioned(4))}, nullptr}}; }, .traits = dense_all};

constinit const OpDef linalg_svd_op{.name = "linalg_svd", .doc = "u, s, v^T with a = u @ diag(s) @ v^T; axis 1: square u and v", .outputs = 3,
    .infer = [](const Call& c, Specs& out) {
      matrices(c, 0, false);
      const Shape& s = c.in[0].shape;
      Dim k = std::min(s[-2], s[-1]);
      bool full = c.as<AxisAttrs>().axis != 0;
      out.push({c.in[0].dtype, with(batch_of(s), {s[-2], full ? s[-2] : k})});
      out.push({c.in[0].dtype, with(batch_of(s), {k})});
      out.push({c.in[0].dtype, with(batch_of(s), {full ? s[-1] : k, s[-1]})});
    },
    .eval = [](const Context& c) {
      each_matrix(c, [&](int64_t b, int64_t m, int64_t n, double* a) {
        bool wide = m < n;                                     // then of the transpose, with u and v exchanged
        int64_t big = std::max(m, n), k = std::min(m, n);
        double *u = a + big * big, *v = u + big * big, *s = v + k * k, *scratch = s + k;
        load(c.in[0], b, m * n, u);
        for (int64_t i = 0; i < big; ++i) for (int64_t j = 0; j < k; ++j) a[i * k + j] = wide ? u[j * n + i] : u[i * n + j];
        linalg::svd(a, big, k, v, s);
        int64_t columns = wide ? c.out[2].shape()[-2] : c.out[0].shape()[-1], rank = 0;
        double least = k ? s[0] * 1e-300 : 0;
        while (rank < k && s[rank] > least) ++rank;
        for (int64_t i = 0; i < big; ++i) for (int64_t j = 0; j < rank; ++j) u[i * columns + j] = a[i * k + j] / s[j];
        linalg::complete_basis(u, big, rank, columns, scratch);
        auto transposed = [&](const double* from, int64_t rows, int64_t cols) {          // into a
          for (int64_t i = 0; i < rows; ++i) for (int64_t j = 0; j < cols; ++j) a[j * rows + i] = from[i * cols + j];
          return a;
        };
        store(c.out[1], b, k, s);
        if (wide) {
          store(c.out[2], b, columns * big, transposed(u, big, columns));
          store(c.out[0], b, k * k, v);
        } else {
          store(c.out[0], b, big * columns, u);
          store(c.out[2], b, k * k, transposed(v, k, k));
        }
      });
    },
    .work = batch_work<any_shape>, .vjp = linalg::svd_gradient, .keep = keep_outputs, .cost = cube_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({4, 3})}, std::make_shared<AxisAttrs>()}, {{sample_values({2, 2, 4})}, std::make_shared<AxisAttrs>(AxisAttrs{1})}};
    },
    .traits = dense_all, .attrs = codec<AxisAttrs>};

constinit const OpDef linalg_eigh_op{.name = "linalg_eigh", .doc = "eigenvalues, ascending, and eigenvectors of (a + a^T) / 2", .outputs = 2,
    .infer = [](const Call& c, Specs& out) {
      matrices(c, 0, true);
      out.push({c.in[0].dtype, with(batch_of(c.in[0].shape), {c.in[0].shape[-1]})});
      out.push(c.in[0]);
    },
    .eval = [](const Context& c) {
      each_matrix(c, [&](int64_t b, int64_t n, int64_t, double* a) {
        double *vectors = a + n * n, *values = vectors + n * n;
        load(c.in[0], b, n * n, a);
        halve(a, n);
        linalg::eigh(a, n, vectors, values);
        store(c.out[0], b, n, values);
        store(c.out[1], b, n * n, vectors);
      });
    },
    .work = batch_work<squares<1>>, .vjp = linalg::eigh_gradient, .keep = keep_outputs, .cost = cube_cost, .samples = square_samples, .traits = dense_all};

constinit const OpDef linalg_pinv_op{.name = "linalg_pinv", .doc = "the pseudo-inverse; singular values <= input 1 times the greatest count as 0", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      matrices(c, 0, false);
      require_same_dtype(c);
      if (c.in[1].shape.rank) c.fail("a scalar tolerance", c.in[1].shape.text());
      const Shape& s = c.in[0].shape;
      out.push({c.in[0].dtype, with(batch_of(s), {s[-1], s[-2]})});
    },
    .eval = [](const Context& c) {
      each_matrix(c, [&](int64_t b, int64_t m, int64_t n, double* a) {
        bool wide = m < n;                                     // then of the transpose
        int64_t big = std::max(m, n), k = std::min(m, n);
        double *x = a + big * k, *v = x + big * k, *s = v + k * k, rcond;
        load(c.in[0], b, m * n, x);
        load(c.in[1], 0, 1, &rcond);
        for (int64_t i = 0; i < big; ++i) for (int64_t j = 0; j < k; ++j) a[i * k + j] = wide ? x[j * n + i] : x[i * n + j];
        linalg::svd(a, big, k, v, s);                          // a is u * s now: v / s^2 times a^T
        for (int64_t j = 0; j < k; ++j) {
          double scale = s[j] > 0 && s[j] > rcond * s[0] ? 1 / s[j] / s[j] : 0;
          for (int64_t i = 0; i < k; ++i) v[i * k + j] *= scale;
        }
        for (int64_t i = 0; i < k; ++i)
          for (int64_t j = 0; j < big; ++j) {
            double sum = 0;
            for (int64_t l = 0; l < k; ++l) sum += v[i * k + l] * a[j * k + l];
            x[wide ? j * k + i : i * big + j] = sum;
          }
        store(c.out[0], b, m * n, x);
      });
    },
    .work = batch_work<any_shape>, .vjp = linalg::pinv_gradient, .keep = {1, 1}, .cost = cube_cost,
    .samples = []() -> std::vector<Sample> { return {{{well_conditioned(4), Tensor::scalar(1e-15)}, nullptr}, {{transpose(well_conditioned(4)), Tensor::scalar(1e-15)}, nullptr}}; },
    .traits = dense_all};

}  // namespace miniten
