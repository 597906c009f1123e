#pragma once
#include <string>
#include <vector>
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
// in_place: members that are not deflated stay where they are, and are gone with the archive.
std::vector<ZipMember> unzip(std::span<const std::byte>, uint64_t total_limit = uint64_t{1} << 34, bool in_place = false);
std::vector<std::byte> zip(const std::vector<ZipMember>&);       // with fixed dates: the same bytes for the same members

// NumPy's .npy, versions 1 and 2, little endian. float16 is kept; bfloat16, int4 and uint4 are stored as bytes of uint.
std::vector<std::byte> to_npy(const Tensor&);
Tensor from_npy(std::span<const std::byte>, std::string_view name);

}  // namespace miniten
