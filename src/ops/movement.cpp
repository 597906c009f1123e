#include "kernels/convert.h"
#include "kernels/transpose.h"
#include "miniten/base/symbol.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"

namespace miniten {

// Ops that move values and compute none: views of their input where strides allow.
namespace {

using MaybeStrides = std::optional<Strides>;

// Symbols cancel by name; what is left must be equal.
uint64_t take_factors(Shape& s) {                               // of sizes that are multiples of a symbol
  uint64_t n = 1;
  for (Dim& d : s)
    if (auto how = derivation(d); how && how->plus == 0 && how->over == 1) { n *= uint64_t(how->times); d = how->of; }
  return n;
}
bool same_count(Shape a, Shape b) {
  uint64_t of_a = take_factors(a), of_b = take_factors(b);
  for (Dim& d : a)
    for (Dim& e : b)
      if (is_symbol(d) && d == e) { d = e = 1; break; }
  return a.is_static() && b.is_static() && uint64_t(a.count()) * of_a == uint64_t(b.count()) * of_b;
}
// Sizes of b's one -1, from a; -1 where it cannot be told.
Dim missing_size(Shape a, Shape b) {
  int symbolic = -1;
  for (Dim& e : b) {
    if (!is_symbol(e)) continue;
    for (Dim& d : a) if (d == e) { d = e = 1; break; }
  }
  for (int i = 0; i < a.rank; ++i) if (is_symbol(a[i])) { if (symbolic >= 0) return -1; symbolic = i; }
  Dim left = symbolic >= 0 ? a[symbolic] : 0, n = 1, known = 1;
  for (int i = 0; i < a.rank; ++i) if (i != symbolic) n *= a[i];
  for (Dim e : b) { if (is_symbol(e)) return -1; if (e != -1) known *= e; }
  if (symbolic >= 0) return known > 0 && n % known == 0 && n > 0 ? derived({left, n / known}) : -1;
  return known > 0 && n % known == 0 ? n / known : known == 0 && n == 0 ? 0 : -1;
}

// New strides over the same memory, or none: NumPy's no-copy reshape.
MaybeStrides reshape_view(const Call& c, const Strides& in, int64_t&) {
  const Shape &from = c.in[0].shape, &to = c.out[0].shape;
  if (from.has(0) || !from.is_static() || !to.is_static()) return contiguous(to);
  Dims sizes, steps;
  for (int i = 0; i < from.rank; ++i) if (from[i] != 1) { sizes.push(from[i]); steps.push(in[i]); }
  Strides out = Dims::filled(to.rank, 1);
  int o = 0, i = 0;
  while (o < to.rank && i < sizes.rank) {
    if (to[o] == 1) { ++o; continue; }
    int64_t left = sizes[i], right = to[o];
    int i_end = i + 1, o_end = o + 1;
    while (left != right) {
      if (left < right) left *= sizes[i_end++];
      else right *= to[o_end++];
    }
    for (int k = i; k + 1 < i_end; ++k) if (steps[k] != steps[k + 1] * sizes[k + 1]) return {};
    int64_t step = steps[i_end - 1];
    for (int k = o_end - 1; k >= o; --k) { out[k] = step; step *= to[k]; }
    i = i_end;
    o = o_end;
  }
  return out;
}

void copy_logical(const Context& c) {                          // values in row-major order of both shapes
  View flat = c.out[0];
  flat.spec.shape = c.in[0].shape();
  flat.strides = contiguous(flat.spec.shape);
  copy_values(c.in[0], flat);
}

std::shared_ptr<ShapeAttrs> to_shape(Shape s) { return std::make_shared<ShapeAttrs>(ShapeAttrs{s}); }
constexpr Traits moves{.movement = true};
constexpr Traits moves_dense{.movement = true, .out = Layout::dense};
constexpr QuantRule passes{QuantMode::passes_through};

}  // namespace

constinit const OpDef reshape_op{.name = "reshape", .doc = "same elements, other shape",
    .infer = [](const Call& c, Specs& out) {
      const Shape &from = c.in[0].shape, &to = c.as<ShapeAttrs>().shape;
      check_sizes("reshape", to);
      if (!same_count(from, to)) c.fail("a shape of as many elements as " + from.text(), to.text());
      out.push({c.in[0].dtype, to});
    },
    .eval = copy_logical,
    .vjp = [](const Vjp& v) { v.result[0] = reshape(v.grad[0], v.in[0].shape()); },
    .view = reshape_view,
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({2, 3})}, to_shape({3, 2})}, {{transpose(sample_values({2, 3}))}, to_shape({6})}};
    },
    .quant = passes, .traits = moves_dense, .onnx = {"Reshape", 5, &onnx::reshape}, .tflite = {"RESHAPE", 1, &to_tflite::reshape}, .c = {"reshape", 0, &c::reshape}, .attrs = codec<ShapeAttrs>};

