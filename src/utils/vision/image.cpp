#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {
template <class E> E parse(std::string_view op, const char* what, std::string_view name, std::initializer_list<std::pair<std::string_view, E>> rows) {
  std::string known;
  for (auto& [text, value] : rows) {
    if (text == name) return value;
    known += (known.empty() ? "'" : ", '") + std::string(text) + "'";
  }
  throw Error(ErrorKind::value, op, std::string(what) + " of " + known, "'" + std::string(name.substr(0, 40)) + "'");
}
}  // namespace

ColorMode parse_color_mode(std::string_view op, std::string_view name) {
  return parse<ColorMode>(op, "a mode", name, {{"rgb", ColorMode::rgb}, {"rgba", ColorMode::rgba}, {"gray", ColorMode::gray}, {"unchanged", ColorMode::unchanged}});
}
Interpolation parse_interpolation(std::string_view op, std::string_view name) {
  using enum Interpolation;
  return parse<Interpolation>(op, "an interpolation", name, {{"nearest", nearest}, {"bilinear", bilinear}, {"bicubic", bicubic}, {"area", area}, {"lanczos", lanczos}});
}
Like parse_like(std::string_view op, std::string_view name) {
  return parse<Like>(op, "like", name, {{"pil", Like::pil}, {"cv2", Like::cv2}, {"tflite", Like::tflite}});
}
Border parse_border(std::string_view op, std::string_view name) {
  using enum Border;
  return parse<Border>(op, "a border", name, {{"constant", constant}, {"replicate", replicate}, {"reflect", reflect}, {"reflect101", reflect101}, {"wrap", wrap}});
}

Pixels pixels_of(std::string_view op, const Tensor& image) {
  if (!image) throw Error(ErrorKind::type, op, "an image", "none");
  const Spec& s = image.spec();
  if (s.shape.rank != 2 && s.shape.rank != 3)
    throw Error(ErrorKind::value, op, "an image (height, width, channels) or (height, width)", s.text(),
                s.shape.rank == 4 ? "call it for each image of the batch" : "");
  if (s.dtype != DType::u8 && s.dtype != DType::u16 && s.dtype != DType::f32 && s.dtype != DType::f64)
    throw Error(ErrorKind::type, op, "an image of uint8, uint16, float32 or float64", s.text(), "cast it first");
  for (Dim d : s.shape)
    if (d < 1) throw Error(ErrorKind::value, op, "an image of one pixel and one channel or more", s.text());
  View v = image.view();
  Pixels p{v.is_contiguous() ? image : image.clone(), s.shape[0], s.shape[1], s.shape.rank == 3 ? s.shape[2] : 1};
  return p;
}

Pixels color_pixels(std::string_view op, const Tensor& image) {
  Pixels p = pixels_of(op, image);
  if (p.c != 1 && p.c != 3 && p.c != 4)
    throw Error(ErrorKind::value, op, "1, 3 or 4 channels in the last axis", image.spec().text(),
                image.rank() == 3 && (image.dim(0) == 3 || image.dim(0) == 1) ? "is it (channels, height, width)? transpose it with permute(1, 2, 0)" : "");
  return p;
}

Pixels new_pixels(const Pixels& image, int64_t h, int64_t w, int64_t c, DType dtype) {
  Shape shape{h, w};
  if (image.tensor.rank() == 3 || c != 1) shape.push(c);
  check_sizes("image", shape);
  return {Tensor::empty({dtype, shape}), h, w, c};
}

void check_finite(std::string_view op, const Pixels& p) {
  visit_pixels(p.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_floating_point_v<T>) {
      const T* x = p.as<T>();
      for (int64_t i = 0, n = p.count(); i < n; ++i)
        if (!std::isfinite(x[i])) throw Error(ErrorKind::value, op, "finite values", std::isnan(x[i]) ? "NaN" : "an infinity");
    }
  });
}

std::vector<double> per_channel(std::string_view op, const char* what, std::span<const double> values, int64_t channels) {
  if (values.empty()) return std::vector<double>(size_t(channels), 0.0);
  if (values.size() == 1) return std::vector<double>(size_t(channels), values[0]);
  if (int64_t(values.size()) != channels)
    throw Error(ErrorKind::value, op, std::string(what) + " as one number or " + std::to_string(channels) + ", one a channel", std::to_string(values.size()) + " numbers");
  return {values.begin(), values.end()};
}

int64_t checked_size(std::string_view op, const char* what, int64_t n, int64_t least) {
  if (n < least) throw Error(ErrorKind::value, op, std::string(what) + " of " + std::to_string(least) + " or more", std::to_string(n));
  return n;
}
double checked_number(std::string_view op, const char* what, double v, double least) {
  if (!(v >= least) || !std::isfinite(v)) throw Error(ErrorKind::value, op, std::string(what) + " as a finite number of " + std::to_string(least) + " or more", std::to_string(v));
  return v;
}

}  // namespace miniten::utils::vision
