#include <numbers>
#include <sstream>
#include "miniten/utils/transforms.h"
#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {

// ---- as they are written ----
std::string show(double v) {
  std::ostringstream out;
  out << v;
  return out.str();
}
std::string show(Range r) { return "(" + show(r[0]) + ", " + show(r[1]) + ")"; }
std::string show(const std::vector<double>& v) {
  std::string out = "(";
  for (size_t i = 0; i < v.size(); ++i) out += (i ? ", " : "") + show(v[i]);
  return out + (v.size() == 1 ? ",)" : ")");
}
std::string show_size(int64_t h, int64_t w) { return w ? "(" + std::to_string(h) + ", " + std::to_string(w) + ")" : std::to_string(h); }
const char* name_of(Interpolation i) {
  constexpr const char* names[] = {"nearest", "bilinear", "bicubic", "area", "lanczos"};
  return names[int(i)];
}
std::string show_pad(const Padding& p) { return "(" + std::to_string(p.left) + ", " + std::to_string(p.top) + ", " + std::to_string(p.right) + ", " + std::to_string(p.bottom) + ")"; }

// ---- draws ----
double unit(Generator& g) { return (double(g.next() >> 5) * 67108864.0 + double(g.next() >> 6)) / 9007199254740992.0; }   // 53 bits
double between(Generator& g, Range r) { return r[0] + (r[1] - r[0]) * unit(g); }
int64_t below(Generator& g, int64_t n) { return int64_t(g.below(uint64_t(n))); }
bool chance(Generator& g, double p) { return unit(g) < p; }

// ---- arguments ----
double checked_chance(std::string_view op, double p) {
  if (!(p >= 0 && p <= 1)) throw Error(ErrorKind::value, op, "a chance p in [0, 1]", std::to_string(p));
  return p;
}
Range checked_range(std::string_view op, const char* what, Range r, double least = -HUGE_VAL, double most = HUGE_VAL) {
  if (!(r[0] <= r[1] && r[0] >= least && r[1] <= most && std::isfinite(r[0]) && std::isfinite(r[1])))
    throw Error(ErrorKind::value, op, std::string(what) + " as (low, high)" + (std::isfinite(least) ? " in [" + show(least) + ", " + show(most) + "]" : ""), show(r));
  return r;
}
void check_warp(std::string_view op, Interpolation i) {
  if (i == Interpolation::area || i == Interpolation::lanczos) throw Error(ErrorKind::value, op, "an interpolation of 'nearest', 'bilinear', 'bicubic'", std::string("'") + name_of(i) + "'");
}

int64_t whole(double v) { return std::isfinite(v) && std::abs(v) < 9e15 ? int64_t(v) : -1; }

// A rectangle of a share in `scale` of the area and with sides in `ratio`: ten tries, false where none fits.
bool draw_rectangle(int64_t h, int64_t w, Range scale, Range ratio, bool whole_image, Generator& g, int64_t& rh, int64_t& rw) {
  Range logs{std::log(ratio[0]), std::log(ratio[1])};
  for (int i = 0; i < 10; ++i) {
    double area = double(h * w) * between(g, scale), shape = std::exp(between(g, logs));
    if (whole_image) {                                                   // RandomResizedCrop's ratio is width / height
      rw = int64_t(std::nearbyint(std::sqrt(area * shape)));
      rh = int64_t(std::nearbyint(std::sqrt(area / shape)));
      if (rw > 0 && rh > 0 && rw <= w && rh <= h) return true;
    } else {                                                             // RandomErasing's height / width
      rh = int64_t(std::nearbyint(std::sqrt(area * shape)));
      rw = int64_t(std::nearbyint(std::sqrt(area / shape)));
      if (rh > 0 && rw > 0 && rh < h && rw < w) return true;
    }
  }
  return false;
}

