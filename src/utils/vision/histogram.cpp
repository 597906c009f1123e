#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {
using Counts = std::array<int64_t, 256>;
Counts counts_of(const Pixels& p, int64_t channel) {
  Counts n{}, odd{};                                                   // two, so that equal neighbours do not wait for each other
  const uint8_t* x = p.as<uint8_t>() + channel;
  int64_t count = p.h * p.w, i = 0;
  for (; i + 1 < count; i += 2) {
    ++n[x[i * p.c]];
    ++odd[x[(i + 1) * p.c]];
  }
  if (i < count) ++n[x[i * p.c]];
  for (size_t k = 0; k < n.size(); ++k) n[k] += odd[k];
  return n;
}
Pixels bytes_of_image(std::string_view op, const Tensor& image) {
  Pixels p = pixels_of(op, image);
  if (p.dtype() != DType::u8) throw Error(ErrorKind::type, op, "a uint8 image", image.spec().text());
  return p;
}
}  // namespace

Tensor histogram_equalize(const Tensor& image) {
  Pixels from = bytes_of_image("histogram_equalize", image), to = new_pixels(from, from.h, from.w);
  for (int64_t c = 0; c < from.c; ++c) {
    Counts n = counts_of(from, c);
    size_t first = 0;
    while (!n[first]) ++first;
    int64_t total = from.h * from.w, sum = 0;
    std::array<uint8_t, 256> table{};
    bool flat = n[first] == total;
    float scale = flat ? 0.0f : 255.0f / float(total - n[first]);
    for (size_t i = first + 1; i < 256; ++i) {
      sum += n[i];
      table[i] = uint8_t(std::clamp(std::nearbyint(float(sum) * scale), 0.0f, 255.0f));
    }
    if (flat) table[first] = uint8_t(first);
    const uint8_t* x = from.as<uint8_t>() + c;
    uint8_t* y = to.as<uint8_t>() + c;
    for (int64_t i = 0; i < total; ++i) y[i * from.c] = table[x[i * from.c]];
  }
  return to.tensor;
}

double otsu_threshold(const Tensor& image) {
  Pixels p = bytes_of_image("otsu_threshold", image);
  if (p.c != 1) throw Error(ErrorKind::value, "otsu_threshold", "an image of one channel", image.spec().text(), "to_grayscale first");
  Counts n = counts_of(p, 0);
  double total = double(p.count()), mean = 0, below = 0, weight = 0, best = -1;
  for (size_t i = 0; i < 256; ++i) mean += double(i) * double(n[i]);
  size_t at = 0;
  for (size_t i = 0; i < 256; ++i) {
    weight += double(n[i]);
    below += double(i) * double(n[i]);
    double rest = total - weight;
    if (weight == 0 || rest == 0) continue;
    double gap = below / weight - (mean - below) / rest, between = weight * rest * gap * gap;
    if (between > best) { best = between; at = i; }
  }
  if (best < 0) while (!n[at]) ++at;                                   // one grey level alone
  return double(at);
}

Tensor threshold(const Tensor& image, std::optional<double> value) {
  Pixels from = pixels_of("threshold", image);
  double limit = value ? *value : otsu_threshold(from.tensor);
  if (std::isnan(limit)) throw Error(ErrorKind::value, "threshold", "a number", "NaN");
  Pixels to = new_pixels(from, from.h, from.w, from.c, DType::u8);
  uint8_t* out = to.as<uint8_t>();
  if (from.dtype() == DType::u8) {
    const uint8_t* x = from.as<uint8_t>();
    const int whole = int(std::clamp(std::floor(limit), -1.0, 255.0));  // integers above a number are those above its floor
    for (int64_t i = 0, n = from.count(); i < n; ++i) out[i] = x[i] > whole ? 255 : 0;
    return to.tensor;
  }
  visit_pixels(from.dtype(), [&](auto t) {
    const auto* x = from.as<decltype(t)>();
    for (int64_t i = 0; i < from.count(); ++i) out[i] = double(x[i]) > limit ? 255 : 0;
  });
  return to.tensor;
}

}  // namespace miniten::utils::vision
