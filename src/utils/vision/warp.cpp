#include <numbers>
#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {

using Matrix = std::array<double, 9>;
constexpr double radian = std::numbers::pi / 180;

int64_t floor_of(double v) {                                           // |v| < 2^53; std::floor is a call on older processors
  auto whole = int64_t(v);
  return whole - (double(whole) > v);
}

// The value at (x, y) in pixel coordinates, (0.5, 0.5) being the middle of the first pixel; the border pixel is repeated
// within half a pixel of it, as Pillow does.
template <class T> void sample_bilinear(const Pixels& from, double x, double y, T* out) {
  using W = Wide<T>;
  x -= 0.5;
  y -= 0.5;
  int64_t fx = floor_of(x), fy = floor_of(y);
  auto x0 = std::max(fx, int64_t{0}), x1 = std::min(fx + 1, from.w - 1);
  auto y0 = std::max(fy, int64_t{0}), y1 = std::min(fy + 1, from.h - 1);
  W dx = W(x - double(fx)), dy = W(y - double(fy));
  const T *top = from.as<T>() + y0 * from.row(), *bottom = from.as<T>() + y1 * from.row();
  for (int64_t c = 0; c < from.c; ++c) {
    W a = W(top[x0 * from.c + c]), b = W(top[x1 * from.c + c]), d = W(bottom[x0 * from.c + c]), e = W(bottom[x1 * from.c + c]);
    W upper = a + (b - a) * dx, lower = d + (e - d) * dx;
    out[c] = stored<T>(upper + (lower - upper) * dy);
  }
}

template <class T> void sample_bicubic(const Pixels& from, double x, double y, T* out) {
  using W = Wide<T>;
  x -= 0.5;
  y -= 0.5;
  int64_t fx = floor_of(x), fy = floor_of(y);
  auto weights = [](double t) {                                       // Keys' cubic, a = -1
    return std::array<double, 4>{((2 - t) * t - 1) * t, (t - 2) * t * t + 1, ((1 - t) * t + 1) * t, (t - 1) * t * t};
  };
  auto wx = weights(x - double(fx)), wy = weights(y - double(fy));
  for (int64_t c = 0; c < from.c; ++c) {
    W sum = 0;
    for (int j = 0; j < 4; ++j) {
      const T* row = from.as<T>() + std::clamp(fy + j - 1, int64_t{0}, from.h - 1) * from.row();
      W line = 0;
      for (int i = 0; i < 4; ++i) line += W(wx[size_t(i)]) * W(row[std::clamp(fx + i - 1, int64_t{0}, from.w - 1) * from.c + c]);
      sum += W(wy[size_t(j)]) * line;
    }
    out[c] = stored<T>(sum);
  }
}

Tensor warped(std::string_view op, const Pixels& from, const Matrix& m, int64_t h, int64_t w, const WarpOptions& o) {
  if (o.interpolation != Interpolation::nearest && o.interpolation != Interpolation::bilinear && o.interpolation != Interpolation::bicubic)
    throw Error(ErrorKind::value, op, "an interpolation of 'nearest', 'bilinear', 'bicubic'", o.interpolation == Interpolation::area ? "'area'" : "'lanczos'");
  for (double v : m) if (!std::isfinite(v)) throw Error(ErrorKind::value, op, "finite numbers", "a transformation with " + std::to_string(v));
  std::vector<double> fill = per_channel(op, "a fill", o.fill, from.c);
  Pixels to = new_pixels(from, h, w);
  bool flat = m[6] == 0 && m[7] == 0 && m[8] == 1;
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    std::vector<T> filled;
    for (double v : fill) filled.push_back(stored<T>(v));
    T* out = to.as<T>();
    for (int64_t y = 0; y < h; ++y)
      for (int64_t x = 0; x < w; ++x, out += from.c) {
        double px = double(x) + 0.5, py = double(y) + 0.5;
        double sx = m[0] * px + m[1] * py + m[2], sy = m[3] * px + m[4] * py + m[5];
        if (!flat) {
          double z = m[6] * px + m[7] * py + m[8];
          sx /= z;
          sy /= z;
        }
        if (!(sx >= 0 && sy >= 0 && sx < double(from.w) && sy < double(from.h))) std::copy_n(filled.data(), from.c, out);
        else if (o.interpolation == Interpolation::nearest) std::copy_n(from.as<T>() + (int64_t(sy) * from.w + int64_t(sx)) * from.c, from.c, out);
        else if (o.interpolation == Interpolation::bilinear) sample_bilinear<T>(from, sx, sy, out);
        else sample_bicubic<T>(from, sx, sy, out);
      }
  });
  return to.tensor;
}

double rounded(double v) { return std::round(v * 1e15) / 1e15; }       // so that quarter turns are exact

}  // namespace

Tensor warp(const Tensor& image, const Matrix& m, int64_t height, int64_t width, const WarpOptions& o) {
  Pixels from = pixels_of("warp", image);
  return warped("warp", from, m, checked_size("warp", "a height", height), checked_size("warp", "a width", width), o);
}

