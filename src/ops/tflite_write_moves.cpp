#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/tflite_write.h"

namespace miniten::to_tflite {

namespace {

// In integers a value moves if both sides mean the same.
bool moves(const TfliteCall& f) {
  if (!f.q_out) return true;
  for (size_t i = 0; i < f.q_in.size(); ++i) if (f.q_in[i] ? !same(f.q_in[i], f.q_out) : f.call.in[i].dtype == DType::f32) return false;
  return true;
}
TfliteValue in_file(TfliteWriter& w, const TfliteCall& f) {
  if (!f.is_constant(0)) return f.in[0];
  return TfliteValue::plain(w.stored(0, f.shape(0), Dims::iota(f.shape(0).rank)), f.shape(0));
}
// Input 0 with whole axes.
TfliteValue whole(TfliteWriter& w, const TfliteCall& f) {
  const Shape& shape = f.shape(0);
  auto axes = f.is_constant(0) ? std::nullopt : axes_of(w, f.in[0], shape);
  Axes order = axes ? *axes : Dims::iota(shape.rank);
  return {w.stored(0, shape, order), shape, order};
}
int list(TfliteWriter& w, const Shape& s, const char* hint) {
  std::vector<int32_t> v(s.begin(), s.end());
  return w.constant(Tensor::of<int32_t>({int64_t(v.size())}, v), hint);
}

// Nothing is written: the same tensor, cut or ordered otherwise.
Values write_reshape(TfliteWriter& w, const TfliteCall& f) {
  if (!moves(f)) return {};
  TfliteValue v = in_file(w, f);
  const Shape& to = f.out();
  if (to.count() == 0) f.refuse("values with elements", to.text());
  TfliteValue trial = v;
  if (refine(trial, to)) return {trial};
  return {TfliteValue::plain(w.stored(0, f.shape(0), Dims::iota(f.shape(0).rank)), to)};
}
Values write_permute(TfliteWriter& w, const TfliteCall& f) {
  if (!moves(f)) return {};
  TfliteValue v = in_file(w, f);
  const Axes& order = f.call.as<PermuteAttrs>().order;
  if (!refine(v, f.shape(0))) v = TfliteValue::plain(w.stored(0, f.shape(0), Dims::iota(f.shape(0).rank)), f.shape(0));
  std::vector<std::vector<int>> runs(size_t(order.rank));     // pieces of each axis
  int at = 0;
  for (int k = 0; k < order.rank; ++k) {
    int64_t n = 1, size = f.shape(0)[k];
    while (at < v.pieces.rank && (n < size || (v.pieces[at] == 1 && runs[size_t(k)].empty() && size == 1))) { n *= v.pieces[at]; runs[size_t(k)].push_back(at++); }
    if (k + 1 == order.rank) while (at < v.pieces.rank) runs[size_t(k)].push_back(at++);
  }
  Shape pieces;
  std::vector<int> place(size_t(v.pieces.rank), 0);
  for (Dim k : order) for (int p : runs[size_t(k)]) { place[size_t(p)] = pieces.rank; pieces.push(v.pieces[p]); }
  Axes stored;
  for (Dim p : v.order) stored.push(place[size_t(p)]);
  return {{v.tensor, pieces, stored}};
}
Values write_identity(TfliteWriter& w, const TfliteCall& f) {
  if (!moves(f)) return {};
  return {in_file(w, f)};
}

Values write_expand(TfliteWriter& w, const TfliteCall& f) {
  if (f.q_out) return {};
  const Shape& to = f.out();
  Shape from;
  for (int i = f.shape(0).rank; i < to.rank; ++i) from.push(1);
  for (Dim d : f.shape(0)) from.push(d);
  int in = w.stored(0, from, Dims::iota(to.rank));
  return {TfliteValue::plain(w.emit_one("BROADCAST_TO", {in, list(w, to, "shape")}, {}, {f.call.in[0].dtype, to}, w.quantized(in)), to)};
}
Values write_slice(TfliteWriter& w, const TfliteCall& f) {
  if (!moves(f)) return {};
  const auto& at = f.call.as<SliceAttrs>();
  TfliteValue x = whole(w, f);
  int rank = x.order.rank;
  Shape begin, end, step, sizes;
  int64_t mask = 0;
  bool simple = true;
  for (int i = 0; i < rank; ++i) {
    int k = int(x.order[i]);
    begin.push(at.start[k]);
    step.push(at.step[k]);
    sizes.push(f.out()[k]);
    simple &= at.step[k] == 1;
    int64_t stop = at.step[k] > 0 ? std::min(at.stop[k], f.shape(0)[k]) : at.stop[k];
    if (at.step[k] < 0 && stop < 0) { mask |= 1 << i; stop = 0; }
    end.push(stop);
  }
  Spec spec{w.spec(x.tensor).dtype, sizes};
  QuantizedRef q = w.quantized(x.tensor);
  if (simple) x.tensor = w.emit_one("SLICE", {x.tensor, list(w, begin, "begin"), list(w, sizes, "size")}, {}, spec, q);
  else x.tensor = w.emit_one("STRIDED_SLICE", {x.tensor, list(w, begin, "begin"), list(w, end, "end"), list(w, step, "strides")}, {{"end_mask", mask}}, spec, q);
  x.pieces = f.out();
  return {x};
}
Values write_pad(TfliteWriter& w, const TfliteCall& f) {
  if (!moves(f)) return {};
  const auto& at = f.call.as<PadAttrs>();
  TfliteValue x = whole(w, f);
  QuantizedRef q = w.quantized(x.tensor);
  std::optional<double> value;
  if (at.value != 0) value = at.value;
  if (f.call.in[0].dtype != DType::f32 && q) {                    // integers: the format pads with what stands for 0
    value = at.value - (f.call.in[0].dtype == DType::u8 ? 128 : 0);
    if (*value == q->zero[0]) value.reset();
  } else if (value && q) value = std::clamp(std::nearbyint(*value / q->scale[0]) + q->zero[0], q->dtype == DType::i16 ? -32768.0 : -128.0, q->dtype == DType::i16 ? 32767.0 : 127.0);
  x.tensor = padded(w, x.tensor, ordered(at.before, x.order), ordered(at.after, x.order), value);
  x.pieces = f.out();
  return {x};
}
Values write_concat(TfliteWriter& w, const TfliteCall& f) {
  if (!moves(f)) return {};
  Axes order = Dims::iota(f.out().rank);
  for (size_t i = 0; i < f.in.size(); ++i) {
    auto axes = f.in[i].tensor < 0 ? std::nullopt : axes_of(w, f.in[i], f.call.in[i].shape);
    if (!axes || *axes == Dims::iota(order.rank)) continue;
    order = *axes;
    break;
  }
  std::vector<int> in;
  for (size_t i = 0; i < f.in.size(); ++i) if (f.call.in[i].shape.count()) in.push_back(w.stored(int(i), f.call.in[i].shape, order));
  QuantizedRef q = w.quantized(in[0]);
  int t = w.emit_one("CONCATENATION", in, {{"axis", int64_t{axis_in(order, f.call.as<AxisAttrs>().axis)}}}, {w.spec(in[0]).dtype, ordered(f.out(), order)}, q);
  return {{t, f.out(), order}};
}
Values write_gather(TfliteWriter& w, const TfliteCall& f) {
  if (f.q_out && !same(f.q_in[0], f.q_out)) return {};
  if (f.q_out && f.is_constant(0)) return {};
  int64_t axis = f.call.as<GatherAttrs>().axis;
  const Shape &shape = f.shape(0), &at = f.shape(1);
  TfliteValue x = whole(w, f);
  int place = axis_in(x.order, axis);
  int indices;
  if (const Tensor* known = f.call.value(1)) {                       // negative ones count from the end
    Tensor wide = Tensor::empty({DType::i32, known->shape()});
    copy_values(known->view(), wide.view());
    for (int64_t i = 0; i < wide.numel(); ++i) {
      int32_t& v = reinterpret_cast<int32_t*>(wide.view().data)[i];
      if (v < 0) v += int32_t(shape[int(axis)]);
    }
    indices = w.constant(wide, "indices");
  } else indices = w.stored(1, at, Dims::iota(at.rank));
  // The axis becomes those of the indices, at its place in the file and in the shape.
  TfliteValue y{-1, f.out(), {}};
  Shape file;
  for (int i = 0; i < x.order.rank; ++i) {
    if (i != place) {
      y.order.push(x.order[i] < axis ? x.order[i] : x.order[i] + at.rank - 1);
      file.push(shape[int(x.order[i])]);
      continue;
    }
    for (int k = 0; k < at.rank; ++k) { y.order.push(axis + k); file.push(at[k]); }
  }
  y.tensor = w.emit_one("GATHER", {x.tensor, indices}, {{"axis", int64_t{place}}}, {w.spec(x.tensor).dtype, file}, w.quantized(x.tensor));
  return {y};
}
Values write_one_hot(TfliteWriter& w, const TfliteCall& f) {
  const Shape& at = f.shape(0);
  int in = w.stored(0, at, Dims::iota(at.rank));
  DType t = f.call.out[0].dtype;
  int y = w.emit_one("ONE_HOT", {in, number(w, double(f.call.as<SizeAttrs>().size), DType::i32), number(w, 1, t), number(w, 0, t)}, {{"axis", int64_t{-1}}}, {t, f.out()});
  return {TfliteValue::plain(y, f.out())};
}

}  // namespace

constexpr auto both = TfliteRules::i8_and_i16;
constinit const TfliteRules reshape{write_reshape, both}, permute{write_permute, both}, identity{write_identity, both}, expand{write_expand}, slice{write_slice, both}, pad{write_pad, both},
    concat{write_concat, both}, gather{write_gather, both}, one_hot{write_one_hot};

}  // namespace miniten::to_tflite
