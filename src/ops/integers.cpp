#include <cmath>
#include "miniten/base/half.h"
#include "miniten/ops/ops.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/tflite_write.h"

namespace miniten {

// Bits, shifts, and division that rounds down.
namespace {

template <class T, class F> void rows_of(const Context& c, F f) {
  View operands[] = {c.out[0], c.in[0], c.in[1]};
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* at, const int64_t* step, int64_t n) {
    T* y = c.out[0].as<T>() + at[0];
    const T *a = c.in[0].as<T>() + at[1], *b = c.in[1].as<T>() + at[2];
    for (int64_t i = 0; i < n; ++i) y[i * step[0]] = f(a[i * step[1]], b[i * step[2]]);
  });
}

void whole_infer(const Call& c, Specs& out) {                  // integers
  require_same_dtype(c);
  DType t = c.in[0].dtype;
  if (!is_integer(t) || bits_of(t) < 8) c.fail("integers", c.in[0].text(), "", ErrorKind::type);
  out.push({t, broadcast(c.op.name, c.in[0].shape, c.in[1].shape)});
}
void bits_infer(const Call& c, Specs& out) {                   // or bool
  require_same_dtype(c);
  DType t = c.in[0].dtype;
  if (t != DType::boolean && !is_integer(t)) c.fail("integers or bool", c.in[0].text(), "compare, or convert with cast", ErrorKind::type);
  if (bits_of(t) < 8) c.fail("whole bytes", c.in[0].text(), "convert with cast first", ErrorKind::type);
  out.push({t, broadcast(c.op.name, c.in[0].shape, c.in[1].shape)});
}
Cost elementwise_cost(const Call& c) { return {0, c.out[0].shape.count()}; }

struct And { template <class T> T operator()(T a, T b) const { return T(a & b); } };
struct Or { template <class T> T operator()(T a, T b) const { return T(a | b); } };
struct Xor { template <class T> T operator()(T a, T b) const { return T(a ^ b); } };
// Shifting by the width or more leaves 0 (or the sign); by a negative number too, as torch.
struct Left {
  template <class T> T operator()(T a, T b) const { return b < T(0) || uint64_t(b) >= sizeof(T) * 8 ? T(0) : T(uint64_t(a) << b); }
};
struct Right {
  template <class T> T operator()(T a, T b) const {
    uint64_t most = sizeof(T) * 8 - 1;
    bool far = b < T(0) || uint64_t(b) > most;
    if constexpr (std::is_unsigned_v<T>) if (far) return 0;
    return T(a >> (far ? most : uint64_t(b)));
  }
};

std::vector<Sample> whole_samples() {
  auto list = [](std::initializer_list<int64_t> v) { return Tensor::of<int64_t>({int64_t(v.size())}, std::span(v.begin(), v.size())); };
  return {{{list({5, -9, 12, 0}), list({3, 1, 2, 7})}, nullptr}, {{cast(list({5, 9, 200}), DType::u8), cast(list({1}), DType::u8)}, nullptr}};
}
template <class F> constexpr OpDef bit_row(std::string_view name, std::string_view doc, void (*infer)(const Call&, Specs&), Foreign onnx) {
  return {.name = name, .doc = doc, .min_inputs = 2, .max_inputs = 2, .infer = infer,
          .eval = [](const Context& c) {
            visit_dtype(c.out[0].spec.dtype, [&](auto zero) {
              using T = decltype(zero);
              if constexpr (std::is_integral_v<T>) rows_of<T>(c, F());
            });
          },
          .work = elementwise_work, .cost = elementwise_cost, .samples = whole_samples, .traits = {.pointwise = true, .stops_gradient = true}, .onnx = onnx};
}

// Python's division: towards minus infinity, and the remainder has the divisor's sign.
template <class T> struct Floored {
  T quotient, rest;
  Floored(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      rest = std::fmod(a, b);
      if (b == 0) { quotient = a / b; return; }
      T exact = (a - rest) / b;
      if (rest != 0 && (b < 0) != (rest < 0)) { rest += b; exact -= 1; }
      quotient = std::floor(exact);
      if (exact - quotient > T(0.5)) quotient += 1;
      if (exact == 0) quotient = std::copysign(T(0), a / b);
    } else if (b == T(0)) {
      quotient = rest = 0;                                     // infer refuses it where it knows the values
    } else if (std::is_signed_v<T> && b == T(-1)) {
      quotient = T(0 - uint64_t(a));                           // the least number has no negative
      rest = 0;
    } else {
      quotient = T(a / b);
      rest = T(a % b);
      if (rest != 0 && (rest < 0) != (b < 0)) { rest = T(rest + b); --quotient; }
    }
  }
};
void divide_infer(const Call& c, Specs& out) {
  require_same_dtype(c);
  DType t = c.in[0].dtype;
  if (t == DType::boolean || bits_of(t) < 8) c.fail("numbers", c.in[0].text(), "convert with cast first", ErrorKind::type);
  if (const Tensor* b = is_integer(t) ? c.value(1) : nullptr) {
    bool none = false;
    std::vector<uint8_t> set(size_t(b->numel()));
    copy_values(b->view(), {reinterpret_cast<std::byte*>(set.data()), {DType::boolean, b->shape()}, contiguous(b->shape())});
    for (uint8_t s : set) none |= !s;
    if (none) c.fail("divisors other than 0", "an integer 0");
  }
  out.push({t, broadcast(c.op.name, c.in[0].shape, c.in[1].shape)});
}
template <bool quotient> void divide_eval(const Context& c) {
  auto run = [&](auto zero) {
    using T = decltype(zero);
    using A = std::conditional_t<std::is_class_v<T>, float, T>;
    if constexpr (!std::is_same_v<T, bool>)
      rows_of<T>(c, [](T a, T b) {
        Floored<A> f{A(a), A(b)};
        return T(quotient ? f.quotient : f.rest);
      });
  };
  if (c.out[0].spec.dtype == DType::f16) run(Half(0.0f));
  else if (c.out[0].spec.dtype == DType::bf16) run(BFloat16(0.0f));
  else visit_dtype(c.out[0].spec.dtype, run);
}
std::vector<Sample> divide_samples() { return {{{sample_values({2, 3}, -3, 3), sample_values({3}, 0.4f, 1.1f)}, nullptr}, whole_samples()[1]}; }

}  // namespace

