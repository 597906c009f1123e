#pragma once
#include <cstddef>
#include <span>
#include <string_view>

namespace miniten {

// Throws ErrorKind::value where brackets nest deeper: the parser recurses.
void require_shallow(std::string_view op, std::span<const std::byte> text, int deepest);

}  // namespace miniten