Steps flip_steps(const char* name, double p, Tensor (*flip)(const Tensor&)) {
  checked_chance(name, p);
  return {std::string(name) + "(p=" + show(p) + ")", [p](int64_t, int64_t, int64_t, Generator& g) { return Params().set("flip", {double(chance(g, p))}); },
          [flip, name](const Tensor& x, const Params& d) { return d.number("flip") != 0 ? flip(x) : pixels_of(name, x).tensor.clone(); }};
}

Steps resize_steps(TargetSize s, const ResizeOptions& o) {
  checked_size("Resize", "a size", s.height);
  if (s.width < 0) throw Error(ErrorKind::value, "Resize", "a width of 1 or more", std::to_string(s.width));
  auto sides = [s](int64_t h, int64_t w) -> std::pair<int64_t, int64_t> {
    if (s.width) return {s.height, s.width};
    if (h <= w) return {s.height, s.height * w / h};
    return {s.height * h / w, s.height};
  };
  return {"Resize(" + show_size(s.height, s.width) + ", interpolation='" + name_of(o.interpolation) + "')", nullptr, [=](const Tensor& x, const Params&) {
            Pixels p = pixels_of("Resize", x);
            auto [h, w] = sides(p.h, p.w);
            return resize(x, h, w, o);
          },
          [=](const Pictures& p) {
            auto [h, w] = sides(p.x.dim(2), p.x.dim(3));
            return resize_pictures(p, h, w, o);
          }};
}

Steps crop_steps(int64_t height, int64_t width, Padding padding, bool if_needed, std::vector<double> fill, Border border) {
  checked_size("RandomCrop", "a height", height);
  checked_size("RandomCrop", "a width", width);
  auto widened = [=](int64_t h, int64_t w) {                             // the padding for an image of this size
    Padding p = padding;
    int64_t lack_h = height - (h + p.top + p.bottom), lack_w = width - (w + p.left + p.right);
    if (if_needed && lack_h > 0) { p.top += lack_h; p.bottom += lack_h; }
    if (if_needed && lack_w > 0) { p.left += lack_w; p.right += lack_w; }
    return p;
  };
  std::string text = "RandomCrop(" + show_size(height, width) + (padding.left || padding.top || padding.right || padding.bottom ? ", padding=" + show_pad(padding) : "") + (if_needed ? ", pad_if_needed=True" : "") + ")";
  return {text,
          [=](int64_t h, int64_t w, int64_t, Generator& g) {
            Padding p = widened(h, w);
            int64_t room_h = h + p.top + p.bottom - height, room_w = w + p.left + p.right - width;
            if (room_h < 0 || room_w < 0)
              throw Error(ErrorKind::value, "RandomCrop", "an image of " + std::to_string(height) + " x " + std::to_string(width) + " or more", std::to_string(h) + " x " + std::to_string(w), "pass padding= or pad_if_needed=True");
            auto top = double(below(g, room_h + 1)), left = double(below(g, room_w + 1));
            return Params().set("top", {top}).set("left", {left});
          },
          [=](const Tensor& x, const Params& d) {
            Pixels from = pixels_of("RandomCrop", x);
            Padding p = widened(from.h, from.w);
            int64_t top = whole(d.number("top")), left = whole(d.number("left"));
            bool none = !p.left && !p.top && !p.right && !p.bottom;
            if (none || top < 0 || left < 0 || top > from.h + p.top + p.bottom - height || left > from.w + p.left + p.right - width)
              return crop(none ? x : pad(x, p, fill, border), top, left, height, width);
            return window(from, top - p.top, left - p.left, height, width, per_channel("RandomCrop", "a fill", fill, from.c), border).tensor;
          }};
}

