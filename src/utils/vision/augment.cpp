#include "miniten/ops/ops.h"
#include "miniten/core/autograd.h"
#include "miniten/utils/transforms.h"
#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {

// ---- RandAugment: the operations of Cubuk et al. 2019, with torchvision's ranges ----
struct Operation {
  const char* name;
  bool has_sign;
  double (*size)(double share, double h, double w);    // the magnitude at a share of the largest
};
constexpr auto share_of_one = [](double m, double, double) { return 0.9 * m; };
constexpr Operation operations[] = {
    {"Identity", false, [](double, double, double) { return 0.0; }},
    {"ShearX", true, [](double m, double, double) { return 0.3 * m; }},
    {"ShearY", true, [](double m, double, double) { return 0.3 * m; }},
    {"TranslateX", true, [](double m, double, double w) { return 150.0 / 331.0 * w * m; }},
    {"TranslateY", true, [](double m, double h, double) { return 150.0 / 331.0 * h * m; }},
    {"Rotate", true, [](double m, double, double) { return 30 * m; }},
    {"Brightness", true, share_of_one}, {"Color", true, share_of_one}, {"Contrast", true, share_of_one}, {"Sharpness", true, share_of_one},
    {"Posterize", false, [](double m, double, double) { return 8 - std::nearbyint(4 * m); }},
    {"Solarize", false, [](double m, double, double) { return 255 * (1 - m); }},
    {"AutoContrast", false, [](double, double, double) { return 0.0; }},
    {"Equalize", false, [](double, double, double) { return 0.0; }},
};

// Blended with a mean of 3x3 pixels, the middle five times; the border stays (Pillow's SMOOTH).
Tensor sharpened(const Tensor& image, double factor) {
  Pixels x = color_pixels("RandAugment", image);
  Tensor out = x.tensor.clone();
  const uint8_t* p = x.as<uint8_t>();
  uint8_t* y = out.view().as<uint8_t>();
  for (int64_t i = 1; i + 1 < x.h; ++i)
    for (int64_t k = x.c; k + x.c < x.row(); ++k) {
      int64_t at = i * x.row() + k;
      int sum = 4 * p[at];
      for (int64_t dy = -1; dy <= 1; ++dy)
        for (int64_t dx = -1; dx <= 1; ++dx) sum += p[at + dy * x.row() + dx * x.c];
      double smooth = double((sum + 6) / 13);
      y[at] = stored<uint8_t>(smooth + factor * (double(p[at]) - smooth));
    }
  return out;
}

Tensor operated(const Tensor& x, int which, double m, const WarpOptions& o) {
  constexpr double degree = 57.29577951308232;
  std::array<double, 2> corner{0, 0};
  switch (which) {
    case 0: return x;
    case 1: return affine(x, {.shear = {std::atan(m) * degree, 0}}, o, corner);
    case 2: return affine(x, {.shear = {0, std::atan(m) * degree}}, o, corner);
    case 3: return affine(x, {.translate = {std::trunc(m), 0}}, o);
    case 4: return affine(x, {.translate = {0, std::trunc(m)}}, o);
    case 5: return rotate(x, m, false, o);
    case 6: return adjust_brightness(x, std::max(1 + m, 0.0));
    case 7: return adjust_saturation(x, std::max(1 + m, 0.0));
    case 8: return adjust_contrast(x, std::max(1 + m, 0.0));
    case 9: return sharpened(x, 1 + m);
    case 10: return posterize(x, int(m));
    case 11: return solarize(x, std::max(m, 0.0));
    case 12: return autocontrast(x);
    default: return histogram_equalize(x);
  }
}

