#include "kernels/qpool.h"
#include <cmath>
#include "miniten/base/symbol.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/conv_geometry.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/quantized/lowering.h"
#include "ops/tflite_write.h"

namespace miniten {

namespace {

Dim pooled_size(Dim in, Dim before, Dim after, Dim kernel, Dim stride, Dim dilation, bool ceil_mode) {
  Dim reach = dilation * (kernel - 1) + 1, room = in + before + after - reach;
  Dim n = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (n - 1) * stride >= in + before) --n;       // the last window must begin inside
  return n;
}
Shape pool_output(const Call& c, const Shape& x) {
  const auto& at = c.as<Pool2dAttrs>();
  if (x.rank != 4) c.fail("4-D input (N, C, H, W)", x.text(), x.rank == 3 ? "add a batch axis" : "");
  if (at.kernel.rank != 2 || at.stride.rank != 2 || at.dilation.rank != 2 || at.padding.rank != 4)
    c.fail("2 kernel sizes, 2 strides, 2 dilations and 4 paddings", at.kernel.text() + ", " + at.stride.text() + ", " + at.padding.text());
  for (const Dims* d : {&at.kernel, &at.stride, &at.dilation})
    for (Dim v : *d) if (v < 1) c.fail("kernel, stride and dilation of at least 1", d->text());
  Shape y = x;
  for (int i : {0, 1}) {
    Dim size = x[2 + i], before = at.padding[i], after = at.padding[2 + i], reach = at.dilation[i] * (at.kernel[i] - 1) + 1;
    if (before < 0 || after < 0 || before >= reach || after >= reach)
      c.fail("paddings from 0 to less than the kernel's reach", at.padding.text() + " for a kernel " + at.kernel.text());
    if (is_symbol(size)) {
      if (at.ceil_mode) c.fail("known height and width with ceil_mode", x.text(), "trace with a fixed shape", ErrorKind::unsupported);
      y[2 + i] = derived({size, 1, before + after - reach + at.stride[i], at.stride[i]});
      continue;
    }
    if (size + before + after < reach) c.fail("an input at least as large as the kernel", x.text() + " for a kernel " + at.kernel.text());
    y[2 + i] = pooled_size(size, before, after, at.kernel[i], at.stride[i], at.dilation[i], at.ceil_mode);
  }
  return y;
}
kernels::PoolShape kernel_shape(const View& x, const View& y, const Pool2dAttrs& at) {
  const Shape &in = x.shape(), &out = y.shape();
  return {.channels = in[1], .in_h = in[2], .in_w = in[3], .out_h = out[2], .out_w = out[3], .kernel_h = at.kernel[0], .kernel_w = at.kernel[1],
          .stride_h = at.stride[0], .stride_w = at.stride[1], .pad_h = at.padding[0], .pad_w = at.padding[1], .x_row = in[3] * in[1],
          .x_col = in[1], .y_row = out[3] * in[1], .y_col = in[1], .count_include_pad = at.count_include_pad,
          .dilation_h = at.dilation[0], .dilation_w = at.dilation[1], .pad_h_end = at.padding[2], .pad_w_end = at.padding[3]};
}
// Calls f(x, y, shape, first row, end row) for the images of a piece of n * out_h output rows.
template <class T, class F> void for_images(const Context& c, F f) {
  kernels::PoolShape shape = kernel_shape(c.in[0], c.out[0], c.as<Pool2dAttrs>());
  auto [begin, end] = c.slice(c.out[0].shape()[0] * shape.out_h);
  for (int64_t i = begin; i < end;) {
    int64_t n = i / shape.out_h, first = i % shape.out_h, stop = std::min(shape.out_h, first + end - i);
    f(c.in[0].as<T>() + n * shape.in_h * shape.x_row, c.out[0].as<T>() + n * shape.out_h * shape.y_row, shape, first, stop);
    i += stop - first;
  }
}
void max_eval(const Context& c) {
  auto floats = [](const auto* x, auto* y, const kernels::PoolShape& s, int64_t a, int64_t b) { kernels::max_pool(s, x, y, a, b); };
  auto integers = [](const auto* x, auto* y, const kernels::PoolShape& s, int64_t a, int64_t b) {
    kernels::qmax_pool(s, x, y, std::is_signed_v<std::remove_pointer_t<decltype(y)>>, a, b);
  };
  auto words = [](const int16_t* x, int16_t* y, const kernels::PoolShape& s, int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      for (int64_t q = 0; q < s.out_w; ++q) {
        int16_t* to = y + p * s.y_row + q * s.y_col;
        std::fill_n(to, s.channels, int16_t{-32768});
        for (int64_t i = 0; i < s.kernel_h; ++i)
          for (int64_t j = 0; j < s.kernel_w; ++j) {
            int64_t h = p * s.stride_h - s.pad_h + i * s.dilation_h, w = q * s.stride_w - s.pad_w + j * s.dilation_w;
            if (h < 0 || h >= s.in_h || w < 0 || w >= s.in_w) continue;
            const int16_t* from = x + h * s.x_row + w * s.x_col;
            for (int64_t k = 0; k < s.channels; ++k) to[k] = std::max(to[k], from[k]);
          }
      }
  };
  switch (c.in[0].spec.dtype) {
    case DType::i16: return for_images<int16_t>(c, words);
    case DType::f32: return for_images<float>(c, floats);
    case DType::f64: return for_images<double>(c, floats);
    case DType::i8: return for_images<int8_t>(c, integers);
    default: return for_images<uint8_t>(c, integers);
  }
}
void average_eval(const Context& c) {
  auto run = [](const auto* x, auto* y, const kernels::PoolShape& s, int64_t a, int64_t b) { kernels::avg_pool(s, x, y, a, b); };
  c.in[0].spec.dtype == DType::f64 ? for_images<double>(c, run) : for_images<float>(c, run);
}

// Walks windows for the gradients. f(x offset, y offset, taps counted) for each tap; offsets without channel.
template <class F> void for_taps(const kernels::PoolShape& s, F f) {
  for (int64_t p = 0; p < s.out_h; ++p)
    for (int64_t q = 0; q < s.out_w; ++q) {
      int64_t top = p * s.stride_h - s.pad_h, left = q * s.stride_w - s.pad_w;
      auto counted = [](int64_t from, int64_t kernel, int64_t step, int64_t low, int64_t high) {
        int64_t n = 0;
        for (int64_t i = 0; i < kernel; ++i) n += from + i * step >= low && from + i * step < high;
        return n;
      };
      int64_t taps = s.count_include_pad
          ? counted(top, s.kernel_h, s.dilation_h, -s.pad_h, s.in_h + s.pad_h_end) * counted(left, s.kernel_w, s.dilation_w, -s.pad_w, s.in_w + s.pad_w_end)
          : counted(top, s.kernel_h, s.dilation_h, 0, s.in_h) * counted(left, s.kernel_w, s.dilation_w, 0, s.in_w);
      for (int64_t i = 0; i < s.kernel_h * s.kernel_w; ++i) {
        int64_t h = top + i / s.kernel_w * s.dilation_h, w = left + i % s.kernel_w * s.dilation_w;
        if (h >= 0 && h < s.in_h && w >= 0 && w < s.in_w) f(h * s.x_row + w * s.x_col, p * s.y_row + q * s.y_col, taps);
      }
    }
}

// max_pool2d_scatter(x, g): g to the first greatest of each window of x. max_pool2d_gather(x, v): v's value there.
template <class T, bool scatters> void route(const Context& c) {
  const View &x = c.in[0], &small = scatters ? c.in[1] : c.out[0], &large = scatters ? c.out[0] : c.in[1];
  kernels::PoolShape s = kernel_shape(x, small, c.as<Pool2dAttrs>());
  auto [begin, end] = c.slice(x.shape()[0]);
  for (int64_t n = begin; n < end; ++n) {
    const T* in = x.as<T>() + n * s.in_h * s.x_row;
    T *big = large.as<T>() + n * s.in_h * s.x_row, *little = small.as<T>() + n * s.out_h * s.y_row;
    if (scatters) std::memset(big, 0, size_t(s.in_h * s.x_row) * sizeof(T));
    for (int64_t p = 0; p < s.out_h; ++p)
      for (int64_t q = 0; q < s.out_w; ++q)
        for (int64_t k = 0; k < s.channels; ++k) {
          int64_t best = -1;
          for (int64_t i = 0; i < s.kernel_h * s.kernel_w; ++i) {
            int64_t h = p * s.stride_h - s.pad_h + i / s.kernel_w * s.dilation_h, w = q * s.stride_w - s.pad_w + i % s.kernel_w * s.dilation_w;
            if (h < 0 || h >= s.in_h || w < 0 || w >= s.in_w) continue;
            int64_t at = h * s.x_row + w * s.x_col + k;
            if (best < 0 || in[at] > in[best] || (in[at] != in[at] && in[best] == in[best])) best = at;
          }
          T& one = little[p * s.y_row + q * s.y_col + k];
          if (scatters) { if (best >= 0) big[best] += one; }
          else one = best >= 0 ? big[best] : T(0);
        }
  }
}
void scatter_eval(const Context& c) {
  if (c.in[0].spec.dtype == DType::f64) return route<double, true>(c);
  kernels::PoolShape s = kernel_shape(c.in[0], c.in[1], c.as<Pool2dAttrs>());
  auto [begin, end] = c.slice(c.in[0].shape()[0]);
  const int64_t large = s.in_h * s.x_row, small = s.out_h * s.y_row;
  for (int64_t n = begin; n < end; ++n) kernels::max_pool_scatter(s, c.in[0].f32() + n * large, c.in[1].f32() + n * small, c.out[0].f32() + n * large);
}
void gather_eval(const Context& c) { c.in[0].spec.dtype == DType::f64 ? route<double, false>(c) : route<float, false>(c); }
template <class T> void average_input(const Context& c) {
  kernels::PoolShape s = kernel_shape(c.out[0], c.in[0], c.as<Pool2dAttrs>());
  auto [begin, end] = c.slice(c.out[0].shape()[0]);
  for (int64_t n = begin; n < end; ++n) {
    T* x = c.out[0].as<T>() + n * s.in_h * s.x_row;
    const T* y = c.in[0].as<T>() + n * s.out_h * s.y_row;
    std::memset(x, 0, size_t(s.in_h * s.x_row) * sizeof(T));
    for_taps(s, [&](int64_t to, int64_t from, int64_t taps) {
      T share = T(1) / T(taps);
      for (int64_t k = 0; k < s.channels; ++k) x[to + k] += y[from + k] * share;
    });
  }
}

void require_wide(const Call& c) {
  for (const Spec& s : c.in)
    if (s.dtype != DType::f32 && s.dtype != DType::f64) c.fail("float32 or float64", s.text(), "convert with cast first", ErrorKind::type);
}
void max_infer(const Call& c, Specs& out) {
  if (DType t = c.in[0].dtype; t != DType::i8 && t != DType::u8 && t != DType::i16) require_wide(c);
  out.push({c.in[0].dtype, pool_output(c, c.in[0].shape)});
}
void average_infer(const Call& c, Specs& out) {
  require_wide(c);
  out.push({c.in[0].dtype, pool_output(c, c.in[0].shape)});
}
void scatter_infer(const Call& c, Specs& out) {
  require_wide(c);
  require_same_dtype(c);
  if (Shape y = pool_output(c, c.in[0].shape); y != c.in[1].shape) c.fail("a gradient of shape " + y.text(), c.in[1].shape.text());
  out.push(c.in[0]);
}
void gather_infer(const Call& c, Specs& out) {
  require_wide(c);
  require_same_dtype(c);
  if (c.in[0].shape != c.in[1].shape) c.fail("values of shape " + c.in[0].shape.text(), c.in[1].shape.text());
  out.push({c.in[0].dtype, pool_output(c, c.in[0].shape)});
}
void average_input_infer(const Call& c, Specs& out) {
  require_wide(c);
  const Shape &y = c.in[0].shape, &extent = c.as<Pool2dAttrs>().extent;
  if (y.rank != 4 || extent.rank != 2) c.fail("4-D values and an extent (H, W)", y.text() + " and " + extent.text());
  Shape x{y[0], y[1], extent[0], extent[1]};
  if (Shape expected = pool_output(c, x); expected != y) c.fail("values of shape " + expected.text(), y.text());
  out.push({c.in[0].dtype, x});
}
Cost pool_cost(const Call& c) {
  const auto& at = c.as<Pool2dAttrs>();
  return {0, std::min(c.in[0].shape.count(), c.out[0].shape.count()) * at.kernel[0] * at.kernel[1]};
}
Work pool_work(const Call& c) {
  const int64_t work = pool_cost(c).flops, rows = c.out[0].shape[0] * c.out[0].shape[2];
  return {.pieces = pieces_for_threads(c, int(std::clamp<int64_t>(std::min(work / 16384, rows), 1, 64)), std::min(work / 4096, rows))};
}
Work image_work(const Call& c) { return {.pieces = int(std::clamp<int64_t>(c.in[0].shape[0], 1, 16))}; }

const Pool2dAttrs overlapping{.kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0, 1, 1}, .ceil_mode = true, .count_include_pad = false};
std::vector<Sample> pool_samples(std::initializer_list<Shape> shapes, Shape extent = {}) {
  auto at = std::make_shared<Pool2dAttrs>(overlapping);
  at->extent = extent;
  Sample s{{}, at};
  for (const Shape& shape : shapes) s.in.push_back(sample_values(shape));
  return {s};
}
constexpr OpDef pool_row(std::string_view name, std::string_view doc, int inputs, void (*infer)(const Call&, Specs&), void (*eval)(const Context&),
                         Work (*work)(const Call&), void (*vjp)(const Vjp&), Keep keep, std::vector<Sample> (*samples)(), Foreign onnx = {}, Foreign c = {}, QuantRule quant = {}) {
  return {.name = name, .doc = doc, .min_inputs = inputs, .max_inputs = inputs, .infer = infer, .eval = eval, .work = work, .vjp = vjp, .keep = keep,
          .cost = pool_cost, .samples = samples, .quant = quant, .traits = {.channels_last = 3, .out = Layout::channels_last}, .onnx = onnx, .c = c,
          .attrs = codec<Pool2dAttrs>};
}
Pool2dAttrs plain(const Vjp& v) { Pool2dAttrs at = v.as<Pool2dAttrs>(); at.extent = {}; return at; }

}  // namespace

