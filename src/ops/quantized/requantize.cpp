#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/quantized/fixed_point.h"

namespace miniten {

namespace {

bool is_result(DType t) { return t == DType::i8 || t == DType::u8 || t == DType::i16 || t == DType::i32; }

template <class T> void eval_as(const Context& c) {
  const auto& at = c.as<RequantizeAttrs>();
  Shape per_axis = Dims::filled(c.out[0].shape().rank, 1);
  Strides steps = Dims::filled(per_axis.rank, 0);
  if (at.axis >= 0) { per_axis[int(at.axis)] = c.out[0].shape()[int(at.axis)]; steps[int(at.axis)] = 1; }
  View operands[] = {c.out[0], c.in[0], View{nullptr, {DType::i32, per_axis}, steps}};
  const auto *x = c.in[0].as<int32_t>(), *multiplier = c.in[1].as<int32_t>(), *shift = c.in[2].as<int32_t>();
  ElementLoop(c.out[0].shape(), operands).run(c, [&](const int64_t* o, const int64_t* step, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      int64_t k = o[2] + i * step[2], sum = x[o[1] + i * step[1]];
      int32_t y = at.once ? multiplied_once(int32_t(sum), multiplier[k], shift[k]) : multiplied(int32_t(sum), multiplier[k], shift[k]);
      c.out[0].as<T>()[o[0] + i * step[0]] = T(placed(y, at.zero, at.lo, at.hi));
    }
  });
}

std::vector<Sample> samples() {
  auto all = std::make_shared<RequantizeAttrs>(RequantizeAttrs{.zero = 3}), by_axis = std::make_shared<RequantizeAttrs>(RequantizeAttrs{.axis = 1, .lo = -5, .hi = 90, .once = true});
  Tensor x = cast(sample_values({2, 3, 4}, -90000, 90000), DType::i32);
  return {{{x, Tensor::full({}, 1417339208, DType::i32), Tensor::full({}, -9, DType::i32)}, all},
          {{x, Tensor::of<int32_t>({3}, std::vector<int32_t>{1417339208, 2000000000, 1073741824}), Tensor::of<int32_t>({3}, std::vector<int32_t>{-9, -10, 1})}, by_axis}};
}

}  // namespace

constinit const OpDef requantize_op{.name = "requantize", .doc = "sums times multiplier * 2^(shift - 31), in fixed point: x, multiplier, shift", .min_inputs = 3, .max_inputs = 3,
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<RequantizeAttrs>();
      const Shape& x = c.in[0].shape;
      if (c.in[0].dtype != DType::i32) c.fail("int32 sums", c.in[0].text(), "", ErrorKind::type);
      if (at.axis >= x.rank) c.fail("an axis below " + std::to_string(x.rank), std::to_string(at.axis), "", ErrorKind::index);
      Spec want{DType::i32, at.axis < 0 ? Shape{} : Shape{x[int(at.axis)]}};
      for (size_t i : {1, 2}) if (c.in[i] != want) c.fail("a multiplier and a shift " + want.text(), c.in[i].text());
      if (!is_result(at.dtype)) c.fail("8-, 16- or 32-bit integers", std::string(name_of(at.dtype)), "", ErrorKind::unsupported);
      int64_t least = at.dtype == DType::u8 ? 0 : -(int64_t{1} << (bits_of(at.dtype) - 1)), greatest = at.dtype == DType::u8 ? 255 : -least - 1;
      if (at.lo > at.hi || at.lo < least || at.hi > greatest) c.fail("lo <= hi within " + std::string(name_of(at.dtype)), std::to_string(at.lo) + " and " + std::to_string(at.hi));
      out.push({at.dtype, x});
    },
    .eval = [](const Context& c) {
      switch (c.out[0].spec.dtype) {
        case DType::i8: return eval_as<int8_t>(c);
        case DType::u8: return eval_as<uint8_t>(c);
        case DType::i16: return eval_as<int16_t>(c);
        default: return eval_as<int32_t>(c);
      }
    },
    .work = elementwise_work, .cost = [](const Call& c) { return Cost{0, 4 * c.in[0].shape.count()}; }, .samples = samples,
    .traits = {.pointwise = true, .stops_gradient = true, .dense = 6}, .c = {"requantize", 0, &c::requantize}, .attrs = codec<RequantizeAttrs>};

}  // namespace miniten
