#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/tflite_write.h"

namespace miniten::to_tflite {

TfliteValue convolution(TfliteWriter& w, const TfliteCall& f, int weight, const ConvOptions& at, const QuantizedRef& w_as, int bias, int64_t activation, const QuantizedRef& out) {
  const Shape &x = f.shape(0), &k = f.shape(weight), &y = f.out();
  bool depthwise = at.groups == x[1] && k[1] == 1 && at.groups > 1;
  Dims kernel{k[2], k[3]};
  Window win = window_of(x, y, kernel, at.stride, at.dilation, at.padding);
  int in = w.stored(0, x, {0, 2, 3, 1});
  if (!win.fits) in = padded(w, in, {0, win.before[0], win.before[1], 0}, {0, win.after[0], win.after[1], 0});
  ForeignAttributes options{{"padding", win.option}, {"stride_w", at.stride[1]}, {"stride_h", at.stride[0]}, {"fused_activation_function", activation},
                            {"dilation_w_factor", at.dilation[1]}, {"dilation_h_factor", at.dilation[0]}};
  if (depthwise) options.emplace_back("depth_multiplier", k[0] / x[1]);
  int filter = w.stored(weight, k, depthwise ? Axes{1, 2, 3, 0} : Axes{0, 2, 3, 1}, w_as);
  int t = w.emit_one(depthwise ? "DEPTHWISE_CONV_2D" : "CONV_2D", {in, filter, bias}, options, typed(DType::f32, out, {y[0], y[2], y[3], y[1]}), out);
  return {t, y, {0, 2, 3, 1}};
}

TfliteValue fully_connected(TfliteWriter& w, const TfliteCall& f, int weight, const QuantizedRef& w_as, int bias, int64_t activation, const QuantizedRef& out) {
  const Shape &x = f.shape(0), &y = f.out();
  int64_t inner = x[-1], units = y[-1];
  // The inner axis may lie in pieces at the end, in any order: the weight's rows follow.
  TfliteValue v = f.in[0];
  Shape lead, pieces;                            // of the rest; of the inner axis, row-major
  Axes rest, order;                              // stored orders
  bool fits = v.tensor >= 0 && refine(v, x);
  if (fits) {
    int first = v.pieces.rank;
    for (int64_t n = 1; n < inner; n *= v.pieces[first]) --first;
    for (int i = 0; i < v.pieces.rank; ++i) (i < first ? lead : pieces).push(v.pieces[i]);
    for (Dim p : v.order) {
      if (p < first) { fits &= order.rank == 0 || v.pieces[int(p)] == 1; rest.push(p); }
      else if (v.pieces[int(p)] != 1) order.push(p - first);
      else order.push(p - first);
    }
    // Pieces of one element may stand between.
    Axes seen;
    bool inside = false;
    for (Dim p : v.order) {
      if (v.pieces[int(p)] == 1) continue;
      if (p >= first) inside = true;
      else if (inside) fits = false;
    }
    fits &= lead.rank + 1 <= Dims::capacity && pieces.rank + 1 <= Dims::capacity;
  }
  Shape outer = x;                               // the shape in the file, without the inner axis
  outer.rank -= 1;
  int in;
  TfliteValue result;
  if (fits && !is_stored({v.tensor, v.pieces, v.order}, x, Dims::iota(x.rank))) {
    if (!std::is_sorted(rest.begin(), rest.end())) outer = ordered(lead, rest);
    Shape to = outer;
    to.push(inner);
    in = w.reshaped(v.tensor, to);
    result.pieces = lead;
    result.order = rest;
  } else {
    in = w.stored(0, x, Dims::iota(x.rank));
    pieces = {inner};
    order = {0};
    result.pieces = outer;
    result.order = Dims::iota(outer.rank);
  }
  Shape cut = pieces, filter_shape{units, inner}, file = outer;
  Axes filter_order{pieces.rank};
  cut.push(units);
  for (Dim p : order) filter_order.push(p);
  int filter = w.stored(weight, cut, filter_order, w_as, filter_shape);
  file.push(units);
  ForeignAttributes options{{"fused_activation_function", activation}};
  if (file.rank != 2) options.emplace_back("keep_num_dims", int64_t{1});
  if (w_as && !out) options.emplace_back("asymmetric_quantize_inputs", int64_t{f.in[1].pieces.rank != 1});     // 1: of quantize_rows, symmetric
  result.tensor = w.emit_one("FULLY_CONNECTED", {in, filter, bias}, options, typed(DType::f32, out, file), out);
  result.order.push(result.pieces.rank);
  result.pieces.push(units);
  return result;
}

namespace {

void require_floats(const TfliteCall& f) {
  if (f.call.in[0].dtype != DType::f32) f.refuse("float32", f.call.in[0].text(), "cast the model to float32");
}

Values write_conv(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<Conv2dAttrs>();
  require_floats(f);
  if (f.in.size() > 3) f.refuse("a convolution as it was traced", "one that a session fused with a sum");
  const Shape& k = f.shape(1);
  auto act = activation_of(at.lo, at.hi);
  ConvOptions o{at.stride, at.padding, at.dilation, at.groups};
  const Tensor *weight = f.call.value(1), *b = f.in.size() > 2 ? f.call.value(2) : nullptr;
  TfliteValue y;
  if (f.q_out) {
    if (!weight || (f.in.size() > 2 && !b)) return {};
    bool depthwise = at.groups == f.shape(0)[1] && k[1] == 1 && at.groups > 1;
    QuantizedRef q = weight_scales(*weight, 0, depthwise ? 3 : 0);
    y = convolution(w, f, 1, o, q, bias(w, b, k[0], f.q_in[0], q), act.value_or(0), f.q_out);
  } else {
    int b_tensor = f.in.size() > 2 ? w.stored(2, {k[0]}, {0}) : w.constant(Tensor::full({k[0]}, 0), "bias");
    y = convolution(w, f, 1, o, nullptr, b_tensor, act.value_or(0), nullptr);
  }
  if (!act) y.tensor = cut(w, y.tensor, at.lo, at.hi);
  return {y};
}

// y (N, O, P, Q) and weight (O, C / groups, R, S) -> x (N, C, H, W): TRANSPOSE_CONV, cut where its padding is no rule's.
Values write_conv_input(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<Conv2dAttrs>();
  require_floats(f);
  const Shape &y = f.shape(0), &k = f.shape(1), &x = f.out();
  if (!f.is_constant(1)) f.refuse("a constant weight", "a computed one");
  if (at.dilation[0] != 1 || at.dilation[1] != 1) f.refuse("a transposed convolution without dilation", at.dilation.text(), "the format has no dilated TRANSPOSE_CONV");
  Dims kernel{k[2], k[3]};
  Window win = window_of(x, y, kernel, at.stride, at.dilation, at.padding);
  bool covers = win.fits;
  Shape full = x;                                            // before the cut
  if (!win.fits) for (int i : {0, 1}) full[2 + i] = std::max((y[2 + i] - 1) * at.stride[i] + kernel[i], at.padding[i] + x[2 + i]);
  int in = w.stored(0, y, {0, 2, 3, 1});
  int64_t o_group = y[1] / at.groups, c_group = k[1];
  if (f.q_out && at.groups > 1) return {};
  QuantizedRef w_as, out = f.q_out;
  if (f.q_out) {
    const Tensor* weight = f.call.value(1);
    w_as = weight_scales(*weight, 1, 0);
  }
  std::vector<int32_t> sizes{int32_t(full[0]), int32_t(full[2]), int32_t(full[3]), int32_t(c_group)};
  int size = w.constant(Tensor::of<int32_t>({4}, sizes), "output_shape");
  ForeignAttributes options{{"padding", win.option}, {"stride_w", at.stride[1]}, {"stride_h", at.stride[0]}};
  Shape part{full[0], full[2], full[3], c_group};
  std::vector<int> parts;
  if (at.groups == 1) {
    std::vector<int> inputs{size, w.stored(1, k, {1, 2, 3, 0}, w_as), in};
    if (f.q_out) inputs.push_back(bias(w, nullptr, c_group, f.q_in[0], w_as));
    parts.push_back(w.emit_one("TRANSPOSE_CONV", inputs, options, typed(DType::f32, out, part), out));
  } else {
    const Tensor weight = f.call.value(1)->clone();
    std::vector<Spec> slices(size_t(at.groups), Spec{DType::f32, {y[0], y[2], y[3], o_group}});
    std::vector<int> xs = w.emit("SPLIT", {w.constant(Tensor::full({}, 3, DType::i32), "axis"), in}, {{"num_splits", at.groups}}, slices);
    for (int64_t g = 0; g < at.groups; ++g) {
      Tensor of = miniten::permute(miniten::slice(weight, 0, g * o_group, (g + 1) * o_group), {1, 2, 3, 0});
      parts.push_back(w.emit_one("TRANSPOSE_CONV", {size, w.constant(of, "weight"), xs[size_t(g)]}, options, {DType::f32, part}));
    }
  }
  int t = parts[0];
  Shape file{full[0], full[2], full[3], x[1]};
  if (parts.size() > 1) t = w.emit_one("CONCATENATION", parts, {{"axis", int64_t{3}}}, {DType::f32, file});
  if (!covers) {
    std::vector<int32_t> begin{0, int32_t(at.padding[0]), int32_t(at.padding[1]), 0}, extent{int32_t(x[0]), int32_t(x[2]), int32_t(x[3]), int32_t(x[1])};
    t = w.emit_one("SLICE", {t, w.constant(Tensor::of<int32_t>({4}, begin), "begin"), w.constant(Tensor::of<int32_t>({4}, extent), "size")}, {}, typed(DType::f32, out, {x[0], x[2], x[3], x[1]}), out);
  }
  return {{t, x, {0, 2, 3, 1}}};
}

Values write_matmul(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<ClampAttrs>();
  require_floats(f);
  auto act = activation_of(at.lo, at.hi);
  int64_t units = f.out()[-1];
  bool biased = f.in.size() > 2;
  if (f.is_constant(1) && f.shape(1).rank == 2) {
    TfliteValue y;
    const Tensor *weight = f.call.value(1), *b = biased ? f.call.value(2) : nullptr;
    if (f.q_out) {
      if (biased && !b) return {};
      QuantizedRef q = weight_scales(*weight, 1, 0);
      y = fully_connected(w, f, 1, q, bias(w, b, units, f.q_in[0], q), act.value_or(0), f.q_out);
    } else y = fully_connected(w, f, 1, nullptr, biased ? w.stored(2, {units}, {0}) : -1, act.value_or(0), nullptr);
    if (!act) y.tensor = cut(w, y.tensor, at.lo, at.hi);
    return {y};
  }
  if (f.q_out && (biased || f.is_constant(0) || f.is_constant(1) || at.lo > -infinity || at.hi < infinity)) return {};
  auto operand = [&](int i, int64_t& turned) {
    Axes plain = Dims::iota(f.shape(i).rank), swapped = plain;
    std::swap(swapped[-1], swapped[-2]);
    turned = !f.is_constant(i) && !is_stored(f.in[size_t(i)], f.shape(i), plain) && is_stored(f.in[size_t(i)], f.shape(i), swapped);
    return w.stored(i, f.shape(i), turned ? swapped : plain);
  };
  int64_t adj_x = 0, adj_y = 0;
  int a = operand(0, adj_x), b = operand(1, adj_y);
  int y = w.emit_one("BATCH_MATMUL", {a, b}, {{"adj_x", adj_x}, {"adj_y", adj_y}}, typed(DType::f32, f.q_out, f.out()), f.q_out);
  TfliteValue result = TfliteValue::plain(y, f.out());
  if (biased) {
    result.tensor = w.emit_one("ADD", {y, w.stored(2, {units}, {0})}, {{"fused_activation_function", act.value_or(0)}}, {DType::f32, f.out()});
    if (act) return {result};
  }
  result.tensor = cut(w, result.tensor, at.lo, at.hi);
  return {result};
}

Values write_batch_norm(TfliteWriter& w, const TfliteCall& f) {
  require_floats(f);
  const Tensor* p[4];
  for (int i = 0; i < 4; ++i) if (!(p[i] = f.call.value(i + 1))) f.refuse("constant statistics", "computed ones", "call eval() before export");
  std::vector<float> v[4], scale, shift;
  for (int i = 0; i < 4; ++i) v[i] = p[i]->to_vector<float>();
  for (size_t c = 0; c < v[0].size(); ++c) {
    double s = v[0][c] / std::sqrt(double(v[3][c]) + f.call.as<BatchNormAttrs>().eps);
    scale.push_back(float(s));
    shift.push_back(float(v[1][c] - v[2][c] * s));
  }
  TfliteValue x = f.in[0];
  auto axes = axes_of(w, x, f.out());
  Axes order = axes ? *axes : Dims::iota(f.out().rank);
  int t = w.stored(0, f.out(), order);
  Shape by_channel;
  for (int i = axis_in(order, 1); i < order.rank; ++i) by_channel.push(order[i] == 1 ? f.out()[1] : 1);
  auto constant = [&](const std::vector<float>& values, const char* hint) { return w.constant(Tensor::of<float>(by_channel, values), hint); };
  Spec spec{DType::f32, ordered(f.out(), order)};
  t = w.emit_one("MUL", {t, constant(scale, "scale")}, {}, spec);
  t = w.emit_one("ADD", {t, constant(shift, "shift")}, {}, spec);
  return {{t, f.out(), order}};
}

ForeignAttributes pool_options(const Pool2dAttrs& at, int64_t padding) {
  return {{"padding", padding}, {"stride_w", at.stride[1]}, {"stride_h", at.stride[0]}, {"filter_width", at.kernel[1]}, {"filter_height", at.kernel[0]}};
}
Values write_max_pool(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<Pool2dAttrs>();
  const Shape &x = f.shape(0), &y = f.out();
  if (at.dilation[0] != 1 || at.dilation[1] != 1) f.refuse("pooling without dilation", at.dilation.text());
  if (f.q_out && !same(f.q_in[0], f.q_out)) return {};
  Window win = window_of(x, y, at.kernel, at.stride, {1, 1}, at.padding);
  int in = w.stored(0, x, {0, 2, 3, 1});
  QuantizedRef q = w.quantized(in);
  DType t = w.spec(in).dtype;
  if (t != DType::f32 && !q) f.refuse("floats, or integers that are quantised", f.call.in[0].text());
  double lowest = t == DType::f32 ? -3.4028234663852886e38 : t == DType::i16 ? -32768 : -128;
  if (!win.fits) in = padded(w, in, {0, win.before[0], win.before[1], 0}, {0, win.after[0], win.after[1], 0}, lowest);
  return {{w.emit_one("MAX_POOL_2D", {in}, pool_options(at, win.option), {t, {y[0], y[2], y[3], y[1]}}, q), y, {0, 2, 3, 1}}};
}
// Averages whose windows the format counts otherwise get a factor for each place.
Values write_avg_pool(TfliteWriter& w, const TfliteCall& f) {
  const auto& at = f.call.as<Pool2dAttrs>();
  require_floats(f);
  const Shape &x = f.shape(0), &y = f.out();
  if (at.dilation[0] != 1 || at.dilation[1] != 1) f.refuse("pooling without dilation", at.dilation.text());
  if (f.q_out && !same(f.q_in[0], f.q_out) && at.kernel == Dims{x[2], x[3]} && at.padding == Dims{0, 0, 0, 0}) {
    int in = w.stored(0, x, {0, 2, 3, 1});
    int axes = w.constant(Tensor::of<int32_t>({2}, std::vector<int32_t>{1, 2}), "axes");
    return {{w.emit_one("MEAN", {in, axes}, {{"keep_dims", int64_t{1}}}, typed(DType::f32, f.q_out, {y[0], 1, 1, y[1]}), f.q_out), y, {0, 2, 3, 1}}};
  }
  Window win = window_of(x, y, at.kernel, at.stride, {1, 1}, at.padding);
  bool inside = win.before == Dims{0, 0} && win.after == Dims{0, 0};
  bool as_is = win.fits && (inside || (!at.count_include_pad && win.option == 0));
  std::vector<float> factor;                                     // by place: window size over what is counted
  bool corrects = false;
  if (!as_is)
    for (int64_t p = 0; p < y[2]; ++p)
      for (int64_t q = 0; q < y[3]; ++q) {
        int64_t counted = 1;
        for (int i : {0, 1}) {
          int64_t first = (i ? q : p) * at.stride[i] - at.padding[i], last = first + at.kernel[i];
          if (at.count_include_pad) last = std::min(last, x[2 + i] + at.padding[2 + i]);
          else { first = std::max<int64_t>(first, 0); last = std::min(last, x[2 + i]); }
          counted *= last - first;
        }
        factor.push_back(float(double(at.kernel[0] * at.kernel[1]) / double(counted)));
        corrects |= counted != at.kernel[0] * at.kernel[1];
      }
  if (f.q_out && corrects) return {};
  int in = w.stored(0, x, {0, 2, 3, 1});
  QuantizedRef q = w.quantized(in);
  if (!as_is) in = padded(w, in, {0, win.before[0], win.before[1], 0}, {0, win.after[0], win.after[1], 0});
  Spec spec{w.spec(in).dtype, {y[0], y[2], y[3], y[1]}};
  int t = w.emit_one("AVERAGE_POOL_2D", {in}, pool_options(at, as_is ? win.option : 1), spec, q);
  if (corrects) t = w.emit_one("MUL", {t, w.constant(Tensor::of<float>({1, y[2], y[3], 1}, factor), "counted")}, {}, spec);
  if (f.q_out && !same(q, f.q_out)) t = w.emit_one("QUANTIZE", {t}, {}, spec, f.q_out);
  return {{t, y, {0, 2, 3, 1}}};
}

}  // namespace

constexpr auto both = TfliteRules::i8_and_i16;
constinit const TfliteRules conv2d{write_conv, both}, conv2d_input{write_conv_input, both}, matmul{write_matmul, both}, batch_norm{write_batch_norm},
    max_pool2d{write_max_pool, both}, avg_pool2d{write_avg_pool, both};

}  // namespace miniten::to_tflite
