#include <cstring>
#include "kernels/image.h"
#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {

std::vector<double> gaussian(double sigma, int64_t size) {
  std::vector<double> k(static_cast<size_t>(size));
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    double x = double(i) - double(size - 1) / 2;
    sum += k[size_t(i)] = std::exp(-x * x / (2 * sigma * sigma));
  }
  for (double& v : k) v /= sum;
  return k;
}

void check_border(std::string_view op, Border border) {
  if (border == Border::constant) throw Error(ErrorKind::value, op, "a border of 'replicate', 'reflect', 'reflect101', 'wrap'", "'constant'", "pad the image first");
}

// Widens a row of w pixels, which stands behind `side` pixels of room, by its border on both sides.
template <class T> void widen(T* row, int64_t w, int64_t c, int64_t side, Border border) {
  for (int64_t x = 1; x <= side; ++x)
    for (int64_t k = 0; k < c; ++k) {
      row[(side - x) * c + k] = row[(side + border_index(-x, w, border)) * c + k];
      row[(side + w - 1 + x) * c + k] = row[(side + border_index(w - 1 + x, w, border)) * c + k];
    }
}

template <class T> void blur_rows(const Pixels& from, const Pixels& to, const std::vector<double>& kernel, Border border) {
  int taps = int(kernel.size());
  int64_t side = taps / 2, c = from.c;
  std::vector<float> weight(kernel.begin(), kernel.end()), line(static_cast<size_t>((from.w + 2 * side) * c)), out(static_cast<size_t>(from.row()));
  std::vector<const T*> rows(kernel.size());
  for (int64_t y = 0; y < from.h; ++y) {
    for (int k = 0; k < taps; ++k) rows[size_t(k)] = from.as<T>() + border_index(y + k - side, from.h, border) * from.row();
    kernels::image_rows(rows.data(), weight.data(), taps, line.data() + side * c, from.row());
    widen(line.data(), from.w, c, side, border);
    T* result = to.as<T>() + y * from.row();
    float* sums = out.data();
    if constexpr (std::is_same_v<T, float>) sums = result;
    kernels::image_taps(line.data(), weight.data(), taps, c, sums, from.row());
    if constexpr (std::is_same_v<T, uint16_t>)
      for (int64_t i = 0; i < from.row(); ++i) result[i] = stored<T>(sums[i]);
  }
}
template <> void blur_rows<uint8_t>(const Pixels& from, const Pixels& to, const std::vector<double>& kernel, Border border) {
  int side = int(kernel.size() / 2);
  int64_t c = from.c;
  std::vector<uint16_t> weight(static_cast<size_t>(side + 1)), line(static_cast<size_t>((from.w + 2 * side) * c));
  int32_t rest = 65536;
  for (int k = side; k > 0; --k) rest -= 2 * (weight[size_t(k)] = uint16_t(kernel[size_t(side + k)] * 65536 + 0.5));
  weight[0] = uint16_t(std::clamp(rest, 0, 65535));
  std::vector<const uint8_t*> rows(kernel.size());
  for (int64_t y = 0; y < from.h; ++y) {
    for (int k = -side; k <= side; ++k) rows[size_t(k + side)] = from.as<uint8_t>() + border_index(y + k, from.h, border) * from.row();
    kernels::image_blur_rows(rows.data(), weight.data(), side, line.data() + side * c, from.row());
    widen(line.data(), from.w, c, side, border);
    kernels::image_blur_taps(line.data(), weight.data(), side, c, to.as<uint8_t>() + y * from.row(), from.row());
  }
}
template <> void blur_rows<double>(const Pixels& from, const Pixels& to, const std::vector<double>& kernel, Border border) {
  int64_t taps = int64_t(kernel.size()), side = taps / 2, c = from.c;
  std::vector<double> line(static_cast<size_t>((from.w + 2 * side) * c));
  for (int64_t y = 0; y < from.h; ++y) {
    std::fill(line.begin(), line.end(), 0.0);
    for (int64_t k = 0; k < taps; ++k) {
      const double* row = from.as<double>() + border_index(y + k - side, from.h, border) * from.row();
      for (int64_t i = 0; i < from.row(); ++i) line[size_t(side * c + i)] += kernel[size_t(k)] * row[i];
    }
    widen(line.data(), from.w, c, side, border);
    double* result = to.as<double>() + y * from.row();
    for (int64_t i = 0; i < from.row(); ++i) {
      double sum = 0;
      for (int64_t k = 0; k < taps; ++k) sum += kernel[size_t(k)] * line[size_t(i + k * c)];
      result[i] = sum;
    }
  }
}

