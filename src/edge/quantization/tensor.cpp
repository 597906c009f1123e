#include "edge/quantization/ranges.h"
#include "miniten/edge/quantization.h"
#include "ops/quantized/lowering.h"

namespace miniten::edge {

namespace {

int checked_axis(std::string_view op, const Tensor& t, int axis) {
  if (axis < -t.rank() || axis >= t.rank())
    throw Error(ErrorKind::index, op, "an axis in [-" + std::to_string(t.rank()) + ", " + std::to_string(t.rank()) + ")", std::to_string(axis));
  return axis < 0 ? axis + t.rank() : axis;
}
void check_dtype(std::string_view op, DType t) {
  if (t == DType::i8 || t == DType::u8 || t == DType::i16 || t == DType::i4) return;
  throw Error(ErrorKind::unsupported, op, "int4, int8, uint8 or int16", std::string(name_of(t)));
}
void check_block(std::string_view op, int64_t block, const std::optional<int>& axis) {
  if (block < 0) throw Error(ErrorKind::value, op, "a block of 1 or more, or 0 for none", std::to_string(block));
  if (block && !axis) throw Error(ErrorKind::value, op, "the axis that blocks run along", "none", "give axis");
}
DType number_type(DType t) { return t == DType::i4 ? DType::i8 : t; }       // in which zero points are told

// (.., n along axis, ..) as rows of `block` values, the last of each line filled up with zeros; and back.
struct Rows {
  Shape turned;                                    // axis last
  int axis;
  int64_t n, block, blocks;
  Rows(const Tensor& t, int axis, int64_t block) : axis(axis), n(t.dim(axis)), block(block), blocks((t.dim(axis) + block - 1) / block) {
    turned = t.shape();
    std::swap(turned[axis], turned[-1]);
  }
  Tensor of(const Tensor& t) const {
    Dims before = Dims::filled(t.rank(), 0), after = before;
    after[-1] = blocks * block - n;
    return reshape(pad(transpose(t, axis, -1), before, after), {turned.count() / std::max<int64_t>(n, 1) * blocks, block});
  }
  Tensor back(const Tensor& rows) const {
    Shape whole = turned;
    whole[-1] = blocks * block;
    return transpose(slice(reshape(rows, whole), -1, 0, n), axis, -1).clone();
  }
  Tensor parameters(const Tensor& by_row) const {  // (rows,) as x's shape with blocks along axis
    Shape whole = turned;
    whole[-1] = blocks;
    return transpose(reshape(by_row, whole), axis, -1).clone();
  }
  Tensor by_row(const Tensor& parameters) const { return reshape(transpose(parameters, axis, -1), {-1}); }
};

}  // namespace

QuantizedTensor quantize_tensor(const Tensor& x, DType dtype, bool symmetric, std::optional<int> axis, int64_t block) {
  const char* op = "quantize_tensor";
  check_dtype(op, dtype);
  check_block(op, block, axis);
  if (!is_float(x.dtype())) throw Error(ErrorKind::type, op, "a floating-point tensor", x.spec().text());
  int along = axis ? checked_axis(op, x, *axis) : -1;
  NoGrad no_grad;
  Tensor wide = cast(detach(x), DType::f32);
  Range r;
  if (!finite_range(wide, r)) throw Error(ErrorKind::value, op, "finite values", "NaN or infinity", "replace them first");
  std::optional<Rows> rows;
  if (block) {
    rows.emplace(wide, along, block);
    wide = rows->of(wide);
  }
  Quantized q = quantized_constant(wide, dtype, symmetric, block ? 0 : along);
  q.dtype = number_type(dtype);
  QuantizedTensor result{{}, scale_tensor(q), zero_tensor(q), along};
  result.q = quantize(wide, result.scale, result.zero_point, q.axis);
  if (block) result = {rows->back(result.q), rows->parameters(result.scale), rows->parameters(result.zero_point), along};
  if (dtype == DType::i4) result.q = packed_int4(result.q);
  return result;
}

Tensor dequantize_tensor(const Tensor& q, const Tensor& scale, const Tensor& zero_point, std::optional<int> axis, int64_t block) {
  const char* op = "dequantize_tensor";
  check_dtype(op, q.dtype());
  check_block(op, block, axis);
  NoGrad no_grad;
  Tensor integers = q;
  if (q.dtype() == DType::i4) integers = cast(dequantize(q, Tensor::full({}, 1), packed_int4(Tensor::zeros({}, DType::i8))), DType::i8);
  std::optional<Rows> rows;
  int along = -1;
  if (block) {
    along = checked_axis(op, q, *axis);
    rows.emplace(integers, along, block);
    Shape want = q.shape();
    want[along] = rows->blocks;
    if (scale.shape() != want) throw Error(ErrorKind::value, op, "a scale for each block, " + want.text(), scale.spec().text());
    if (zero_point && zero_point.rank() && zero_point.shape() != want) throw Error(ErrorKind::value, op, "a zero point for each block, " + want.text(), zero_point.spec().text());
  } else {
    if (scale.rank() > 1) throw Error(ErrorKind::value, op, "one scale, or one for each index along an axis", scale.spec().text());
    if (scale.rank() == 1 && !axis) throw Error(ErrorKind::value, op, "the axis that the scales run along", "none", "give axis");
    if (scale.rank() == 1) along = checked_axis(op, q, *axis);
  }
  Tensor s = cast(scale, DType::f32), zero = Tensor::zeros(scale.shape(), integers.dtype());
  if (zero_point) {
    Limits limits = limits_of(q.dtype());
    Tensor wide = cast(zero_point, DType::f64);
    for (double z : wide.to_vector<double>())
      if (!(z >= limits.lo && z <= limits.hi && z == double(int64_t(z))))
        throw Error(ErrorKind::value, op, "zero points within " + std::string(name_of(q.dtype())), std::to_string(z));
    zero = cast(zero_point.rank() < scale.rank() ? expand(wide, scale.shape()) : wide, integers.dtype());
  }
  if (!block) return dequantize(integers, s, zero, along);
  return rows->back(dequantize(rows->of(integers), rows->by_row(s), rows->by_row(zero), 0));
}

}  // namespace miniten::edge
