#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace miniten {

// The file of the source tree that generated/embedded/<name>.inc packs (cmake/embed.cmake).
std::string unpacked(std::span<const uint8_t> gzip);

}  // namespace miniten
