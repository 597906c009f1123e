#include "miniten/core/memory_limit.h"
#include <algorithm>

namespace miniten {

static thread_local MemoryLimit* current = nullptr;

MemoryLimit::MemoryLimit(std::string_view op, uint64_t bytes) : op_(op), limit_(bytes), outermost_(!current) {
  if (outermost_) current = this;
}
MemoryLimit::~MemoryLimit() {
  if (outermost_) current = nullptr;
}
void MemoryLimit::take(uint64_t bytes) {
  if (!current) return;
  if (bytes > current->limit_ - current->used_) refuse(current->op_, current->limit_, std::to_string(bytes) + " bytes beside " + std::to_string(current->used_));
  current->used_ += bytes;
}
void MemoryLimit::give_back(uint64_t bytes) {
  if (current) current->used_ -= std::min(bytes, current->used_);
}
void MemoryLimit::refuse(std::string_view op, uint64_t limit, const std::string& got) {
  throw TooLarge(ErrorKind::value, op, "tensors of at most " + std::to_string(limit) + " bytes", got, "raise max_memory if the file is trusted");
}

}  // namespace miniten
