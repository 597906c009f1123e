#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace miniten {

// Writes bytes under a temporary name beside path, flushes, renames. Throws ErrorKind::io; nothing half written stays.
void write_file(const std::string& path, std::span<const std::byte> bytes);
std::vector<std::byte> read_file(const std::string& path, size_t limit = size_t{1} << 34);

}  // namespace miniten
