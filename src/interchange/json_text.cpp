#include "interchange/json_text.h"
#include <algorithm>
#include <string>
#include "miniten/base/error.h"

namespace miniten {

void require_shallow(std::string_view op, std::span<const std::byte> text, int deepest) {
  int depth = 0, seen = 0;
  for (std::byte b : text) {
    depth += b == std::byte('[') || b == std::byte('{');
    depth -= b == std::byte(']') || b == std::byte('}');
    seen = std::max(seen, depth);
  }
  if (seen > deepest)
    throw Error(ErrorKind::value, op, "brackets at most " + std::to_string(deepest) + " deep", std::to_string(seen), "the file may be damaged");
}

}  // namespace miniten
