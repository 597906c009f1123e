#include "ops/onnx_rules.h"
#include "miniten/core/memory_limit.h"
#include "miniten/ops/ops.h"
#include "ops/tflite_rules.h"

namespace miniten {

namespace onnx {

int axis_of(const ForeignNode& n, int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) n.fail("an axis in [-" + std::to_string(rank) + ", " + std::to_string(rank) + ")", std::to_string(axis));
  return int(axis < 0 ? axis + rank : axis);
}
void require_static(const ForeignNode& n, const Tensor& x) {
  if (!x.shape().is_static()) n.fail("a known shape", x.spec().text(), "call it with arrays, or fix the sizes");
}
Tensor optional(const ForeignNode& n, int i) { return i < n.inputs() ? n.input(i) : Tensor(); }
Tensor ints(const Ints& v) { return Tensor::of<int64_t>({int64_t(v.size())}, v); }
Tensor counting(int64_t n) {
  Ints v;
  for (int64_t i = 0; i < n; ++i) v.push_back(i);
  return ints(v);
}
std::vector<double> numbers_of(const ForeignNode& n, int i) {
  Tensor t = n.constant(i), wide = Tensor::empty({DType::f64, t.shape()});
  copy_values(t.view(), wide.view());
  return wide.to_vector<double>();
}
Tensor of_numbers(const Shape& shape, const std::vector<double>& v, DType t) {
  Tensor wide = Tensor::of<double>(shape, v), out = Tensor::empty({t, shape});
  copy_values(wide.view(), out.view());
  return out;
}
Tensor in_float64(const Tensor& x, Tensor (*f)(const Tensor&)) {
  return is_float(x.dtype()) ? f(x) : miniten::cast(f(miniten::cast(x, DType::f64)), x.dtype());
}
Tensor flip(const Tensor& x, int axis) { return miniten::slice(x, axis, INT64_MAX, INT64_MIN, -1); }
Tensor repeat(const Tensor& x, int axis, int64_t times) {
  if (times == 1) return x;
  if (int64_t size = x.dim(axis); size > 0 && times > INT64_MAX / 16 / size) throw Error(ErrorKind::value, "repeat", "fewer repetitions", std::to_string(times));
  MemoryLimit::check_numbers(x.dim(axis) * std::max<int64_t>(times, 0));
  Ints rows;
  for (int64_t i = 0; i < x.dim(axis); ++i) rows.insert(rows.end(), size_t(times), i);
  return miniten::gather(x, ints(rows), axis);
}

}  // namespace onnx

std::span<const ForeignComposition> foreign_compositions() {
  static const std::vector<ForeignComposition> all = [] {
    std::vector<ForeignComposition> v;
    for (auto part : {onnx::shape_rules(), onnx::math_rules(), onnx::index_rules(), onnx::norm_rules(), onnx::pool_rules(), onnx::quantized_rules(),
                      onnx::recurrent_rules(), onnx::attention_rules(), onnx::control_rules(), onnx::loss_rules(), onnx::vision_rules(),
                      onnx::constant_rules(), onnx::layer_rules(), tflite::all_rules()})
      v.insert(v.end(), part.begin(), part.end());
    return v;
  }();
  return all;
}

}  // namespace miniten
