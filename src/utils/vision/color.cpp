#include "kernels/image.h"
#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {

// Luma of one pixel; 8 bits by Pillow's fixed point.
template <class T> T luma(const T* p) {
  if constexpr (std::is_same_v<T, uint8_t>) return uint8_t((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
  else return stored<T>(Wide<T>(0.299) * Wide<T>(p[0]) + Wide<T>(0.587) * Wide<T>(p[1]) + Wide<T>(0.114) * Wide<T>(p[2]));
}

// out = f(pixel in, pixel out) for each pixel; alpha is copied.
template <class F> Tensor each_pixel(const Pixels& from, F f) {
  Pixels to = new_pixels(from, from.h, from.w);
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = from.as<T>();
    T* y = to.as<T>();
    for (int64_t i = 0, n = from.h * from.w; i < n; ++i, x += from.c, y += from.c) {
      f(x, y);
      if (from.c == 4) y[3] = x[3];
    }
  });
  return to.tensor;
}

// f(value) for each colour; of bytes by a table.
template <class F> Tensor each_value(const Pixels& from, F f) {
  const int64_t colors = std::min<int64_t>(from.c, 3);
  if (from.dtype() != DType::u8) return each_pixel(from, [&]<class T>(const T* x, T* y) { for (int64_t k = 0; k < colors; ++k) y[k] = f(x[k]); });
  uint8_t table[256];
  for (int i = 0; i < 256; ++i) table[i] = f(uint8_t(i));
  Pixels to = new_pixels(from, from.h, from.w);
  const uint8_t* x = from.as<uint8_t>();
  uint8_t* y = to.as<uint8_t>();
  for (int64_t i = 0, n = from.count(); i < n; ++i) y[i] = table[x[i]];
  if (from.c == 4) for (int64_t i = 3, n = from.count(); i < n; i += 4) y[i] = x[i];
  return to.tensor;
}

template <class T> double blended(T a, double other, double factor) { return other + factor * (double(a) - other); }

void check_scale(std::string_view op, std::span<const double> std) {
  for (double s : std) if (!(std::abs(s) > 0) || !std::isfinite(s)) throw Error(ErrorKind::value, op, "a finite std other than 0", std::to_string(s));
}

// x * scale[c] + shift[c]
Tensor scaled(const Pixels& from, const std::vector<double>& scale, const std::vector<double>& shift) {
  bool wide = from.dtype() == DType::f64;
  Pixels to = new_pixels(from, from.h, from.w, from.c, wide ? DType::f64 : DType::f32);
  std::vector<float> a(scale.begin(), scale.end()), b(shift.begin(), shift.end());
  if (from.dtype() == DType::u8) kernels::image_scale(from.as<uint8_t>(), a.data(), b.data(), from.c, to.as<float>(), from.count());
  else if (from.dtype() == DType::f32) kernels::image_scale(from.as<float>(), a.data(), b.data(), from.c, to.as<float>(), from.count());
  else
    for (int64_t i = 0; i < from.count(); ++i) {
      auto c = size_t(i % from.c);
      if (wide) to.as<double>()[i] = from.as<double>()[i] * scale[c] + shift[c];
      else to.as<float>()[i] = float(from.as<uint16_t>()[i] * scale[c] + shift[c]);
    }
  return to.tensor;
}

double checked_factor(std::string_view op, double factor) { return checked_number(op, "a factor", factor, 0); }

struct Hsv { double h, s, v; };
Hsv to_hsv(double r, double g, double b) {
  double high = std::max({r, g, b}), low = std::min({r, g, b}), range = high - low;
  if (range == 0) return {0, 0, high};
  double h = high == r ? (g - b) / range : high == g ? 2 + (b - r) / range : 4 + (r - g) / range;
  h /= 6;
  return {h < 0 ? h + 1 : h, range / high, high};
}
void to_rgb(Hsv x, double* rgb) {
  auto sector = size_t(x.h * 6);                                        // x.h in [0, 1]
  double f = x.h * 6 - double(sector);
  double p = x.v * (1 - x.s), q = x.v * (1 - x.s * f), t = x.v * (1 - x.s * (1 - f));
  const double table[6][3] = {{x.v, t, p}, {q, x.v, p}, {p, x.v, t}, {p, q, x.v}, {t, p, x.v}, {x.v, p, q}};
  std::copy_n(table[sector % 6], 3, rgb);
}

}  // namespace

