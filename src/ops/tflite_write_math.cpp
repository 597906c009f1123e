#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/tflite_write.h"

namespace miniten::to_tflite {

namespace {

void require_type(const TfliteCall& f, std::initializer_list<DType> known) {
  for (size_t i = 0; i < f.call.in.size(); ++i) {
    DType t = f.call.in[i].dtype;
    if (!f.q_out && !std::count(known.begin(), known.end(), t)) f.refuse("a dtype that the format computes on", std::string(name_of(t)), "cast to float32 or int32 first");
  }
}
constexpr auto numbers = {DType::f32, DType::i32, DType::i64};

// ---- elementwise, of one operand: as it lies ----
struct One { TfliteWriter& w; const TfliteCall& f; TfliteValue x; Spec spec; };
One one(TfliteWriter& w, const TfliteCall& f) {
  TfliteValue x = f.in[0];
  if (x.tensor < 0) x = TfliteValue::plain(w.stored(0, f.shape(0), Dims::iota(f.shape(0).rank)), f.shape(0));
  return {w, f, x, w.spec(x.tensor)};
}
TfliteValue done(const One& o, int t) { return {t, o.x.pieces, o.x.order}; }
int op(const One& o, std::string_view type, int x, ForeignAttributes options = {}) { return o.w.emit_one(type, {x}, std::move(options), typed(o.spec.dtype, o.f.q_out, o.spec.shape), o.f.q_out); }
int op(const One& o, std::string_view type, int a, int b) { return o.w.emit_one(type, {a, b}, {}, o.spec); }
int n(const One& o, double v) { return number(o.w, v, o.spec.dtype); }

// Rules that serve several rows write the builtin of the row.
std::string_view builtin(const TfliteCall& f) { return f.call.op.tflite.name; }
Values write_unary(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32});
  One o = one(w, f);
  return {done(o, op(o, builtin(f), o.x.tensor))};
}
Values write_signed(TfliteWriter& w, const TfliteCall& f) {    // of int32 too
  require_type(f, {DType::f32, DType::i32});
  One o = one(w, f);
  return {done(o, op(o, builtin(f), o.x.tensor))};
}
__attribute__((noinline)) Values write_with(TfliteWriter& w, const TfliteCall& f, int (*formula)(const One&, int x)) {
  require_type(f, {DType::f32});
  One o = one(w, f);
  return {done(o, formula(o, o.x.tensor))};
}
template <int (*formula)(const One&, int x)> Values write_formula(TfliteWriter& w, const TfliteCall& f) { return write_with(w, f, formula); }
int log1p_of(const One& o, int x) { return op(o, "LOG", op(o, "ADD", x, n(o, 1))); }
int expm1_of(const One& o, int x) { return op(o, "SUB", op(o, "EXP", x), n(o, 1)); }
int log2_of(const One& o, int x) { return op(o, "MUL", op(o, "LOG", x), n(o, 1.4426950408889634)); }
int reciprocal_of(const One& o, int x) { return op(o, "DIV", n(o, 1), x); }
int softplus_of(const One& o, int x) { return op(o, "ADD", op(o, "RELU", x), log1p_of(o, op(o, "EXP", op(o, "NEG", op(o, "ABS", x))))); }
int tan_of(const One& o, int x) { return op(o, "DIV", op(o, "SIN", x), op(o, "COS", x)); }
int sinh_of(const One& o, int x) { return op(o, "MUL", op(o, "SUB", op(o, "EXP", x), op(o, "EXP", op(o, "NEG", x))), n(o, 0.5)); }
int cosh_of(const One& o, int x) { return op(o, "MUL", op(o, "ADD", op(o, "EXP", x), op(o, "EXP", op(o, "NEG", x))), n(o, 0.5)); }
int filled(const One& o, double v) { return o.w.constant(Tensor::full(o.spec.shape, v, o.spec.dtype), "number"); }      // ATAN2 broadcasts nothing
int atan_of(const One& o, int x) { return op(o, "ATAN2", x, filled(o, 1)); }
int other_side(const One& o, int x) { return op(o, "SQRT", op(o, "SUB", n(o, 1), op(o, "MUL", x, x))); }
int asin_of(const One& o, int x) { return op(o, "ATAN2", x, other_side(o, x)); }
int acos_of(const One& o, int x) { return op(o, "ATAN2", other_side(o, x), x); }
int trunc_of(const One& o, int x) { return op(o, "MUL", op(o, "SIGN", x), op(o, "FLOOR", op(o, "ABS", x))); }

