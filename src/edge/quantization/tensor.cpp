#include "edge/quantization/ranges.h"
#include "miniten/edge/quantization.h"

namespace miniten::edge {

static int checked_axis(std::string_view op, const Tensor& t, int axis) {
  if (axis < -t.rank() || axis >= t.rank())
    throw Error(ErrorKind::index, op, "an axis in [-" + std::to_string(t.rank()) + ", " + std::to_string(t.rank()) + ")", std::to_string(axis));
  return axis < 0 ? axis + t.rank() : axis;
}
static void check_dtype(std::string_view op, DType t) {
  if (t == DType::i8 || t == DType::u8 || t == DType::i16) return;
  throw Error(ErrorKind::unsupported, op, "int8, uint8 or int16", std::string(name_of(t)));
}

QuantizedTensor quantize_tensor(const Tensor& x, DType dtype, bool symmetric, std::optional<int> axis) {
  const char* op = "quantize_tensor";
  check_dtype(op, dtype);
  if (!is_float(x.dtype())) throw Error(ErrorKind::type, op, "a floating-point tensor", x.spec().text());
  int along = axis ? checked_axis(op, x, *axis) : -1;
  NoGrad no_grad;
  Tensor wide = cast(detach(x), DType::f32);
  Range r;
  if (!finite_range(wide, r)) throw Error(ErrorKind::value, op, "finite values", "NaN or infinity", "replace them first");
  Quantized q = quantized_constant(wide, dtype, symmetric, along);
  QuantizedTensor result{{}, scale_tensor(q), zero_tensor(q), along};
  result.q = quantize(wide, result.scale, result.zero_point, along);
  return result;
}

Tensor dequantize_tensor(const Tensor& q, const Tensor& scale, const Tensor& zero_point, std::optional<int> axis) {
  const char* op = "dequantize_tensor";
  check_dtype(op, q.dtype());
  if (scale.rank() > 1) throw Error(ErrorKind::value, op, "one scale, or one for each index along an axis", scale.spec().text());
  if (scale.rank() == 1 && !axis) throw Error(ErrorKind::value, op, "the axis that the scales run along", "none", "give axis");
  int along = scale.rank() == 1 ? checked_axis(op, q, *axis) : -1;
  NoGrad no_grad;
  Tensor s = cast(scale, DType::f32), zero = Tensor::zeros(scale.shape(), q.dtype());
  if (zero_point) {
    Limits limits = limits_of(q.dtype());
    Tensor wide = cast(zero_point, DType::f64);
    for (double z : wide.to_vector<double>())
      if (!(z >= limits.lo && z <= limits.hi && z == double(int64_t(z))))
        throw Error(ErrorKind::value, op, "zero points within " + std::string(name_of(q.dtype())), std::to_string(z));
    zero = cast(zero_point.rank() < scale.rank() ? expand(wide, scale.shape()) : wide, q.dtype());
  }
  return dequantize(q, s, zero, along);
}

}  // namespace miniten::edge