Tensor rotate(const Tensor& image, double degrees, bool expand, const WarpOptions& o, std::optional<std::array<double, 2>> center) {
  Pixels from = pixels_of("rotate", image);
  if (!std::isfinite(degrees)) throw Error(ErrorKind::value, "rotate", "a finite angle in degrees", std::to_string(degrees));
  double turn = std::fmod(degrees, 360), w = double(from.w), h = double(from.h);
  if (turn < 0) turn += 360;
  if (!center && (turn == 90 || turn == 270) && (expand || from.h == from.w))   // pixels change places
    return warped("rotate", from, turn == 90 ? Matrix{0, -1, w, 1, 0, 0, 0, 0, 1} : Matrix{0, 1, 0, -1, 0, h, 0, 0, 1}, from.w, from.h, o);
  double cx = center ? (*center)[0] : w / 2, cy = center ? (*center)[1] : h / 2;
  double c = rounded(std::cos(-turn * radian)), s = rounded(std::sin(-turn * radian));
  Matrix m{c, s, 0, -s, c, 0, 0, 0, 1};
  auto x_of = [&](double x, double y) { return m[0] * x + m[1] * y + m[2]; };
  auto y_of = [&](double x, double y) { return m[3] * x + m[4] * y + m[5]; };
  auto shift = [&](double x, double y, double add_x, double add_y) {
    double nx = x_of(x, y) + add_x, ny = y_of(x, y) + add_y;
    m[2] = nx;
    m[5] = ny;
  };
  shift(-cx, -cy, cx, cy);
  int64_t out_h = from.h, out_w = from.w;
  if (expand) {
    double left = HUGE_VAL, right = -HUGE_VAL, top = HUGE_VAL, bottom = -HUGE_VAL;
    for (auto [x, y] : {std::pair{0.0, 0.0}, {w, 0.0}, {w, h}, {0.0, h}}) {
      left = std::min(left, x_of(x, y));
      right = std::max(right, x_of(x, y));
      top = std::min(top, y_of(x, y));
      bottom = std::max(bottom, y_of(x, y));
    }
    out_w = int64_t(std::ceil(right) - std::floor(left));
    out_h = int64_t(std::ceil(bottom) - std::floor(top));
    shift(-(double(out_w) - w) / 2, -(double(out_h) - h) / 2, 0, 0);
  }
  return warped("rotate", from, m, out_h, out_w, o);
}

Tensor affine(const Tensor& image, const Affine& a, const WarpOptions& o, std::optional<std::array<double, 2>> center) {
  Pixels from = pixels_of("affine", image);
  if (!(a.scale > 0) || !std::isfinite(a.scale)) throw Error(ErrorKind::value, "affine", "a finite scale above 0", std::to_string(a.scale));
  double cx = center ? (*center)[0] : double(from.w) / 2, cy = center ? (*center)[1] : double(from.h) / 2;
  double rot = a.degrees * radian, sx = a.shear[0] * radian, sy = a.shear[1] * radian;
  // Forward: turn * shear * scale; its determinant is scale^2, so the inverse is the adjugate over scale.
  double p = std::cos(rot - sy) / std::cos(sy), q = -std::cos(rot - sy) * std::tan(sx) / std::cos(sy) - std::sin(rot);
  double r = std::sin(rot - sy) / std::cos(sy), s = -std::sin(rot - sy) * std::tan(sx) / std::cos(sy) + std::cos(rot);
  Matrix m{s / a.scale, -q / a.scale, 0, -r / a.scale, p / a.scale, 0, 0, 0, 1};
  double dx = -cx - a.translate[0], dy = -cy - a.translate[1];
  m[2] = m[0] * dx + m[1] * dy + cx;
  m[5] = m[3] * dx + m[4] * dy + cy;
  return warped("affine", from, m, from.h, from.w, o);
}

Tensor perspective(const Tensor& image, const Corners& start, const Corners& end, const WarpOptions& o) {
  Pixels from = pixels_of("perspective", image);
  // Eight equations: end (x, y) in the output comes from start (u, v).
  double a[8][9];
  for (size_t k = 0; k < 4; ++k) {
    double x = end[k][0], y = end[k][1], u = start[k][0], v = start[k][1];
    double rows[2][9] = {{x, y, 1, 0, 0, 0, -u * x, -u * y, u}, {0, 0, 0, x, y, 1, -v * x, -v * y, v}};
    for (size_t r = 0; r < 2; ++r) std::copy_n(rows[r], 9, a[2 * k + r]);
  }
  for (size_t i = 0; i < 8; ++i) {
    size_t pivot = i;
    for (size_t r = i; r < 8; ++r) if (std::abs(a[r][i]) > std::abs(a[pivot][i])) pivot = r;
    if (!(std::abs(a[pivot][i]) > 1e-12)) throw Error(ErrorKind::value, "perspective", "four corners, no three of them on a line", "corners that do not span a picture");
    std::swap_ranges(a[i], a[i] + 9, a[pivot]);
    for (size_t r = 0; r < 8; ++r) {
      if (r == i) continue;
      double f = a[r][i] / a[i][i];
      for (size_t k = i; k < 9; ++k) a[r][k] -= f * a[i][k];
    }
  }
  Matrix m{};
  for (size_t i = 0; i < 8; ++i) m[i] = a[i][8] / a[i][i];
  m[8] = 1;
  return warped("perspective", from, m, from.h, from.w, o);
}

}  // namespace miniten::utils::vision