Values write_relu(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32, DType::i32, DType::i64});
  One o = one(w, f);
  if (o.spec.dtype != DType::f32 && !f.q_out) return {done(o, op(o, "MAXIMUM", o.x.tensor, n(o, 0)))};
  return {done(o, op(o, "RELU", o.x.tensor))};
}
Values write_clamp(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32});
  const auto& at = f.call.as<ClampAttrs>();
  auto act = activation_of(at.lo, at.hi);
  One o = one(w, f);
  if (!f.q_out) return {done(o, cut(w, o.x.tensor, at.lo, at.hi))};
  if (act && (*act == 1 || *act == 3)) return {done(o, op(o, *act == 1 ? "RELU" : "RELU6", o.x.tensor))};
  if (!same(f.q_in[0], f.q_out)) return {};
  return {done(o, cut(w, o.x.tensor, at.lo, at.hi))};
}
Values write_gelu(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32});
  One o = one(w, f);
  return {done(o, op(o, "GELU", o.x.tensor, {{"approximate", int64_t{0}}}))};
}
Values write_leaky_relu(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32});
  One o = one(w, f);
  return {done(o, op(o, "LEAKY_RELU", o.x.tensor, {{"alpha", float(f.call.as<AlphaAttrs>().alpha)}}))};
}
Values write_elu(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32});
  One o = one(w, f);
  double alpha = f.call.as<AlphaAttrs>().alpha;
  if (alpha == 1) return {done(o, op(o, "ELU", o.x.tensor))};
  if (f.q_out) return {};
  int low = op(o, "ELU", op(o, "MINIMUM", o.x.tensor, n(o, 0)));
  return {done(o, op(o, "ADD", op(o, "RELU", o.x.tensor), op(o, "MUL", low, n(o, alpha))))};
}
Values write_silu(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32});
  One o = one(w, f);
  QuantizedRef q;
  if (f.q_out) {
    bool wide = f.q_out->dtype == DType::i16;
    q = std::make_shared<Quantized>(Quantized{{wide ? 1 / 32768.0f : 1 / 256.0f}, {wide ? 0 : -128}, -1, 0, f.q_out->dtype});
  }
  int s = w.emit_one("LOGISTIC", {o.x.tensor}, {}, o.spec, q);
  return {done(o, w.emit_one("MUL", {o.x.tensor, s}, {}, typed(DType::f32, f.q_out, o.spec.shape), f.q_out))};
}
Values write_cast(TfliteWriter& w, const TfliteCall& f) {
  for (DType t : {f.call.in[0].dtype, f.call.out[0].dtype})
    if (t == DType::f16 || t == DType::bf16 || t == DType::f64) f.refuse("casts between float32, integers and bool", std::string(name_of(t)));
  One o = one(w, f);
  return {done(o, w.emit_one("CAST", {o.x.tensor}, {}, {f.call.out[0].dtype, o.spec.shape}))};
}

