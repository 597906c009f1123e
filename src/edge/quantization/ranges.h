#pragma once
#include <limits>
#include "miniten/core/op.h"

namespace miniten::edge {

struct QuantizationConfig;

// Least and greatest value; empty until something is included.
struct Range {
  float lo = std::numeric_limits<float>::infinity(), hi = -std::numeric_limits<float>::infinity();
  bool is_empty() const { return lo > hi; }
  void include(const Range& o) { lo = std::min(lo, o.lo); hi = std::max(hi, o.hi); }
};

// One scale and zero point for a range, which is widened to include 0. The scale is a normal number above 0.
struct Affine { float scale = 1; int32_t zero = 0; };
Affine affine_of(Range, DType, bool symmetric);
Range range_of(const Quantized&);                      // what its integers stand for; one scale
struct Limits { int32_t lo, hi; };
Limits limits_of(DType);                               // of int8, uint8, int16

// Range of the values, where they are all finite; else false.
bool finite_range(const Tensor&, Range&);              // float32

// Scales of a constant: along axis, or one for all at -1. Values must be finite.
Quantized quantized_constant(const Tensor&, DType, bool symmetric, int axis);
void least_squares(const Tensor&, Quantized&);         // symmetric scales made smaller where that errs less
Tensor scale_tensor(const Quantized&);                 // () or (n,)
Tensor zero_tensor(const Quantized&);

// Watches one value over all calibration batches in constant memory. A histogram over (-limit, limit) doubles its
// width whenever a value lies outside, which merges neighbouring bins exactly; zeros are counted apart.
class RangeObserver {
 public:
  explicit RangeObserver(const QuantizationConfig&);
  bool see(const Tensor&);                             // false: a value is not finite, nothing was counted
  Range range(DType, bool symmetric) const;
  bool is_empty() const { return seen_.is_empty(); }

 private:
  static constexpr int bins = 8192;
  void count(float);
  void widen(double limit);
  double centre(int bin) const { return (bin + 0.5 - bins / 2) * limit_ * 2 / bins; }
  Range percentile() const;
  Range entropy() const;
  Range octav(DType, bool symmetric) const;
  Range least_squares(DType, bool symmetric) const;
  Range clipped(double limit) const { return {std::max(seen_.lo, -float(limit)), std::min(seen_.hi, float(limit))}; }
  double squared_error(Range, DType, bool symmetric) const;
  const QuantizationConfig& config_;
  Range seen_, average_;
  double limit_ = 0;
  int64_t zeros_ = 0;
  std::vector<int64_t> counts_;
};

}  // namespace miniten::edge
