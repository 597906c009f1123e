#include <cmath>
#include "base/allocate.h"
#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// ONNX operators whose result follows from sizes and numbers known while reading.
namespace miniten::onnx {

namespace {

constexpr int64_t most = int64_t{1} << 28;
DType type_of(const ForeignNode& n, const char* attribute, DType otherwise) {
  DType t = otherwise;
  if (int64_t number = n.integer(attribute, 0); number && !from_onnx_type(number, t)) n.fail("a dtype that MiniTen has", "type " + std::to_string(number));
  return t;
}
Tensors read_constant(const ForeignNode& n) {
  if (n.has("value") || n.has("sparse_value")) {
    Tensor t = n.tensor(n.has("value") ? "value" : "sparse_value");
    if (t) return {t};
  }
  if (n.has("value_float")) return {Tensor::full({}, n.number("value_float", 0))};
  if (n.has("value_int")) { int64_t v[] = {n.integer("value_int", 0)}; return {Tensor::of<int64_t>({}, v)}; }
  if (n.has("value_ints")) return {ints(n.integers("value_ints", {}))};
  if (n.has("value_floats")) { auto v = n.numbers("value_floats", {}); return {Tensor::of<float>({int64_t(v.size())}, v)}; }
  n.fail("a tensor, number or list of numbers", "another kind of constant");
}
Tensors read_constant_of_shape(const ForeignNode& n) {
  Ints shape = n.sizes(0);
  Tensor value = n.tensor("value");
  Shape to{std::span<const Dim>(shape)};
  check_sizes("ConstantOfShape", to);
  if (!to.is_static()) return {miniten::expand(value ? miniten::reshape(value, {}) : Tensor::zeros({}), to)};
  if (to.count() > most) n.fail("at most 2^28 elements", to.text());
  return {value ? Tensor::full(to, value.item(), value.dtype()) : Tensor::zeros(to)};
}
Tensors read_shape(const ForeignNode& n) {
  Tensor x = n.required(0);
  if (!mode().recorder) require_static(n, x);
  int64_t rank = x.rank(), start = n.integer("start", 0), end = n.integer("end", rank);
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  end = std::clamp<int64_t>(end < 0 ? end + rank : end, 0, rank);
  Ints sizes(x.shape().begin(), x.shape().end());
  return {ints(Ints(sizes.begin() + start, sizes.begin() + std::max(start, end)))};
}
Tensors read_size(const ForeignNode& n) {
  Tensor x = n.required(0);
  require_static(n, x);
  return {Tensor::full({}, double(x.numel()), DType::i64)};
}
Tensors read_range(const ForeignNode& n) {
  DType t = n.required(0).dtype();
  double from = n.constant(0).item(), to = n.constant(1).item(), step = n.constant(2).item();
  double count = step == 0 ? 0 : std::max(0.0, std::ceil((to - from) / step));
  if (!(count <= double(most))) n.fail("a range of at most 2^28 numbers", std::to_string(count));
  std::vector<double> v;
  for (int64_t i = 0; i < int64_t(count); ++i) v.push_back(from + double(i) * step);
  return {of_numbers({int64_t(v.size())}, v, t)};
}
Tensors read_eye(const ForeignNode& n) {
  Tensor x = n.required(0);
  require_static(n, x);
  if (x.rank() != 2) n.fail("a matrix", x.spec().text());
  int64_t k = n.integer("k", 0);
  std::vector<double> v(size_t(x.numel()), 0.0);
  for (int64_t i = 0; i < x.dim(0); ++i) if (i + k >= 0 && i + k < x.dim(1)) v[size_t(i * x.dim(1) + i + k)] = 1;
  return {of_numbers(x.shape(), v, type_of(n, "dtype", x.dtype()))};
}
// a0 - a1 cos(2 pi i / N) + a2 cos(4 pi i / N)
Tensors window(const ForeignNode& n, double a0, double a1, double a2) {
  int64_t size = n.constant_integers(0).at(0), length = n.integer("periodic", 1) ? size : size - 1;
  if (size < 0 || size > most) n.fail("a window of 0 or more", std::to_string(size));
  std::vector<double> v;
  for (int64_t i = 0; i < size; ++i) {
    double angle = length ? 2 * M_PI * double(i) / double(length) : 0;
    v.push_back(a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle));
  }
  return {of_numbers({size}, v, type_of(n, "output_datatype", DType::f32))};
}
Tensors read_hann(const ForeignNode& n) { return window(n, 0.5, 0.5, 0); }
Tensors read_hamming(const ForeignNode& n) { return window(n, 25.0 / 46, 21.0 / 46, 0); }
Tensors read_blackman(const ForeignNode& n) { return window(n, 0.42, 0.5, 0.08); }
Tensors read_mel(const ForeignNode& n) {
  int64_t bands = n.constant_integers(0).at(0), length = n.constant_integers(1).at(0), rate = n.constant_integers(2).at(0);
  double low = n.constant(3).item(), high = n.constant(4).item();
  if (bands < 1 || length < 1 || rate < 1 || bands > 1 << 16 || length > 1 << 24) n.fail("bands, a DFT length and a rate of at least 1", "others");
  int64_t bins = length / 2 + 1;
  auto to_mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  double from = to_mel(low), step = (to_mel(high) - from) / double(bands + 2);
  Ints edge;
  for (int64_t i = 0; i < bands + 2; ++i) {
    double f = 700 * (std::pow(10, (double(i) * step + from) / 2595) - 1);
    edge.push_back(std::clamp<int64_t>(int64_t(std::floor(double(length + 1) * f / double(rate))), 0, bins - 1));
  }
  std::vector<double> v(addressable(uint64_t(bins * bands)), 0.0);
  for (int64_t b = 0; b < bands; ++b) {
    int64_t left = edge[size_t(b)], middle = edge[size_t(b + 1)], right = edge[size_t(b + 2)];
    auto at = [&](int64_t bin) -> double& { return v[size_t(bin * bands + b)]; };
    if (middle == left) at(middle) = 1;
    else for (int64_t i = left; i <= middle; ++i) at(i) = double(i - left) / double(middle - left);
    if (right != middle) for (int64_t i = middle; i < right; ++i) at(i) = double(right - i) / double(right - middle);
  }
  return {of_numbers({bins, bands}, v, type_of(n, "output_datatype", DType::f32))};
}

constexpr ForeignComposition rules[] = {
    {"onnx", "Constant", read_constant}, {"onnx", "ConstantOfShape", read_constant_of_shape}, {"onnx", "Shape", read_shape}, {"onnx", "Size", read_size},
    {"onnx", "Range", read_range}, {"onnx", "EyeLike", read_eye}, {"onnx", "HannWindow", read_hann}, {"onnx", "HammingWindow", read_hamming},
    {"onnx", "BlackmanWindow", read_blackman}, {"onnx", "MelWeightMatrix", read_mel}};

}  // namespace

Compositions constant_rules() { return rules; }

}  // namespace miniten::onnx