// gx and gy of each row of an image, handed to f(y, gx, gy).
template <class T, class G, class F> void sobel_rows(const Pixels& from, Border border, F f) {
  int64_t c = from.c, n = from.row();
  std::vector<T> lines[3];
  std::vector<G> gx(static_cast<size_t>(n)), gy(static_cast<size_t>(n));
  for (auto& line : lines) line.resize(size_t(n + 2 * c));
  auto load = [&](int64_t y) {                                          // row y into the slot y mod 3
    auto& line = lines[size_t((y + 3) % 3)];
    std::copy_n(from.as<T>() + border_index(y, from.h, border) * n, n, line.data() + c);
    widen(line.data(), from.w, c, 1, border);
  };
  load(-1);
  load(0);
  for (int64_t y = 0; y < from.h; ++y) {
    load(y + 1);
    const T *a = lines[size_t((y + 2) % 3)].data(), *b = lines[size_t(y % 3)].data(), *e = lines[size_t((y + 1) % 3)].data();
    if constexpr (std::is_same_v<G, int16_t>) kernels::image_sobel(a, b, e, c, gx.data(), gy.data(), n);
    else
      for (int64_t i = 0; i < n; ++i) {
        gx[size_t(i)] = (G(a[i + 2 * c]) - G(a[i])) + 2 * (G(b[i + 2 * c]) - G(b[i])) + (G(e[i + 2 * c]) - G(e[i]));
        gy[size_t(i)] = (G(e[i]) - G(a[i])) + 2 * (G(e[i + c]) - G(a[i + c])) + (G(e[i + 2 * c]) - G(a[i + 2 * c]));
      }
    f(y, gx.data(), gy.data());
  }
}

template <class T> using Gradient = std::conditional_t<std::is_same_v<T, uint8_t>, int16_t, std::conditional_t<std::is_same_v<T, double>, double, float>>;

enum Mark : uint8_t { none = 0, weak = 1, strong = 255 };

// Canny's marks of a row of magnitudes m by the gradients and the magnitudes above and below, for float gradients and for squares.
template <class G, class M> void mark_peaks(const M* above, const M* m, const M* below, const G* gx, const G* gy, double low, double high, uint8_t* marks, int64_t n) {
  for (int64_t x = 0; x < n; ++x) {
    M v = m[x];
    marks[x] = none;
    if (!(double(v) > low)) continue;
    bool peak;
    // The direction by the tangents of pi/8 and 3 pi/8, in OpenCV's fixed point for integers.
    auto ax = std::abs(M(gx[x])), ay = std::abs(M(gy[x]));
    bool side, upright;
    if constexpr (std::is_integral_v<G>) {
      int64_t tan = int64_t(ax) * 13573, y = int64_t(ay) << 15;
      side = y < tan;
      upright = y > tan + (int64_t(ax) << 16);
    } else {
      M tan = ax * M(0.41421356237309503);
      side = ay < tan;
      upright = ay > tan + 2 * ax;
    }
    if (side) peak = v > m[x - 1] && v >= m[x + 1];
    else if (upright) peak = v > above[x] && v >= below[x];
    else {
      int64_t s = (gx[x] < 0) != (gy[x] < 0) ? -1 : 1;
      peak = v > above[x - s] && v > below[x + s];
    }
    if (peak) marks[x] = double(v) > high ? strong : weak;
  }
}