Steps augment_steps(int num_ops, int magnitude, int bins, Interpolation how, std::vector<double> fill) {
  checked_size("RandAugment", "num_ops", num_ops, 0);
  checked_size("RandAugment", "num_magnitude_bins", bins, 2);
  if (magnitude < 0 || magnitude >= bins) throw Error(ErrorKind::value, "RandAugment", "a magnitude in [0, " + std::to_string(bins) + ")", std::to_string(magnitude));
  if (how == Interpolation::area || how == Interpolation::lanczos) throw Error(ErrorKind::value, "RandAugment", "an interpolation of 'nearest', 'bilinear', 'bicubic'", "another");
  double share = double(magnitude) / double(bins - 1);
  return {"RandAugment(num_ops=" + std::to_string(num_ops) + ", magnitude=" + std::to_string(magnitude) + ", num_magnitude_bins=" + std::to_string(bins) + ")",
          [=](int64_t h, int64_t w, int64_t, Generator& g) {
            std::vector<double> ops, sizes;
            for (int i = 0; i < num_ops; ++i) {
              auto which = size_t(g.below(std::size(operations)));
              double size = operations[which].size(share, double(h), double(w));
              if (bool negative = g.below(2) == 1; operations[which].has_sign && negative) size = -size;
              ops.push_back(double(which));
              sizes.push_back(size);
            }
            return Params().set("ops", ops).set("magnitudes", sizes);
          },
          [=](const Tensor& image, const Params& d) {
            Pixels p = color_pixels("RandAugment", image);
            if (p.dtype() != DType::u8) throw Error(ErrorKind::type, "RandAugment", "a uint8 image", image.spec().text(), "put it before ToTensor");
            auto& ops = d.at("ops", size_t(num_ops));
            auto& sizes = d.at("magnitudes", ops.size());
            Tensor x = p.tensor;
            for (size_t i = 0; i < ops.size(); ++i) {
              if (!(ops[i] >= 0 && ops[i] < double(std::size(operations)))) throw Error(ErrorKind::value, "RandAugment", "operations 0 to 13", std::to_string(ops[i]));
              x = operated(x, int(ops[i]), sizes[i], {how, fill});
            }
            return x.same(p.tensor) ? x.clone() : x;
          }};
}

// ---- batches ----
// Marsaglia and Tsang 2000; below 1 by the power of a uniform number.
double gamma(double shape, Generator& g) {
  auto uniform = [&] { return (double(g.next()) + 0.5) / 4294967296.0; };
  if (shape < 1) {
    double boost = std::pow(uniform(), 1 / shape);
    return gamma(shape + 1, g) * boost;
  }
  double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    double x = double(g.normal()), v = 1 + c * x;
    if (v <= 0) continue;
    v = v * v * v;
    if (std::log(uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}
double beta(double alpha, Generator& g) {
  double a = gamma(alpha, g), b = gamma(alpha, g);
  return a + b > 0 ? a / (a + b) : 0.5;
}

struct Batch { Tensor labels; std::vector<int64_t> partner; double share; };

Batch prepared(std::string_view op, const Tensor& images, const Tensor& labels, int64_t classes, double alpha, Generator& g) {
  if (!images || !labels) throw Error(ErrorKind::type, op, "images and labels", "none");
  if (images.dtype() != DType::f32 && images.dtype() != DType::f64) throw Error(ErrorKind::type, op, "float images", images.spec().text(), "use ToTensor first");
  if (!(alpha > 0) || !std::isfinite(alpha)) throw Error(ErrorKind::value, op, "a finite alpha above 0", std::to_string(alpha));
  int64_t n = images.rank() ? images.dim(0) : 0;
  if (n < 1 || labels.rank() < 1 || labels.dim(0) != n) throw Error(ErrorKind::value, op, "a label for each image", images.spec().text() + " and " + labels.spec().text());
  Batch b;
  if (labels.rank() == 1 && is_integer(labels.dtype())) {
    checked_size(op, "num_classes", classes);
    Tensor whole = cast(labels, DType::i64);
    std::vector<int64_t> at = whole.to_vector<int64_t>();
    b.labels = Tensor::zeros({n, classes});
    for (int64_t i = 0; i < n; ++i) {
      if (at[size_t(i)] < 0 || at[size_t(i)] >= classes) throw Error(ErrorKind::value, op, "labels in [0, " + std::to_string(classes) + ")", std::to_string(at[size_t(i)]));
      b.labels.view().f32()[i * classes + at[size_t(i)]] = 1;
    }
  } else if (labels.rank() == 2 && (labels.dtype() == DType::f32 || labels.dtype() == DType::f64)) {
    b.labels = labels;
  } else {
    throw Error(ErrorKind::type, op, "labels as whole numbers (n) or floats (n, classes)", labels.spec().text());
  }
  b.share = beta(alpha, g);
  for (int64_t i = 0; i < n; ++i) b.partner.push_back(i);
  for (int64_t i = n - 1; i > 0; --i) std::swap(b.partner[size_t(i)], b.partner[size_t(g.below(uint64_t(i) + 1))]);
  return b;
}

// share * x + (1 - share) * x[partner]
Tensor mixed(const Tensor& x, const Batch& b) {
  Tensor from = x.view().is_contiguous() ? x : x.clone(), out = Tensor::empty({x.dtype(), x.shape()});
  int64_t n = x.dim(0), row = n ? x.numel() / n : 0;
  visit_pixels(x.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_floating_point_v<T>) {
      const T* a = from.view().as<T>();
      T* y = out.view().as<T>();
      T s = T(b.share), r = T(1 - b.share);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t k = 0; k < row; ++k) y[i * row + k] = s * a[i * row + k] + r * a[b.partner[size_t(i)] * row + k];
    }
  });
  return out;
}

}  // namespace

