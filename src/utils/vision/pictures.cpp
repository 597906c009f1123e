#include "miniten/ops/ops.h"
#include "miniten/utils/transforms.h"
#include "utils/vision/image.h"

// Transforms as ops on batches of floats (n, channels, height, width).
namespace miniten::utils::vision {

Pictures Transform::on_pictures(const Pictures&) const {
  throw Error(ErrorKind::unsupported, "with_preprocessing", "transforms that draw nothing: Resize, CenterCrop, Pad with a constant, Grayscale, ToTensor, Normalize", text(),
              "random transforms are for training alone");
}
Pictures Compose::on_pictures(const Pictures& p) const {
  Pictures out = p;
  for (auto& part : parts_) out = part->on_pictures(out);
  return out;
}

// The division waits for Normalize, which makes one product of both.
Pictures ToTensor::on_pictures(const Pictures& p) const { return {p.x, p.range, false, true}; }

Pictures Normalize::on_pictures(const Pictures& p) const {
  int64_t c = p.x.dim(1);
  check_channels(c, p.x.dim(2), p.x.dim(3));
  std::vector<float> scale, shift;
  for (int64_t k = 0; k < c; ++k) {
    double std = std_[std_.size() == 1 ? 0 : size_t(k)], mean = mean_[mean_.size() == 1 ? 0 : size_t(k)];
    scale.push_back(float(1 / (p.range * std)));
    shift.push_back(float(-mean / std));
  }
  return {p.x * Tensor::of<float>({1, c, 1, 1}, scale) + Tensor::of<float>({1, c, 1, 1}, shift), 1, false, true};
}

Pictures center_crop_pictures(const Pictures& p, int64_t height, int64_t width) {
  int64_t h = p.x.dim(2), w = p.x.dim(3);
  check_crop("CenterCrop", h, w, height, width);
  Pictures out = p;
  int64_t top = middle(h - height), left = middle(w - width);
  if (h != height) out.x = slice(out.x, 2, top, top + height);
  if (w != width) out.x = slice(out.x, 3, left, left + width);
  return out;
}

Pictures pad_pictures(const Pictures& p, const Padding& sides, Fill fill, Border border) {
  bool same = true;
  for (double f : fill) same &= f == fill[0];
  if (border != Border::constant || !same)
    throw Error(ErrorKind::unsupported, "with_preprocessing", "Pad with one constant", border != Border::constant ? "another border" : "a fill for each channel");
  Pictures out = p;
  double value = fill.empty() ? 0 : fill[0];
  out.x = pad(p.x, {0, 0, sides.top, sides.left}, {0, 0, sides.bottom, sides.right}, p.scaled ? value * p.range : value);
  return out;
}

Pictures gray_pictures(const Pictures& p, int channels) {
  int64_t c = p.x.dim(1);
  if (c != 1 && c != 3 && c != 4) throw Error(ErrorKind::value, "Grayscale", "1, 3 or 4 channels", std::to_string(c));
  Pictures out = p;
  if (c > 1) {
    Tensor colours = c == 4 ? slice(p.x, 1, 0, 3) : p.x;
    out.x = sum(colours * Tensor::of<float>({1, 3, 1, 1}, std::vector<float>{0.299f, 0.587f, 0.114f}), {1}, true);
    if (p.whole) out.x = round(out.x);
  }
  if (channels == 3) out.x = concat(std::vector<Tensor>(3, out.x), 1);
  return out;
}

}  // namespace miniten::utils::vision
