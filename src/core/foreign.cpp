#include "miniten/core/foreign.h"

namespace miniten {

static constexpr struct { DType type; int64_t number; } onnx_types[] = {
    {DType::f32, 1}, {DType::u8, 2}, {DType::i8, 3}, {DType::u16, 4}, {DType::i16, 5}, {DType::i32, 6}, {DType::i64, 7}, {DType::boolean, 9},
    {DType::f16, 10}, {DType::f64, 11}, {DType::u32, 12}, {DType::u64, 13}, {DType::bf16, 16}, {DType::u4, 21}, {DType::i4, 22}};

int64_t onnx_type(DType t) {
  for (auto& row : onnx_types) if (row.type == t) return row.number;
  return 0;
}
bool from_onnx_type(int64_t number, DType& t) {
  for (auto& row : onnx_types) if (row.number == number) { t = row.type; return true; }
  return false;
}

void ForeignNode::fail(std::string want, std::string got, std::string hint) const {
  std::string where = std::string(type()) + "-" + std::to_string(version());
  if (!name().empty()) where += " \"" + std::string(name()) + "\"";
  throw Error(ErrorKind::unsupported, where, std::move(want), std::move(got), std::move(hint));
}
Tensor ForeignNode::required(int i) const {
  Tensor t = i < inputs() ? input(i) : Tensor();
  if (!t) fail("input " + std::to_string(i), "none");
  return t;
}
Tensor ForeignNode::constant(int i) const {
  Tensor t = required(i);
  if (open(i)) fail("known sizes as input " + std::to_string(i), "open ones", "call it with arrays, or fix the sizes");
  if (!t.has_data()) fail("input " + std::to_string(i) + " to be constant", "a computed value", "export the model with fixed shapes");
  return t;
}
std::vector<int64_t> ForeignNode::constant_integers(int i) const {
  constant(i);
  return sizes(i);
}
std::vector<int64_t> ForeignNode::sizes(int i) const {
  Tensor t = required(i);
  if (!t.has_data()) constant(i);
  if (!is_integer(t.dtype())) fail("integers as input " + std::to_string(i), t.spec().text());
  Tensor wide = Tensor::empty({DType::i64, t.shape()});
  copy_values(t.view(), wide.view());
  return wide.to_vector<int64_t>();
}

}  // namespace miniten
