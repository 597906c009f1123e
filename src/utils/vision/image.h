#pragma once
#include <algorithm>
#include <cmath>
#include <type_traits>
#include "miniten/utils/vision.h"

// What every file of vision shares: a checked, dense image and the rounding of its elements.
namespace miniten::utils::vision {

struct Pixels {
  Tensor tensor;
  int64_t h = 0, w = 0, c = 1;
  std::byte* data = tensor ? tensor.view().data : nullptr;
  DType dtype() const { return tensor.dtype(); }
  template <class T> T* as() const { return reinterpret_cast<T*>(data); }
  int64_t row() const { return w * c; }
  int64_t count() const { return h * w * c; }
};

// Throws unless `image` is a picture of one pixel or more in one of the four dtypes; copies where it is not row-major.
Pixels pixels_of(std::string_view op, const Tensor& image);
Pixels color_pixels(std::string_view op, const Tensor& image);       // of 1, 3 or 4 channels
// A new image with the rank of `image`, whatever its channels; rank 3 where c is not 1.
Pixels new_pixels(const Pixels& image, int64_t h, int64_t w, int64_t c, DType);
inline Pixels new_pixels(const Pixels& image, int64_t h, int64_t w) { return new_pixels(image, h, w, image.c, image.dtype()); }
// h x w pixels from (top, left) on, which may lie outside: there the border's rule, and for `constant` a fill per channel.
Pixels window(const Pixels& image, int64_t top, int64_t left, int64_t h, int64_t w, const std::vector<double>& fill, Border);
void check_crop(std::string_view op, int64_t from_h, int64_t from_w, int64_t h, int64_t w);
int64_t middle(int64_t room);                                        // torchvision's offset of a crop in the middle

struct Pictures;
Pictures resize_pictures(const Pictures&, int64_t height, int64_t width, const ResizeOptions&);   // as resize
Pictures center_crop_pictures(const Pictures&, int64_t height, int64_t width);
Pictures pad_pictures(const Pictures&, const Padding&, Fill, Border);
Pictures gray_pictures(const Pictures&, int channels);
void check_finite(std::string_view op, const Pixels&);               // floats without NaN and infinities

constexpr double range_of(DType t) { return t == DType::u8 ? 255 : t == DType::u16 ? 65535 : 1; }

// f(T{}) with the element type.
void visit_pixels(DType t, auto&& f) {
  switch (t) {
    case DType::u8: f(uint8_t{}); return;
    case DType::u16: f(uint16_t{}); return;
    case DType::f64: f(double{}); return;
    default: f(float{});
  }
}

// To nearest, saturated; floats as they are.
template <class T, class F> T stored(F v) {
  if constexpr (std::is_integral_v<T>) {
    constexpr F top = F(std::is_same_v<T, uint8_t> ? 255 : 65535);
    return T(std::min(std::max(v + F(0.5), F(0)), top + F(0.25)));
  } else {
    return T(v);
  }
}
// As `stored`, floats clamped to [0, 1]; NaN stays.
template <class T, class F> T clamped(F v) {
  if constexpr (std::is_integral_v<T>) return stored<T>(v);
  else return T(v < 0 ? F(0) : v > 1 ? F(1) : v);
}
template <class T> using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

inline int64_t border_index(int64_t i, int64_t n, Border border) {   // -1: outside
  if (i >= 0 && i < n) return i;
  switch (border) {
    case Border::replicate: return i < 0 ? 0 : n - 1;
    case Border::wrap: return ((i % n) + n) % n;
    case Border::reflect: { int64_t k = ((i % (2 * n)) + 2 * n) % (2 * n); return k < n ? k : 2 * n - 1 - k; }
    case Border::reflect101: {
      if (n == 1) return 0;
      int64_t period = 2 * n - 2, k = ((i % period) + period) % period;
      return k < n ? k : period - k;
    }
    default: return -1;
  }
}

// `values` (one, or one per channel; none: 0) as one per channel, in the image's dtype where integers must be in range.
std::vector<double> per_channel(std::string_view op, const char* what, std::span<const double> values, int64_t channels);

int64_t checked_size(std::string_view op, const char* what, int64_t n, int64_t least = 1);
double checked_number(std::string_view op, const char* what, double v, double least);   // finite, >= least

}  // namespace miniten::utils::vision
