#include "ops/onnx_windows.h"
#include <cmath>
#include "base/allocate.h"
#include "miniten/ops/ops.h"

// Pooling over any number of axes where the fast ops do not reach: three axes, indices, Lp; and its relatives.
namespace miniten::onnx {

Windows windows_of(const ForeignNode& n, const Shape& x, const Ints& kernel) {
  size_t axes = kernel.size();
  if (int(axes) + 2 != x.rank || axes < 1) n.fail("a window for each spatial axis of " + x.text(), std::to_string(axes));
  Windows w{kernel, n.integers("strides", Ints(axes, 1)), n.integers("dilations", Ints(axes, 1)), {}, {}};
  Ints pads = n.integers("pads", Ints(2 * axes, 0));
  if (w.stride.size() != axes || w.dilation.size() != axes || pads.size() != 2 * axes) n.fail("a stride, dilation and two pads for each spatial axis", "others");
  std::string automatic = n.text("auto_pad", "NOTSET");
  for (size_t i = 0; i < axes; ++i) {
    int64_t s = w.stride[i], d = w.dilation[i], k = kernel[i], extent = d * (k - 1) + 1;
    if (s < 1 || d < 1 || k < 1 || pads[i] < 0 || pads[axes + i] < 0) n.fail("kernel, strides and dilations of at least 1 and pads of 0 or more", "others");
    if (automatic == "VALID") pads[i] = pads[axes + i] = 0;
    else if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      Dim size = x[int(i) + 2];
      if (is_symbol(size)) n.fail("a known size for auto_pad", x.text(), "call it with arrays, or fix the sizes");
      int64_t total = std::max<int64_t>(0, ((size + s - 1) / s - 1) * s + extent - size);
      pads[i] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      pads[axes + i] = total - pads[i];
    } else if (automatic != "NOTSET" && !automatic.empty()) n.fail("auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER", automatic);
  }
  w.before.assign(pads.begin(), pads.begin() + int64_t(axes));
  w.after.assign(pads.begin() + int64_t(axes), pads.end());
  return w;
}

