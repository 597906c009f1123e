#include <cmath>
#include "base/allocate.h"
#include "miniten/base/symbol.h"
#include "miniten/nn/functional.h"

namespace miniten::nn::functional {

// ---- convolution and pooling in one dimension: a height of one ----
namespace {
void require_rank(const char* op, const Tensor& x, int rank, const char* want) {
  if (x.rank() != rank) throw Error(ErrorKind::value, op, want, x.shape().text());
}
Tensor flat(const Tensor& x) { return unsqueeze(x, 2); }
// f of a batch; of one sample without that axis, f of a batch of it.
template <class F> Tensor of_batch(const char* op, const Tensor& x, int rank, const char* want, F f) {
  if (x.rank() == rank - 1) return squeeze(f(unsqueeze(x, 0)), 0);
  require_rank(op, x, rank, want);
  return f(x);
}
constexpr const char *lines = "input (N, C, L) or (C, L)", *planes = "input (N, C, H, W) or (C, H, W)";
}  // namespace

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride, Dims padding, int64_t dilation, int64_t groups) {
  require_rank("conv1d", weight, 3, "a weight (O, C / groups, K)");
  return of_batch("conv1d", x, 3, lines, [&](const Tensor& b) {
    return squeeze(conv2d(flat(b), flat(weight), bias, {.stride = {1, stride}, .padding = {0, padding[0], 0, padding[1]}, .dilation = {1, dilation}, .groups = groups}), 2);
  });
}

// The gradient of a convolution's input, with its weight as it is: (C, O / groups, R, S).
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Dims stride, Dims padding, Dims output_padding, int64_t groups, Dims dilation) {
  const char* op = "conv_transpose2d";
  if (x.rank() == 3) return squeeze(conv_transpose2d(unsqueeze(x, 0), weight, bias, stride, padding, output_padding, groups, dilation), 0);
  require_rank(op, x, 4, planes);
  require_rank(op, weight, 4, "a weight (C, O / groups, R, S)");
  DType t = promote(x.dtype(), weight.dtype()), wide = t == DType::f64 ? t : DType::f32;
  if (!is_float(t)) throw Error(ErrorKind::type, op, "floating-point tensors", x.spec().text() + " and " + weight.spec().text(), "convert with cast first");
  if (groups < 1 || x.dim(1) != weight.dim(0) || x.dim(1) % groups)
    throw Error(ErrorKind::value, op, "input with " + std::to_string(weight.dim(0)) + " channels, divisible by groups", x.shape().text());
  Conv2dAttrs at{.stride = stride, .padding = {padding[0], padding[1], padding[0], padding[1]}, .dilation = dilation, .groups = groups};
  for (int i : {0, 1}) {
    if (stride[i] < 1 || dilation[i] < 1 || padding[i] < 0) throw Error(ErrorKind::value, op, "stride and dilation of at least 1, padding of 0 or more", stride.text() + ", " + dilation.text() + ", " + padding.text());
    if (output_padding[i] < 0 || output_padding[i] >= std::max(stride[i], dilation[i]))
      throw Error(ErrorKind::value, op, "output_padding below stride or dilation", output_padding.text());
    at.extent.push(derived({x.dim(2 + i), stride[i], dilation[i] * (weight.dim(2 + i) - 1) + output_padding[i] + 1 - stride[i] - 2 * padding[i]}));
    if (!is_symbol(at.extent[i]) && at.extent[i] < 1) throw Error(ErrorKind::value, op, "an input large enough for the padding", x.shape().text());
  }
  Dims beyond;                                                 // rows past what stride reaches: computed apart, as zeros
  for (int i : {0, 1}) beyond.push(std::max<int64_t>(0, output_padding[i] - (stride[i] - 1)));
  for (int i : {0, 1}) at.extent[i] = derived({at.extent[i], 1, -beyond[i]});
  Tensor y = apply(conv2d_input_op, {cast(x, wide), cast(weight, wide)}, at);
  if (beyond[0] || beyond[1]) y = miniten::pad(y, {0, 0, 0, 0}, {0, 0, beyond[0], beyond[1]});
  if (bias) {
    if (bias.shape() != Shape{y.dim(1)}) throw Error(ErrorKind::value, op, "a bias of shape " + Shape{y.dim(1)}.text(), bias.shape().text());
    y = y + reshape(cast(bias, wide), {y.dim(1), 1, 1});
  }
  return cast(y, t);
}
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride, int64_t padding, int64_t output_padding, int64_t groups, int64_t dilation) {
  require_rank("conv_transpose1d", weight, 3, "a weight (C, O / groups, K)");
  return of_batch("conv_transpose1d", x, 3, lines, [&](const Tensor& b) {
    return squeeze(conv_transpose2d(flat(b), flat(weight), bias, {1, stride}, {0, padding}, {0, output_padding}, groups, {1, dilation}), 2);
  });
}

