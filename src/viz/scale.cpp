#include "viz/scale.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include "viz/number.h"

namespace miniten::viz {
namespace {

constexpr double largest = 1e300;

// m * 10^power with as little rounding as possible.
double scaled(double m, int power) {
  return power >= 0 ? m * std::pow(10.0, power) : m / std::pow(10.0, -power);
}

struct Step { double digits; int power; double value() const { return scaled(digits, power); } };

// raw: above 0, finite
Step nice_step(double raw, bool integral) {
  int power = int(std::floor(std::log10(raw)));
  for (;; ++power) {
    for (double digits : {1.0, 2.0, 2.5, 5.0}) {
      double value = scaled(digits, power);
      if (integral && value != std::floor(value)) continue;
      if (value >= raw * (1 - 1e-9)) return {digits, power};
    }
  }
}

Ticks linear_ticks(double lo, double hi, int most, bool integral) {
  Ticks ticks;
  const double span = hi - lo;
  const double size = std::max(std::abs(lo), std::abs(hi));
  if (!(span > size * 1e-13)) {
    ticks.major = {lo, hi};
    ticks.labels = tick_labels(ticks.major, span, ticks.offset);
    return ticks;
  }
  const int parts = std::max(most, 1);
  const double raw = hi / parts - lo / parts;                // the span itself may overflow
  const Step step = nice_step(std::max(raw, std::numeric_limits<double>::min()), integral && span >= 2);
  const double first = std::ceil(lo / step.value() - 1e-6), last = std::floor(hi / step.value() + 1e-6);
  for (double k = first; k <= last; ++k) ticks.major.push_back(k == 0 ? 0 : scaled(k * step.digits, step.power));
  ticks.labels = tick_labels(ticks.major, step.value(), ticks.offset);
  return ticks;
}

Ticks log_ticks(double lo, double hi, int most) {
  Ticks ticks;
  const double low = std::log10(lo), high = std::log10(hi);
  const int first = int(std::ceil(low - 1e-9)), last = int(std::floor(high + 1e-9));
  auto inside = [&](double v) { return v >= lo * (1 - 1e-9) && v <= hi * (1 + 1e-9); };
  if (last - first < 1) {
    for (int e = first - 1; e <= last; ++e) {
      for (double m : {1.0, 2.0, 3.0, 5.0, 7.0}) if (inside(scaled(m, e))) ticks.major.push_back(scaled(m, e));
    }
    if (ticks.major.size() < 3 || int(ticks.major.size()) > most) return linear_ticks(lo, hi, most, false);
    for (int e = first - 1; e <= last; ++e) {
      for (int m = 1; m <= 9; ++m) if (inside(scaled(m, e))) ticks.minor.push_back(scaled(m, e));
    }
    for (double v : ticks.major) {
      Label label = power_of_ten(v);
      if (v >= 1e-4 && v < 1e6) label = {fixed(v, decimals_for(v))};
      else label.text.insert(0, fixed(v / std::pow(10.0, std::floor(std::log10(v) + 1e-12)), 0) + "×");
      ticks.labels.push_back(label);
    }
    return ticks;
  }
  const int stride = std::max(1, (last - first + most) / std::max(most, 1));
  for (int e = first; e <= last; ++e) {
    if (e % stride == 0) ticks.major.push_back(scaled(1, e));
    else ticks.minor.push_back(scaled(1, e));
  }
  if (stride == 1) {
    for (int e = first - 1; e <= last; ++e) {
      for (int m = 2; m <= 9; ++m) if (inside(scaled(m, e))) ticks.minor.push_back(scaled(m, e));
    }
  }
  const bool plain = ticks.major.empty() || (ticks.major.front() >= 0.9e-3 && ticks.major.back() <= 1.1e4);
  for (double v : ticks.major) ticks.labels.push_back(plain ? Label{fixed(v, decimals_for(v))} : power_of_ten(v));
  return ticks;
}

// As matplotlib's: the linear part is as long as one power of ten, times 10/9.
double bent(double v, double threshold) {
  const double size = std::abs(v) / threshold;
  const double at = size <= 1 ? size / 0.9 : 1 / 0.9 + std::log10(size);
  return v < 0 ? -at : at;
}
double unbent(double at, double threshold) {
  const double size = std::abs(at), v = size <= 1 / 0.9 ? size * 0.9 : std::pow(10.0, size - 1 / 0.9);
  return (at < 0 ? -v : v) * threshold;
}

Ticks symlog_ticks(double lo, double hi, double threshold, int most) {
  Ticks ticks;
  if (hi <= threshold && lo >= -threshold) return linear_ticks(lo, hi, most, false);
  const double largest_size = std::max(std::abs(lo), std::abs(hi));
  const int first = int(std::ceil(std::log10(threshold) - 1e-9)), last = int(std::floor(std::log10(largest_size) + 1e-9));
  const int sides = (lo < 0) + (hi > 0), stride = std::max(1, ((last - first + 1) * sides + std::max(most, 1)) / std::max(most, 1));
  auto add = [&](double v) { if (v >= lo && v <= hi) ticks.major.push_back(v); };
  for (int e = last; e >= first; --e) if ((e - first) % stride == 0) add(-scaled(1, e));
  add(0);
  for (int e = first; e <= last; ++e) if ((e - first) % stride == 0) add(scaled(1, e));
  for (int e = first; stride == 1 && e <= last; ++e) {
    for (int m = 2; m <= 9; ++m) {
      for (double v : {scaled(m, e), -scaled(m, e)}) if (v >= lo && v <= hi) ticks.minor.push_back(v);
    }
  }
  const bool plain = scaled(1, first) >= 0.9e-3 && largest_size < 1.1e4;
  for (double v : ticks.major) {
    if (v == 0) ticks.labels.push_back({"0"});
    else if (plain) ticks.labels.push_back({(v < 0 ? "\u2212" : "") + fixed(std::abs(v), decimals_for(std::abs(v)))});
    else ticks.labels.push_back(power_of_ten(std::abs(v))), ticks.labels.back().text.insert(0, v < 0 ? "\u2212" : "");
  }
  return ticks;
}

}  // namespace

void add_minor_ticks(const Scale& scale, Ticks& ticks) {
  if (scale.kind != ScaleKind::linear || ticks.major.size() < 2 || !ticks.minor.empty()) return;
  const double step = ticks.major[1] - ticks.major[0], lo = std::min(scale.lo, scale.hi), hi = std::max(scale.lo, scale.hi);
  const double digit = std::round(step / std::pow(10.0, std::floor(std::log10(step))) * 10);
  const int parts = digit == 10 || digit == 50 || digit == 25 ? 5 : 4;
  for (int k = -parts; k < parts * int(ticks.major.size() + 1); ++k) {
    const double v = ticks.major[0] + step * k / parts;
    if (k % parts != 0 && v >= lo && v <= hi) ticks.minor.push_back(v);
  }
}

double Scale::unit(double v) const {
  if (!std::isfinite(v)) return std::numeric_limits<double>::quiet_NaN();
  double t;
  if (kind == ScaleKind::log) t = v > 0 ? std::log(v / lo) / std::log(hi / lo) : std::numeric_limits<double>::quiet_NaN();
  else if (kind == ScaleKind::symlog) t = (bent(v, threshold) - bent(lo, threshold)) / (bent(hi, threshold) - bent(lo, threshold));
  else t = (v - lo) / (hi - lo);
  return std::isfinite(t) ? t : std::numeric_limits<double>::quiet_NaN();
}

void Range::add(double v) {
  if (!(std::abs(v) < largest)) return;
  lo = std::min(lo, v), hi = std::max(hi, v);
  if (v > 0) least_positive = std::min(least_positive, v);
  if (v != std::floor(v)) integral = false;
}

void Range::join(const Range& other) {
  lo = std::min(lo, other.lo), hi = std::max(hi, other.hi), least_positive = std::min(least_positive, other.least_positive);
  sticky.insert(sticky.end(), other.sticky.begin(), other.sticky.end());
  margin = std::max(margin, other.margin);
  integral = integral && other.integral;
}

Scale auto_scale(const Range& range, ScaleKind kind, double threshold, std::optional<double> wanted) {
  const double share = wanted.value_or(range.margin);
  double lo = range.lo, hi = range.hi;
  auto sticks = [&](double v) { return std::find(range.sticky.begin(), range.sticky.end(), v) != range.sticky.end(); };
  if (kind == ScaleKind::log) {
    lo = range.least_positive;
    if (range.empty() || !(hi > 0) || !(lo < largest)) return {kind, 0.1, 10};
    if (std::log10(hi / lo) < 1e-9) return {kind, lo / 3, hi * 3};
    const double margin = std::pow(hi / lo, share);
    return {kind, std::max(lo / margin, 1e-307), std::min(hi * margin, largest)};
  }
  if (range.empty()) return {kind, 0, 1, threshold};
  const double size = std::max(std::abs(lo), std::abs(hi));
  if (!(hi - lo > size * 1e-12)) {
    const double pad = size == 0 ? 1 : size * 0.1;
    return {kind, lo - pad, hi + pad, threshold};
  }
  if (kind == ScaleKind::symlog) {
    const double low = bent(lo, threshold), high = bent(hi, threshold), pad = (high - low) * share;
    return {kind, sticks(lo) ? lo : unbent(low - pad, threshold), sticks(hi) ? hi : unbent(high + pad, threshold), threshold};
  }
  const double pad = (hi - lo) * share;
  return {kind, sticks(lo) ? lo : lo - pad, sticks(hi) ? hi : hi + pad};
}

Ticks choose_ticks(const Scale& scale, int most, bool integral) {
  const double lo = std::min(scale.lo, scale.hi), hi = std::max(scale.lo, scale.hi);
  most = std::max(most, 1);
  if (scale.kind == ScaleKind::symlog) return symlog_ticks(lo, hi, scale.threshold, most);
  return scale.kind == ScaleKind::log ? log_ticks(lo, hi, most) : linear_ticks(lo, hi, most, integral);
}

}  // namespace miniten::viz