constinit const OpDef max_pool2d_op = to_tflite::with(pool_row("max_pool2d", "greatest of each window", 1, max_infer, max_eval, pool_work,
    [](const Vjp& v) { v.result[0] = apply(max_pool2d_scatter_op, {v.in[0], v.grad[0]}, plain(v)); }, keep_inputs,
    [] { return pool_samples({{2, 3, 5, 4}}); }, {"MaxPool", 1, &onnx::max_pool2d}, {"max_pool2d", 0, &c::max_pool2d}, {QuantMode::passes_through}), {"MAX_POOL_2D", 1, &to_tflite::max_pool2d});
constinit const OpDef max_pool2d_scatter_op = pool_row("max_pool2d_scatter", "values to where each window is greatest", 2, scatter_infer, scatter_eval,
    image_work, [](const Vjp& v) { if (v.needs(1)) v.result[1] = apply(max_pool2d_gather_op, {v.in[0], v.grad[0]}, plain(v)); }, {1, 0},
    [] { return pool_samples({{1, 3, 5, 4}, {1, 3, 3, 4}}); });
constinit const OpDef max_pool2d_gather_op = pool_row("max_pool2d_gather", "values from where each window is greatest", 2, gather_infer, gather_eval,
    image_work, [](const Vjp& v) { if (v.needs(1)) v.result[1] = apply(max_pool2d_scatter_op, {v.in[0], v.grad[0]}, plain(v)); }, {1, 0},
    [] { return pool_samples({{1, 3, 5, 4}, {1, 3, 5, 4}}); });
