#pragma once
#include <cstddef>
#include <span>
#include <string_view>

namespace miniten {

inline constexpr size_t bytes_by_character = 32;             // of a parsed value, at most: of [[],[],..

// Throws ErrorKind::value where brackets nest deeper: the parser recurses.
void require_shallow(std::string_view op, std::span<const std::byte> text, int deepest);

}  // namespace miniten
