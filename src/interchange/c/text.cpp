#include <cctype>
#include <cmath>
#include <cstring>
#include "interchange/c/prepare.h"
#include "miniten/core/c_form.h"

namespace miniten {

std::string c_identifier(std::string_view text) {
  std::string s;
  for (char c : text) s += std::isalnum(static_cast<unsigned char>(c)) && static_cast<unsigned char>(c) < 128 ? c : '_';
  if (s.empty()) s = "layer";
  if (std::isdigit(static_cast<unsigned char>(s[0]))) s = "layer_" + s;
  return s;
}
std::string upper_case(std::string_view text) {
  std::string s(text);
  for (char& c : s) c = char(std::toupper(static_cast<unsigned char>(c)));
  return s;
}

void check_c_name(std::string_view name) {
  constexpr std::string_view taken[] = {
      "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long",
      "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while",
      "bool", "true", "false", "alignas", "alignof", "constexpr", "nullptr", "static_assert", "thread_local", "typeof",
      "asm", "catch", "class", "delete", "explicit", "export", "friend", "mutable", "namespace", "new", "operator", "private", "protected", "public", "template", "this",
      "throw", "try", "typename", "using", "virtual", "main",
      "arm_acle", "assert", "complex", "ctype", "errno", "fenv", "inttypes", "limits", "locale", "math", "setjmp", "signal", "stdarg", "stdbool", "stddef", "stdint", "stdio", "stdlib", "string", "tgmath", "time", "wchar", "wctype"};
  bool valid = !name.empty() && name.size() <= 40 && !std::isdigit(static_cast<unsigned char>(name[0])) && name[0] != '_';
  for (char c : name) valid = valid && (c == '_' || (static_cast<unsigned char>(c) < 128 && std::isalnum(static_cast<unsigned char>(c))));
  for (std::string_view t : taken) valid = valid && name != t;
  if (!valid)
    throw Error(ErrorKind::value, "export_c", "a name that C can have: letters, digits and _, a letter first, at most 40, no keyword and no header of C's", "\"" + std::string(name) + "\"", "as name=\"keywords\"");
}

std::vector<std::byte> bytes_in_memory_order(const Tensor& t, int64_t& count) {
  View v = t.view();
  const Shape& shape = v.shape();
  size_t size = bytes_of(v.spec.dtype, 1);
  count = shape.count() ? 1 : 0;
  for (int i = 0; i < shape.rank; ++i) count += shape.count() ? (shape[i] - 1) * std::abs(v.strides[i]) : 0;
  std::vector<std::byte> bytes(size_t(count) * size);
  Dims at = Dims::filled(shape.rank, 0);
  for (int64_t i = 0, n = shape.count(); i < n; ++i) {
    int64_t offset = 0;
    for (int k = 0; k < shape.rank; ++k) offset += at[k] * v.strides[k];
    std::memcpy(bytes.data() + size_t(offset) * size, v.data + offset * int64_t(size), size);
    for (int k = shape.rank; k-- > 0;) { if (++at[k] < shape[k]) break; at[k] = 0; }
  }
  return bytes;
}

std::string c_array(std::string_view qualifiers, std::string_view name, const Tensor& t) {
  int64_t count = 0;
  std::vector<std::byte> bytes = bytes_in_memory_order(t, count);
  std::string s = std::string(qualifiers) + " " + c_type(t.dtype()) + " " + std::string(name) + "[" + std::to_string(std::max<int64_t>(count, 1)) + "] = {", line = "\n ";
  auto add = [&](std::string value) {
    if (line.size() + value.size() + 2 > 120) { s += line; line = "\n "; }
    line += " " + std::move(value) + ",";
  };
  visit_dtype(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < count; ++i) {
      T v;
      std::memcpy(&v, bytes.data() + size_t(i) * sizeof(T), sizeof(T));
      if constexpr (std::is_same_v<T, int64_t>) add(v == INT64_MIN ? "INT64_MIN" : "INT64_C(" + std::to_string(v) + ")");
      else add(c_number(double(v), t.dtype()));
    }
  });
  if (!count) add("0");
  s += line;
  s.back() = '\n';
  return s + "};\n";
}

}  // namespace miniten
