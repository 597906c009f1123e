#include "miniten/interchange/onnx.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return miniten::fuzz::target(data, size, [](std::span<const std::byte> bytes) { miniten::fuzz::run(miniten::load_onnx(bytes, {.max_memory = miniten::fuzz::most_memory})); });
}
