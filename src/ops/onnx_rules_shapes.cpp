#include "miniten/base/symbol.h"
#include "miniten/core/memory_limit.h"
#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

namespace miniten {

namespace {

using Names = std::vector<std::string>;
using Tensors = std::vector<Tensor>;
using Ints = std::vector<int64_t>;

std::string ints(ForeignWriter& w, const Ints& v, std::string_view hint) { return w.constant(Tensor::of<int64_t>({int64_t(v.size())}, v), hint); }
Ints list(const Dims& d) { return {d.begin(), d.end()}; }

// Axes from an input or, in older opsets, an attribute.
Ints axes_of(const ForeignNode& n, int input) {
  if (n.has("axes")) return n.integers("axes", {});
  if (input < n.inputs() && n.input(input)) return n.constant_integers(input);
  return {};
}
Axes normal_axes(const ForeignNode& n, const Ints& axes, int rank) {
  Axes out;
  for (int64_t a : axes) {
    if (a < -rank || a >= rank) n.fail("axes in [-" + std::to_string(rank) + ", " + std::to_string(rank) + ")", std::to_string(a));
    out.push(a < 0 ? a + rank : a);
  }
  return out;
}

Names write_reduce(ForeignWriter& w, const ForeignCall& f) {
  std::string_view type = f.call.op.onnx.name;
  Ints axes = list(f.call.as<ReduceAttrs>().axes);
  bool as_input = w.version() >= (type == "ReduceSum" ? 13 : 18);
  if (as_input) return {w.emit_one(type, {f.in[0], ints(w, axes, "axes")}, {{"keepdims", int64_t{1}}})};
  return {w.emit_one(type, {f.in[0]}, {{"axes", axes}, {"keepdims", int64_t{1}}})};
}
Tensors read_reduce(const ForeignNode& n) {
  Tensor x = n.required(0);
  Ints given = axes_of(n, 1);
  if (given.empty() && n.integer("noop_with_empty_axes", 0)) return {x};
  Axes axes = normal_axes(n, given, x.rank());
  bool keep = n.integer("keepdims", 1) != 0;
  std::string_view t = n.type();
  DType type = x.dtype();
  bool none = false;                                                      // of no elements: the least or greatest there is
  for (int i = 0; i < x.rank(); ++i) none |= x.dim(i) == 0 && (axes.rank == 0 || axes.has(i));
  if (none && (t == "ReduceMax" || t == "ReduceMin")) {
    Shape to;
    for (int i = 0; i < x.rank(); ++i) {
      bool gone = axes.rank == 0 || axes.has(i);
      if (!gone || keep) to.push(gone ? 1 : x.dim(i));
    }
    double edge = t == "ReduceMax" ? -double(infinity) : double(infinity);
    if (type == DType::boolean) edge = t != "ReduceMax";
    else if (!is_float(type)) visit_dtype(type, [&](auto zero) { using T = decltype(zero); edge = double(t == "ReduceMax" ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max()); });
    return {expand(Tensor::full({}, edge, type), to)};
  }
  if (type == DType::boolean) x = cast(x, DType::u8);
  if (t == "ReduceSum") return {cast(sum(x, axes, keep), type)};
  if (t == "ReduceMean") return {cast(mean(is_float(type) ? x : cast(x, DType::f64), axes, keep), type)};
  return {cast(t == "ReduceMax" ? max(x, axes, keep) : min(x, axes, keep), type)};
}
Names write_arg(ForeignWriter& w, const ForeignCall& f) {
  return {w.emit_one(f.call.op.onnx.name, {f.in[0]}, {{"axis", f.call.as<AxisAttrs>().axis}, {"keepdims", int64_t{1}}})};
}
Tensors read_arg(const ForeignNode& n) {
  Tensor x = n.required(0);
  int axis = onnx::axis_of(n, n.integer("axis", 0), x.rank());
  bool keep = n.integer("keepdims", 1) != 0;
  if (n.integer("select_last_index", 0)) {
    Tensor back = onnx::flip(x, axis);
    return {double(x.dim(axis) - 1) - (n.type() == "ArgMax" ? argmax(back, axis, keep) : argmin(back, axis, keep))};
  }
  return {n.type() == "ArgMax" ? argmax(x, axis, keep) : argmin(x, axis, keep)};
}

Names write_reshape(ForeignWriter& w, const ForeignCall& f) {
  const Shape &from = f.call.in[0].shape, &to = f.call.out[0].shape;
  Ints shape;
  int unknown = 0;
  for (int i = 0; i < to.rank; ++i) {
    bool copied = i < from.rank && is_symbol(to[i]) && from[i] == to[i];
    unknown += is_symbol(to[i]) && !copied;
    shape.push_back(copied ? 0 : is_symbol(to[i]) ? -1 : to[i]);
  }
  if (unknown > 1 || std::count(shape.begin(), shape.end(), 0) > (to.has(0) ? 0 : to.rank)) return {w.emit_one("Reshape", {f.in[0], w.sizes(to)})};
  return {w.emit_one("Reshape", {f.in[0], ints(w, shape, "shape")})};
}
Tensors read_reshape(const ForeignNode& n) {
  Tensor x = n.required(0);
  Ints wanted = n.sizes(1);
  Shape to;
  for (size_t i = 0; i < wanted.size(); ++i) {
    bool copies = wanted[i] == 0 && !n.integer("allowzero", 0);
    if (copies && int(i) >= x.rank()) n.fail("a size to copy", "0 at axis " + std::to_string(i));
    to.push(copies ? x.dim(int(i)) : wanted[i]);
  }
  return {miniten::reshape(x, to)};
}
Names write_permute(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Transpose", {f.in[0]}, {{"perm", list(f.call.as<PermuteAttrs>().order)}})}; }
Tensors read_permute(const ForeignNode& n) {
  Tensor x = n.required(0);
  Ints order;
  for (int i = x.rank(); i-- > 0;) order.push_back(i);
  order = n.integers("perm", order);
  return {miniten::permute(x, Dims(std::span<const Dim>(order)))};
}
Names write_expand(ForeignWriter& w, const ForeignCall& f) {
  const Shape &from = f.call.in[0].shape, &to = f.call.out[0].shape;
  Ints shape;
  for (int i = 0; i < to.rank; ++i) {
    int k = i - (to.rank - from.rank);
    if (is_symbol(to[i]) && (k < 0 || from[k] != to[i])) return {w.emit_one("Expand", {f.in[0], w.sizes(to)})};
    shape.push_back(is_symbol(to[i]) ? 1 : to[i]);        // 1 keeps the input's size
  }
  return {w.emit_one("Expand", {f.in[0], ints(w, shape, "shape")})};
}
Tensors read_expand(const ForeignNode& n) {
  Tensor x = n.required(0);
  Ints shape = n.sizes(1);
  return {miniten::expand(x, broadcast("Expand", x.shape(), Dims(std::span<const Dim>(shape))))};
}
Names write_slice(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<SliceAttrs>();
  const Shape& x = f.call.in[0].shape;
  Ints start, stop, axes, step;
  for (int i = 0; i < x.rank; ++i) {
    if (at.start[i] == 0 && at.step[i] == 1 && at.stop[i] == x[i]) continue;
    axes.push_back(i);
    start.push_back(at.start[i]);
    stop.push_back(at.stop[i] < 0 && !is_symbol(at.stop[i]) ? INT64_MIN + 1 : at.stop[i]);
    step.push_back(at.step[i]);
  }
  auto open = [](const Ints& v) { return std::any_of(v.begin(), v.end(), [](int64_t d) { return is_symbol(d) && d > INT64_MIN + 1; }); };
  auto numbers = [&](const Ints& v, std::string_view hint) { return open(v) ? w.sizes(Shape(std::span<const Dim>(v))) : ints(w, v, hint); };
  if (w.version() < 10 && (open(start) || open(stop)))
    throw Error(ErrorKind::unsupported, "export", "opset 10 or later for slices to open sizes", "opset " + std::to_string(w.version()) + " in layer \"" + std::string(f.node) + "\"");
  if (axes.empty()) return {w.emit_one("Identity", {f.in[0]})};
  if (w.version() < 10) {
    if (std::count(step.begin(), step.end(), 1) != int64_t(step.size()))
      throw Error(ErrorKind::unsupported, "export", "opset 10 or later for slices with steps", "opset " + std::to_string(w.version()) + " in layer \"" + std::string(f.node) + "\"");
    return {w.emit_one("Slice", {f.in[0]}, {{"starts", start}, {"ends", stop}, {"axes", axes}})};
  }
  return {w.emit_one("Slice", {f.in[0], numbers(start, "starts"), numbers(stop, "ends"), ints(w, axes, "axes"), ints(w, step, "steps")})};
}
Tensors read_slice(const ForeignNode& n) {
  Tensor x = n.required(0);
  bool old = n.version() < 10;
  Ints start = old ? n.integers("starts", {}) : n.sizes(1), stop = old ? n.integers("ends", {}) : n.sizes(2), axes, step;
  if (old) axes = n.integers("axes", {});
  else if (n.inputs() > 3 && n.input(3)) axes = n.constant_integers(3);
  if (!old && n.inputs() > 4 && n.input(4)) step = n.constant_integers(4);
  if (axes.empty()) for (size_t i = 0; i < start.size(); ++i) axes.push_back(int64_t(i));
  if (step.empty()) step.assign(start.size(), 1);
  if (stop.size() != start.size() || axes.size() != start.size() || step.size() != start.size()) n.fail("starts, ends, axes and steps of one length", "others");
  for (size_t i = 0; i < start.size(); ++i) {
    int64_t end = stop[i];
    int axis = onnx::axis_of(n, axes[i], x.rank());
    bool far = end > (int64_t{1} << 30), from_open = !old && n.open(1) && is_symbol(start[i]), to_open = !old && n.open(2) && is_symbol(end);
    if ((is_symbol(x.dim(axis)) || from_open || to_open) && step[i] > 0) {       // open sizes: as they stand, or from the end
      Dim size = x.dim(axis);
      auto place = [&](int64_t v, bool open) { return v < 0 && !open ? derived({size, 1, v}) : v; };
      bool one = start[i] >= 0 && end == start[i] + 1;                        // a single row, which must be there
      if (!to_open && !far && !one && (end >= 0 || end < -(int64_t{1} << 30))) n.fail("known sizes on the sliced axis", x.spec().text(), "call it with arrays, or fix the sizes");
      SliceAttrs at{Dims::filled(x.rank(), 0), x.shape(), Dims::filled(x.rank(), 1)};
      at.start[axis] = place(start[i], from_open);
      at.stop[axis] = far ? size : place(end, to_open);
      at.step[axis] = step[i];
      x = miniten::slice(x, at);
      continue;
    }
    if (step[i] < 0 && !is_symbol(x.dim(0)) && end < -(int64_t{1} << 40)) end = INT64_MIN;
    x = miniten::slice(x, int(axes[i]), start[i], end, step[i]);
  }
  return {x};
}
Names write_pad(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<PadAttrs>();
  Ints pads = list(at.before), after = list(at.after);
  pads.insert(pads.end(), after.begin(), after.end());
  if (w.version() < 11) return {w.emit_one("Pad", {f.in[0]}, {{"pads", pads}, {"value", float(at.value)}})};
  return {w.emit_one("Pad", {f.in[0], ints(w, pads, "pads"), w.constant(Tensor::full({}, at.value, f.call.in[0].dtype), "value")})};
}
Tensors read_pad(const ForeignNode& n) {
  Tensor x = n.required(0);
  std::string mode = n.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap") n.fail("mode constant, reflect, edge or wrap", mode);
  Ints pads = n.version() < 11 ? n.integers("pads", {}) : n.constant_integers(1), axes;
  double value = n.version() < 11 ? n.number("value", 0) : n.inputs() > 2 && n.input(2) ? n.constant(2).item() : 0;
  if (n.inputs() > 3 && n.input(3)) axes = n.constant_integers(3);
  else for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  if (pads.size() != 2 * axes.size()) n.fail("two pads for each axis", std::to_string(pads.size()));
  Dims before = Dims::filled(x.rank(), 0), after = before;
  Axes normal = normal_axes(n, axes, x.rank());
  for (int i = 0; i < normal.rank; ++i) {
    int64_t low = pads[size_t(i)], high = pads[size_t(i) + axes.size()];
    if (mode != "constant" && (low != 0 || high != 0)) {
      Dim size = x.dim(int(normal[i]));
      if (is_symbol(size) || size < 1) n.fail("a known size on the padded axis", x.spec().text(), "call it with arrays, or fix the sizes");
      int64_t length = 0;
      if (__builtin_add_overflow(size, low, &length) || __builtin_add_overflow(length, high, &length) || length > INT64_MAX / 16) n.fail("smaller pads", std::to_string(low) + " and " + std::to_string(high));
      MemoryLimit::check_numbers(std::max<int64_t>(length, 0));
      Ints rows;
      for (int64_t k = -low; k < size + high; ++k) {
        int64_t period = mode == "reflect" ? std::max<int64_t>(1, 2 * (size - 1)) : size, at = ((k % period) + period) % period;
        rows.push_back(mode == "edge" ? std::clamp<int64_t>(k, 0, size - 1) : at < size ? at : period - at);
      }
      x = miniten::gather(x, onnx::ints(rows), int(normal[i]));
      continue;
    }
    before[int(normal[i])] = std::max<int64_t>(low, 0);
    after[int(normal[i])] = std::max<int64_t>(high, 0);
    if (low < 0) x = miniten::slice(x, int(normal[i]), -low, INT64_MAX);
    if (high < 0) x = miniten::slice(x, int(normal[i]), 0, high);
  }
  return {miniten::pad(x, before, after, value)};
}
Names write_concat(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Concat", {f.in.begin(), f.in.end()}, {{"axis", f.call.as<AxisAttrs>().axis}})}; }
Tensors read_concat(const ForeignNode& n) {
  Tensors parts;
  for (int i = 0; i < n.inputs(); ++i) parts.push_back(n.required(i));
  return {miniten::concat(parts, int(n.integer("axis", 0)))};
}
Names write_cast(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Cast", {f.in[0]}, {{"to", onnx_type(f.call.as<CastAttrs>().dtype)}})}; }
Tensors read_cast(const ForeignNode& n) {
  DType t;
  if (!from_onnx_type(n.integer("to", 0), t)) n.fail("a dtype that MiniTen has", "type " + std::to_string(n.integer("to", 0)));
  return {miniten::cast(n.required(0), t)};
}
Names write_gather(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Gather", {f.in[0], f.in[1]}, {{"axis", f.call.as<GatherAttrs>().axis}})}; }
Tensors read_gather(const ForeignNode& n) { return {miniten::gather(n.required(0), n.required(1), int(n.integer("axis", 0)))}; }
Names write_identity(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Identity", {f.in[0]})}; }
Tensors read_identity(const ForeignNode& n) { return {n.required(0)}; }

Names write_square(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Mul", {f.in[0], f.in[0]})}; }
Names write_log1p(ForeignWriter& w, const ForeignCall& f) {
  return {w.emit_one("Log", {w.emit_one("Add", {f.in[0], w.constant(Tensor::full({}, 1, f.call.in[0].dtype), "one")})})};
}
// Comparisons have nothing to say but their operands; each dtype has its first opset.
Names write_compare(ForeignWriter& w, const ForeignCall& f) {
  DType t = f.call.in[0].dtype;
  std::string_view type = f.call.op.onnx.name;
  int since = type == "Equal" ? (t == DType::boolean || t == DType::i32 || t == DType::i64 ? 7 : 11) : type.ends_with("OrEqual") ? 12 : is_float(t) ? 7 : 9;
  if (w.version() == 11 && since == 12) return {w.emit_one("Or", {w.emit_one(type.substr(0, type.size() - 7), {f.in[0], f.in[1]}), w.emit_one("Equal", {f.in[0], f.in[1]})})};
  if (w.version() < since)
    throw Error(ErrorKind::unsupported, "export", "opset " + std::to_string(since) + " or later for " + std::string(type) + " of " + std::string(name_of(t)),
                "opset " + std::to_string(w.version()) + " in layer \"" + std::string(f.node) + "\"");
  return {w.emit_one(type, {f.in[0], f.in[1]})};
}
Tensors read_compare(const ForeignNode& n) {
  Tensor a = n.required(0), b = n.required(1);
  if (n.type() == "Equal") return {equal(a, b)};
  if (n.type() == "Less") return {less(a, b)};
  if (n.type() == "LessOrEqual") return {less_equal(a, b)};
  return {n.type() == "Greater" ? greater(a, b) : greater_equal(a, b)};
}
Names write_not_equal(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Not", write_compare(w, f))}; }
Names write_one_hot(ForeignWriter& w, const ForeignCall& f) {
  return {w.emit_one("OneHot", {f.in[0], ints(w, {f.call.as<SizeAttrs>().size}, "depth"), w.constant(Tensor::of({2}, {0, 1}), "values")}, {{"axis", int64_t{-1}}})};
}
Tensors read_one_hot(const ForeignNode& n) {
  Tensor values = n.constant(2), given = n.required(0), labels = cast(given, DType::i64);
  auto depth = int64_t(n.constant(1).item());
  if (values.numel() != 2) n.fail("an off and an on value", values.spec().text());
  if (n.constant(1).numel() != 1 || depth < 1) n.fail("a depth of at least 1", std::to_string(depth));
  int rank = labels.rank() + 1, axis = onnx::axis_of(n, n.integer("axis", -1), rank);
  Shape by_class = Dims::filled(rank, 1);
  by_class[axis] = depth;
  Tensor at = where(less(labels, Tensor::full({}, 0, DType::i64)), labels + double(depth), labels);     // outside: off everywhere
  Tensor hit = equal(unsqueeze(at, axis), miniten::reshape(onnx::counting(depth), by_class));
  return {where(hit, select(miniten::reshape(values, {2}), 0, 1), select(miniten::reshape(values, {2}), 0, 0))};
}
Names write_nonzero(ForeignWriter& w, const ForeignCall& f) {
  return {w.emit_one("Transpose", {w.emit_one("NonZero", {f.in[0]})}, {{"perm", Ints{1, 0}}})};
}
Tensors read_nonzero(const ForeignNode& n) { return {transpose(miniten::nonzero(n.required(0)))}; }
Names write_where(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one("Where", {f.in.begin(), f.in.end()})}; }
Tensors read_where(const ForeignNode& n) { return {miniten::where(n.required(0), n.required(1), n.required(2))}; }

// ---- ops read as compositions ----
Tensors read_gemm(const ForeignNode& n) {
  Tensor a = n.required(0), b = n.required(1);
  if (a.rank() != 2 || b.rank() != 2) n.fail("two matrices", a.spec().text() + " and " + b.spec().text());
  DType given = a.dtype();
  if (!is_float(given)) { a = cast(a, DType::f64); b = cast(b, DType::f64); }
  if (n.integer("transA", 0)) a = transpose(a);
  if (n.integer("transB", 0)) b = transpose(b);
  Tensor y = miniten::matmul(a, b);
  double alpha = n.number("alpha", 1), beta = n.number("beta", 1);
  if (alpha != 1) y = y * alpha;
  if (Tensor c = n.inputs() > 2 ? n.input(2) : Tensor()) y = y + (beta == 1 ? cast(c, y.dtype()) : cast(c, y.dtype()) * beta);
  return {cast(y, given)};
}
Tensors read_flatten(const ForeignNode& n) {
  Tensor x = n.required(0);
  int64_t axis = n.integer("axis", 1);
  if (axis < 0) axis += x.rank();
  if (axis < 0 || axis > x.rank()) n.fail("an axis of " + x.spec().text(), std::to_string(axis));
  if (axis == 0) return {miniten::reshape(x, {1, -1})};
  if (axis == 1) return {miniten::reshape(x, {x.dim(0), -1})};
  Dim first = 1;
  for (int i = 0; i < axis; ++i) first *= x.dim(i);
  return {miniten::reshape(x, {first, -1})};
}
Tensors read_global_pool(const ForeignNode& n) {
  Tensor x = n.required(0);
  Axes axes;
  for (int i = 2; i < x.rank(); ++i) axes.push(i);
  if (axes.rank == 0) n.fail("spatial axes", x.spec().text());
  return {n.type() == "GlobalAveragePool" ? mean(x, axes, true) : max(x, axes, true)};
}
Tensors read_squeeze(const ForeignNode& n) {
  Tensor x = n.required(0);
  Axes axes = normal_axes(n, axes_of(n, 1), x.rank());
  if (axes.rank == 0) for (int i = 0; i < x.rank(); ++i) if (x.dim(i) == 1) axes.push(i);
  Shape to;
  for (int i = 0; i < x.rank(); ++i) {
    if (axes.has(i) && x.dim(i) != 1) n.fail("a size of 1 to squeeze", x.spec().text());
    if (!axes.has(i)) to.push(x.dim(i));
  }
  return {miniten::reshape(x, to)};
}
Tensors read_unsqueeze(const ForeignNode& n) {
  Tensor x = n.required(0);
  Ints given = axes_of(n, 1);
  Axes axes = normal_axes(n, given, x.rank() + int(given.size()));
  Shape to;
  for (int i = 0, k = 0; i < x.rank() + int(given.size()); ++i) {
    if (axes.has(i)) to.push(1);
    else if (k < x.rank()) to.push(x.dim(k++));
    else n.fail("each axis once", "repeated ones");
  }
  return {miniten::reshape(x, to)};
}
Tensors read_split(const ForeignNode& n) {
  Tensor x = n.required(0);
  int axis = onnx::axis_of(n, n.integer("axis", 0), x.rank());
  Ints sizes = n.has("split") ? n.integers("split", {}) : n.inputs() > 1 && n.input(1) ? n.constant_integers(1) : Ints{};
  Dim whole = x.dim(axis);
  if (is_symbol(whole)) n.fail("a known size on the split axis", x.spec().text());
  int64_t count = n.outputs();
  if (int64_t told = n.integer("num_outputs", count); sizes.empty() && told != count) n.fail("as many outputs as num_outputs tells", std::to_string(count) + " of " + std::to_string(told));
  if (sizes.empty()) for (int64_t i = 0, each = (whole + count - 1) / std::max<int64_t>(count, 1); i < count; ++i) sizes.push_back(std::clamp<int64_t>(whole - i * each, 0, each));
  int64_t at = 0;
  Tensors parts;
  for (int64_t s : sizes) { parts.push_back(miniten::slice(x, axis, at, at + s)); at += s; }
  if (at != whole || int64_t(sizes.size()) != count) n.fail("sizes that sum to " + std::to_string(whole), std::to_string(at));
  return parts;
}
constexpr ForeignComposition compositions[] = {
    {"onnx", "Gemm", read_gemm}, {"onnx", "Flatten", read_flatten}, {"onnx", "GlobalAveragePool", read_global_pool}, {"onnx", "GlobalMaxPool", read_global_pool},
    {"onnx", "Squeeze", read_squeeze}, {"onnx", "Unsqueeze", read_unsqueeze}, {"onnx", "Split", read_split}, {"onnx", "Identity", read_identity}};

}  // namespace

namespace onnx {
constinit const ForeignRules reduce{write_reduce, read_reduce}, arg{write_arg, read_arg}, reshape{write_reshape, read_reshape},
    permute{write_permute, read_permute}, expand{write_expand, read_expand}, slice{write_slice, read_slice}, pad{write_pad, read_pad},
    concat{write_concat, read_concat}, cast{write_cast, read_cast}, gather{write_gather, read_gather}, identity{write_identity, nullptr},
    square{write_square, nullptr}, log1p{write_log1p, nullptr}, not_equal{write_not_equal, nullptr}, compare{write_compare, read_compare},
    one_hot{write_one_hot, read_one_hot}, nonzero{write_nonzero, read_nonzero},
    where{write_where, read_where};
}  // namespace onnx

onnx::Compositions onnx::shape_rules() { return compositions; }
}  // namespace miniten