constinit const OpDef avg_pool2d_op = to_tflite::with(pool_row("avg_pool2d", "mean of each window", 1, average_infer, average_eval, pool_work,
    [](const Vjp& v) {
      Pool2dAttrs at = v.as<Pool2dAttrs>();
      at.extent = {v.in[0].dim(2), v.in[0].dim(3)};
      v.result[0] = apply(avg_pool2d_input_op, {v.grad[0]}, at);
    }, keep_nothing, [] { return pool_samples({{2, 3, 5, 4}}); }, {"AveragePool", 7, &onnx::avg_pool2d}, {"avg_pool2d", 0, &c::avg_pool2d}, {QuantMode::has_integer_form, 1, lower_avg_pool2d}), {"AVERAGE_POOL_2D", 1, &to_tflite::avg_pool2d});
constinit const OpDef avg_pool2d_input_op = pool_row("avg_pool2d_input", "gradient of avg_pool2d's input", 1, average_input_infer,
    [](const Context& c) { c.in[0].spec.dtype == DType::f64 ? average_input<double>(c) : average_input<float>(c); }, image_work,
    [](const Vjp& v) { v.result[0] = apply(avg_pool2d_op, {v.grad[0]}, plain(v)); }, keep_nothing, [] { return pool_samples({{2, 3, 3, 4}}, {5, 4}); });