constinit const OpDef permute_op{.name = "permute", .doc = "axes in another order",
    .infer = [](const Call& c, Specs& out) {
      const Axes& order = c.as<PermuteAttrs>().order;
      Spec spec{c.in[0].dtype, {}};
      bool valid = order.rank == c.in[0].shape.rank;
      for (int i = 0; i < order.rank && valid; ++i) valid = order.has(i);
      if (!valid) c.fail("an order of every axis of " + c.in[0].shape.text(), order.text());
      for (Dim axis : order) spec.shape.push(c.in[0].shape[int(axis)]);
      out.push(spec);
    },
    .vjp = [](const Vjp& v) {
      const Axes& order = v.as<PermuteAttrs>().order;
      Axes back = order;
      for (int i = 0; i < order.rank; ++i) back[int(order[i])] = i;
      v.result[0] = permute(v.grad[0], back);
    },
    .view = [](const Call& c, const Strides& in, int64_t&) -> MaybeStrides {
      Strides out;
      for (Dim axis : c.as<PermuteAttrs>().order) out.push(in[int(axis)]);
      return out;
    },
    .samples = []() -> std::vector<Sample> { return {{{sample_values({1, 2, 3})}, std::make_shared<PermuteAttrs>(PermuteAttrs{{2, 0, 1}})}}; },
    .quant = passes, .traits = moves, .onnx = {"Transpose", 1, &onnx::permute}, .tflite = {"TRANSPOSE", 1, &to_tflite::permute}, .attrs = codec<PermuteAttrs>};

constinit const OpDef expand_op{.name = "expand", .doc = "broadcast to a shape",
    .infer = [](const Call& c, Specs& out) {
      const Shape& to = c.as<ShapeAttrs>().shape;
      if (broadcast("expand", c.in[0].shape, to) != to) c.fail("a shape that broadcasts to " + to.text(), c.in[0].shape.text());
      out.push({c.in[0].dtype, to});
    },
    .vjp = [](const Vjp& v) { v.result[0] = sum_to(v.grad[0], v.in[0].shape()); },
    .view = [](const Call& c, const Strides& in, int64_t&) -> MaybeStrides {
      return broadcast_strides(View{nullptr, c.in[0], in}, c.out[0].shape);
    },
    .samples = []() -> std::vector<Sample> { return {{{sample_values({3, 1})}, to_shape({2, 3, 2})}}; },
    .quant = passes, .traits = moves, .onnx = {"Expand", 8, &onnx::expand}, .tflite = {"BROADCAST_TO", 1, &to_tflite::expand}, .attrs = codec<ShapeAttrs>};

