#include <cstring>
#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {

std::string size_text(int64_t h, int64_t w) { return std::to_string(h) + " x " + std::to_string(w); }

Tensor cropped(const Pixels& from, int64_t top, int64_t left, int64_t h, int64_t w) {
  Pixels to = new_pixels(from, h, w);
  int64_t pixel = from.c * bits_of(from.dtype()) / 8;
  const std::byte* source = from.tensor.view().data + (top * from.w + left) * pixel;
  std::byte* out = to.tensor.view().data;
  for (int64_t y = 0; y < h; ++y) std::memcpy(out + y * w * pixel, source + y * from.w * pixel, size_t(w * pixel));
  return to.tensor;
}

void check_crop(std::string_view op, const Pixels& from, int64_t h, int64_t w) {
  checked_size(op, "a height", h);
  checked_size(op, "a width", w);
  if (h > from.h || w > from.w)
    throw Error(ErrorKind::value, op, "a size within the image's " + size_text(from.h, from.w), size_text(h, w), "pad or resize the image first");
}

}  // namespace

Tensor crop(const Tensor& image, int64_t top, int64_t left, int64_t height, int64_t width) {
  Pixels from = pixels_of("crop", image);
  checked_size("crop", "a height", height);
  checked_size("crop", "a width", width);
  if (top < 0 || left < 0 || height > from.h || width > from.w || top > from.h - height || left > from.w - width)
    throw Error(ErrorKind::value, "crop", "a rectangle inside the image of " + size_text(from.h, from.w),
                size_text(height, width) + " at top " + std::to_string(top) + ", left " + std::to_string(left), "pad the image first");
  return cropped(from, top, left, height, width);
}

Tensor center_crop(const Tensor& image, int64_t height, int64_t width) {
  Pixels from = pixels_of("center_crop", image);
  check_crop("center_crop", from, height, width);
  auto offset = [](int64_t n) { return int64_t(std::nearbyint(double(n) / 2)); };   // half to even, as Python's round
  return cropped(from, offset(from.h - height), offset(from.w - width), height, width);
}

Tensor random_crop(const Tensor& image, int64_t height, int64_t width, Generator& g) {
  Pixels from = pixels_of("random_crop", image);
  check_crop("random_crop", from, height, width);
  auto top = int64_t(g.below(uint64_t(from.h - height + 1)));
  auto left = int64_t(g.below(uint64_t(from.w - width + 1)));
  return cropped(from, top, left, height, width);
}

Tensor pad(const Tensor& image, const Padding& p, Fill fill, Border border) {
  Pixels from = pixels_of("pad", image);
  for (auto [name, n] : {std::pair{"left", p.left}, {"top", p.top}, {"right", p.right}, {"bottom", p.bottom}})
    if (n < 0 || n > int64_t{1} << 30) throw Error(ErrorKind::value, "pad", "paddings of 0 to 2^30", std::to_string(n) + " at " + name, n < 0 ? "crop takes pixels away" : "");
  std::vector<double> value = per_channel("pad", "a fill", fill, from.c);
  Pixels to = new_pixels(from, from.h + p.top + p.bottom, from.w + p.left + p.right);
  std::vector<int64_t> xs;
  for (int64_t x = 0; x < to.w; ++x) xs.push_back(border_index(x - p.left, from.w, border));
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    T* out = to.as<T>();
    std::vector<T> filled;
    for (double v : value) filled.push_back(stored<T>(v));
    for (int64_t y = 0; y < to.h; ++y) {
      int64_t sy = border_index(y - p.top, from.h, border);
      for (int64_t x = 0; x < to.w; ++x, out += from.c) {
        const T* pixel = sy < 0 || xs[size_t(x)] < 0 ? filled.data() : from.as<T>() + (sy * from.w + xs[size_t(x)]) * from.c;
        std::copy_n(pixel, from.c, out);
      }
    }
  });
  return to.tensor;
}

Tensor flip_horizontal(const Tensor& image) {
  Pixels from = pixels_of("flip_horizontal", image), to = new_pixels(from, from.h, from.w);
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* row = from.as<T>();
    T* out = to.as<T>();
    for (int64_t y = 0; y < from.h; ++y, row += from.row())
      for (int64_t x = from.w - 1; x >= 0; --x)
        for (int64_t c = 0; c < from.c; ++c) *out++ = row[x * from.c + c];
  });
  return to.tensor;
}

Tensor flip_vertical(const Tensor& image) {
  Pixels from = pixels_of("flip_vertical", image), to = new_pixels(from, from.h, from.w);
  size_t row = size_t(from.row()) * size_t(bits_of(from.dtype())) / 8;
  const std::byte* source = from.tensor.view().data;
  std::byte* out = to.tensor.view().data;
  for (int64_t y = 0; y < from.h; ++y) std::memcpy(out + size_t(y) * row, source + size_t(from.h - 1 - y) * row, row);
  return to.tensor;
}

Tensor random_flip(const Tensor& image, bool horizontal, bool vertical, Generator& g) {
  Tensor out = pixels_of("random_flip", image).tensor.clone();
  if (horizontal && g.uniform() < 0.5f) out = flip_horizontal(out);
  if (vertical && g.uniform() < 0.5f) out = flip_vertical(out);
  return out;
}

}  // namespace miniten::utils::vision