Tensor max_pool2d(const Tensor& x, const Pool2dAttrs& at) {
  if (x.rank() == 3) return squeeze(max_pool2d(unsqueeze(x, 0), at), 0);
  bool direct = x.dtype() == DType::f64 || x.dtype() == DType::i16 || bits_of(x.dtype()) == 8;
  return direct ? apply(max_pool2d_op, {x}, at) : cast(apply(max_pool2d_op, {cast(x, DType::f32)}, at), x.dtype());
}
Tensor avg_pool2d(const Tensor& x, const Pool2dAttrs& at) {
  if (x.rank() == 3) return squeeze(avg_pool2d(unsqueeze(x, 0), at), 0);
  if (x.dtype() == DType::f16 || x.dtype() == DType::bf16) return cast(apply(avg_pool2d_op, {cast(x, DType::f32)}, at), x.dtype());
  return apply(avg_pool2d_op, {x}, at);
}
Tensor adaptive_avg_pool2d(const Tensor& x, int64_t height, int64_t width) {
  if (x.rank() != 4) throw Error(ErrorKind::value, "adaptive_avg_pool2d", "4-D input (N, C, H, W)", x.shape().text());
  if (height == 1 && width == 1) return mean(x, {2, 3}, true);
  if (height < 1 || width < 1 || x.dim(2) % height || x.dim(3) % width)
    throw Error(ErrorKind::unsupported, "adaptive_avg_pool2d", "an output size that divides " + x.shape().text(),
                "(" + std::to_string(height) + ", " + std::to_string(width) + ")", "use avg_pool2d with a kernel and stride");
  Dims window{x.dim(2) / height, x.dim(3) / width};
  return avg_pool2d(x, {.kernel = window, .stride = window});
}

}  // namespace miniten