// ---- elementwise, of several operands that broadcast ----
// How the result lies: as the first operand of its shape that has its axes moved, else as the first of its shape.
TfliteValue result_of(const TfliteWriter& w, const TfliteCall& f) {
  const Shape& out = f.out();
  TfliteValue best = TfliteValue::plain(-1, out);
  bool found = false;
  for (size_t i = 0; i < f.in.size(); ++i) {
    if (f.in[i].tensor < 0 || f.call.in[i].shape.count() != out.count()) continue;
    TfliteValue v = f.in[i];
    auto axes = axes_of(w, v, out);
    bool moved = !axes || *axes != Dims::iota(out.rank);
    if (found && !moved) continue;
    if (axes) v = {-1, out, *axes};
    else if (!refine(v, out)) continue;
    v.tensor = -1;
    best = v;
    found = true;
    if (moved) break;
  }
  return best;
}
Shape file_shape(const TfliteValue& result, const Shape& out) {
  if (auto axes = stored_axes(result, out)) return ordered(out, *axes);
  TfliteValue v = result;
  refine(v, out);
  return ordered(v.pieces, v.order);
}
QuantizedRef constant_range(const Tensor& t, DType dtype) {
  float lo = 0, hi = 0;
  for (float v : t.to_vector<float>()) { lo = std::min(lo, v); hi = std::max(hi, v); }
  auto q = std::make_shared<Quantized>();
  q->dtype = dtype;
  if (dtype == DType::i16) {
    float most = std::max(-lo, hi);
    q->scale = {most > 0 ? most / 32767 : 1};
    q->zero = {0};
  } else {
    q->scale = {hi > lo ? (hi - lo) / 255 : 1};
    q->zero = {int32_t(std::clamp(std::nearbyint(-128 - double(lo / q->scale[0])), -128.0, 127.0))};
  }
  return q;
}
std::vector<int> operands(TfliteWriter& w, const TfliteCall& f, const TfliteValue& result) {
  std::vector<int> in;
  for (size_t i = 0; i < f.in.size(); ++i) {
    QuantizedRef as = f.q_out && f.is_constant(int(i)) ? constant_range(*f.call.value(int(i)), f.q_out->dtype) : nullptr;
    in.push_back(w.broadcast(int(i), f.out(), result, as));
  }
  return in;
}
// Of integers that all stand for numbers alike.
Values write_extreme(TfliteWriter& w, const TfliteCall& f) {
  QuantizedRef q;
  for (size_t i = 0; i < f.in.size(); ++i)
    if (!f.is_constant(int(i))) {
      QuantizedRef own = w.quantized(f.in[i].tensor);
      if (!own || (q && !same(q, own)) || own->dtype != f.call.in[i].dtype) return {};
      q = own;
    }
  if (!q) return {};
  TfliteValue y = result_of(w, f);
  std::vector<int> in;
  for (size_t i = 0; i < f.in.size(); ++i) in.push_back(w.broadcast(int(i), f.out(), y, q));
  y.tensor = w.emit_one(builtin(f), in, {}, {q->dtype, file_shape(y, f.out())}, q);
  return {y};
}
Values write_binary(TfliteWriter& w, const TfliteCall& f) {
  std::string_view name = builtin(f);
  const bool fuses = name != "MAXIMUM" && name != "MINIMUM";
  if (!fuses && !f.q_out && f.call.in[0].dtype != DType::f32)
    if (Values y = write_extreme(w, f); !y.empty()) return y;
  require_type(f, numbers);
  const auto& at = f.call.as<ClampAttrs>();
  auto act = activation_of(at.lo, at.hi);
  TfliteValue y = result_of(w, f);
  ForeignAttributes options;
  bool fused = fuses && act && f.call.in[0].dtype == DType::f32;
  if (fuses) options.emplace_back("fused_activation_function", fused ? *act : int64_t{0});
  if (f.q_out && f.q_out->dtype == DType::i16 && (name == "ADD" || name == "SUB")) options.emplace_back("pot_scale_int16", int64_t{0});
  y.tensor = w.emit_one(name, operands(w, f, y), options, typed(f.call.out[0].dtype, f.q_out, file_shape(y, f.out())), f.q_out);
  if (!fused) y.tensor = cut(w, y.tensor, at.lo, at.hi);
  return {y};
}
Values write_compare(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32, DType::i32, DType::i64, DType::i8, DType::u8, DType::boolean});
  TfliteValue y = result_of(w, f);
  y.tensor = w.emit_one(builtin(f), operands(w, f, y), {}, {DType::boolean, file_shape(y, f.out())});
  return {y};
}
Values write_where(TfliteWriter& w, const TfliteCall& f) {
  if (f.call.out[0].dtype == DType::f64) f.refuse("float32", "float64");
  TfliteValue y = result_of(w, f);
  y.tensor = w.emit_one("SELECT_V2", operands(w, f, y), {}, {f.call.out[0].dtype, file_shape(y, f.out())});
  return {y};
}
Values write_gate(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32});
  const auto& at = f.call.as<ClampAttrs>();
  TfliteValue y = result_of(w, f);
  std::vector<int> in = operands(w, f, y);
  int zero = number(w, 0);
  int open = w.emit_one("GREATER", {in[1], zero}, {}, {DType::boolean, w.spec(in[1]).shape});
  y.tensor = cut(w, w.emit_one("SELECT_V2", {open, in[0], zero}, {}, {DType::f32, file_shape(y, f.out())}), at.lo, at.hi);
  return {y};
}
Values write_pow(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32, DType::i32});
  const auto& at = f.call.as<ClampAttrs>();
  TfliteValue y = result_of(w, f);
  y.tensor = cut(w, w.emit_one("POW", operands(w, f, y), {}, {f.call.out[0].dtype, file_shape(y, f.out())}), at.lo, at.hi);
  return {y};
}
Values write_plain_binary(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32, DType::i32, DType::i64, DType::i8, DType::u8, DType::i16});
  TfliteValue y = result_of(w, f);
  y.tensor = w.emit_one(builtin(f), operands(w, f, y), {}, {f.call.out[0].dtype, file_shape(y, f.out())});
  return {y};
}

