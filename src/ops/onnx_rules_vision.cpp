#include <cmath>
#include "base/allocate.h"
#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// ONNX operators on images: resizing as products with one matrix for each axis, the rest reckoned at once.
namespace miniten::onnx {

namespace {

constexpr int64_t most = int64_t{1} << 28;

double cubic(double x, double a) {
  x = std::abs(x);
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}
// One axis of a resize: where each output element looks.
struct Axis {
  int64_t in = 0, out = 0;
  double scale = 1, from = 0, to = 1;            // from, to: of tf_crop_and_resize
  double place(const std::string& how, int64_t i) const {
    double x = double(i), n = double(in), m = double(out);
    if (how == "asymmetric") return x / scale;
    if (how == "align_corners") return out == 1 ? 0 : x * (n - 1) / (scale * n - 1);         // the size before it is rounded down
    if (how == "pytorch_half_pixel") return out == 1 ? -0.5 : (x + 0.5) / scale - 0.5;
    if (how == "tf_half_pixel_for_nn") return (x + 0.5) / scale;
    if (how == "tf_crop_and_resize") return out > 1 ? from * (n - 1) + x * (to - from) * (n - 1) / (m - 1) : 0.5 * (from + to) * (n - 1);
    double y = (x + 0.5) / scale - 0.5;
    if (how == "half_pixel_symmetric") y += n / 2 * (1 - m / (scale * n));
    return y;
  }
};
int64_t nearest(double x, const std::string& how) {
  double down = std::floor(x), part = x - down;
  if (how == "floor") return int64_t(down);
  if (how == "ceil") return int64_t(std::ceil(x));
  if (how == "round_prefer_ceil") return int64_t(std::floor(x + 0.5));
  return int64_t(part <= 0.5 ? down : down + 1);
}

Tensors read_resize(const ForeignNode& n) {
  Tensor x = n.required(0);
  require_static(n, x);
  bool old = n.version() < 11;                   // Upsample, Resize-10: input 1 is scales
  int scales_at = old ? 1 : 2;
  std::string how = n.text("mode", "nearest"), where = n.text("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
  std::string rounding = n.text("nearest_mode", old ? "floor" : "round_prefer_floor"), policy = n.text("keep_aspect_ratio_policy", "stretch");
  if (how == "bilinear" || how == "trilinear") how = "linear";
  if (how != "nearest" && how != "linear" && how != "cubic") n.fail("mode nearest, linear or cubic", how);
  bool antialias = n.integer("antialias", 0) != 0, exclude = n.integer("exclude_outside", 0) != 0, crops = where == "tf_crop_and_resize";
  double a = n.number("cubic_coeff_a", -0.75), outside = n.number("extrapolation_value", 0);
  Ints given = n.integers("axes", {});
  if (given.empty()) for (int i = 0; i < x.rank(); ++i) given.push_back(i);
  std::vector<double> scales, roi;
  if (old && n.has("scales")) for (float s : n.numbers("scales", {})) scales.push_back(double(s));
  else if (optional(n, scales_at) && n.required(scales_at).numel() > 0) scales = numbers_of(n, scales_at);
  Ints sizes;
  if (scales.empty() && !old && optional(n, 3)) sizes = n.constant_integers(3);
  if (crops) roi = numbers_of(n, 1);
  size_t count = given.size();
  if ((scales.size() != count && sizes.size() != count) || (crops && roi.size() != 2 * count)) n.fail("a scale or size for each axis", std::to_string(scales.size() + sizes.size()));
  double common = 0;
  if (!sizes.empty() && policy != "stretch")
    for (size_t i = 0; i < count; ++i) {
      double s = double(sizes[i]) / double(x.dim(axis_of(n, given[i], x.rank())));
      common = i == 0 ? s : policy == "not_larger" ? std::min(common, s) : std::max(common, s);
    }
  DType t = x.dtype();
  Tensor extrapolated;
  bool integers = !is_float(t) && how != "nearest";
  if (integers) x = miniten::cast(x, DType::f32);
  for (size_t i = 0; i < count; ++i) {
    int at = axis_of(n, given[i], x.rank());
    Axis axis{x.dim(at)};
    if (sizes.empty()) { axis.scale = scales[i]; axis.out = int64_t(std::floor(double(axis.in) * scales[i])); }
    else if (common > 0) { axis.scale = common; axis.out = int64_t(std::floor(double(axis.in) * common + 0.5)); }
    else { axis.out = sizes[i]; axis.scale = double(axis.out) / double(axis.in); }
    if (axis.out < 0 || axis.out > most || axis.in < 1 || !(axis.scale > 0)) n.fail("sizes of at least 1", std::to_string(axis.out));
    if (crops) { axis.from = roi[i]; axis.to = roi[i + count]; }
    if (axis.out == axis.in && axis.scale == 1 && !crops) continue;
    std::vector<bool> beyond;
    if (how == "nearest") {
      Ints rows;
      for (int64_t o = 0; o < axis.out; ++o) {
        double p = axis.place(where, o);
        beyond.push_back(crops && (p < 0 || p > double(axis.in - 1)));
        rows.push_back(std::clamp<int64_t>(nearest(p, rounding), 0, axis.in - 1));
      }
      x = miniten::gather(x, ints(rows), at);
    } else {
      if (axis.in * axis.out > most) n.fail("an axis of fewer elements", std::to_string(axis.in));
      std::vector<double> m(size_t(axis.in * axis.out), 0.0);             // (in, out)
      double shrink = antialias ? std::min(axis.scale, 1.0) : 1.0, reach = (how == "cubic" ? 2 : 1) / shrink;
      for (int64_t o = 0; o < axis.out; ++o) {
        double p = axis.place(where, o), total = 0;
        beyond.push_back(crops && (p < 0 || p > double(axis.in - 1)));
        std::vector<std::pair<int64_t, double>> taps;
        for (auto k = int64_t(std::floor(p - reach)); k <= int64_t(std::ceil(p + reach)); ++k) {
          double d = (double(k) - p) * shrink, w = how == "cubic" ? cubic(d, a) : std::max(0.0, 1 - std::abs(d));
          if (w == 0 || (exclude && (k < 0 || k >= axis.in))) continue;
          taps.emplace_back(std::clamp<int64_t>(k, 0, axis.in - 1), w);
          total += w;
        }
        for (auto [k, w] : taps) m[size_t(k * axis.out + o)] += antialias || exclude ? w / total : w;
      }
      DType wide = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
      Tensor matrix = of_numbers({axis.in, axis.out}, m, wide);
      if (at == x.rank() - 1) x = miniten::matmul(x, matrix);
      else {
        Axes order = Dims::iota(x.rank());
        std::swap(order[at], order[x.rank() - 1]);
        x = miniten::permute(miniten::matmul(miniten::permute(x, order), matrix), order);
      }
    }
    if (std::count(beyond.begin(), beyond.end(), true)) {
      std::vector<double> mark;
      for (bool b : beyond) mark.push_back(b);
      Shape shape = Dims::filled(x.rank(), 1);
      shape[at] = axis.out;
      Tensor here = of_numbers(shape, mark, DType::boolean);
      extrapolated = extrapolated ? miniten::where(extrapolated, extrapolated, here) : here;
    }
  }
  if (extrapolated) x = miniten::where(extrapolated, Tensor::full({}, outside, x.dtype()), x);
  return {integers ? miniten::cast(miniten::round(x), t) : x};
}

// ---- samples at any place ----
struct Sampler {
  const ForeignNode& n;
  std::string how, beyond;                       // linear, nearest, cubic; zeros, border, reflection
  bool corners;
  Ints size;
  double denormalised(double v, int64_t length) const { return corners ? (v + 1) / 2 * double(length - 1) : ((v + 1) * double(length) - 1) / 2; }
  double reflected(double x, int64_t length) const {
    double low = corners ? 0 : -0.5, high = corners ? double(length - 1) : double(length) - 0.5, range = high - low;
    if (range <= 0) return 0;
    double d = x < low ? low - x : x > high ? x - high : 0;
    if (d == 0) return x;
    auto turns = int64_t(d / range);
    double rest = d - double(turns) * range;
    return (x < low) == (turns % 2 == 0) ? low + rest : high - rest;
  }
  int64_t inside(int64_t i, int64_t length) const {                        // -1: nothing there
    if (i >= 0 && i < length) return i;
    if (beyond == "zeros") return -1;
    if (beyond == "border") return std::clamp<int64_t>(i, 0, length - 1);
    return std::clamp<int64_t>(int64_t(reflected(double(i), length)), 0, length - 1);
  }
  double at(const double* image, const std::vector<double>& p) const { return along(image, p, 0); }
  double along(const double* image, const std::vector<double>& p, size_t axis) const {
    if (axis == size.size()) return *image;
    int64_t step = 1, length = size[axis];
    for (size_t i = axis + 1; i < size.size(); ++i) step *= size[i];
    double x = p[axis];
    if (beyond == "border") x = std::clamp(x, 0.0, double(length - 1));
    else if (beyond == "reflection" && !(x >= 0 && x <= double(length - 1))) x = reflected(x, length);
    if (!(std::abs(x) < 1e9)) return 0;
    auto one = [&](int64_t i) { int64_t k = inside(i, length); return k < 0 ? 0 : along(image + k * step, p, axis + 1); };
    if (how == "nearest") return one(int64_t(std::nearbyint(x)));
    auto base = int64_t(std::floor(x));
    double part = x - double(base), y = 0;
    if (how == "linear") return (part < 1 ? (1 - part) * one(base) : 0) + (part > 0 ? part * one(base + 1) : 0);
    for (int64_t k = -1; k <= 2; ++k) y += cubic(double(k) - part, -0.75) * one(base + k);
    return y;
  }
};
Tensors read_grid_sample(const ForeignNode& n) {
  Tensor x = n.constant(0), grid = n.constant(1);
  int axes = x.rank() - 2;
  if (axes < 1 || grid.rank() != x.rank() || grid.dim(-1) != axes || grid.dim(0) != x.dim(0)) n.fail("x (N, C, ..) and a grid (N, .., axes)", grid.spec().text());
  std::string how = n.text("mode", "linear");
  if (how == "bilinear") how = "linear";
  if (how == "bicubic") how = "cubic";
  Sampler s{n, how, n.text("padding_mode", "zeros"), n.integer("align_corners", 0) != 0, {}};
  if ((how != "linear" && how != "nearest" && how != "cubic") || (s.beyond != "zeros" && s.beyond != "border" && s.beyond != "reflection")) n.fail("a mode and padding that MiniTen has", how + ", " + s.beyond);
  int64_t plane = 1, places = 1;
  Shape shape{x.dim(0), x.dim(1)};
  for (int i = 0; i < axes; ++i) { s.size.push_back(x.dim(i + 2)); plane *= x.dim(i + 2); places *= grid.dim(i + 1); shape.push(grid.dim(i + 1)); }
  if (plane == 0) n.fail("an image with elements", x.spec().text());
  auto v = numbers_of(n, 0), g = numbers_of(n, 1);
  std::vector<double> y(addressable(uint64_t(shape.count()))), p(static_cast<size_t>(axes));
  for (int64_t b = 0; b < x.dim(0); ++b)
    for (int64_t k = 0; k < places; ++k) {
      for (int i = 0; i < axes; ++i) p[size_t(axes - 1 - i)] = s.denormalised(g[size_t((b * places + k) * axes + i)], s.size[size_t(axes - 1 - i)]);   // x first
      for (int64_t c = 0; c < x.dim(1); ++c) y[size_t((b * x.dim(1) + c) * places + k)] = s.at(v.data() + (b * x.dim(1) + c) * plane, p);
    }
  return {of_numbers(shape, y, x.dtype())};
}
Tensors read_affine_grid(const ForeignNode& n) {
  Tensor theta = n.required(0);
  Ints size = n.constant_integers(1);
  int axes = int(size.size()) - 2;
  if (axes < 2 || axes > 3 || theta.rank() != 3 || theta.dim(1) != axes || theta.dim(2) != axes + 1) n.fail("theta (N, axes, axes + 1) and a size (N, C, ..)", theta.spec().text());
  bool corners = n.integer("align_corners", 0) != 0;
  Shape spatial;
  for (int i = 0; i < axes; ++i) spatial.push(size[size_t(i) + 2]);
  check_sizes("AffineGrid", spatial);
  if (spatial.count() > most / 4) n.fail("fewer elements", spatial.text());
  std::vector<double> m;                         // (places, axes + 1): x, y, .., 1
  for_each_index(spatial, [&](const Dims& at, int64_t) {
    for (int i = axes; i-- > 0;) {
      double length = double(spatial[i]), k = double(at[i]);
      m.push_back(corners ? (length > 1 ? -1 + 2 * k / (length - 1) : -1) : (2 * k + 1) / length - 1);
    }
    m.push_back(1);
  });
  Tensor grid = miniten::matmul(of_numbers({spatial.count(), axes + 1}, m, theta.dtype()), transpose(theta));
  Shape shape{theta.dim(0)};
  for (Dim d : spatial) shape.push(d);
  shape.push(axes);
  return {miniten::reshape(grid, shape)};
}
Tensors read_center_crop_pad(const ForeignNode& n) {
  Tensor x = n.required(0);
  require_static(n, x);
  Ints size = n.constant_integers(1), axes = n.integers("axes", {});
  if (axes.empty()) for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  if (axes.size() != size.size()) n.fail("a size for each axis", std::to_string(size.size()));
  Dims before = Dims::filled(x.rank(), 0), after = before;
  for (size_t i = 0; i < axes.size(); ++i) {
    int at = axis_of(n, axes[i], x.rank());
    int64_t gap = size[i] - x.dim(at);
    if (size[i] < 0) n.fail("sizes of 0 or more", std::to_string(size[i]));
    if (gap < 0) x = miniten::slice(x, at, -gap / 2, -gap / 2 + size[i]);
    else if (gap > 0) { before[at] = gap / 2; after[at] = gap - gap / 2; }
  }
  return {miniten::pad(x, before, after)};
}
Tensors read_deform_conv(const ForeignNode& n) {
  Tensor x = n.constant(0), w = n.constant(1), offset = n.constant(2);
  if (x.rank() != 4 || w.rank() != 4 || offset.rank() != 4) n.fail("two spatial axes", x.spec().text());
  Tensor bias = optional(n, 3), mask = optional(n, 4);
  int64_t groups = n.integer("group", 1), fields = n.integer("offset_group", 1), kh = w.dim(2), kw = w.dim(3), taps = kh * kw, oh = offset.dim(2), ow = offset.dim(3), c = x.dim(1), o = w.dim(0);
  Ints stride = n.integers("strides", {1, 1}), dilation = n.integers("dilations", {1, 1}), pads = n.integers("pads", {0, 0, 0, 0});
  if (groups < 1 || fields < 1 || c % groups || o % groups || c % fields || w.dim(1) * groups != c || offset.dim(0) != x.dim(0) || offset.dim(1) != fields * taps * 2 || stride.size() != 2 || dilation.size() != 2 || pads.size() != 4 ||
      (mask && mask.numel() != x.dim(0) * fields * taps * oh * ow))
    n.fail("offsets (N, groups * taps * 2, H, W)", offset.spec().text());
  auto v = numbers_of(n, 0), weight = numbers_of(n, 1), moved = numbers_of(n, 2);
  std::vector<double> b, m;
  if (bias) b = numbers_of(n, 3);
  if (mask) m = numbers_of(n, 4);
  Sampler s{n, "linear", "zeros", true, {x.dim(2), x.dim(3)}};
  Shape shape{x.dim(0), o, oh, ow};
  std::vector<double> y(addressable(uint64_t(shape.count())), 0.0), column(size_t(c * taps));
  for (int64_t batch = 0; batch < x.dim(0); ++batch)
    for (int64_t r = 0; r < oh; ++r)
      for (int64_t q = 0; q < ow; ++q) {
        for (int64_t ch = 0; ch < c; ++ch)
          for (int64_t t = 0; t < taps; ++t) {
            int64_t field = (batch * fields + ch / (c / fields)) * taps + t;
            auto off = [&](int64_t k) { return moved[size_t(((field * 2 + k) * oh + r) * ow + q)]; };
            double py = double(r * stride[0] - pads[0] + t / kw * dilation[0]) + off(0), px = double(q * stride[1] - pads[1] + t % kw * dilation[1]) + off(1);
            double value = s.at(v.data() + (batch * c + ch) * x.dim(2) * x.dim(3), {py, px});
            column[size_t(ch * taps + t)] = mask ? value * m[size_t((field * oh + r) * ow + q)] : value;
          }
        for (int64_t k = 0; k < o; ++k) {
          int64_t first = k / (o / groups) * (c / groups) * taps;
          double total = bias ? b[size_t(k)] : 0;
          for (int64_t i = 0; i < c / groups * taps; ++i) total += weight[size_t(k * (c / groups) * taps + i)] * column[size_t(first + i)];
          y[size_t(((batch * o + k) * oh + r) * ow + q)] = total;
        }
      }
  return {of_numbers(shape, y, x.dtype())};
}

// ---- boxes ----
Tensors read_non_max_suppression(const ForeignNode& n) {
  Tensor boxes = n.constant(0), scores = n.constant(1);
  if (boxes.rank() != 3 || scores.rank() != 3 || boxes.dim(2) != 4 || boxes.dim(0) != scores.dim(0) || boxes.dim(1) != scores.dim(2)) n.fail("boxes (N, B, 4) and scores (N, C, B)", boxes.spec().text() + " and " + scores.spec().text());
  int64_t limit = optional(n, 2) ? n.constant_integers(2).at(0) : 0;
  double overlap = optional(n, 3) ? n.constant(3).item() : 0;
  bool centred = n.integer("center_point_box", 0) != 0, any = bool(optional(n, 4));
  double least = any ? n.constant(4).item() : 0;
  auto v = numbers_of(n, 0), s = numbers_of(n, 1);
  struct Box { double y0, x0, y1, x1; double area() const { return (y1 - y0) * (x1 - x0); } };
  auto box = [&](int64_t batch, int64_t i) {
    const double* p = v.data() + (batch * boxes.dim(1) + i) * 4;
    if (centred) return Box{p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2};
    return Box{std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3])};
  };
  Ints out;
  for (int64_t batch = 0; batch < boxes.dim(0); ++batch)
    for (int64_t c = 0; c < scores.dim(1); ++c) {
      const double* score = s.data() + (batch * scores.dim(1) + c) * scores.dim(2);
      Ints order, kept;
      for (int64_t i = 0; i < scores.dim(2); ++i) if (!any || score[i] > least) order.push_back(i);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return score[a] > score[b]; });
      for (int64_t i : order) {
        if (int64_t(kept.size()) >= limit) break;
        Box a = box(batch, i);
        bool free = true;
        for (int64_t k : kept) {
          Box b = box(batch, k);
          double h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0), w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
          double shared = h > 0 && w > 0 ? h * w : 0, whole = a.area() + b.area() - shared;
          free &= !(whole > 0 && shared / whole > overlap);
        }
        if (free) kept.push_back(i);
      }
      for (int64_t i : kept) out.insert(out.end(), {batch, c, i});
    }
  return {Tensor::of<int64_t>({int64_t(out.size()) / 3, 3}, out)};
}
Tensors read_roi_align(const ForeignNode& n) {
  Tensor x = n.constant(0), rois = n.constant(1);
  Ints batch = n.constant_integers(2);
  int64_t h = n.integer("output_height", 1), w = n.integer("output_width", 1), ratio = n.integer("sampling_ratio", 0), rows = x.rank() == 4 ? x.dim(2) : 0, columns = x.rank() == 4 ? x.dim(3) : 0;
  double scale = n.number("spatial_scale", 1), shift = n.version() >= 16 && n.text("coordinate_transformation_mode", "half_pixel") == "half_pixel" ? 0.5 : 0;
  bool greatest = n.text("mode", "avg") == "max";
  if (x.rank() != 4 || rois.rank() != 2 || rois.dim(1) != 4 || int64_t(batch.size()) != rois.dim(0) || h < 1 || w < 1 || rows < 1 || columns < 1) n.fail("x (N, C, H, W), boxes (n, 4) and a batch index each", rois.spec().text());
  auto v = numbers_of(n, 0), r = numbers_of(n, 1);
  Shape shape{rois.dim(0), x.dim(1), h, w};
  std::vector<double> out(addressable(uint64_t(shape.count())));
  for (int64_t k = 0; k < rois.dim(0); ++k) {
    if (batch[size_t(k)] < 0 || batch[size_t(k)] >= x.dim(0)) n.fail("batch indices below " + std::to_string(x.dim(0)), std::to_string(batch[size_t(k)]));
    const double* p = r.data() + k * 4;
    double x0 = p[0] * scale - shift, y0 = p[1] * scale - shift, rw = p[2] * scale - shift - x0, rh = p[3] * scale - shift - y0;
    if (shift == 0) { rw = std::max(rw, 1.0); rh = std::max(rh, 1.0); }
    double bh = rh / double(h), bw = rw / double(w);
    int64_t gh = ratio > 0 ? ratio : std::max<int64_t>(int64_t(std::ceil(bh)), 1), gw = ratio > 0 ? ratio : std::max<int64_t>(int64_t(std::ceil(bw)), 1);
    if (gh * gw > 1 << 20) n.fail("boxes of a sensible size", std::to_string(rh));
    for (int64_t c = 0; c < x.dim(1); ++c) {
      const double* image = v.data() + (batch[size_t(k)] * x.dim(1) + c) * rows * columns;
      for (int64_t i = 0; i < h; ++i)
        for (int64_t j = 0; j < w; ++j) {
          double total = 0, top = -INFINITY;
          for (int64_t a = 0; a < gh; ++a)
            for (int64_t b = 0; b < gw; ++b) {
              double y = y0 + double(i) * bh + (double(a) + 0.5) * bh / double(gh), q = x0 + double(j) * bw + (double(b) + 0.5) * bw / double(gw);
              double one[4] = {0, 0, 0, 0};
              if (y >= -1 && y <= double(rows) && q >= -1 && q <= double(columns)) {
                y = std::clamp(y, 0.0, double(rows - 1));
                q = std::clamp(q, 0.0, double(columns - 1));
                auto yl = int64_t(y), xl = int64_t(q);
                int64_t yh = std::min(yl + 1, rows - 1), xh = std::min(xl + 1, columns - 1);
                double ly = y - double(yl), lx = q - double(xl);
                one[0] = (1 - ly) * (1 - lx) * image[yl * columns + xl];
                one[1] = (1 - ly) * lx * image[yl * columns + xh];
                one[2] = ly * (1 - lx) * image[yh * columns + xl];
                one[3] = ly * lx * image[yh * columns + xh];
              }
              for (double d : one) { total += d; top = std::max(top, d); }
            }
          out[size_t(((k * x.dim(1) + c) * h + i) * w + j)] = greatest ? top : total / double(gh * gw);
        }
    }
  }
  return {of_numbers(shape, out, x.dtype())};
}

constexpr ForeignComposition rules[] = {
    {"onnx", "Resize", read_resize}, {"onnx", "Upsample", read_resize}, {"onnx", "GridSample", read_grid_sample}, {"onnx", "AffineGrid", read_affine_grid},
    {"onnx", "CenterCropPad", read_center_crop_pad}, {"onnx", "DeformConv", read_deform_conv}, {"onnx", "NonMaxSuppression", read_non_max_suppression},
    {"onnx", "RoiAlign", read_roi_align}};

}  // namespace

Compositions vision_rules() { return rules; }

}  // namespace miniten::onnx