RandAugment::RandAugment(int num_ops, int magnitude, int bins, Interpolation how, std::vector<double> fill) : SimpleTransform(augment_steps(num_ops, magnitude, bins, how, std::move(fill))) {}

std::pair<Tensor, Tensor> mixup(const Tensor& images, const Tensor& labels, int64_t classes, double alpha, Generator& g) {
  NoGrad guard;
  Batch b = prepared("mixup", images, labels, classes, alpha, g);
  return {mixed(images, b), mixed(b.labels, b)};
}

std::pair<Tensor, Tensor> cutmix(const Tensor& images, const Tensor& labels, int64_t classes, double alpha, Generator& g) {
  NoGrad guard;
  if (images && images.rank() != 4) throw Error(ErrorKind::value, "cutmix", "images (n, channels, height, width)", images.spec().text());
  Batch b = prepared("cutmix", images, labels, classes, alpha, g);
  int64_t n = images.dim(0), c = images.dim(1), h = images.dim(2), w = images.dim(3);
  if (h < 1 || w < 1) throw Error(ErrorKind::value, "cutmix", "images of one pixel or more", images.spec().text());
  auto y = int64_t(g.below(uint64_t(h))), x = int64_t(g.below(uint64_t(w)));
  double half = 0.5 * std::sqrt(1 - b.share);
  auto half_h = int64_t(half * double(h)), half_w = int64_t(half * double(w));
  int64_t y0 = std::max<int64_t>(y - half_h, 0), y1 = std::min(y + half_h, h), x0 = std::max<int64_t>(x - half_w, 0), x1 = std::min(x + half_w, w);
  b.share = 1 - double((y1 - y0) * (x1 - x0)) / double(h * w);
  Tensor from = images.clone(), out = images.clone();
  visit_pixels(images.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* a = from.view().as<T>();
    T* to = out.view().as<T>();
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k < c; ++k)
        for (int64_t r = y0; r < y1; ++r)
          std::copy(a + ((b.partner[size_t(i)] * c + k) * h + r) * w + x0, a + ((b.partner[size_t(i)] * c + k) * h + r) * w + x1, to + ((i * c + k) * h + r) * w + x0);
  });
  return {out, mixed(b.labels, b)};
}

}  // namespace miniten::utils::vision
