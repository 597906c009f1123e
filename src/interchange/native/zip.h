#pragma once
#include <string>
#include <vector>
#include "base/pages.h"
#include "miniten/core/tensor.h"

namespace miniten {

// Members of a zip archive in memory. Sizes are checked before anything is allocated; each member's CRC is.
struct ZipMember {
  std::string name;
  std::vector<std::byte> bytes;
  bool deflated = false, executable = false;
  std::span<const std::byte> stored = {};                        // in place of bytes: where they lie in the archive
  std::span<const std::byte> content() const { return stored.data() ? stored : std::span<const std::byte>(bytes); }
};
size_t deflated_size(std::span<const std::byte>);
uint32_t crc32_of(std::span<const std::byte>);
// in_place: members that are not deflated stay where they are, and are gone with the archive.
std::vector<ZipMember> unzip(std::span<const std::byte>, uint64_t total_limit = uint64_t{1} << 34, bool in_place = false);
// With fixed dates: the same bytes for the same members. Contents of .npy from least_in_place bytes on that are not deflated begin at multiples of 64.
std::vector<std::byte> zip(const std::vector<ZipMember>&);
inline constexpr size_t least_in_place = size_t{1} << 14;

// NumPy's .npy, versions 1 and 2, little endian. float16 is kept; bfloat16, int4 and uint4 are stored as bytes of uint.
std::vector<std::byte> to_npy(const Tensor&);
// Within `pages` (the bytes then lie there, and nobody else reads them) a large array stays where it is, if that is at a multiple of
// 64: the tensor holds the pages, and gives back its own when it goes.
Tensor from_npy(std::span<const std::byte>, std::string_view name, const std::shared_ptr<Pages>& pages = nullptr);

}  // namespace miniten
