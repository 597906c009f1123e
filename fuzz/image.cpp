#include "miniten/utils/vision.h"
#include "target.h"

// Decoders of pictures, each told by its first bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return miniten::fuzz::target(data, size, [](std::span<const std::byte> bytes) {
    miniten::utils::vision::decode_image(bytes, {.mode = miniten::utils::vision::ColorMode::unchanged, .max_pixels = 1 << 16});
  });
}