namespace {

Shape pooled_shape(const ForeignNode& n, const Shape& x, const Windows& w) {
  Shape y{x[0], x[1]};
  for (size_t i = 0; i < w.kernel.size(); ++i) {
    int64_t span = x[int(i) + 2] + w.before[i] + w.after[i] - w.dilation[i] * (w.kernel[i] - 1) - 1, s = w.stride[i];
    if (span < 0) n.fail("windows that fit into " + x.text(), "larger ones");
    int64_t size = span / s + 1;
    if (n.integer("ceil_mode", 0) && span % s && size * s < x[int(i) + 2] + w.before[i]) ++size;   // a window starts inside
    y.push(size);
  }
  return y;
}
// visit(output element, window's elements in the input, places of the window inside the padded input)
template <class F> void each_window(const Shape& x, const Shape& y, const Windows& w, F visit) {
  int axes = int(w.kernel.size());
  Shape spatial, kernel(std::span<const Dim>(w.kernel));
  int64_t plane = 1;
  for (int i = 0; i < axes; ++i) { spatial.push(y[i + 2]); plane *= x[i + 2]; }
  std::vector<int64_t> inside;
  int64_t at = 0;
  for (int64_t map = 0; map < x[0] * x[1]; ++map)
    for_each_index(spatial, [&](const Dims& o, int64_t) {
      inside.clear();
      int64_t places = 0;
      for_each_index(kernel, [&](const Dims& k, int64_t) {
        int64_t flat = 0;
        bool in = true, padded = true;
        for (int i = 0; i < axes; ++i) {
          auto a = size_t(i);
          int64_t p = o[i] * w.stride[a] - w.before[a] + k[i] * w.dilation[a];
          in &= p >= 0 && p < x[i + 2];
          padded &= p < x[i + 2] + w.after[a];
          flat = flat * x[i + 2] + p;
        }
        if (in) inside.push_back(map * plane + flat);
        places += padded;
      });
      visit(at++, inside, places);
    });
}

Tensors max_at_once(const ForeignNode& n) {
  Tensor x = n.constant(0);
  Windows w = windows_of(n, x.shape(), n.integers("kernel_shape", {}));
  Shape shape = pooled_shape(n, x.shape(), w);
  auto v = numbers_of(n, 0);
  std::vector<double> y(addressable(uint64_t(shape.count())), -INFINITY);
  Ints places(y.size(), 0);
  bool by_columns = n.integer("storage_order", 0) != 0;
  int64_t plane = 1;
  for (int i = 2; i < x.rank(); ++i) plane *= x.dim(i);
  each_window(x.shape(), shape, w, [&](int64_t at, const std::vector<int64_t>& inside, int64_t) {
    int64_t best = inside.empty() ? 0 : inside[0];
    for (int64_t i : inside) if (v[size_t(i)] > v[size_t(best)]) best = i;
    if (inside.empty()) return;
    y[size_t(at)] = v[size_t(best)];
    if (by_columns) {                                                     // the first spatial axis runs fastest
      int64_t map = best / plane, rest = best % plane, flat = 0, step = 1;
      Ints index;
      for (int i = x.rank(); i-- > 2;) { index.insert(index.begin(), rest % x.dim(i)); rest /= x.dim(i); }
      for (size_t i = 0; i < index.size(); ++i) { flat += index[i] * step; step *= x.dim(int(i) + 2); }
      best = map * plane + flat;
    }
    places[size_t(at)] = best;
  });
  return {of_numbers(shape, y, x.dtype()), Tensor::of<int64_t>(shape, places)};
}

double power_sum(const std::vector<double>& v, const std::vector<int64_t>& inside, double p) {
  double s = 0;
  for (int64_t i : inside) s += std::pow(std::abs(v[size_t(i)]), p);
  return s;
}
Tensors read_lp_pool(const ForeignNode& n) {
  Tensor x = n.constant(0);
  Windows w = windows_of(n, x.shape(), n.integers("kernel_shape", {}));
  Shape shape = pooled_shape(n, x.shape(), w);
  auto v = numbers_of(n, 0);
  double p = double(n.integer("p", 2));
  std::vector<double> y(addressable(uint64_t(shape.count())));
  each_window(x.shape(), shape, w, [&](int64_t at, const std::vector<int64_t>& inside, int64_t) { y[size_t(at)] = std::pow(power_sum(v, inside, p), 1 / p); });
  return {of_numbers(shape, y, x.dtype())};
}
Tensors read_global_lp_pool(const ForeignNode& n) {
  Tensor x = n.required(0);
  double p = double(n.integer("p", 2));
  Axes axes;
  for (int i = 2; i < x.rank(); ++i) axes.push(i);
  return {miniten::pow(sum(miniten::pow(abs(x), p), axes, true), 1 / p)};
}
Tensors read_max_unpool(const ForeignNode& n) {
  Tensor x = n.constant(0);
  Ints places = n.constant_integers(1);
  Windows w = windows_of(n, x.shape(), n.integers("kernel_shape", {}));
  Shape shape{x.dim(0), x.dim(1)}, given;
  for (size_t i = 0; i < w.kernel.size(); ++i) shape.push((x.dim(int(i) + 2) - 1) * w.stride[i] - w.before[i] - w.after[i] + w.kernel[i]);
  given = shape;
  if (optional(n, 2)) { Ints s = n.constant_integers(2); given = Shape(std::span<const Dim>(s)); }
  check_sizes("MaxUnpool", given);
  if (given.rank != shape.rank || given.count() > (int64_t{1} << 28)) n.fail("an output shape of as many axes as the input", given.text());
  auto v = numbers_of(n, 0);
  std::vector<double> y(size_t(given.count()), 0.0);
  if (places.size() != v.size()) n.fail("an index for each value", std::to_string(places.size()));
  for (size_t i = 0; i < v.size(); ++i) {                                  // places count in the output that the windows give
    int64_t rest = places[i], flat = 0;
    if (rest < 0 || rest >= shape.count()) n.fail("indices inside " + shape.text(), std::to_string(rest));
    Ints index;
    for (int k = shape.rank; k-- > 0;) { index.insert(index.begin(), rest % shape[k]); rest /= shape[k]; }
    for (int k = 0; k < shape.rank; ++k) {
      if (index[size_t(k)] >= given[k]) n.fail("indices inside " + given.text(), std::to_string(index[size_t(k)]));
      flat = flat * given[k] + index[size_t(k)];
    }
    y[size_t(flat)] = v[i];
  }
  return {of_numbers(given, y, x.dtype())};
}
Tensors read_col2im(const ForeignNode& n) {
  Tensor x = n.constant(0);
  Ints image = n.constant_integers(1), block = n.constant_integers(2);
  int64_t taps = 1;
  for (int64_t k : block) { if (k < 1 || k > 1 << 20) n.fail("blocks of at least 1", std::to_string(k)); taps *= k; }
  if (x.rank() != 3 || x.dim(1) % taps || image.size() != block.size() || image.size() > 6) n.fail("(N, C * block, windows)", x.spec().text());
  Shape shape{x.dim(0), x.dim(1) / taps};
  for (int64_t s : image) shape.push(s);
  check_sizes("Col2Im", shape);
  if (shape.count() > (int64_t{1} << 28)) n.fail("at most 2^28 elements", shape.text());
  Windows w = windows_of(n, shape, block);
  Shape grid = pooled_shape(n, shape, w), spatial, kernel = Shape(std::span<const Dim>(block));
  int axes = int(block.size());
  for (int i = 0; i < axes; ++i) spatial.push(grid[i + 2]);
  if (spatial.count() != x.dim(2)) n.fail(std::to_string(spatial.count()) + " windows", x.spec().text());
  auto v = numbers_of(n, 0);
  std::vector<double> y(addressable(uint64_t(shape.count())), 0.0);
  int64_t plane = 1;
  for (int64_t s : image) plane *= s;
  for (int64_t map = 0; map < shape[0] * shape[1]; ++map)
    for_each_index(kernel, [&](const Dims& k, int64_t tap) {
      for_each_index(spatial, [&](const Dims& o, int64_t column) {
        int64_t flat = 0;
        bool in = true;
        for (int i = 0; i < axes; ++i) {
          auto a = size_t(i);
          int64_t p = o[i] * w.stride[a] - w.before[a] + k[i] * w.dilation[a];
          in &= p >= 0 && p < image[a];
          flat = flat * image[a] + p;
        }
        if (in) y[size_t(map * plane + flat)] += v[size_t((map * taps + tap) * x.dim(2) + column)];
      });
    });
  return {of_numbers(shape, y, x.dtype())};
}

constexpr ForeignComposition rules[] = {{"onnx", "LpPool", read_lp_pool}, {"onnx", "GlobalLpPool", read_global_lp_pool}, {"onnx", "MaxUnpool", read_max_unpool}, {"onnx", "Col2Im", read_col2im}};

}  // namespace

Tensors max_pool_at_once(const ForeignNode& n) { return max_at_once(n); }
Tensors avg_pool_at_once(const ForeignNode& n) {
  Tensor x = n.constant(0);
  Windows w = windows_of(n, x.shape(), n.integers("kernel_shape", {}));
  Shape shape = pooled_shape(n, x.shape(), w);
  auto v = numbers_of(n, 0);
  bool padded = n.integer("count_include_pad", 0) != 0;
  std::vector<double> y(addressable(uint64_t(shape.count())));
  each_window(x.shape(), shape, w, [&](int64_t at, const std::vector<int64_t>& inside, int64_t places) {
    double s = 0;
    for (int64_t i : inside) s += v[size_t(i)];
    y[size_t(at)] = s / double(std::max<int64_t>(1, padded ? places : int64_t(inside.size())));
  });
  return {of_numbers(shape, y, x.dtype())};
}
Compositions pool_rules() { return rules; }

}  // namespace miniten::onnx