Tensor max_pool1d(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode) {
  return of_batch("max_pool1d", x, 3, lines, [&](const Tensor& b) {
    return squeeze(max_pool2d(flat(b), {.kernel = {1, kernel}, .stride = {1, stride}, .padding = {0, padding, 0, padding}, .dilation = {1, dilation}, .ceil_mode = ceil_mode}), 2);
  });
}
Tensor avg_pool1d(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding, bool ceil_mode, bool count_include_pad) {
  return of_batch("avg_pool1d", x, 3, lines, [&](const Tensor& b) {
    return squeeze(avg_pool2d(flat(b), {.kernel = {1, kernel}, .stride = {1, stride}, .padding = {0, padding, 0, padding}, .ceil_mode = ceil_mode, .count_include_pad = count_include_pad}), 2);
  });
}

// ---- resizing: along an axis, a product with a constant matrix (out, in) ----
namespace {

// y[.., o, ..] = sum_i m[o, i] x[.., i, ..] along one of the last two axes
Tensor along(const Tensor& x, int axis, const std::vector<double>& m, int64_t out, int64_t in) {
  Tensor wide = Tensor::of<double>({out, in}, m), matrix = cast(wide, x.dtype() == DType::f64 ? DType::f64 : DType::f32);
  if (axis == x.rank() - 1) return matmul(x, transpose(matrix));
  if (axis == x.rank() - 2) return matmul(matrix, x);
  return transpose(matmul(transpose(x, axis, -1), transpose(matrix)), axis, -1);
}

struct Target { int first; Dims size; };                       // of the axes from `first` on
Target target_of(const char* op, const Tensor& x, const Dims& size) {
  if (size.rank < 1 || x.rank() < size.rank + 1) throw Error(ErrorKind::value, op, "input (N, C, ..) with more axes than sizes", x.shape().text() + " for " + size.text());
  Target t{x.rank() - size.rank, size};
  for (int i = 0; i < size.rank; ++i) {
    Dim from = x.dim(t.first + i);
    if (size[i] == -1) t.size[i] = from;
    if (is_symbol(from) && t.size[i] != from && t.size[i] != 1) throw Error(ErrorKind::unsupported, op, "known sizes", x.shape().text(), "trace with a fixed shape");
    if (!is_symbol(t.size[i]) && t.size[i] < 1) throw Error(ErrorKind::value, op, "output sizes of at least 1", size.text());
    if (!is_symbol(from) && from < 1) throw Error(ErrorKind::value, op, "an input that is not empty", x.shape().text());
  }
  return t;
}
std::pair<int64_t, int64_t> cell(int64_t i, int64_t in, int64_t out) { return {i * in / out, ((i + 1) * in + out - 1) / out}; }
}  // namespace

