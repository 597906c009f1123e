#include "miniten/core/c_form.h"
#include <charconv>
#include <cmath>

namespace miniten {

void CCall::refuse(std::string want, std::string got, std::string hint) const {
  std::string where = layer.empty() ? "" : " in layer \"" + std::string(layer) + "\"";
  throw Error(ErrorKind::unsupported, "export_c", std::string(call.op.name) + " with " + std::move(want), std::move(got) + where,
              hint.empty() ? "run this model in a session, or remove the layer" : std::move(hint));
}

std::string c_type(DType t) {
  switch (t) {
    case DType::f32: return "float";
    case DType::f64: return "double";
    case DType::i8: return "int8_t";
    case DType::i16: return "int16_t";
    case DType::i32: return "int32_t";
    case DType::i64: return "int64_t";
    case DType::u8: case DType::boolean: return "uint8_t";
    case DType::u16: return "uint16_t";
    case DType::u32: return "uint32_t";
    case DType::u64: return "uint64_t";
    default: return "";
  }
}

std::string c_number(double value, DType t) {
  if (t != DType::f32 && t != DType::f64) {
    auto n = int64_t(value);
    if (t == DType::i64) return n == INT64_MIN ? "INT64_MIN" : "INT64_C(" + std::to_string(n) + ")";
    if (t == DType::u64) return "UINT64_C(" + std::to_string(uint64_t(value)) + ")";
    if (t == DType::i32 && n == INT32_MIN) return "INT32_MIN";
    return std::to_string(n) + (t == DType::u32 ? "u" : "");
  }
  if (std::isnan(value)) return "NAN";
  if (std::isinf(value)) return value > 0 ? "INFINITY" : "-INFINITY";
  char text[48];
  auto end = t == DType::f32 ? std::to_chars(text, text + 40, float(value)).ptr : std::to_chars(text, text + 40, value).ptr;
  std::string s(text, end);
  if (s.find_first_of(".e") == s.npos) s += ".0";
  return t == DType::f32 ? s + "f" : s;
}

}  // namespace miniten
