#pragma once
#include <cstdint>
#include "miniten/base/error.h"

namespace miniten {

inline constexpr uint64_t default_max_memory = uint64_t{1} << 32;   // of readers: a small file may declare large tensors

struct TooLarge : Error { using Error::Error; };

// While one lives, the tensors that this thread makes hold at most `bytes` together: what goes beyond throws TooLarge
// before it is allocated. One within another counts for nothing.
class MemoryLimit {
 public:
  MemoryLimit(std::string_view op, uint64_t bytes);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  static void take(uint64_t bytes);              // throws where that is too much
  static void give_back(uint64_t bytes);
  static void check_numbers(int64_t n) { take(uint64_t(n) * 8); give_back(uint64_t(n) * 8); }   // a list of 64-bit numbers that is about to be made
  [[noreturn]] static void refuse(std::string_view op, uint64_t limit, const std::string& got);

 private:
  std::string_view op_;
  uint64_t limit_, used_ = 0;
  bool outermost_;
};

}  // namespace miniten