// ---- along axes ----
TfliteValue whole(TfliteWriter& w, const TfliteCall& f, Axes& order) {               // input 0 with its axes whole
  const Shape& shape = f.shape(0);
  auto axes = f.is_constant(0) ? std::nullopt : axes_of(w, f.in[0], shape);
  order = axes ? *axes : Dims::iota(shape.rank);
  return {w.stored(0, shape, order), shape, order};
}
Values write_reduce(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, numbers);
  Axes order;
  TfliteValue x = whole(w, f, order);
  std::vector<int32_t> axes;
  for (Dim a : f.call.as<ReduceAttrs>().axes) axes.push_back(axis_in(order, a));
  std::sort(axes.begin(), axes.end());
  int list = w.constant(Tensor::of<int32_t>({int64_t(axes.size())}, axes), "axes");
  int in = x.tensor;
  DType t = f.call.out[0].dtype;
  if (t != f.call.in[0].dtype) in = w.emit_one("CAST", {in}, {}, {t, w.spec(in).shape});
  x.tensor = w.emit_one(builtin(f), {in, list}, {{"keep_dims", int64_t{1}}}, typed(t, f.q_out, ordered(f.out(), order)), f.q_out);
  x.pieces = f.out();
  return {x};
}
Values write_arg(TfliteWriter& w, const TfliteCall& f) {          // the axis goes; ours stays with one element
  require_type(f, {DType::f32, DType::i32});
  Axes order;
  TfliteValue x = whole(w, f, order);
  int axis = axis_in(order, f.call.as<AxisAttrs>().axis);
  Shape s;
  for (int i = 0; i < order.rank; ++i) if (i != axis) s.push(w.spec(x.tensor).shape[i]);
  int t = w.emit_one(builtin(f), {x.tensor, number(w, axis, DType::i32)}, {{"output_type", int64_t{4}}}, {DType::i64, s});
  return {{t, f.out(), order}};
}
// Along the last axis, which must lie last.
Values write_last_axis(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, {DType::f32});
  const Shape& shape = f.shape(0);
  Axes order;
  TfliteValue x = whole(w, f, order);
  if (order[-1] != shape.rank - 1) { order = Dims::iota(shape.rank); x = {w.stored(0, shape, order), shape, order}; }
  ForeignAttributes options;
  if (builtin(f) == "SOFTMAX") options.emplace_back("beta", 1.0f);
  x.tensor = w.emit_one(builtin(f), {x.tensor}, options, typed(DType::f32, f.q_out, ordered(shape, order)), f.q_out);
  return {x};
}
Values write_cumsum(TfliteWriter& w, const TfliteCall& f) {
  require_type(f, numbers);
  const auto& at = f.call.as<ScanAttrs>();
  Axes order;
  TfliteValue x = whole(w, f, order);
  int in = x.tensor;
  DType t = f.call.out[0].dtype;
  if (t != f.call.in[0].dtype) in = w.emit_one("CAST", {in}, {}, {t, w.spec(in).shape});
  x.tensor = w.emit_one("CUMSUM", {in, number(w, axis_in(order, at.axis), DType::i32)}, {{"exclusive", int64_t{at.exclusive}}, {"reverse", int64_t{at.reverse}}}, {t, w.spec(in).shape});
  return {x};
}

}  // namespace

using R = TfliteRules;
constinit const TfliteRules add{write_binary, R::i8_and_i16}, sub{write_binary, R::i8_and_i16}, mul{write_binary, R::i8_and_i16},
    div{write_binary}, maximum{write_binary}, minimum{write_binary}, pow{write_pow}, gate{write_gate},
    equal{write_compare}, not_equal{write_compare}, less{write_compare}, less_equal{write_compare},
    greater{write_compare}, greater_equal{write_compare}, where{write_where}, atan2{write_plain_binary},
    bitwise_xor{write_plain_binary}, right_shift{write_plain_binary}, floor_divide{write_plain_binary}, remainder{write_plain_binary},
    relu{write_relu, R::i8_and_i16}, leaky_relu{write_leaky_relu, R::i8_and_i16}, elu{write_elu, R::i8}, hard_swish{write_unary, R::i8}, clamp{write_clamp, R::i8_and_i16}, gelu{write_gelu, R::i8}, silu{write_silu, R::i8_and_i16},
    tanh{write_unary, R::i8_and_i16, R::both_sides}, sigmoid{write_unary, R::i8_and_i16, R::unit},
    neg{write_signed}, abs{write_signed}, sign{write_unary}, square{write_unary}, exp{write_unary}, log{write_unary}, sqrt{write_unary},
    sin{write_unary}, cos{write_unary}, floor{write_unary}, ceil{write_unary}, round{write_unary},
    log1p{write_formula<log1p_of>}, expm1{write_formula<expm1_of>}, log2{write_formula<log2_of>}, reciprocal{write_formula<reciprocal_of>}, softplus{write_formula<softplus_of>},
    tan{write_formula<tan_of>}, sinh{write_formula<sinh_of>}, cosh{write_formula<cosh_of>}, atan{write_formula<atan_of>}, asin{write_formula<asin_of>}, acos{write_formula<acos_of>},
    trunc{write_formula<trunc_of>}, cast{write_cast}, sum{write_reduce}, mean{write_reduce, R::i8_and_i16}, max{write_reduce}, min{write_reduce},
    argmax{write_arg}, argmin{write_arg}, softmax{write_last_axis, R::i8_and_i16, R::unit}, log_softmax{write_last_axis}, cumsum{write_cumsum};

}  // namespace miniten::to_tflite