// Weak marks that touch strong ones become strong, then all others none.
void join_edges(uint8_t* map, int64_t h, int64_t w) {
  std::vector<int64_t> edges;
  auto spread = [&](int64_t at) {
    int64_t y = at / w, x = at % w;
    for (int64_t ny = std::max<int64_t>(y - 1, 0); ny <= std::min(y + 1, h - 1); ++ny)
      for (int64_t nx = std::max<int64_t>(x - 1, 0); nx <= std::min(x + 1, w - 1); ++nx)
        if (uint8_t& mark = map[ny * w + nx]; mark == weak) {
          mark = strong;
          edges.push_back(ny * w + nx);
        }
  };
  auto inside = [&](int64_t at) {
    for (int64_t row : {at - w, at, at + w}) {
      uint32_t three = uint32_t{map[row - 1]} | uint32_t{map[row]} << 8 | uint32_t{map[row + 1]} << 16;
      if (!(three & ~(three >> 7) & 0x010101)) continue;
      for (int64_t next = row - 1; next <= row + 1; ++next)
        if (map[next] == weak) {
          map[next] = strong;
          edges.push_back(next);
        }
    }
  };
  int64_t n = h * w;
  auto visit = [&](int64_t at) {
    int64_t x = at % w;
    at < w || at >= n - w || x == 0 || x == w - 1 ? spread(at) : inside(at);
  };
  for (int64_t at = 0; at < n; at += 8) {
    uint64_t eight = 0;
    int64_t count = std::min<int64_t>(8, n - at);
    std::memcpy(&eight, map + at, size_t(count));
    if (!(eight & 0x8080808080808080)) continue;
    for (int64_t i = at; i < at + count; ++i) {
      if (map[i] != strong) continue;
      visit(i);
      while (!edges.empty()) {
        int64_t next = edges.back();
        edges.pop_back();
        visit(next);
      }
    }
  }
  for (int64_t i = 0; i < n; ++i) map[i] = map[i] == strong ? 255 : 0;
}

// M: of magnitudes; int16_t for sums of 8-bit gradients.
template <class T, class M> void canny(const Pixels& from, const Pixels& to, double low, double high, bool l2) {
  using G = Gradient<T>;
  constexpr bool bytes = std::is_same_v<M, int16_t>;
  int64_t h = from.h, w = from.w, c = from.c, stride = w + 2;
  // Three rows of magnitudes with a zero at both ends, and the strongest channel's gradients.
  std::vector<M> ring(static_cast<size_t>(3 * stride), 0);
  std::vector<G> gxs(static_cast<size_t>(3 * w)), gys(static_cast<size_t>(3 * w));
  uint8_t* map = to.as<uint8_t>();
  auto magnitudes = [&](int64_t y) { return ring.data() + (y + 3) % 3 * stride + 1; };
  auto mark = [&](int64_t y) {
    const G *gx = gxs.data() + y % 3 * w, *gy = gys.data() + y % 3 * w;
    auto limit = [](double v) { return int16_t(std::min(std::floor(v), 32767.0)); };   // integers above a number are those above its floor
    if constexpr (bytes) kernels::image_canny(magnitudes(y - 1), magnitudes(y), magnitudes(y + 1), gx, gy, limit(low), limit(high), map + y * w, w);
    else mark_peaks(magnitudes(y - 1), magnitudes(y), magnitudes(y + 1), gx, gy, low, high, map + y * w, w);
  };
  sobel_rows<T, G>(from, Border::replicate, [&](int64_t y, const G* gx, const G* gy) {
    M* m = magnitudes(y);
    G *best_x = gxs.data() + y % 3 * w, *best_y = gys.data() + y % 3 * w;
    auto size_of = [&](G a, G b) -> M { return l2 ? M(M(a) * M(a) + M(b) * M(b)) : M(std::abs(M(a)) + std::abs(M(b))); };
    if (c == 1) {
      std::copy_n(gx, w, best_x);
      std::copy_n(gy, w, best_y);
      if constexpr (bytes) kernels::image_magnitude(gx, gy, m, w);
      else for (int64_t x = 0; x < w; ++x) m[x] = size_of(gx[x], gy[x]);
    } else {
      for (int64_t x = 0; x < w; ++x) {
        int64_t at = x * c;
        M top = size_of(gx[at], gy[at]);
        for (int64_t k = 1; k < c; ++k)
          if (M other = size_of(gx[x * c + k], gy[x * c + k]); other > top) { top = other; at = x * c + k; }
        m[x] = top;
        best_x[x] = gx[at];
        best_y[x] = gy[at];
      }
    }
    if (y) mark(y - 1);
  });
  std::fill_n(magnitudes(h) - 1, stride, M(0));
  mark(h - 1);
  join_edges(map, h, w);
}

}  // namespace

