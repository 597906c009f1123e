#include "edge/compression/factors.h"
#include <cmath>
#include "miniten/base/random.h"
#include "miniten/ops/linalg.h"

namespace miniten::edge {

int64_t rank_of_energy(const std::vector<float>& s, double energy) {
  double all = 0, kept = 0;
  for (float v : s) all += double(v) * v;
  for (size_t r = 0; r < s.size(); ++r) {
    kept += double(s[r]) * s[r];
    if (kept >= all * energy - 1e-12 * all) return int64_t(r) + 1;
  }
  return int64_t(s.size());
}

// The analytic solution of Nakajima, Sugiyama, Babacan and Tomioka (JMLR 2013), the noise's variance by search.
int64_t rank_of_vbmf(const std::vector<float>& spectrum, int64_t rows, int64_t columns) {
  const double l = double(std::min(rows, columns)), m = double(std::max(rows, columns)), alpha = l / m, tau_bar = 2.5129 * std::sqrt(alpha), x_bar = (1 + tau_bar) * (1 + alpha / tau_bar);
  size_t h = spectrum.size();
  double all = 0;
  for (float s : spectrum) all += double(s) * s;
  if (h == 0 || all == 0) return 1;
  auto free_energy = [&](double variance) {
    double sum = 0;
    for (float s : spectrum) {
      double x = std::max(double(s) * s / (m * variance), 1e-300);
      if (x <= x_bar) { sum += x - std::log(x); continue; }
      double d = x - (1 + alpha), tau = (d + std::sqrt(std::max(0.0, d * d - 4 * alpha))) / 2;
      sum += x - tau + std::log((tau + 1) / x) + alpha * std::log(tau / alpha + 1);
    }
    return sum;
  };
  size_t most = size_t(std::clamp(std::min(std::ceil(l / (1 + alpha)) - 1, double(h)) - 1, 0.0, double(h) - 1)), from = std::min(most + 1, h - 1);
  double tail = 0;
  for (size_t i = from; i < h; ++i) tail += double(spectrum[i]) * spectrum[i];
  double upper = all / (l * m), lower = std::max({double(spectrum[from]) * spectrum[from] / (m * x_bar), tail / (double(h - from) * m), upper * 1e-12});
  double best = lower, least = HUGE_VAL;
  auto look = [&](double a, double b, int steps) {
    for (int i = 0; i <= steps; ++i) {
      double v = a * std::pow(b / a, double(i) / steps), e = free_energy(v);
      if (e < least) { least = e; best = v; }
    }
  };
  look(lower, std::max(upper, lower), 200);
  for (double width = std::pow(std::max(upper / lower, 1.0), 1.0 / 200); width > 1 + 1e-9; width = std::pow(width, 0.1)) look(best / width, best * width, 20);
  double threshold = std::sqrt(m * best * (1 + tau_bar) * (1 + alpha / tau_bar));
  return std::max<int64_t>(1, std::count_if(spectrum.begin(), spectrum.end(), [&](float s) { return s > threshold; }));
}

static Tensor by_inputs(const Tensor& t) { return reshape(permute(t, {1, 0, 2}).clone(), {t.dim(1), -1}); }
static Tensor first_columns(const Tensor& t, int64_t n) { return slice(t, 1, 0, n).clone(); }
static double length(const Tensor& t) { return norm(cast(t, DType::f64)).item(); }

Factoring::Factoring(Factors form, Tensor unfolded, const Tensor& whiten) : form_(form), w_(std::move(unfolded)) {
  if (w_.rank() == 2) {
    modes_.push_back(svd(whiten ? matmul(w_, whiten) : w_));
    full_ = {std::min(w_.dim(0), w_.dim(1))};
    return;
  }
  modes_ = {svd(reshape(w_, {w_.dim(0), -1})), svd(by_inputs(w_))};
  full_ = {std::min(w_.dim(0), w_.dim(1) * w_.dim(2)), std::min(w_.dim(1), w_.dim(0) * w_.dim(2))};
  if (form_ == Factors::cp) full_ = {std::max(full_[0], full_[1])};
}
int64_t Factoring::size(const std::vector<int64_t>& r) const {
  if (w_.rank() == 2) return r[0] * (w_.dim(0) + w_.dim(1));
  if (form_ == Factors::cp) return r[0] * (w_.dim(0) + w_.dim(1) + w_.dim(2));
  return r[0] * w_.dim(0) + r[1] * w_.dim(1) + r[0] * r[1] * w_.dim(2);
}
std::vector<int64_t> Factoring::ranks(const std::function<int64_t(const std::vector<float>&, int64_t, int64_t)>& rank) const {
  std::vector<int64_t> all;
  for (const Svd& s : modes_) all.push_back(rank(s.s.to_vector<float>(), s.u.dim(0), s.v.dim(0)));
  if (form_ == Factors::cp) all = {std::max(all[0], all[1])};
  for (size_t i = 0; i < all.size(); ++i) all[i] = std::clamp<int64_t>(all[i], 1, full_[i]);
  return all;
}
Factoring::Made Factoring::make(const std::vector<int64_t>& r) const {
  return w_.rank() == 2 ? product(r[0]) : form_ == Factors::cp ? parallel(r[0]) : tucker(r[0], r[1]);
}

// Onto the first left vectors of w l: the nearest in |(w - w') l|, whatever l.
Factoring::Made Factoring::product(int64_t rank) const {
  auto s = modes_[0].s.to_vector<float>();
  double all = 0, gone = 0;
  for (size_t i = 0; i < s.size(); ++i) (int64_t(i) < rank ? all : gone) += double(s[i]) * s[i];
  Tensor left = first_columns(modes_[0].u, rank), right = matmul(transpose(left), w_);
  Tensor root = sqrt(norm(right, 2, {1}, true));               // shared evenly: both train alike
  root = root + cast(equal(root, Tensor::scalar(0, DType::f32)), DType::f32);
  return {{left * reshape(root, {1, rank}), right / root}, all + gone > 0 ? std::sqrt(gone / (all + gone)) : 0};
}

// Higher-order orthogonal iterations (De Lathauwer, De Moor and Vandewalle 2000), of outputs and inputs.
Factoring::Made Factoring::tucker(int64_t p, int64_t q) const {
  Dim o = w_.dim(0), i = w_.dim(1), t = w_.dim(2);
  Tensor outputs = first_columns(modes_[0].u, p), inputs = first_columns(modes_[1].u, q), core;
  auto less_inputs = [&] { return permute(reshape(matmul(transpose(inputs), by_inputs(w_)), {q, o, t}), {1, 0, 2}).clone(); };        // (o, q, t)
  for (int round = 0; round < 4; ++round) {
    outputs = first_columns(svd(reshape(less_inputs(), {o, q * t})).u, p);
    Tensor less_outputs = reshape(matmul(transpose(outputs), reshape(w_, {o, i * t})), {p, i, t});
    inputs = first_columns(svd(by_inputs(less_outputs)).u, q);
  }
  core = reshape(matmul(transpose(outputs), reshape(less_inputs(), {o, q * t})), {p, q, t});
  double all = length(w_), kept = length(core);
  return {{outputs, inputs, core}, all > 0 ? std::sqrt(std::max(0.0, 1 - kept * kept / (all * all))) : 0};
}

// Sums of outer products by alternating least squares (Lebedev et al. 2015, the window's taps together).
Factoring::Made Factoring::parallel(int64_t r) const {
  Dim o = w_.dim(0), i = w_.dim(1), t = w_.dim(2);
  Tensor by_output = reshape(w_, {o, i * t}), by_input = by_inputs(w_), by_tap = reshape(permute(w_, {2, 0, 1}).clone(), {t, o * i});
  Generator random(0, 81);
  auto start = [&](const Tensor& u) {
    std::vector<float> v(size_t(u.dim(0) * r)), known = u.to_vector<float>();
    for (int64_t row = 0; row < u.dim(0); ++row)
      for (int64_t c = 0; c < r; ++c) v[size_t(row * r + c)] = c < u.dim(1) ? known[size_t(row * u.dim(1) + c)] : float(random.uniform() - 0.5);
    return Tensor::of<float>({u.dim(0), r}, v);
  };
  Tensor a, b = start(modes_[1].u), c = start(svd(by_tap).u);
  auto both = [&](const Tensor& x, const Tensor& y) { return reshape(reshape(x, {x.dim(0), 1, r}) * reshape(y, {1, y.dim(0), r}), {x.dim(0) * y.dim(0), r}); };
  auto fit = [&](const Tensor& unfolded, const Tensor& x, const Tensor& y) {
    auto gram = cast(matmul(transpose(x), x) * matmul(transpose(y), y), DType::f64).to_vector<double>();
    double trace = 1e-30;
    for (int64_t k = 0; k < r; ++k) trace += gram[size_t(k * r + k)];
    for (int64_t k = 0; k < r; ++k) gram[size_t(k * r + k)] += 1e-6 / double(r) * trace;
    Tensor right = cast(transpose(matmul(unfolded, both(x, y))), DType::f64);
    return cast(transpose(linalg::solve(Tensor::of<double>({r, r}, gram), right)), DType::f32).clone();
  };
  auto unit = [&](Tensor& x) {                                 // columns of length 1 -> their lengths
    Tensor n = norm(x, 2, {0}, true);
    x = x / (n + Tensor::scalar(1e-30, DType::f32));
    return n;
  };
  double all = length(w_), error = 1;
  for (int round = 1; round <= 60; ++round) {
    a = fit(by_output, b, c);
    unit(a);
    b = fit(by_input, a, c);
    unit(b);
    c = fit(by_tap, a, b);
    if (round % 10) continue;
    double now = all > 0 ? length(by_tap - matmul(c, transpose(both(a, b)))) / all : 0;
    bool settled = error - now < 1e-4 * error;
    error = now;
    if (settled) break;
  }
  Tensor root = pow(unit(c), 1.0 / 3);
  return {{a * root, b * root, c * root}, error};
}

}  // namespace miniten::edge
