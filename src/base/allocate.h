#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace miniten {

constexpr uint64_t aligned(uint64_t bytes, uint64_t to = 64) { return (bytes + to - 1) & ~(to - 1); }   // to: a power of two

// A number of bytes or elements, where so many can be in memory; else throws.
size_t addressable(uint64_t n);

// Aligned memory for std::free: `bytes` and `more` beside them. Throws, for `who`, where that is more than can be had or addressed.
void* allocate(std::string_view who, size_t alignment, uint64_t bytes, size_t more = 0);

}  // namespace miniten
