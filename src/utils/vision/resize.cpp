#include <numbers>
#include "base/allocate.h"
#include "kernels/image.h"
#include "miniten/ops/ops.h"
#include "miniten/utils/transforms.h"
#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {

// For each output position a run of `taps` input positions, first[j] on, with weights that sum to 1.
struct Axis {
  int taps = 1;
  std::vector<int32_t> first;
  std::vector<double> weight;
};

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }
double box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }
double cubic(double x, double a) {                                     // Keys 1981
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}
double keys(double x) { return cubic(x, -0.5); }
double keys_sharp(double x) { return cubic(x, -0.75); }
double sinc(double x) { return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }
double lanczos3(double x) { return x > -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }
double lanczos4(double x) { return x > -4 && x < 4 ? sinc(x) * sinc(x / 4) : 0; }

struct Tap { int64_t at; double weight; };

// The taps of one output position after another.
struct Runs {
  std::vector<Tap> taps;
  std::vector<size_t> ends;
  Runs(int64_t out, double taps_each) {
    taps.reserve(size_t(double(out) * std::min(taps_each, 64.0)));
    ends.reserve(size_t(out));
  }
  void add(int64_t at, double weight) { taps.push_back({at, weight}); }
  void end() { ends.push_back(taps.size()); }
};

// Runs of one length that lie inside the input: shorter ones are widened with zeros.
Axis packed(int64_t in, const Runs& runs) {
  Axis a;
  int64_t longest = 1;
  for (size_t begin = 0; size_t end : runs.ends) {
    longest = std::max(longest, runs.taps[end - 1].at - runs.taps[begin].at + 1);
    begin = end;
  }
  a.taps = int(longest);
  a.first.reserve(runs.ends.size());
  a.weight.assign(runs.ends.size() * size_t(longest), 0);
  double* weight = a.weight.data();
  for (size_t begin = 0; size_t end : runs.ends) {
    int64_t first = std::min(runs.taps[begin].at, in - longest);
    a.first.push_back(int32_t(first));
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += runs.taps[i].weight;
    for (size_t i = begin; i < end; ++i) weight[runs.taps[i].at - first] += runs.taps[i].weight / sum;
    weight += longest;
    begin = end;
  }
  return a;
}

// Cut at the border and normalised, widened where the axis shrinks: Pillow's rule.
Axis antialiased(int64_t in, int64_t out, double (*filter)(double), double radius) {
  double scale = double(in) / double(out), wide = std::max(scale, 1.0), support = radius * wide;
  Runs runs(out, 2 * support + 1);
  for (int64_t j = 0; j < out; ++j) {
    double center = (double(j) + 0.5) * scale;
    auto low = std::max(int64_t(center - support + 0.5), int64_t{0}), high = std::min(int64_t(center + support + 0.5), in);
    for (int64_t i = low; i < high; ++i) runs.add(i, filter((double(i) - center + 0.5) / wide));
    runs.end();
  }
  return packed(in, runs);
}

// The border repeated, the filter as it is: OpenCV's rule, and torch's without antialias.
Axis sampled(int64_t in, int64_t out, double (*filter)(double), int radius) {
  double scale = double(in) / double(out);
  Runs runs(out, 2.0 * radius);
  for (int64_t j = 0; j < out; ++j) {
    double center = (double(j) + 0.5) * scale - 0.5, floor = std::floor(center);
    for (int k = 1 - radius; k <= radius; ++k) runs.add(std::clamp(int64_t(floor) + k, int64_t{0}, in - 1), filter(floor + k - center));
    runs.end();
  }
  return packed(in, runs);
}

Axis overlapping(int64_t in, int64_t out) {
  double scale = double(in) / double(out);
  Runs runs(out, scale + 2);
  for (int64_t j = 0; j < out; ++j) {
    double begin = double(j) * scale, end = double(j + 1) * scale;
    for (int64_t i = std::min(int64_t(begin), in - 1); i < in && double(i) < end - 1e-9 * scale; ++i)
      runs.add(i, std::min(end, double(i + 1)) - std::max(begin, double(i)));
    runs.end();
  }
  return packed(in, runs);
}

