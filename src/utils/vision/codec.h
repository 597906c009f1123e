#pragma once
#include "miniten/utils/vision.h"

// One pair of functions per file format. Readers give what the file holds: uint8 or uint16 (height, width, channels) of
// 1 (grey), 2 (grey, alpha), 3 or 4 channels. Writers are given such an image that their format can hold.
namespace miniten::utils::vision {

using Bytes = std::span<const std::byte>;

struct Decoded {
  Tensor image;
  int orientation = 1;                         // EXIF's, 1 to 8
};

Decoded decode_png(Bytes, int64_t max_pixels);
Decoded decode_jpeg(Bytes, int64_t max_pixels);
Decoded decode_bmp(Bytes, int64_t max_pixels);
Decoded decode_pnm(Bytes, int64_t max_pixels);
Decoded decode_gif(Bytes, int64_t max_pixels);
std::vector<std::byte> encode_png(const Tensor&, int compression);
std::vector<std::byte> encode_jpeg(const Tensor&, int quality);
std::vector<std::byte> encode_bmp(const Tensor&);
std::vector<std::byte> encode_pnm(const Tensor&);

int exif_orientation(Bytes tiff);              // of a TIFF block; 1 where it says nothing valid

[[noreturn]] void refuse_file(const char* format, std::string got, std::string hint = "");
// A new image; throws where the file's sizes are 0 or exceed max_pixels.
Tensor new_image(const char* format, int64_t h, int64_t w, int64_t c, DType, int64_t max_pixels);

}  // namespace miniten::utils::vision