namespace {
int64_t slice_size(int64_t start, int64_t stop, int64_t step) {
  int64_t span = step > 0 ? stop - start + step - 1 : start - stop - step - 1;
  return std::max<int64_t>(0, span / (step > 0 ? step : -step));
}
Shape sliced_shape(const Call& c, const Shape& from, const SliceAttrs& at) {
  if (at.start.rank != from.rank || at.stop.rank != from.rank || at.step.rank != from.rank)
    c.fail("a start, stop and step for each axis of " + from.text(), at.start.text());
  Shape out;
  for (int i = 0; i < from.rank; ++i) {
    if (at.step[i] == 0) c.fail("a step other than 0", "0");
    bool whole = at.start[i] == 0 && at.step[i] == 1 && at.stop[i] == from[i];
    if (whole) { out.push(from[i]); continue; }
    if (is_symbol(at.start[i]) || is_symbol(at.stop[i])) {
      auto reach = difference(at.stop[i], at.start[i]);
      if (at.step[i] < 0 || (!reach && is_symbol(at.start[i]))) c.fail("known sizes on the sliced axis", from.text(), "trace with a fixed shape", ErrorKind::unsupported);
      out.push(reach ? slice_size(0, *reach, at.step[i]) : derived({at.stop[i], 1, at.step[i] - 1 - at.start[i], at.step[i]}));
      continue;
    }
    if (is_symbol(from[i])) {
      if (at.start[i] < 0 || at.stop[i] < 0 || at.step[i] < 0) c.fail("a known size on the sliced axis", from.text(), "trace with a fixed shape", ErrorKind::unsupported);
      out.push(slice_size(at.start[i], at.stop[i], at.step[i]));
      continue;
    }
    int64_t n = slice_size(at.start[i], at.stop[i], at.step[i]);
    int64_t last = at.start[i] + (n - 1) * at.step[i];
    if (n > 0 && (at.start[i] < 0 || at.start[i] >= from[i] || last < 0 || last >= from[i]))
      c.fail("a slice inside " + from.text(), at.start.text() + " to " + at.stop.text(), "", ErrorKind::index);
    out.push(n);
  }
  return out;
}
View sliced_view(View v, const SliceAttrs& at, const Shape& shape) {
  int64_t offset = 0;
  for (int i = 0; i < shape.rank; ++i) {
    if (shape[i] > 0) offset += at.start[i] * v.strides[i];
    v.strides[i] *= at.step[i];
  }
  v.spec.shape = shape;
  v.data += offset * int64_t(bytes_of(v.spec.dtype, 1));
  return v;
}
void zero_fill(const View& v) { std::memset(v.data, 0, v.spec.bytes()); }
std::vector<Sample> slice_samples() {
  return {{{sample_values({4, 3})}, std::make_shared<SliceAttrs>(SliceAttrs{{3, 0}, {-1, 2}, {-2, 1}})},
          {{sample_values({4, 3})}, std::make_shared<SliceAttrs>(SliceAttrs{{1, 0}, {3, 3}, {1, 1}})}};
}
}  // namespace

constinit const OpDef slice_op{.name = "slice", .doc = "every step-th element from start to stop, per axis",
    .infer = [](const Call& c, Specs& out) { out.push({c.in[0].dtype, sliced_shape(c, c.in[0].shape, c.as<SliceAttrs>())}); },
    .vjp = [](const Vjp& v) {
      v.result[0] = apply(slice_scatter_op, {v.grad[0], v.in[0]}, v.as<SliceAttrs>());
    },
    .view = [](const Call& c, const Strides& in, int64_t& offset) -> MaybeStrides {
      const auto& at = c.as<SliceAttrs>();
      Strides out = in;
      for (int i = 0; i < in.rank; ++i) {
        if (c.out[0].shape[i] > 0) offset += at.start[i] * in[i];
        out[i] = in[i] * at.step[i];
      }
      return out;
    },
    .samples = slice_samples, .quant = passes, .traits = moves, .onnx = {"Slice", 10, &onnx::slice}, .tflite = {"SLICE", 1, &to_tflite::slice}, .attrs = codec<SliceAttrs>};

// The gradient of slice: zeros like input 1, of which only the shape is read, with input 0 where the slice looked.
constinit const OpDef slice_scatter_op{.name = "slice_scatter", .doc = "zeros with values where a slice looks", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      Shape slice = sliced_shape(c, c.in[1].shape, c.as<SliceAttrs>());
      if (slice != c.in[0].shape) c.fail("values of shape " + slice.text(), c.in[0].shape.text());
      out.push({c.in[0].dtype, c.in[1].shape});
    },
    .eval = [](const Context& c) {
      zero_fill(c.out[0]);
      copy_values(c.in[0], sliced_view(c.out[0], c.as<SliceAttrs>(), c.in[0].shape()));
    },
    .vjp = [](const Vjp& v) { if (v.needs(0)) v.result[0] = slice(v.grad[0], v.as<SliceAttrs>()); },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({2, 2}), detach(sample_values({4, 3}))}, std::make_shared<SliceAttrs>(SliceAttrs{{3, 0}, {-1, 2}, {-2, 1}})}};
    },
    .traits = {.movement = true, .shape_only = 2, .out = Layout::dense}, .c = {"slice_scatter", 0, &c::slice_scatter}, .attrs = codec<SliceAttrs>};