Steps resized_crop_steps(int64_t height, int64_t width, Range scale, Range ratio, const ResizeOptions& o) {
  checked_size("RandomResizedCrop", "a height", height);
  checked_size("RandomResizedCrop", "a width", width);
  checked_range("RandomResizedCrop", "scale", scale, 0, 1);
  checked_range("RandomResizedCrop", "ratio", ratio, 1e-6, 1e6);
  return {"RandomResizedCrop(" + show_size(height, width) + ", scale=" + show(scale) + ", ratio=" + show(ratio) + ")",
          [=](int64_t h, int64_t w, int64_t, Generator& g) {
            int64_t rh = 0, rw = 0, top, left;
            if (draw_rectangle(h, w, scale, ratio, true, g, rh, rw)) {
              top = below(g, h - rh + 1);
              left = below(g, w - rw + 1);
            } else {                                                     // the middle, in the nearest ratio
              double shape = double(w) / double(h);
              rw = shape > ratio[1] ? std::max<int64_t>(int64_t(std::nearbyint(double(h) * ratio[1])), 1) : w;
              rh = shape < ratio[0] ? std::max<int64_t>(int64_t(std::nearbyint(double(w) / ratio[0])), 1) : h;
              top = (h - rh) / 2;
              left = (w - rw) / 2;
            }
            return Params().set("top", {double(top)}).set("left", {double(left)}).set("height", {double(rh)}).set("width", {double(rw)});
          },
          [=](const Tensor& x, const Params& d) {
            return resize(crop(x, whole(d.number("top")), whole(d.number("left")), whole(d.number("height")), whole(d.number("width"))), height, width, o);
          }};
}

Steps rotation_steps(Range degrees, Interpolation how, bool expand, std::vector<double> fill) {
  checked_range("RandomRotation", "degrees", degrees);
  check_warp("RandomRotation", how);
  return {"RandomRotation(" + show(degrees) + ", interpolation='" + name_of(how) + "'" + (expand ? ", expand=True" : "") + ")",
          [=](int64_t, int64_t, int64_t, Generator& g) { return Params().set("angle", {between(g, degrees)}); },
          [=](const Tensor& x, const Params& d) { return rotate(x, d.number("angle"), expand, {how, fill}); }};
}

Steps affine_steps(Range degrees, Range translate, Range scale, Range sx, Range sy, Interpolation how, std::vector<double> fill) {
  checked_range("RandomAffine", "degrees", degrees);
  checked_range("RandomAffine", "scale", scale, 1e-6, 1e6);
  checked_range("RandomAffine", "shear", sx);
  checked_range("RandomAffine", "shear", sy);
  check_warp("RandomAffine", how);
  for (double t : translate) if (!(t >= 0 && t <= 1)) throw Error(ErrorKind::value, "RandomAffine", "translate as two shares in [0, 1]", show(translate));
  return {"RandomAffine(" + show(degrees) + ", translate=" + show(translate) + ", scale=" + show(scale) + ", shear=" + show({sx[0], sx[1], sy[0], sy[1]}) + ")",
          [=](int64_t h, int64_t w, int64_t, Generator& g) {
            double angle = between(g, degrees), tx = translate[0] * double(w), ty = translate[1] * double(h);
            double x = std::nearbyint(between(g, {-tx, tx})), y = std::nearbyint(between(g, {-ty, ty})), s = between(g, scale), a = between(g, sx), b = between(g, sy);
            return Params().set("angle", {angle}).set("translate", {x, y}).set("scale", {s}).set("shear", {a, b});
          },
          [=](const Tensor& x, const Params& d) {
            auto &t = d.at("translate", 2), &shear = d.at("shear", 2);
            return affine(x, {d.number("angle"), {t[0], t[1]}, d.number("scale"), {shear[0], shear[1]}}, {how, fill});
          }};
}

