#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>
#include "viz/canvas.h"

namespace miniten::viz {

// Of the bitmap's pixels alone, so that files are the same everywhere: no zlib whose version would show.
std::vector<uint8_t> encode_png(const Bitmap& bitmap, double dpi = 0);  // dpi 0: not said
std::string base64(std::span<const uint8_t> bytes);

}  // namespace miniten::viz