// A border of what stands for zero is a convolution's own padding.
static std::optional<Absorbed> pad_absorb(const Fusion& f) {
  const auto& pad = f.first.as<PadAttrs>();
  if (f.slot != 0 || f.chains || pad.before.rank != 4 || pad.before[0] || pad.before[1] || pad.after[0] || pad.after[1]) return {};
  auto with = [&](auto at) {
    int64_t more[] = {pad.before[2], pad.before[3], pad.after[2], pad.after[3]};
    for (int i = 0; i < 4; ++i) at.padding[i] += more[i];
    std::vector<int> rest;
    for (int i = 1; i < int(f.next.in.size()); ++i) rest.push_back(i);
    return Absorbed{std::make_shared<decltype(at)>(at), rest, {}, &f.next.op};
  };
  if (&f.next.op == &conv2d_op && pad.value == 0) return with(f.next.as<Conv2dAttrs>());
  if (&f.next.op == &qconv2d_op && pad.value == double(f.next.as<QConv2dAttrs>().x_zero)) return with(f.next.as<QConv2dAttrs>());
  return {};
}
constinit const OpDef pad_op{.name = "pad", .doc = "a constant border",
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<PadAttrs>();
      Spec spec = c.in[0];
      if (at.before.rank != spec.shape.rank || at.after.rank != spec.shape.rank)
        c.fail("a size before and after each axis of " + spec.shape.text(), at.before.text() + " and " + at.after.text());
      for (int i = 0; i < spec.shape.rank; ++i) {
        if (at.before[i] < 0 || at.after[i] < 0) c.fail("borders of 0 or more", at.before.text() + " and " + at.after.text(), "cut with slice");
        if (at.before[i] + at.after[i] == 0) continue;
        spec.shape[i] = derived({spec.shape[i], 1, at.before[i] + at.after[i]});
      }
      check_sizes("pad", spec.shape);
      out.push(spec);
    },
    .eval = [](const Context& c) {
      const auto& at = c.as<PadAttrs>();
      const View& y = c.out[0];
      if (at.value == 0) zero_fill(y);
      else {
        double value = at.value;                               // one element, spread over all
        View scalar{reinterpret_cast<std::byte*>(&value), {DType::f64, y.shape()}, Dims::filled(y.shape().rank, 0)};
        copy_values(scalar, y);
      }
      View inside = y;
      inside.spec.shape = c.in[0].shape();
      for (int i = 0; i < inside.spec.shape.rank; ++i) inside.data += at.before[i] * y.strides[i] * int64_t(bytes_of(y.spec.dtype, 1));
      copy_values(c.in[0], inside);
    },
    .vjp = [](const Vjp& v) {
      const auto& at = v.as<PadAttrs>();
      Dims stop;
      const Shape& in = v.in[0].shape();
      for (int i = 0; i < in.rank; ++i) stop.push(derived({in[i], 1, at.before[i]}));
      v.result[0] = slice(v.grad[0], SliceAttrs{at.before, stop, Dims::filled(in.rank, 1)});
    },
    .absorb = pad_absorb,
    .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 3})}, std::make_shared<PadAttrs>(PadAttrs{{1, 0}, {0, 2}, 0.5})}}; },
    .traits = {.out = Layout::dense}, .onnx = {"Pad", 2, &onnx::pad}, .tflite = {"PAD", 1, &to_tflite::pad}, .c = {"pad", 0, &c::pad}, .attrs = codec<PadAttrs>};