Tensor adaptive_avg_pool(const Tensor& x, Dims output_size) {
  auto [first, size] = target_of("adaptive_avg_pool", x, output_size);
  Axes whole;
  bool divides = size.rank == 2 && x.rank() == 4;
  for (int i = 0; i < size.rank; ++i) {
    if (size[i] == 1) whole.push(first + i);
    divides &= !is_symbol(x.dim(first + i)) && !is_symbol(size[i]) && x.dim(first + i) % size[i] == 0;
  }
  if (whole.rank == size.rank) return mean(x, whole, true);
  if (divides) {
    Dims window{x.dim(2) / size[0], x.dim(3) / size[1]};
    return avg_pool2d(x, {.kernel = window, .stride = window});
  }
  Tensor y = x;
  for (int i = 0; i < size.rank; ++i) {
    int64_t in = x.dim(first + i), out = size[i];
    if (in == out) continue;
    std::vector<double> m(addressable(uint64_t(in * out)), 0);
    for (int64_t o = 0; o < out; ++o)
      for (auto [k, end] = cell(o, in, out); k < end; ++k) m[size_t(o * in + k)] = 1.0 / double(end - o * in / out);
    y = along(y, first + i, m, out, in);
  }
  return y;
}
Tensor adaptive_max_pool(const Tensor& x, Dims output_size) {
  auto [first, size] = target_of("adaptive_max_pool", x, output_size);
  Tensor y = x;
  for (int i = 0; i < size.rank; ++i) {
    int64_t in = x.dim(first + i), out = size[i];
    if (in == out) continue;
    if (out == 1) { y = max(y, {first + i}, true); continue; }
    std::vector<Tensor> cells;
    for (int64_t o = 0; o < out; ++o) cells.push_back(max(slice(y, first + i, cell(o, in, out).first, cell(o, in, out).second), {first + i}, true));
    y = concat(cells, first + i);
  }
  return y;
}

PadMode pad_mode(std::string_view name) {
  if (name == "constant" || name == "zeros") return PadMode::constant;
  if (name == "reflect") return PadMode::reflect;
  if (name == "replicate") return PadMode::replicate;
  if (name == "circular") return PadMode::circular;
  throw Error(ErrorKind::value, "pad", "mode 'constant', 'reflect', 'replicate' or 'circular'", "'" + std::string(name) + "'");
}
Tensor pad(const Tensor& x, Dims before, Dims after, PadMode mode, double value) {
  if (mode == PadMode::constant) {
    Tensor y = x;                                              // negative widths cut
    for (int i = 0; i < x.rank(); ++i) {
      if (before[i] >= 0 && after[i] >= 0) continue;
      if (is_symbol(x.dim(i))) throw Error(ErrorKind::unsupported, "pad", "known sizes", x.shape().text(), "trace with a fixed shape");
      int64_t cut = std::max<int64_t>(0, -before[i]), end = x.dim(i) - std::max<int64_t>(0, -after[i]);
      if (end < cut) throw Error(ErrorKind::value, "pad", "widths that leave something of " + x.shape().text(), before.text() + " and " + after.text());
      y = slice(y, i, cut, end);
      before[i] = std::max<int64_t>(0, before[i]);
      after[i] = std::max<int64_t>(0, after[i]);
    }
    return miniten::pad(y, before, after, value);
  }
  Tensor y = x;
  for (int axis = 0; axis < x.rank(); ++axis) {
    int64_t left = before[axis], right = after[axis], n = x.dim(axis), most = mode == PadMode::reflect ? n - 1 : n;
    if (left == 0 && right == 0) continue;
    if (is_symbol(n)) throw Error(ErrorKind::unsupported, "pad", "known sizes", x.shape().text(), "trace with a fixed shape");
    if (n < 1 || left < 0 || right < 0 || (mode != PadMode::replicate && std::max(left, right) > most))
      throw Error(ErrorKind::value, "pad", "widths of at most " + std::to_string(most) + " on axis " + std::to_string(axis), std::to_string(left) + " and " + std::to_string(right));
    std::vector<int64_t> index;
    for (int64_t i = -left; i < n + right; ++i) {
      if (mode == PadMode::replicate) index.push_back(std::clamp<int64_t>(i, 0, n - 1));
      else if (mode == PadMode::circular) index.push_back((i + n) % n);
      else index.push_back(i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i);
    }
    y = gather(y, Tensor::of<int64_t>({int64_t(index.size())}, index), axis);
  }
  return y;
}