Steps jitter_steps(Range brightness, Range contrast, Range saturation, Range hue) {
  checked_range("ColorJitter", "brightness", brightness, 0, 1e6);
  checked_range("ColorJitter", "contrast", contrast, 0, 1e6);
  checked_range("ColorJitter", "saturation", saturation, 0, 1e6);
  checked_range("ColorJitter", "hue", hue, -0.5, 0.5);
  return {"ColorJitter(brightness=" + show(brightness) + ", contrast=" + show(contrast) + ", saturation=" + show(saturation) + ", hue=" + show(hue) + ")",
          [=](int64_t, int64_t, int64_t, Generator& g) {
            std::vector<double> order{0, 1, 2, 3};
            for (size_t i = 3; i > 0; --i) std::swap(order[i], order[size_t(below(g, int64_t(i) + 1))]);
            double b = between(g, brightness), c = between(g, contrast), s = between(g, saturation), h = between(g, hue);
            return Params().set("order", order).set("brightness", {b}).set("contrast", {c}).set("saturation", {s}).set("hue", {h});
          },
          [](const Tensor& image, const Params& d) {
            Tensor x = image;
            for (double step : d.at("order"))
              switch (int(step)) {
                case 0: if (double f = d.number("brightness"); f != 1) x = adjust_brightness(x, f); break;
                case 1: if (double f = d.number("contrast"); f != 1) x = adjust_contrast(x, f); break;
                case 2: if (double f = d.number("saturation"); f != 1) x = adjust_saturation(x, f); break;
                default: if (double f = d.number("hue"); f != 0) x = adjust_hue(x, f);
              }
            return x.same(image) ? color_pixels("ColorJitter", image).tensor.clone() : x;
          }};
}

Steps erasing_steps(double p, Range scale, Range ratio, std::vector<double> value, bool noise) {
  checked_chance("RandomErasing", p);
  checked_range("RandomErasing", "scale", scale, 0, 1);
  checked_range("RandomErasing", "ratio", ratio, 1e-6, 1e6);
  return {"RandomErasing(p=" + show(p) + ", scale=" + show(scale) + ", ratio=" + show(ratio) + ", value=" + (noise ? "'random'" : value.size() == 1 ? show(value[0]) : value.empty() ? "0" : show(value)) + ")",
          [=](int64_t h, int64_t w, int64_t, Generator& g) {
            int64_t rh = 0, rw = 0;
            if (!chance(g, p) || !draw_rectangle(h, w, scale, ratio, false, g, rh, rw)) return Params().set("top", {0}).set("left", {0}).set("height", {0}).set("width", {0}).set("noise", {0});
            auto top = double(below(g, h - rh + 1)), left = double(below(g, w - rw + 1));
            return Params().set("top", {top}).set("left", {left}).set("height", {double(rh)}).set("width", {double(rw)}).set("noise", {double(g.next())});
          },
          [=](const Tensor& image, const Params& d) {
            Pixels x = pixels_of("RandomErasing", image);
            Tensor out = x.tensor.clone();
            int64_t top = whole(d.number("top")), left = whole(d.number("left")), h = whole(d.number("height")), w = whole(d.number("width"));
            if (top < 0 || left < 0 || h < 0 || w < 0 || h > x.h || w > x.w || top > x.h - h || left > x.w - w)
              throw Error(ErrorKind::value, "RandomErasing", "a rectangle inside the image", std::to_string(h) + " x " + std::to_string(w) + " at " + std::to_string(top) + ", " + std::to_string(left));
            std::vector<double> fill = per_channel("RandomErasing", "a value", value, x.c);
            Generator g(uint64_t(std::max(d.number("noise"), 0.0)));
            visit_pixels(x.dtype(), [&](auto t) {
              using T = decltype(t);
              T* y = out.view().as<T>();
              for (int64_t i = top; i < top + h; ++i)
                for (int64_t k = left * x.c; k < (left + w) * x.c; ++k)
                  y[i * x.row() + k] = !noise ? stored<T>(fill[size_t(k % x.c)]) : std::is_integral_v<T> ? T(g.next()) : T(g.normal());
            });
            return out;
          }};
}

}  // namespace

RandomErasing::RandomErasing(double p, Range scale, Range ratio, std::vector<double> value, bool noise, Layout layout)
    : SimpleTransform(erasing_steps(p, scale, ratio, std::move(value), noise)), layout_(layout) {}
