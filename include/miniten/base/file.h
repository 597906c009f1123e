#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace miniten {

// Writes bytes under a temporary name beside path, flushes, renames. Throws ErrorKind::io; nothing half written stays.
void write_file(const std::string& path, std::span<const std::byte> bytes);
std::vector<std::byte> read_file(const std::string& path, uint64_t limit = uint64_t{1} << 34);

}  // namespace miniten
