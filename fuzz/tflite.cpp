#include "miniten/interchange/tflite.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace miniten;
  fuzz::target(data, size, [](std::span<const std::byte> bytes) { fuzz::run(load_tflite(bytes, {.max_memory = fuzz::most_memory})); });
  return fuzz::target(data, size, [](std::span<const std::byte> bytes) { fuzz::run(load_tflite(bytes, {.exact = "tflite", .max_memory = fuzz::most_memory})); });
}