// What OpenCV does for INTER_AREA where an axis grows.
Axis area_grown(int64_t in, int64_t out) {
  double scale = double(in) / double(out), inverse = double(out) / double(in);
  Runs runs(out, 2);
  for (int64_t j = 0; j < out; ++j) {
    auto i = int64_t(std::floor(double(j) * scale));
    double part = double(j + 1) - double(i + 1) * inverse;
    part = part <= 0 ? 0 : part - std::floor(part);
    if (i >= in - 1) { i = in - 1; part = 0; }
    runs.add(i, 1 - part);
    runs.add(std::min(i + 1, in - 1), part);
    runs.end();
  }
  return packed(in, runs);
}

std::vector<int32_t> nearest(int64_t in, int64_t out, Like like) {
  std::vector<int32_t> from;
  double scale = like == Like::cv2 ? 1 / (double(out) / double(in)) : double(in) / double(out), sum = scale / 2;
  for (int64_t j = 0; j < out; ++j, sum += scale) {                    // Pillow adds up: where a centre falls on an edge, rounding decides
    double at = like == Like::cv2 ? double(j) * scale : like == Like::pil ? sum : (double(j) + 0.5) * scale;
    from.push_back(int32_t(std::clamp(int64_t(std::floor(at)), int64_t{0}, in - 1)));
  }
  return from;
}

Axis axis_of(int64_t in, int64_t out, const ResizeOptions& o, bool grows) {
  using enum Interpolation;
  bool smooth = o.antialias.value_or(o.like == Like::none || o.like == Like::pil);
  switch (o.interpolation) {
    case area:
      if (o.like == Like::pil) return antialiased(in, out, box, 0.5);
      return o.like == Like::cv2 && grows ? area_grown(in, out) : overlapping(in, out);
    case bicubic: return smooth ? antialiased(in, out, keys, 2) : sampled(in, out, keys_sharp, 2);
    case lanczos:
      if (o.like == Like::cv2) return sampled(in, out, lanczos4, 4);
      return smooth ? antialiased(in, out, lanczos3, 3) : sampled(in, out, lanczos3, 3);
    default: return smooth ? antialiased(in, out, triangle, 1) : sampled(in, out, triangle, 1);
  }
}

Pixels resize_nearest(const Pixels& from, int64_t h, int64_t w, Like like) {
  Pixels to = new_pixels(from, h, w);
  auto ys = nearest(from.h, h, like), xs = nearest(from.w, w, like);
  visit_pixels(from.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* source = from.as<T>();
    T* out = to.as<T>();
    for (int64_t y = 0; y < h; ++y) {
      if (y && ys[size_t(y)] == ys[size_t(y - 1)]) {
        std::copy_n(out - to.row(), to.row(), out);
        out += to.row();
        continue;
      }
      const T* row = source + ys[size_t(y)] * from.row();
      for (int64_t x = 0; x < w; ++x)
        for (int64_t c = 0; c < from.c; ++c) *out++ = row[xs[size_t(x)] * from.c + c];
    }
  });
  return to;
}

// Pillow's own arithmetic for 8 bits: weights of 22 bits, rounded to 8 bits between the passes.
constexpr int pillow_bits = 22;
std::vector<int32_t> pillow_weights(const Axis& a) {
  std::vector<int32_t> out;
  for (double v : a.weight) out.push_back(int32_t((v < 0 ? -0.5 : 0.5) + v * (1 << pillow_bits)));
  return out;
}
uint8_t pillow_rounded(int32_t sum) { return uint8_t(std::clamp(sum >> pillow_bits, 0, 255)); }

void pillow_across(const uint8_t* from, int64_t rows, int64_t w, int64_t c, const Axis& a, uint8_t* to) {
  auto weight = pillow_weights(a);
  for (int64_t y = 0; y < rows; ++y, from += w * c)
    for (size_t x = 0; x < a.first.size(); ++x, to += c) {
      const int32_t* k = weight.data() + int64_t(x) * a.taps;
      const uint8_t* p = from + a.first[x] * c;
      for (int64_t i = 0; i < c; ++i) {
        int32_t sum = 1 << (pillow_bits - 1);
        for (int t = 0; t < a.taps; ++t) sum += k[t] * p[t * c + i];
        to[i] = pillow_rounded(sum);
      }
    }
}
void pillow_down(const uint8_t* from, int64_t row, const Axis& a, uint8_t* to) {
  auto weight = pillow_weights(a);
  std::vector<int32_t> sums(static_cast<size_t>(row));
  for (size_t y = 0; y < a.first.size(); ++y, to += row) {
    std::fill(sums.begin(), sums.end(), 1 << (pillow_bits - 1));
    for (int t = 0; t < a.taps; ++t) {
      int32_t k = weight[y * size_t(a.taps) + size_t(t)];
      const uint8_t* p = from + (a.first[y] + t) * row;
      if (k) for (size_t i = 0; i < sums.size(); ++i) sums[i] += k * p[i];
    }
    for (size_t i = 0; i < sums.size(); ++i) to[i] = pillow_rounded(sums[i]);
  }
}

