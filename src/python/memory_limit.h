#pragma once
#include <cstddef>

// The readers' max_memory_mb.
namespace miniten::python {

inline constexpr double default_max_memory_mb = 4096;
uint64_t bytes_of_mb(const char* op, double mb);

}  // namespace miniten::python