Tensor gaussian_blur(const Tensor& image, double sigma, int64_t kernel_size, Border border) {
  constexpr std::string_view op = "gaussian_blur";
  Pixels from = pixels_of(op, image);
  if (!(sigma > 0) || !std::isfinite(sigma)) throw Error(ErrorKind::value, op, "a finite sigma above 0", std::to_string(sigma));
  check_border(op, border);
  if (kernel_size == 0) kernel_size = int64_t(std::nearbyint(std::min(sigma, 1e6) * (is_float(from.dtype()) ? 8 : 6) + 1)) | 1;
  if (kernel_size < 1 || kernel_size % 2 == 0) throw Error(ErrorKind::value, op, "an odd kernel_size of 1 or more", std::to_string(kernel_size));
  if (kernel_size > 1 << 16) throw Error(ErrorKind::value, op, "a kernel_size up to 65536", std::to_string(kernel_size), "shrink the image instead");
  Pixels to = new_pixels(from, from.h, from.w);
  auto kernel = gaussian(sigma, kernel_size);
  visit_pixels(from.dtype(), [&](auto t) { blur_rows<decltype(t)>(from, to, kernel, border); });
  return to.tensor;
}

Tensor sobel_filter(const Tensor& image, char direction, Border border) {
  Pixels from = pixels_of("sobel_filter", image);
  check_border("sobel_filter", border);
  if (direction != 'x' && direction != 'y' && direction != '\0')
    throw Error(ErrorKind::value, "sobel_filter", "a direction of 'x', 'y' or none", std::string("'") + direction + "'");
  Pixels to = new_pixels(from, from.h, from.w, from.c, from.dtype() == DType::f64 ? DType::f64 : DType::f32);
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    using G = Gradient<T>;
    using Out = std::conditional_t<std::is_same_v<T, double>, double, float>;
    Out* out = to.as<Out>();
    int64_t n = from.row();
    sobel_rows<T, G>(from, border, [&](int64_t y, const G* gx, const G* gy) {
      Out* row = out + y * n;
      if (direction == 'x') for (int64_t i = 0; i < n; ++i) row[i] = Out(gx[i]);
      else if (direction == 'y') for (int64_t i = 0; i < n; ++i) row[i] = Out(gy[i]);
      else for (int64_t i = 0; i < n; ++i) row[i] = std::sqrt(Out(gx[i]) * Out(gx[i]) + Out(gy[i]) * Out(gy[i]));
    });
  });
  return to.tensor;
}

Tensor canny_edge_detection(const Tensor& image, double low_threshold, double high_threshold, const CannyOptions& o) {
  constexpr std::string_view op = "canny_edge_detection";
  Pixels from = pixels_of(op, image);
  checked_number(op, "low_threshold", low_threshold, 0);
  checked_number(op, "high_threshold (not below low_threshold)", high_threshold, low_threshold);
  checked_number(op, "a sigma", o.sigma, 0);
  check_finite(op, from);
  if (o.sigma > 0) from = pixels_of(op, gaussian_blur(from.tensor, o.sigma));
  Pixels to = new_pixels(from, from.h, from.w, 1, DType::u8);
  double low = o.l2 ? low_threshold * low_threshold : low_threshold, high = o.l2 ? high_threshold * high_threshold : high_threshold;
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, uint8_t>) {
      if (!o.l2) return canny<T, int16_t>(from, to, low, high, false);
      canny<T, int32_t>(from, to, low, high, true);
    } else {
      canny<T, Gradient<T>>(from, to, low, high, o.l2);
    }
  });
  return to.tensor;
}

}  // namespace miniten::utils::vision