constinit const OpDef concat_op{.name = "concat", .doc = "parts one after another along an axis", .min_inputs = 1, .max_inputs = max_inputs,
    .infer = [](const Call& c, Specs& out) {
      require_same_dtype(c);
      Spec spec = c.in[0];
      int64_t axis = c.as<AxisAttrs>().axis;
      if (axis < 0 || axis >= spec.shape.rank) c.fail("an axis below " + std::to_string(spec.shape.rank), std::to_string(axis), "", ErrorKind::index);
      for (size_t i = 1; i < c.in.size(); ++i) {
        Shape want = spec.shape, got = c.in[i].shape;
        if (got.rank != want.rank) c.fail("parts of one rank", want.text() + " and " + got.text());
        Dim size = got[int(axis)];
        want[int(axis)] = got[int(axis)] = 0;
        for (int k = 0; k < want.rank; ++k) if (may_equal(want[k], got[k])) got[k] = want[k];
        if (want != got) c.fail("parts that differ on axis " + std::to_string(axis) + " only", c.in[0].shape.text() + " and " + c.in[i].shape.text());
        Dim& sum = spec.shape[int(axis)];
        if (!is_symbol(size)) sum = derived({sum, 1, size});
        else if (!is_symbol(sum)) sum = derived({size, 1, sum});
        else if (Derived a = derivation(sum).value_or(Derived{sum}), b = derivation(size).value_or(Derived{size}); a.of == b.of && a.over == 1 && b.over == 1)
          sum = derived({a.of, a.times + b.times, a.plus + b.plus});
        else c.fail("known sizes on the joined axis", spec.shape.text(), "trace with a fixed shape", ErrorKind::unsupported);
      }
      out.push(spec);
    },
    .eval = [](const Context& c) {
      auto [begin, end] = c.slice(int64_t(c.in.size()));
      int axis = int(c.as<AxisAttrs>().axis);
      int64_t at = 0;
      for (int64_t i = 0; i < end; ++i) {
        View part = c.out[0];
        part.spec.shape = c.in[size_t(i)].shape();
        part.data += at * c.out[0].strides[axis] * int64_t(bytes_of(part.spec.dtype, 1));
        at += part.spec.shape[axis];
        if (i >= begin) copy_values(c.in[size_t(i)], part);
      }
    },
    .work = [](const Call& c) { return Work{std::min(pieces_for(c.out[0].shape.count()), int(c.in.size()))}; },
    .vjp = [](const Vjp& v) {
      int axis = int(v.as<AxisAttrs>().axis);
      int64_t at = 0;
      for (size_t i = 0; i < v.in.size(); ++i) {
        int64_t size = v.in[i].dim(axis);
        if (v.needs(int(i))) v.result[i] = v.in.size() == 1 ? v.grad[0] : slice(v.grad[0], axis, at, at + size);
        at += size;
      }
    },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({2, 3}), sample_values({2, 1}), transpose(sample_values({2, 2}))}, std::make_shared<AxisAttrs>(AxisAttrs{1})}}; },
    .quant = passes, .traits = {.movement = true}, .onnx = {"Concat", 4, &onnx::concat}, .tflite = {"CONCATENATION", 1, &to_tflite::concat}, .c = {"concat", 0, &c::concat}, .attrs = codec<AxisAttrs>};

constinit const OpDef detach_op{.name = "detach", .doc = "the same values, without gradient",
    .infer = [](const Call& c, Specs& out) { out.push(c.in[0]); },
    .view = [](const Call&, const Strides& in, int64_t&) -> MaybeStrides { return in; },
    .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 3})}, nullptr}}; },
    .quant = passes, .traits = {.movement = true, .stops_gradient = true}, .onnx = {"Identity", 1, &onnx::identity}, .tflite = {"RESHAPE", 1, &to_tflite::identity}};

