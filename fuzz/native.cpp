#include "miniten/interchange/native.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return miniten::fuzz::target(data, size, [](std::span<const std::byte> bytes) {
    miniten::NativeFile f = miniten::load_native(bytes, miniten::fuzz::most_memory);
    if (f.has_graph) miniten::fuzz::run(std::move(f.graph));
  });
}
