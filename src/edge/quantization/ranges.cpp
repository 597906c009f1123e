#include "edge/quantization/ranges.h"
#include <cmath>
#include "miniten/edge/quantization.h"
#include "ops/quantized/lowering.h"

namespace miniten::edge {

Limits limits_of(DType t) {
  switch (t) {
    case DType::i8: return {-128, 127};
    case DType::u8: return {0, 255};
    case DType::i4: return {-8, 7};
    default: return {-32768, 32767};
  }
}

Range range_of(const Quantized& q) {
  Limits limits = limits_of(q.dtype);
  return {float(limits.lo - q.zero[0]) * q.scale[0], float(limits.hi - q.zero[0]) * q.scale[0]};
}

Affine affine_of(Range r, DType t, bool symmetric) {
  Limits limits = limits_of(t);
  double lo = std::min(r.lo, 0.0f), hi = std::max(r.hi, 0.0f);
  int32_t middle = t == DType::u8 ? 128 : 0;
  double steps = symmetric ? limits.hi - middle : limits.hi - limits.lo;
  double width = symmetric ? std::max(-lo, hi) : hi - lo;
  Affine a;
  a.scale = width > 0 ? std::max(float(width / steps), std::numeric_limits<float>::min()) : 1.0f;
  a.zero = symmetric ? middle : int32_t(std::clamp(std::nearbyint(limits.lo - lo / a.scale), double(limits.lo), double(limits.hi)));
  return a;
}

template <class F> static void for_each_value(const Tensor& t, F f) {
  const View v = t.view();
  Tensor copy;
  const float* x = v.f32();
  if (!v.is_contiguous() && !v.is_channels_last()) {
    copy = t.clone();
    x = copy.view().f32();
  }
  for (int64_t i = 0, n = t.numel(); i < n; ++i) f(x[i]);
}

bool finite_range(const Tensor& t, Range& r) {
  bool finite = true;
  for_each_value(t, [&](float x) {
    finite &= std::isfinite(x);
    r.lo = x < r.lo ? x : r.lo;
    r.hi = x > r.hi ? x : r.hi;
  });
  return finite;
}

void least_squares(const Tensor& t, Quantized& q) {
  if (std::any_of(q.zero.begin(), q.zero.end(), [](int32_t z) { return z != 0; })) return;
  auto values = t.to_vector<float>();
  const Limits limits = limits_of(q.dtype);
  const size_t channels = q.scale.size();
  size_t inner = 1;
  for (int i = q.axis + 1; i < t.rank() && q.axis >= 0; ++i) inner *= size_t(t.dim(i));
  std::vector<float> widest = q.scale;
  std::vector<double> least(channels, HUGE_VAL);
  for (int step = 20; step >= 8; --step) {           // from the whole range to 0.4 of it
    std::vector<double> error(channels, 0.0);
    for (size_t i = 0; i < values.size(); ++i) {
      const size_t c = channels == 1 ? 0 : i / inner % channels;
      const double scale = double(widest[c]) * step / 20, v = values[i];
      const double d = v - std::clamp(std::nearbyint(v / scale), double(limits.lo), double(limits.hi)) * scale;
      error[c] += d * d;
    }
    for (size_t c = 0; c < channels; ++c)
      if (error[c] < least[c]) { least[c] = error[c]; q.scale[c] = float(double(widest[c]) * step / 20); }
  }
}

Quantized quantized_constant(const Tensor& t, DType dtype, bool symmetric, int axis) {
  Quantized q;
  q.dtype = dtype;
  q.axis = axis;
  auto values = t.to_vector<float>();
  auto channels = axis < 0 ? size_t{1} : size_t(t.dim(axis));
  size_t inner = 1;
  for (int i = axis + 1; i < t.rank() && axis >= 0; ++i) inner *= size_t(t.dim(i));
  std::vector<Range> ranges(channels);
  for (size_t i = 0; i < values.size(); ++i) ranges[axis < 0 ? 0 : i / inner % channels].include({values[i], values[i]});
  for (const Range& r : ranges) {
    Affine a = affine_of(r, dtype, symmetric);
    q.scale.push_back(a.scale);
    q.zero.push_back(a.zero);
  }
  return q;
}
static Shape parameter_shape(const Quantized& q) { return q.axis < 0 ? Shape{} : Shape{int64_t(q.scale.size())}; }
Tensor scale_tensor(const Quantized& q) { return Tensor::of<float>(parameter_shape(q), q.scale); }
Tensor zero_tensor(const Quantized& q) {
  Tensor t = Tensor::empty({q.dtype == DType::i4 ? DType::i8 : q.dtype, parameter_shape(q)});
  copy_values(Tensor::of<int32_t>(parameter_shape(q), q.zero).view(), t.view());
  return q.dtype == DType::i4 ? packed_int4(t) : t;
}

RangeObserver::RangeObserver(const QuantizationConfig& config) : config_(config) {
  if (config.method != "minmax" && config.method != "moving_average") counts_.assign(bins, 0);
}

bool RangeObserver::see(const Tensor& t) {
  Range r;
  if (!finite_range(t, r)) return false;
  if (r.is_empty()) return true;
  float keep = average_.is_empty() ? 0 : config_.momentum;
  average_ = keep > 0 ? Range{keep * average_.lo + (1 - keep) * r.lo, keep * average_.hi + (1 - keep) * r.hi} : r;
  seen_.include(r);
  if (counts_.empty()) return true;
  widen(std::max(std::abs(r.lo), std::abs(r.hi)));
  for_each_value(t, [&](float x) { count(x); });
  return true;
}

void RangeObserver::widen(double limit) {
  if (limit == 0) return;
  if (limit_ == 0) limit_ = std::ldexp(1.0, std::ilogb(limit) + 1);
  while (limit_ <= limit) {
    std::vector<int64_t> wide(bins, 0);
    for (int i = 0; i < bins; ++i) wide[size_t(bins / 4 + i / 2)] += counts_[size_t(i)];
    counts_ = std::move(wide);
    limit_ *= 2;
  }
}
void RangeObserver::count(float x) {
  if (x == 0) { ++zeros_; return; }
  int bin = int(std::floor((double(x) / limit_ + 1) * (bins / 2)));
  ++counts_[size_t(std::clamp(bin, 0, bins - 1))];
}

Range RangeObserver::range(DType t, bool symmetric) const {
  if (config_.method == "moving_average") return average_;
  if (counts_.empty() || limit_ == 0) return seen_;
  if (config_.method == "percentile") return percentile();
  if (config_.method == "entropy") return entropy();
  if (config_.method == "octav") return octav(t, symmetric);
  Range best = least_squares(t, symmetric);
  if (config_.method == "mse") return best;
  double least = squared_error(best, t, symmetric);                        // auto: the best ratio of signal to noise
  for (const Range& r : {seen_, percentile(), entropy(), octav(t, symmetric)})
    if (double e = squared_error(r, t, symmetric); e < least) { least = e; best = r; }
  return best;
}

// The limit T whose distribution, cut to [-T, T] and drawn in 128 steps, diverges least from what it was (Kullback and
// Leibler; Migacz, "8-bit inference with TensorRT", 2017). Of magnitudes; zeros are left out, which every T keeps exact.
Range RangeObserver::entropy() const {
  constexpr int levels = 128, half = bins / 2;
  std::vector<double> magnitude(half);
  int top = 0;
  for (int i = 0; i < half; ++i) {
    magnitude[size_t(i)] = double(counts_[size_t(half + i)] + counts_[size_t(half - 1 - i)]);
    if (magnitude[size_t(i)] > 0) top = i + 1;
  }
  std::vector<double> behind(half + 1);                                    // how many lie from a bin on
  for (int i = half; i-- > 0;) behind[size_t(i)] = behind[size_t(i) + 1] + magnitude[size_t(i)];
  double least = infinity;
  int best = top;
  for (int width = levels; width < top + levels; width += std::max(1, top / levels / 4)) {
    const int end = std::min(width, top);
    double divergence = 0, kept = behind[0] - behind[size_t(end)];
    if (kept == 0) continue;
    for (int level = 0; level < levels; ++level) {
      const int first = int(int64_t{level} * end / levels), last = int(int64_t{level + 1} * end / levels);
      double sum = 0;
      int filled = 0;
      for (int i = first; i < last; ++i) { sum += magnitude[size_t(i)]; filled += magnitude[size_t(i)] > 0; }
      for (int i = first; i < last; ++i) {
        double p = magnitude[size_t(i)] + (i == end - 1 ? behind[size_t(end)] : 0);
        if (p == 0) continue;
        double q = magnitude[size_t(i)] > 0 ? sum / filled : 1e-12 * kept;
        divergence += p / behind[0] * std::log(p / behind[0] / (q / kept));
      }
    }
    if (divergence < least) { least = divergence; best = end; }
    if (end == top) break;
  }
  return clipped(best * limit_ / half);
}

// Newton's iteration for the limit of least squared error, cutting and rounding both counted (Sakr et al., "Optimal
// clipping and magnitude-aware differentiation", 2022). A range that is not symmetric has twice the steps.
Range RangeObserver::octav(DType t, bool symmetric) const {
  Limits limits = limits_of(t);
  const double steps = double(limits.hi) - limits.lo, lo = std::min(seen_.lo, 0.0f), hi = std::max(seen_.hi, 0.0f);
  double limit = 0;
  for (int round = 0; round < 30; ++round) {
    const double width = symmetric ? 2 : std::min(1.0, -lo / std::max(limit, 1e-300)) + std::min(1.0, hi / std::max(limit, 1e-300));
    double outside = 0, sum = 0, inside = 0;
    for (int i = 0; i < bins; ++i) {
      const double x = std::abs(centre(i)), n = double(counts_[size_t(i)]);
      if (x > limit) { outside += n; sum += n * x; } else inside += n;
    }
    if (outside == 0) break;
    const double next = sum / (inside * width * width / (12 * steps * steps) + outside);
    if (std::abs(next - limit) <= 1e-4 * next) { limit = next; break; }
    limit = next;
  }
  return clipped(limit);
}

// What remains when (100 - percentile) / 2 percent of the values are cut off at each end.
Range RangeObserver::percentile() const {
  int64_t total = zeros_;
  for (int64_t n : counts_) total += n;
  double cut = double(total) * (100.0 - double(config_.percentile)) / 200.0;
  auto end = [&](bool upper) {
    double left = cut;
    for (int k = 0; k < bins; ++k) {
      int bin = upper ? bins - 1 - k : k;
      if (k == bins / 2) left -= double(zeros_);
      left -= double(counts_[size_t(bin)]);
      if (left < 0) return float(centre(bin) + (upper ? 1 : -1) * limit_ / bins);
    }
    return 0.0f;
  };
  return {std::max(end(false), seen_.lo), std::min(end(true), seen_.hi)};
}

// Rounding costs scale^2 / 12 for each value inside the range, clipping the squared distance.
double RangeObserver::squared_error(Range r, DType t, bool symmetric) const {
  Affine a = affine_of(r, t, symmetric);
  Limits limits = limits_of(t);
  double lo = (limits.lo - a.zero) * double(a.scale), hi = (limits.hi - a.zero) * double(a.scale), sum = 0;
  for (int i = 0; i < bins; ++i) {
    if (!counts_[size_t(i)]) continue;
    double x = centre(i), outside = std::max({lo - x, x - hi, 0.0});
    sum += double(counts_[size_t(i)]) * (outside > 0 ? outside * outside : double(a.scale) * a.scale / 12);
  }
  return sum;
}
Range RangeObserver::least_squares(DType t, bool symmetric) const {
  Range best = seen_;
  double least = squared_error(best, t, symmetric);
  for (int round = 0; round < 2; ++round)
    for (bool upper : {true, false}) {
      Range from = best;
      for (int k = 1; k <= 80; ++k) {
        Range r = from;
        (upper ? r.hi : r.lo) *= std::exp2(-float(k) / 16);
        if (double e = squared_error(r, t, symmetric); e < least) { least = e; best = r; }
      }
    }
  return best;
}

}  // namespace miniten::edge