// Across first, but for pictures that lose more than twice as much height as width (so Pillow 13 chooses).
Pixels resize_pillow(const Pixels& from, const Axis& down, const Axis& across, int64_t h, int64_t w) {
  Pixels to = new_pixels(from, h, w);
  if (h < from.h && from.h - h > 2 * (from.w - w)) {
    std::vector<uint8_t> middle(addressable(uint64_t(h * from.row())));
    pillow_down(from.as<uint8_t>(), from.row(), down, middle.data());
    pillow_across(middle.data(), h, from.w, from.c, across, to.as<uint8_t>());
  } else {
    std::vector<uint8_t> middle(addressable(uint64_t(from.h * to.row())));
    pillow_across(from.as<uint8_t>(), from.h, from.w, from.c, across, middle.data());
    pillow_down(middle.data(), to.row(), down, to.as<uint8_t>());
  }
  return to;
}

// Down first, a row at a time, then across: one rounding at the end.
template <class T> void resize_rows(const Pixels& from, const Pixels& to, const Axis& down, const Axis& across) {
  std::vector<float> wy(down.weight.begin(), down.weight.end()), wx(across.weight.begin(), across.weight.end());
  std::vector<float> line(static_cast<size_t>(from.row())), out(static_cast<size_t>(to.row()));
  std::vector<const T*> rows(static_cast<size_t>(down.taps));
  for (int64_t y = 0; y < to.h; ++y) {
    for (int k = 0; k < down.taps; ++k) rows[size_t(k)] = from.as<T>() + (down.first[size_t(y)] + k) * from.row();
    kernels::image_rows(rows.data(), wy.data() + y * down.taps, down.taps, line.data(), from.row());
    T* result = to.as<T>() + y * to.row();
    float* sums = out.data();
    if constexpr (std::is_same_v<T, float>) sums = result;
    kernels::image_columns(line.data(), across.first.data(), wx.data(), across.taps, to.c, sums, to.w);
    if constexpr (std::is_same_v<T, uint8_t>) kernels::image_store(sums, result, to.row());
    else if constexpr (std::is_same_v<T, uint16_t>)
      for (int64_t i = 0; i < to.row(); ++i) result[i] = stored<T>(sums[i]);
  }
}
template <> void resize_rows<double>(const Pixels& from, const Pixels& to, const Axis& down, const Axis& across) {
  std::vector<double> line(static_cast<size_t>(from.row()));
  double* out = to.as<double>();
  for (int64_t y = 0; y < to.h; ++y) {
    std::fill(line.begin(), line.end(), 0.0);
    for (int k = 0; k < down.taps; ++k) {
      double weight = down.weight[size_t(y * down.taps + k)];
      const double* row = from.as<double>() + (down.first[size_t(y)] + k) * from.row();
      for (size_t i = 0; i < line.size(); ++i) line[i] += weight * row[i];
    }
    for (int64_t x = 0; x < to.w; ++x)
      for (int64_t c = 0; c < to.c; ++c) {
        double sum = 0;
        for (int k = 0; k < across.taps; ++k) sum += across.weight[size_t(x * across.taps + k)] * line[size_t((across.first[size_t(x)] + k) * to.c + c)];
        *out++ = sum;
      }
  }
}

// Two taps on both axes in fixed point.
void resize_bilinear(const Pixels& from, const Pixels& to, const Axis& down, const Axis& across) {
  auto fixed = [](double weight) { return int16_t(std::min(weight * 32768 + 0.5, 32767.0)); };
  std::vector<int32_t> first;
  std::vector<int16_t> weight, line(static_cast<size_t>(from.row() + to.row() + 8));
  for (size_t x = 0; x < across.first.size(); ++x) {
    first.push_back(across.first[x] * int32_t(from.c));
    weight.insert(weight.end(), 4, fixed(across.weight[2 * x + 1]));
  }
  for (int64_t y = 0; y < to.h; ++y) {
    const uint8_t* row = from.as<uint8_t>() + down.first[size_t(y)] * from.row();
    kernels::image_bilinear(row, row + from.row(), fixed(down.weight[size_t(2 * y + 1)]), from.row(), first.data(), weight.data(), from.c, line.data(), to.as<uint8_t>() + y * to.row(), to.w);
  }
}

}  // namespace

