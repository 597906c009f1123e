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

}  // namespace

void check_crop(std::string_view op, int64_t from_h, int64_t from_w, int64_t h, int64_t w) {
  checked_size(op, "a height", h);
  checked_size(op, "a width", w);
  if (h > from_h || w > from_w)
    throw Error(ErrorKind::value, op, "a size within the image's " + size_text(from_h, from_w), size_text(h, w), "pad or resize the image first");
}
int64_t middle(int64_t room) { return int64_t(std::nearbyint(double(room) / 2)); }   // half to even, as Python's round


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
  check_crop("center_crop", from.h, from.w, height, width);
  return cropped(from, middle(from.h - height), middle(from.w - width), height, width);
}

Tensor random_crop(const Tensor& image, int64_t height, int64_t width, Generator& g) {
  Pixels from = pixels_of("random_crop", image);
  check_crop("random_crop", from.h, from.w, height, width);
  auto top = int64_t(g.below(uint64_t(from.h - height + 1)));
  auto left = int64_t(g.below(uint64_t(from.w - width + 1)));
  return cropped(from, top, left, height, width);
}

Tensor pad(const Tensor& image, const Padding& p, Fill fill, Border border) {
  Pixels from = pixels_of("pad", image);
  for (auto [name, n] : {std::pair{"left", p.left}, {"top", p.top}, {"right", p.right}, {"bottom", p.bottom}})
    if (n < 0 || n > int64_t{1} << 30) throw Error(ErrorKind::value, "pad", "paddings of 0 to 2^30", std::to_string(n) + " at " + name, n < 0 ? "crop takes pixels away" : "");
  return window(from, -p.top, -p.left, from.h + p.top + p.bottom, from.w + p.left + p.right, per_channel("pad", "a fill", fill, from.c), border).tensor;
}

Pixels window(const Pixels& from, int64_t top, int64_t left, int64_t h, int64_t w, const std::vector<double>& fill, Border border) {
  Pixels to = new_pixels(from, h, w);
  const int64_t bytes = from.c * bits_of(from.dtype()) / 8;
  std::vector<std::byte> filled(static_cast<size_t>(bytes));
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    for (size_t c = 0; c < fill.size(); ++c) reinterpret_cast<T*>(filled.data())[c] = stored<T>(fill[c]);
  });
  const std::byte* source = from.tensor.view().data;
  std::byte* out = to.tensor.view().data;
  const int64_t begin = std::clamp<int64_t>(-left, 0, w), end = std::clamp(from.w - left, begin, w);   // columns of the image itself
  for (int64_t y = 0; y < h; ++y, out += w * bytes) {
    int64_t sy = border_index(top + y, from.h, border);
    const std::byte* row = source + sy * from.w * bytes;
    auto sides = [&](int64_t x, int64_t to_x) {
      for (; x < to_x; ++x) {
        int64_t sx = border_index(left + x, from.w, border);
        std::memcpy(out + x * bytes, sy < 0 || sx < 0 ? filled.data() : row + sx * bytes, size_t(bytes));
      }
    };
    if (sy < 0) {
      sides(0, w);
      continue;
    }
    sides(0, begin);
    std::memcpy(out + begin * bytes, row + (left + begin) * bytes, size_t((end - begin) * bytes));
    sides(end, w);
  }
  return to;
}

namespace {
template <size_t N> void reverse_pixels(const std::byte* row, std::byte* out, int64_t n, size_t bytes) {
  for (int64_t x = n - 1; x >= 0; --x, out += N ? N : bytes) std::memcpy(out, row + size_t(x) * (N ? N : bytes), N ? N : bytes);
}
}  // namespace

Tensor flip_horizontal(const Tensor& image) {
  Pixels from = pixels_of("flip_horizontal", image), to = new_pixels(from, from.h, from.w);
  const size_t bytes = size_t(from.c) * size_t(bits_of(from.dtype())) / 8;
  auto reverse = bytes == 1 ? reverse_pixels<1> : bytes == 3 ? reverse_pixels<3> : bytes == 4 ? reverse_pixels<4> : reverse_pixels<0>;
  for (int64_t y = 0; y < from.h; ++y) {
    auto row = size_t(y * from.w) * bytes;
    reverse(from.tensor.view().data + row, to.tensor.view().data + row, from.w, bytes);
  }
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