constinit const OpDef bitwise_and_op = bit_row<And>("bitwise_and", "a & b", bits_infer, {"BitwiseAnd", 18, &onnx::bits});
constinit const OpDef bitwise_or_op = bit_row<Or>("bitwise_or", "a | b", bits_infer, {"BitwiseOr", 18, &onnx::bits});
constinit const OpDef bitwise_xor_op = to_tflite::with(bit_row<Xor>("bitwise_xor", "a ^ b", bits_infer, {"BitwiseXor", 18, &onnx::bits}), {"BITWISE_XOR", 1, &to_tflite::bitwise_xor});
constinit const OpDef left_shift_op = bit_row<Left>("left_shift", "a << b", whole_infer, {"BitShift", 11, &onnx::shift});
constinit const OpDef right_shift_op = to_tflite::with(bit_row<Right>("right_shift", "a >> b", whole_infer, {"BitShift", 11, &onnx::shift}), {"RIGHT_SHIFT", 1, &to_tflite::right_shift});
constinit const OpDef floor_divide_op{.name = "floor_divide", .doc = "the greatest integer <= a / b", .min_inputs = 2, .max_inputs = 2,
    .infer = divide_infer, .eval = divide_eval<true>, .work = elementwise_work, .cost = elementwise_cost, .samples = divide_samples,
    .traits = {.pointwise = true, .stops_gradient = true}, .onnx = {"Div", 7, &onnx::floor_divide}, .tflite = {"FLOOR_DIV", 1, &to_tflite::floor_divide}};
constinit const OpDef remainder_op{.name = "remainder", .doc = "a - floor(a / b) * b", .min_inputs = 2, .max_inputs = 2,
    .infer = divide_infer, .eval = divide_eval<false>, .work = elementwise_work,
    .vjp = [](const Vjp& v) {
      if (v.needs(0)) v.result[0] = sum_to(v.grad[0], v.in[0].shape());
      if (v.needs(1)) v.result[1] = sum_to(-(v.grad[0] * floor_divide(v.in[0], v.in[1])), v.in[1].shape());
    },
    .keep = keep_inputs, .cost = elementwise_cost, .samples = divide_samples, .traits = {.pointwise = true}, .onnx = {"Mod", 10, &onnx::remainder}, .tflite = {"FLOOR_MOD", 1, &to_tflite::remainder}};

static Tensor combined(const OpDef& op, const Tensor& a, const Tensor& b) {
  if (a.dtype() == b.dtype()) return apply(op, {a, b});
  auto [x, y] = promoted(a, b);
  return apply(op, {x, y});
}
Tensor bitwise_and(const Tensor& a, const Tensor& b) { return combined(bitwise_and_op, a, b); }
Tensor bitwise_or(const Tensor& a, const Tensor& b) { return combined(bitwise_or_op, a, b); }
Tensor bitwise_xor(const Tensor& a, const Tensor& b) { return combined(bitwise_xor_op, a, b); }
Tensor bitwise_not(const Tensor& x) {
  if (x.dtype() == DType::boolean) return logical_not(x);
  if (!is_integer(x.dtype())) throw Error(ErrorKind::type, "bitwise_not", "integers or bool", x.spec().text());
  return bitwise_xor(x, cast(Tensor::full({}, -1, DType::i64), x.dtype()));
}
Tensor left_shift(const Tensor& a, const Tensor& b) { return combined(left_shift_op, a, b); }
Tensor right_shift(const Tensor& a, const Tensor& b) { return combined(right_shift_op, a, b); }
Tensor floor_divide(const Tensor& a, const Tensor& b) { return combined(floor_divide_op, a, b); }
Tensor remainder(const Tensor& a, const Tensor& b) { return combined(remainder_op, a, b); }

}  // namespace miniten