static void check_resize(int64_t from_h, int64_t from_w, int64_t height, int64_t width, const ResizeOptions& o) {
  constexpr std::string_view op = "resize";
  checked_size(op, "a height", height);
  checked_size(op, "a width", width);
  constexpr int64_t limit = int64_t{1} << 30;
  if (height > limit || width > limit || from_h > limit || from_w > limit)
    throw Error(ErrorKind::value, op, "sizes up to 2^30", std::to_string(height) + " x " + std::to_string(width));
  using enum Interpolation;
  if (o.like == Like::tflite && o.interpolation != nearest && o.interpolation != bilinear)
    throw Error(ErrorKind::value, op, "nearest or bilinear with like='tflite'", "an interpolation that TFLite lacks");
  if (o.antialias && o.interpolation != nearest && o.interpolation != area && o.like != Like::none && *o.antialias != (o.like == Like::pil))
    throw Error(ErrorKind::value, op, o.like == Like::pil ? "antialias=True with like='pil'" : "antialias=False with like='cv2' and like='tflite'",
                *o.antialias ? "True" : "False", "leave antialias out, or leave like out");
}

Tensor resize(const Tensor& image, int64_t height, int64_t width, const ResizeOptions& o) {
  Pixels from = pixels_of("resize", image);
  check_resize(from.h, from.w, height, width, o);
  using enum Interpolation;
  if (height == from.h && width == from.w) return from.tensor.clone();
  if (o.interpolation == nearest) return resize_nearest(from, height, width, o.like).tensor;
  bool grows = height > from.h || width > from.w;
  Axis down = axis_of(from.h, height, o, grows), across = axis_of(from.w, width, o, grows);
  if (o.like == Like::pil && from.dtype() == DType::u8) return resize_pillow(from, down, across, height, width).tensor;
  Pixels to = new_pixels(from, height, width);
  bool short_rows = from.row() < int64_t{1} << 31;
  if (from.dtype() == DType::u8 && down.taps == 2 && across.taps == 2 && short_rows) {
    resize_bilinear(from, to, down, across);
    return to.tensor;
  }
  visit_pixels(from.dtype(), [&](auto t) { resize_rows<decltype(t)>(from, to, down, across); });
  return to.tensor;
}

Pictures resize_pictures(const Pictures& p, int64_t height, int64_t width, const ResizeOptions& o) {
  int64_t h = p.x.dim(2), w = p.x.dim(3);
  check_resize(h, w, height, width, o);
  Pictures out = p;
  using enum Interpolation;
  if (o.interpolation == nearest) {
    auto pick = [&](int64_t from, int64_t to, int axis) {
      if (from == to) return;
      std::vector<int32_t> at = vision::nearest(from, to, o.like);
      out.x = gather(out.x, Tensor::of<int64_t>({to}, std::vector<int64_t>(at.begin(), at.end())), axis);
    };
    pick(h, height, 2);
    pick(w, width, 3);
    return out;
  }
  if (h == height && w == width) return out;
  bool grows = height > h || width > w;
  auto matrix = [&](int64_t from, int64_t to, bool turned) {
    Axis a = axis_of(from, to, o, grows);
    std::vector<float> m(addressable(uint64_t(from * to)), 0);
    for (int64_t j = 0; j < to; ++j)
      for (int k = 0; k < a.taps; ++k) {
        int64_t i = a.first[size_t(j)] + k;
        m[size_t(turned ? i * to + j : j * from + i)] += float(a.weight[size_t(j * a.taps + k)]);
      }
    return Tensor::of<float>(turned ? Shape{from, to} : Shape{to, from}, m);
  };
  auto whole = [&] {
    if (p.whole) out.x = round(o.interpolation == bicubic || o.interpolation == lanczos ? clamp(out.x, 0, float(p.range)) : out.x);
  };
  // Products with constant matrices, which exporters know again. Pillow goes across first, and rounds between the passes.
  if (o.like == Like::pil && w != width) {
    out.x = matmul(out.x, matrix(w, width, true));
    if (h != height) whole();
  }
  if (h != height) out.x = matmul(matrix(h, height, false), out.x);
  if (o.like != Like::pil && w != width) out.x = matmul(out.x, matrix(w, width, true));
  whole();
  return out;
}

}  // namespace miniten::utils::vision
