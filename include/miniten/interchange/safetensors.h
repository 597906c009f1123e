#pragma once
#include "miniten/interchange/native.h"

namespace miniten {

// Tensors by name in the safetensors format: 8 bytes of header length, a JSON header, then the values, little-endian
// (https://github.com/huggingface/safetensors, "Format").
struct Safetensors {
  std::vector<NamedTensor> tensors;              // read: in the order of their bytes
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Written by element type, the widest first, then by name, byte for byte as the format's own library does; the values start
// at a multiple of 8 bytes. Throws ErrorKind::unsupported for int4 and uint4, which the format lacks, and ErrorKind::value for a name
// given twice or "__metadata__".
std::vector<std::byte> safetensors_bytes(const Safetensors&);
size_t save_safetensors(const Safetensors&, const std::string& path);   // atomic, as write_file -> bytes

// Throws ErrorKind::value for a file that is cut short, or whose tensors overlap, leave bytes unused or do not fit their
// shapes, and ErrorKind::unsupported for element types MiniTen has not (float8, complex), by the tensor's name.
// max_memory: bytes of the file, and of its tensors.
Safetensors load_safetensors(std::span<const std::byte>, uint64_t max_memory = default_max_memory);
Safetensors load_safetensors(const std::string& path, uint64_t max_memory = default_max_memory);

}  // namespace miniten