Tensor normalize(const Tensor& image, std::span<const double> mean, std::span<const double> std) {
  Pixels from = pixels_of("normalize", image);
  check_scale("normalize", std);
  if (std.empty() || mean.empty()) throw Error(ErrorKind::value, "normalize", "a mean and a std", "none");
  auto m = per_channel("normalize", "a mean", mean, from.c), s = per_channel("normalize", "a std", std, from.c);
  for (size_t c = 0; c < m.size(); ++c) {
    m[c] = -m[c] / s[c];
    s[c] = 1 / (range_of(from.dtype()) * s[c]);
  }
  return scaled(from, s, m);
}

Tensor denormalize(const Tensor& image, std::span<const double> mean, std::span<const double> std) {
  Pixels from = pixels_of("denormalize", image);
  check_scale("denormalize", std);
  if (std.empty() || mean.empty()) throw Error(ErrorKind::value, "denormalize", "a mean and a std", "none");
  if (!is_float(from.dtype())) throw Error(ErrorKind::type, "denormalize", "a float image, as normalize gives it", image.spec().text());
  return scaled(from, per_channel("denormalize", "a std", std, from.c), per_channel("denormalize", "a mean", mean, from.c));
}

Tensor to_grayscale(const Tensor& image, int channels) {
  Pixels from = color_pixels("to_grayscale", image);
  if (channels != 1 && channels != 3) throw Error(ErrorKind::value, "to_grayscale", "1 or 3 channels", std::to_string(channels));
  Pixels to = new_pixels(from, from.h, from.w, channels, from.dtype());
  if (from.dtype() == DType::u8 && from.c > 1 && channels == 1) {
    kernels::image_luma(from.as<uint8_t>(), from.c, to.as<uint8_t>(), from.h * from.w);
    return to.tensor;
  }
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = from.as<T>();
    T* y = to.as<T>();
    for (int64_t i = 0, n = from.h * from.w; i < n; ++i, x += from.c) {
      T v = from.c == 1 ? *x : luma(x);
      for (int k = 0; k < channels; ++k) *y++ = v;
    }
  });
  return to.tensor;
}

Tensor adjust_brightness(const Tensor& image, double factor) {
  Pixels from = color_pixels("adjust_brightness", image);
  checked_factor("adjust_brightness", factor);
  return each_value(from, [&]<class T>(T x) { return clamped<T>(double(x) * factor); });
}

Tensor adjust_contrast(const Tensor& image, double factor) {
  Pixels from = color_pixels("adjust_contrast", image);
  checked_factor("adjust_contrast", factor);
  double mean = 0;
  Pixels gray = pixels_of("adjust_contrast", from.c == 1 ? from.tensor : to_grayscale(from.tensor));
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    using Sum = std::conditional_t<std::is_integral_v<T>, int64_t, double>;
    const T* x = gray.as<T>();
    Sum sum = 0;
    for (int64_t i = 0, n = gray.count(); i < n; ++i) sum += Sum(x[i]);
    mean = double(sum);
  });
  mean /= double(from.h * from.w);
  if (!is_float(from.dtype())) mean = std::floor(mean + 0.5);
  return each_value(from, [&]<class T>(T x) { return clamped<T>(blended(x, mean, factor)); });
}

Tensor adjust_saturation(const Tensor& image, double factor) {
  Pixels from = color_pixels("adjust_saturation", image);
  checked_factor("adjust_saturation", factor);
  if (from.c == 1) return from.tensor.clone();
  return each_pixel(from, [&]<class T>(const T* x, T* y) {
    double gray = double(luma(x));
    for (int k = 0; k < 3; ++k) y[k] = clamped<T>(blended(x[k], gray, factor));
  });
}