namespace {
// Rows of the interpolation matrix: half-pixel centres unless the corners are aligned.
std::vector<double> linear_matrix(int64_t in, int64_t out, double step, bool align_corners, bool cubic) {
  std::vector<double> m(addressable(uint64_t(in * out)), 0);
  auto add = [&](int64_t o, int64_t i, double w) { m[size_t(o * in + std::clamp<int64_t>(i, 0, in - 1))] += w; };
  for (int64_t o = 0; o < out; ++o) {
    double at = align_corners ? (out > 1 ? double(o) * double(in - 1) / double(out - 1) : 0) : (double(o) + 0.5) * step - 0.5;
    if (!cubic) at = std::max(at, 0.0);
    double base = std::floor(at), t = at - base;
    auto i = int64_t(base);
    if (!cubic) { add(o, i, 1 - t); add(o, i + 1, t); continue; }
    constexpr double a = -0.75;                                // Keys 1981, with OpenCV's and torch's constant
    auto near = [&](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
    auto far = [&](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
    add(o, i - 1, far(t + 1)); add(o, i, near(t)); add(o, i + 1, near(1 - t)); add(o, i + 2, far(2 - t));
  }
  return m;
}
}  // namespace

Tensor interpolate(const Tensor& x, Dims output_size, std::string_view mode, bool align_corners, std::span<const double> scale) {
  auto [first, size] = target_of("interpolate", x, output_size);
  if (first != 2) throw Error(ErrorKind::value, "interpolate", "input (N, C, ..) with a size for every axis after C", x.shape().text() + " and " + output_size.text());
  bool nearest = mode == "nearest", exact = mode == "nearest-exact", cubic = mode == "bicubic", lines = mode == "linear" || mode == "bilinear";
  if (mode == "area") return adaptive_avg_pool(x, output_size);
  if (!nearest && !exact && !cubic && !lines)
    throw Error(ErrorKind::value, "interpolate", "mode 'nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic' or 'area'", "'" + std::string(mode) + "'");
  if (align_corners && (nearest || exact)) throw Error(ErrorKind::value, "interpolate", "align_corners with linear, bilinear or bicubic", std::string(mode));
  Tensor y = x;
  for (int i = 0; i < size.rank; ++i) {
    int64_t in = x.dim(2 + i), out = size[i];
    if (in == out && (scale.empty() || lines || nearest)) continue;          // torch copies, whatever the scale says
    double step = scale.empty() ? double(in) / double(out) : 1.0 / scale[size_t(i)];
    if (nearest || exact) {
      std::vector<int64_t> index;
      for (int64_t o = 0; o < out; ++o) index.push_back(nearest && out == 2 * in ? o / 2 : std::min<int64_t>(int64_t(std::floor((float(o) + (exact ? 0.5f : 0.0f)) * float(step))), in - 1));
      y = gather(y, Tensor::of<int64_t>({out}, index), 2 + i);
    } else y = along(y, 2 + i, linear_matrix(in, out, step, align_corners, cubic), out, in);
  }
  return y;
}

// ---- channels and pixels ----
static void require_factor(const char* op, const Tensor& x, bool fits, int64_t factor) {
  if (!fits) throw Error(ErrorKind::value, op, "input (.., C, H, W) whose sizes the factor divides", x.shape().text() + " and " + std::to_string(factor));
}
Tensor pixel_shuffle(const Tensor& x, int64_t r) {
  require_factor("pixel_shuffle", x, r > 0 && (x.rank() == 3 || x.rank() == 4) && !is_symbol(x.dim(-1)) && !is_symbol(x.dim(-2)) && x.dim(-3) % (r * r) == 0, r);
  int64_t c = x.dim(-3) / (r * r), h = x.dim(-2), w = x.dim(-1);
  if (x.rank() == 3) return reshape(permute(reshape(x, {c, r, r, h, w}), {0, 3, 1, 4, 2}), {c, h * r, w * r});
  return reshape(permute(reshape(x, {x.dim(0), c, r, r, h, w}), {0, 1, 4, 2, 5, 3}), {x.dim(0), c, h * r, w * r});
}
Tensor pixel_unshuffle(const Tensor& x, int64_t r) {
  require_factor("pixel_unshuffle", x, r > 0 && (x.rank() == 3 || x.rank() == 4) && !is_symbol(x.dim(-1)) && !is_symbol(x.dim(-2)) && x.dim(-1) % r == 0 && x.dim(-2) % r == 0, r);
  int64_t c = x.dim(-3), h = x.dim(-2) / r, w = x.dim(-1) / r;
  if (x.rank() == 3) return reshape(permute(reshape(x, {c, h, r, w, r}), {0, 2, 4, 1, 3}), {c * r * r, h, w});
  return reshape(permute(reshape(x, {x.dim(0), c, h, r, w, r}), {0, 1, 3, 5, 2, 4}), {x.dim(0), c * r * r, h, w});
}
Tensor channel_shuffle(const Tensor& x, int64_t groups) {
  require_factor("channel_shuffle", x, groups > 0 && x.rank() >= 3 && x.dim(1) % groups == 0, groups);
  Shape rows{x.dim(0), groups, x.dim(1) / groups, -1};
  return reshape(transpose(reshape(x, rows), 1, 2), x.shape());
}

// ---- windows as columns ----
namespace {
struct Windows { Tensor at; int64_t count, planes; };          // at: places in a padded plane, by tap, then by window
Windows windows_of(const char* op, Dims size, const WindowOptions& o) {
  Dims padded, out;
  for (int i : {0, 1}) {
    if (o.kernel[i] < 1 || o.dilation[i] < 1 || o.stride[i] < 1 || o.padding[i] < 0)
      throw Error(ErrorKind::value, op, "kernel, dilation and stride of at least 1, padding of 0 or more", o.kernel.text() + ", " + o.dilation.text() + ", " + o.stride.text() + ", " + o.padding.text());
    if (is_symbol(size[i])) throw Error(ErrorKind::unsupported, op, "a known height and width", size.text(), "trace with a fixed shape");
    padded.push(size[i] + 2 * o.padding[i]);
    int64_t free = padded[i] - o.dilation[i] * (o.kernel[i] - 1) - 1;
    if (size[i] < 1 || free < 0) throw Error(ErrorKind::value, op, "a plane that holds a window of " + o.kernel.text(), size.text());
    out.push(free / o.stride[i] + 1);
  }
  std::vector<int64_t> at;
  for (int64_t r = 0; r < o.kernel[0]; ++r)
    for (int64_t s = 0; s < o.kernel[1]; ++s)
      for (int64_t h = 0; h < out[0]; ++h)
        for (int64_t w = 0; w < out[1]; ++w) at.push_back((h * o.stride[0] + r * o.dilation[0]) * padded[1] + w * o.stride[1] + s * o.dilation[1]);
  return {Tensor::of<int64_t>({int64_t(at.size())}, at), out[0] * out[1], padded[0] * padded[1]};
}
}  // namespace

Tensor unfold(const Tensor& x, const WindowOptions& o) {
  if (x.rank() == 3) return squeeze(unfold(unsqueeze(x, 0), o), 0);
  require_rank("unfold", x, 4, planes);
  Windows w = windows_of("unfold", {x.dim(2), x.dim(3)}, o);
  Dims border{0, 0, o.padding[0], o.padding[1]};
  Tensor planes = reshape(miniten::pad(x, border, border), {x.dim(0), x.dim(1), w.planes});
  return reshape(index_select(planes, 2, w.at), {x.dim(0), x.dim(1) * o.kernel[0] * o.kernel[1], w.count});
}
Tensor fold(const Tensor& x, Dims size, const WindowOptions& o) {
  if (x.rank() == 2) return squeeze(fold(unsqueeze(x, 0), size, o), 0);
  require_rank("fold", x, 3, "input (N, C R S, windows) or (C R S, windows)");
  Windows w = windows_of("fold", size, o);
  int64_t taps = o.kernel[0] * o.kernel[1];
  if (is_symbol(x.dim(0))) throw Error(ErrorKind::unsupported, "fold", "a known batch size", x.shape().text(), "trace with a fixed shape");
  if (x.dim(1) % taps || x.dim(2) != w.count)
    throw Error(ErrorKind::value, "fold", "(N, C * " + std::to_string(taps) + ", " + std::to_string(w.count) + ")", x.shape().text());
  int64_t channels = x.dim(1) / taps, height = size[0] + 2 * o.padding[0], width = size[1] + 2 * o.padding[1];
  Tensor planes = index_add(Tensor::zeros({x.dim(0), channels, w.planes}, x.dtype()), 2, w.at, reshape(x, {x.dim(0), channels, taps * w.count}));
  Tensor y = reshape(planes, {x.dim(0), channels, height, width});
  return slice(slice(y, 2, o.padding[0], o.padding[0] + size[0]), 3, o.padding[1], o.padding[1] + size[1]);
}

}  // namespace miniten::nn::functional
