#include "miniten/interchange/safetensors.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return miniten::fuzz::target(data, size, [](std::span<const std::byte> bytes) { miniten::load_safetensors(bytes, miniten::fuzz::most_memory); });
}