Tensor adjust_hue(const Tensor& image, double shift) {
  Pixels from = color_pixels("adjust_hue", image);
  if (!(shift >= -0.5 && shift <= 0.5)) throw Error(ErrorKind::value, "adjust_hue", "a shift in [-0.5, 0.5]", std::to_string(shift));
  if (from.c == 1 || shift == 0) return from.tensor.clone();
  double range = range_of(from.dtype());
  return each_pixel(from, [&]<class T>(const T* x, T* y) {
    Hsv c = to_hsv(double(x[0]) / range, double(x[1]) / range, double(x[2]) / range);
    if (!std::isfinite(c.h)) { std::copy_n(x, 3, y); return; }          // NaN stays
    c.h += shift;
    c.h += c.h < 0 ? 1 : c.h >= 1 ? -1 : 0;
    double rgb[3];
    to_rgb(c, rgb);
    for (int k = 0; k < 3; ++k) y[k] = clamped<T>(rgb[k] * range);
  });
}

Tensor random_brightness(const Tensor& image, double max_delta, Generator& g) {
  checked_number("random_brightness", "max_delta", max_delta, 0);
  double factor = 1 + max_delta * (2 * double(g.uniform()) - 1);
  return adjust_brightness(image, std::max(factor, 0.0));
}
Tensor random_contrast(const Tensor& image, double lower, double upper, Generator& g) {
  checked_number("random_contrast", "lower", lower, 0);
  checked_number("random_contrast", "upper (not below lower)", upper, lower);
  return adjust_contrast(image, lower + (upper - lower) * double(g.uniform()));
}

Tensor invert(const Tensor& image) {
  Pixels from = color_pixels("invert", image);
  double range = range_of(from.dtype());
  return each_value(from, [&]<class T>(T x) { return T(range - double(x)); });
}

Tensor posterize(const Tensor& image, int bits) {
  Pixels from = color_pixels("posterize", image);
  if (from.dtype() != DType::u8) throw Error(ErrorKind::type, "posterize", "a uint8 image", image.spec().text());
  if (bits < 1 || bits > 8) throw Error(ErrorKind::value, "posterize", "1 to 8 bits", std::to_string(bits));
  auto mask = uint8_t(0xff << (8 - bits));
  return each_value(from, [&]<class T>(T x) { return T(uint8_t(x) & mask); });
}

Tensor solarize(const Tensor& image, double threshold) {
  Pixels from = color_pixels("solarize", image);
  checked_number("solarize", "a threshold", threshold, 0);
  double range = range_of(from.dtype());
  return each_value(from, [&]<class T>(T x) { return double(x) >= threshold ? T(range - double(x)) : x; });
}

Tensor autocontrast(const Tensor& image) {
  Pixels from = color_pixels("autocontrast", image);
  check_finite("autocontrast", from);
  int64_t colors = std::min<int64_t>(from.c, 3);
  double range = range_of(from.dtype()), low[3] = {HUGE_VAL, HUGE_VAL, HUGE_VAL}, high[3] = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
  visit_pixels(from.dtype(), [&](auto t) {
    const auto* x = from.as<decltype(t)>();
    for (int64_t i = 0; i < from.h * from.w; ++i)
      for (int64_t k = 0; k < colors; ++k) {
        low[k] = std::min(low[k], double(x[i * from.c + k]));
        high[k] = std::max(high[k], double(x[i * from.c + k]));
      }
  });
  return each_pixel(from, [&]<class T>(const T* x, T* y) {
    for (int64_t k = 0; k < colors; ++k) y[k] = high[k] > low[k] ? clamped<T>((double(x[k]) - low[k]) * (range / (high[k] - low[k]))) : x[k];
  });
}

}  // namespace miniten::utils::vision