// ---- copies ----
namespace {
template <class T, class Turn> void copy_elements(const Context& c, Turn turn) {
  View operands[] = {c.out[0], c.in[0]};
  ElementLoop loop(c.out[0].shape(), operands);
  const T* x = c.in[0].as<T>();
  T* y = c.out[0].as<T>();
  if (loop.is_turned())
    return loop.run_turned(c, [&](const int64_t* at, int64_t n, int64_t m, int64_t y_row, int64_t x_row) { turn(x + at[1], x_row, y + at[0], y_row, n, m); });
  loop.run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
    const T* from = x + at[1];
    T* to = y + at[0];
    if (step[0] == 1 && step[1] == 1) std::memmove(to, from, size_t(n) * sizeof(T));
    else for (int64_t i = 0; i < n; ++i) to[i * step[0]] = from[i * step[1]];
  });
}
// Three planes of n bytes, x_row apart, to n pixels.
void interleave_colours(const uint8_t* x, int64_t x_row, uint8_t* y, int64_t n) {
  typedef uint8_t Bytes __attribute__((vector_size(16)));
  typedef uint16_t Words __attribute__((vector_size(16)));
  typedef uint64_t Longs __attribute__((vector_size(16)));
  int64_t i = 0;
  for (; i + 17 <= n; i += 16) {                       // two bytes too many are written each time, and then overwritten
    Bytes plane[3];
    for (int j = 0; j < 3; ++j) std::memcpy(&plane[j], x + j * x_row + i, sizeof(Bytes));
    for (int half = 0; half < 2; ++half) {
      const auto beside = [&](Bytes p, Bytes q) {
        return Words(half ? __builtin_shufflevector(p, q, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
                          : __builtin_shufflevector(p, q, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
      };
      const Words first = beside(plane[0], plane[1]), last = beside(plane[2], Bytes{});
      for (Longs four : {Longs(__builtin_shufflevector(first, last, 0, 8, 1, 9, 2, 10, 3, 11)), Longs(__builtin_shufflevector(first, last, 4, 12, 5, 13, 6, 14, 7, 15))}) {
        four = (four & 0xffffff) | (four >> 8 & 0xffffff000000);
        for (int k = 0; k < 2; ++k, y += 6) {
          const uint64_t two = four[k];
          std::memcpy(y, &two, sizeof two);
        }
      }
    }
  }
  for (; i < n; ++i)
    for (int64_t j = 0; j < 3; ++j) *y++ = x[j * x_row + i];
}
void turn_bytes(const uint8_t* x, int64_t x_row, uint8_t* y, int64_t y_row, int64_t n, int64_t m) {
  if (m == 3 && y_row == 3) return interleave_colours(x, x_row, y, n);
  constexpr int64_t block = 64;                        // a line of x at a time
  for (int64_t begin = 0; begin < n; begin += block)
    for (int64_t j = 0; j < m; ++j)
      for (int64_t i = begin, end = std::min(n, begin + block); i < end; ++i) y[i * y_row + j] = x[j * x_row + i];
}
void copy_eval(const Context& c) {
  switch (bits_of(c.out[0].spec.dtype)) {
    case 8: return copy_elements<uint8_t>(c, turn_bytes);
    case 32: return copy_elements<float>(c, kernels::transpose);
    default:
      if (c.piece == 0) copy_values(c.in[0], c.out[0]);
  }
}
std::optional<kernels::Stored> stored_as(DType t) {
  using enum kernels::Stored;
  switch (t) {
    case DType::f16: return half;
    case DType::bf16: return bfloat16;
    case DType::i8: return i8;
    case DType::u8: return u8;
    case DType::i16: return i16;
    case DType::u16: return u16;
    case DType::i32: return i32;
    case DType::i64: return i64;
    case DType::f64: return f64;
    case DType::boolean: return boolean;
    default: return {};
  }
}
void cast_eval(const Context& c) {
  const View &x = c.in[0], &y = c.out[0];
  if (!x.is_contiguous() || !y.is_contiguous()) {
    if (c.piece == 0) copy_values(x, y);
    return;
  }
  auto [begin, end] = c.slice(y.shape().count());
  const int64_t n = end - begin;
  auto part = [&, begin = begin](const View& v) { return View{v.data + begin * int64_t(bytes_of(v.spec.dtype, 1)), {v.spec.dtype, {n}}, {1}}; };
  const View from = part(x), to = part(y);
  if (auto kind = stored_as(to.spec.dtype); kind && from.spec.dtype == DType::f32) kernels::from_floats(*kind, from.f32(), to.data, n);
  else if (kind = stored_as(from.spec.dtype); kind && to.spec.dtype == DType::f32) kernels::to_floats(*kind, from.data, to.f32(), n);
  else copy_values(from, to);
}
constexpr OpDef copy_row(std::string_view name, std::string_view doc, Layout out) {
  return {.name = name, .doc = doc, .infer = [](const Call& c, Specs& o) { o.push(c.in[0]); }, .eval = copy_eval, .work = elementwise_work,
          .vjp = [](const Vjp& v) { v.result[0] = v.grad[0]; },
          .samples = []() -> std::vector<Sample> { return {{{transpose(sample_values({3, 2}))}, nullptr}, {{sample_values({1, 2, 3, 2})}, nullptr}}; },
          .quant = passes, .traits = {.movement = true, .out = out}, .onnx = {"Identity", 1, &onnx::identity}, .c = {"copy", 0, &c::copy}};
}
}  // namespace
constinit const OpDef copy_op = to_tflite::with(copy_row("copy", "the same values, row-major", Layout::dense), {"RESHAPE", 1, &to_tflite::identity});
constinit const OpDef to_channels_last_op = to_tflite::with(copy_row("to_channels_last", "the same values, channels fastest in memory", Layout::channels_last), {"RESHAPE", 1, &to_tflite::identity});

constinit const OpDef cast_op{.name = "cast", .doc = "the same values in another dtype",
    .infer = [](const Call& c, Specs& out) {
      DType t = c.as<CastAttrs>().dtype;
      if (bits_of(t) < 8 || bits_of(c.in[0].dtype) < 8)
        c.fail("dtypes of whole bytes", c.in[0].text() + " to " + std::string(name_of(t)), "int4 tensors are made by quantisation", ErrorKind::unsupported);
      out.push({t, c.in[0].shape});
    },
    .eval = cast_eval, .work = elementwise_work,
    .vjp = [](const Vjp& v) { v.result[0] = cast(v.grad[0], v.in[0].dtype()); },
    .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 3})}, std::make_shared<CastAttrs>(CastAttrs{DType::f64})}}; },
    .traits = {}, .onnx = {"Cast", 6, &onnx::cast}, .tflite = {"CAST", 1, &to_tflite::cast}, .c = {"cast", 0, &c::cast}, .attrs = codec<CastAttrs>};

