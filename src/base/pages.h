#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace miniten {

// Memory for what is large, aligned to 64 bytes and with 64 readable ones behind it; from 1 MB on in huge pages where the system has
// them: what is read from end to end spends as long walking the page table as reading, and the first touch of a small page costs
// as much as copying four.
class Pages {
 public:
  Pages(std::string_view who, uint64_t bytes);                 // throws, for `who`, where there is no room
  ~Pages();
  Pages(const Pages&) = delete;
  std::byte* data() const { return data_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }
  void shrink(size_t bytes) { size_ = bytes; }
  // Whole pages within go back to the system now, not with the others; what stood there is lost.
  static void drop(std::span<std::byte>) noexcept;

 private:
  std::byte* data_;
  size_t size_;
};

// As read_file.
std::shared_ptr<Pages> read_pages(const std::string& path, uint64_t limit = uint64_t{1} << 34);

}  // namespace miniten