Resize::Resize(TargetSize size, const ResizeOptions& o) : SimpleTransform(resize_steps(size, o)) {}
CenterCrop::CenterCrop(int64_t height, int64_t width)
    : SimpleTransform({"CenterCrop(" + show_size(checked_size("CenterCrop", "a height", height), checked_size("CenterCrop", "a width", width)) + ")", nullptr,
                       [=](const Tensor& x, const Params&) { return center_crop(x, height, width); }, [=](const Pictures& p) { return center_crop_pictures(p, height, width); }}) {}
Grayscale::Grayscale(int channels)
    : SimpleTransform({"Grayscale(" + std::to_string(channels) + ")", nullptr, [=](const Tensor& x, const Params&) { return to_grayscale(x, channels); }, [=](const Pictures& p) { return gray_pictures(p, channels); }}) {
  if (channels != 1 && channels != 3) throw Error(ErrorKind::value, "Grayscale", "1 or 3 channels", std::to_string(channels));
}
Pad::Pad(Padding p, std::vector<double> fill, Border border)
    : SimpleTransform({"Pad(" + show_pad(p) + ")", nullptr, [=](const Tensor& x, const Params&) { return pad(x, p, fill, border); },
                       [=](const Pictures& x) { return pad_pictures(x, p, fill, border); }}) {}
RandomCrop::RandomCrop(int64_t height, int64_t width, Padding p, bool if_needed, std::vector<double> fill, Border border)
    : SimpleTransform(crop_steps(height, width, p, if_needed, std::move(fill), border)) {}
RandomResizedCrop::RandomResizedCrop(int64_t height, int64_t width, Range scale, Range ratio, const ResizeOptions& o)
    : SimpleTransform(resized_crop_steps(height, width, scale, ratio, o)) {}
RandomHorizontalFlip::RandomHorizontalFlip(double p) : SimpleTransform(flip_steps("RandomHorizontalFlip", p, flip_horizontal)) {}
RandomVerticalFlip::RandomVerticalFlip(double p) : SimpleTransform(flip_steps("RandomVerticalFlip", p, flip_vertical)) {}
RandomGrayscale::RandomGrayscale(double p)
    : SimpleTransform({"RandomGrayscale(p=" + show(checked_chance("RandomGrayscale", p)) + ")",
                       [p](int64_t, int64_t, int64_t, Generator& g) { return Params().set("gray", {double(chance(g, p))}); },
                       [](const Tensor& x, const Params& d) {
                         Pixels image = color_pixels("RandomGrayscale", x);
                         if (image.c == 4) throw Error(ErrorKind::value, "RandomGrayscale", "1 or 3 channels", "4", "drop the alpha channel: image[..., :3]");
                         return d.number("gray") != 0 && image.c == 3 ? to_grayscale(x, 3) : image.tensor.clone();
                       }}) {}
RandomRotation::RandomRotation(Range degrees, Interpolation how, bool expand, std::vector<double> fill) : SimpleTransform(rotation_steps(degrees, how, expand, std::move(fill))) {}
RandomAffine::RandomAffine(Range degrees, Range translate, Range scale, Range sx, Range sy, Interpolation how, std::vector<double> fill)
    : SimpleTransform(affine_steps(degrees, translate, scale, sx, sy, how, std::move(fill))) {}
ColorJitter::ColorJitter(Range b, Range c, Range s, Range h) : SimpleTransform(jitter_steps(b, c, s, h)) {}
GaussianBlur::GaussianBlur(int64_t size, Range sigma)
    : SimpleTransform({"GaussianBlur(" + std::to_string(size) + ", sigma=" + show(checked_range("GaussianBlur", "sigma", sigma, 1e-6, 1e6)) + ")",
                       [sigma](int64_t, int64_t, int64_t, Generator& g) { return Params().set("sigma", {between(g, sigma)}); },
                       [size](const Tensor& x, const Params& d) { return gaussian_blur(x, d.number("sigma"), size); }}) {
  if (size < 1 || size % 2 == 0) throw Error(ErrorKind::value, "GaussianBlur", "an odd kernel_size of 1 or more", std::to_string(size));
}

}  // namespace miniten::utils::vision