// ---- functions ----
Tensor reshape(const Tensor& x, const Shape& shape) {
  Shape to = shape;
  int unknown = -1;
  for (int i = 0; i < to.rank; ++i) {
    if (is_symbol(to[i]) || to[i] >= 0) continue;
    if (to[i] != -1 || unknown >= 0)
      throw Error(ErrorKind::value, "reshape", "sizes of 0 or more and at most one -1", shape.text());
    unknown = i;
  }
  if (unknown >= 0) {
    to[unknown] = 1;
    check_sizes("reshape", to);
    to[unknown] = missing_size(x.shape(), to);
    if (to[unknown] == -1)
      throw Error(ErrorKind::value, "reshape", "a shape of as many elements as " + x.shape().text(), shape.text());
  }
  return x.shape() == to ? x : apply(reshape_op, {x}, ShapeAttrs{to});
}
Tensor flatten(const Tensor& x, int start, int end) {
  int first = normal_axis("flatten", start, x.rank()), last = normal_axis("flatten", end, x.rank());
  if (first > last) throw Error(ErrorKind::value, "flatten", "start <= end", std::to_string(start) + " and " + std::to_string(end));
  Shape to;
  for (int i = 0; i < first; ++i) to.push(x.dim(i));
  to.push(-1);
  for (int i = last + 1; i < x.rank(); ++i) to.push(x.dim(i));
  return reshape(x, to);
}
Tensor squeeze(const Tensor& x, int axis) {
  axis = normal_axis("squeeze", axis, x.rank());
  if (x.rank() == 0 || x.dim(axis) != 1) return x;
  Shape to;
  for (int i = 0; i < x.rank(); ++i) if (i != axis) to.push(x.dim(i));
  return reshape(x, to);
}
Tensor unsqueeze(const Tensor& x, int axis) {
  axis = normal_axis("unsqueeze", axis, x.rank() + 1);
  Shape to;
  for (int i = 0; i <= x.rank(); ++i) {
    if (i == axis) to.push(1);
    if (i < x.rank()) to.push(x.dim(i));
  }
  return reshape(x, to);
}
Tensor permute(const Tensor& x, Axes order) {
  for (Dim& a : order) a = normal_axis("permute", a, x.rank());
  return apply(permute_op, {x}, PermuteAttrs{order});
}
Tensor transpose(const Tensor& x, int a, int b) {
  Axes order = Dims::iota(x.rank());
  if (x.rank() < 2) return x;
  std::swap(order[normal_axis("transpose", a, x.rank())], order[normal_axis("transpose", b, x.rank())]);
  return permute(x, order);
}
Tensor expand(const Tensor& x, const Shape& shape) {
  Shape to = shape;
  for (int i = 1; i <= to.rank; ++i)
    if (to[-i] == -1) {
      if (i > x.rank()) throw Error(ErrorKind::value, "expand", "a size for each new axis", shape.text());
      to[-i] = x.dim(-i);
    }
  return x.shape() == to ? x : apply(expand_op, {x}, ShapeAttrs{to});
}
Tensor slice(const Tensor& x, const SliceAttrs& at) { return apply(slice_op, {x}, at); }
Tensor slice(const Tensor& x, int axis, int64_t start, int64_t stop, int64_t step) {
  axis = normal_axis("slice", axis, x.rank());
  if (step == 0) throw Error(ErrorKind::value, "slice", "a step other than 0", "0");
  SliceAttrs at{Dims::filled(x.rank(), 0), x.shape(), Dims::filled(x.rank(), 1)};
  Dim n = x.dim(axis);
  if (is_symbol(n)) {
    if (start == 0 && step == 1 && (stop == n || stop == INT64_MAX)) return x;
    if (step > 0 && !is_symbol(start) && (stop == INT64_MAX || stop == n || (stop < 0 && !is_symbol(stop)))) {
      at.start[axis] = start < 0 ? derived({n, 1, start}) : start;
      at.stop[axis] = stop < 0 && stop != n ? derived({n, 1, stop}) : n;
      at.step[axis] = step;
      return apply(slice_op, {x}, at);
    }
    throw Error(ErrorKind::unsupported, "slice", "a known size on the sliced axis", x.shape().text(), "trace with a fixed shape");
  }
  int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
  auto inside = [&](int64_t i) { return std::clamp(i < 0 ? (i < -n ? low : i + n) : i, low, high); };
  at.start[axis] = inside(start);
  at.stop[axis] = stop == INT64_MIN ? low : inside(stop);
  at.step[axis] = step;
  return apply(slice_op, {x}, at);
}
Tensor select(const Tensor& x, int axis, int64_t index) {
  axis = normal_axis("select", axis, x.rank());
  if (x.rank() == 0) throw Error(ErrorKind::index, "select", "a tensor with axes", "a scalar");
  Dim n = x.dim(axis);
  if (!is_symbol(n) && (index < -n || index >= n))
    throw Error(ErrorKind::index, "select", "an index in [-" + std::to_string(n) + ", " + std::to_string(n) + ")", std::to_string(index));
  SliceAttrs at{Dims::filled(x.rank(), 0), x.shape(), Dims::filled(x.rank(), 1)};
  at.start[axis] = index < 0 ? derived({n, 1, index}) : index;
  at.stop[axis] = derived({at.start[axis], 1, 1});
  Tensor row = slice(x, at);
  Shape to;
  for (int i = 0; i < x.rank(); ++i) if (i != axis) to.push(x.dim(i));
  return reshape(row, to);
}
Tensor pad(const Tensor& x, Dims before, Dims after, double value) { return apply(pad_op, {x}, PadAttrs{before, after, value}); }
Tensor concat(std::span<const Tensor> parts, int axis) {
  if (parts.empty()) throw Error(ErrorKind::value, "concat", "at least one tensor", "none");
  if (parts.size() > size_t(max_inputs)) {                     // in groups, then the groups
    std::vector<Tensor> groups;
    for (size_t i = 0; i < parts.size(); i += max_inputs) groups.push_back(concat(parts.subspan(i, std::min<size_t>(max_inputs, parts.size() - i)), axis));
    return concat(groups, axis);
  }
  DType t = parts[0].dtype();
  for (const Tensor& p : parts) t = promote(t, p.dtype());
  std::vector<Tensor> same;
  for (const Tensor& p : parts) same.push_back(cast(p, t));
  std::vector<Input> in(same.begin(), same.end());
  AxisAttrs at{normal_axis("concat", axis, parts[0].rank())};
  Tensor out;
  apply(concat_op, in, &at, {&out, 1});
  return out;
}
Tensor stack(std::span<const Tensor> parts, int axis) {
  std::vector<Tensor> rows;
  for (const Tensor& p : parts) rows.push_back(unsqueeze(p, axis));
  return concat(rows, axis);
}
std::vector<Tensor> split(const Tensor& x, int64_t size, int axis) {
  axis = normal_axis("split", axis, x.rank());
  if (size < 1) throw Error(ErrorKind::value, "split", "parts of at least 1", std::to_string(size));
  std::vector<Tensor> parts;
  for (int64_t at = 0; at < x.dim(axis); at += size) parts.push_back(slice(x, axis, at, at + size));
  return parts;
}
Tensor detach(const Tensor& x) { return apply(detach_op, {x}); }
Tensor copy(const Tensor& x) { return apply(copy_op, {x}); }
Tensor cast(const Tensor& x, DType dtype) { return x.dtype() == dtype ? x : apply(cast_op, {x}, CastAttrs{dtype}); }

}  // namespace miniten
