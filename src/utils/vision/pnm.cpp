#include <cstring>
#include "utils/vision/codec.h"

namespace miniten::utils::vision {

// PPM and PGM, plain (P2, P3) and raw (P5, P6); values are stretched to 8 or 16 bits where maxval is smaller.
Decoded decode_pnm(Bytes b, int64_t max_pixels) {
  int kind = int(b[1]) - '0';
  bool plain = kind < 4;
  int64_t c = kind == 2 || kind == 5 ? 1 : 3;
  size_t at = 2;
  auto space = [](std::byte x) { return x == std::byte(' ') || (x >= std::byte(9) && x <= std::byte(13)); };
  auto number = [&]() -> int64_t {
    while (at < b.size() && (space(b[at]) || b[at] == std::byte('#'))) {
      if (b[at] == std::byte('#')) while (at < b.size() && b[at] != std::byte('\n')) ++at;
      else ++at;
    }
    int64_t v = 0;
    size_t start = at;
    while (at < b.size() && b[at] >= std::byte('0') && b[at] <= std::byte('9') && v < 1'000'000'000) v = v * 10 + int64_t(b[at++]) - '0';
    if (at == start) refuse_file("PPM or PGM", at == b.size() ? "a file that is cut off" : "no number at byte " + std::to_string(at));
    return v;
  };
  int64_t w = number(), h = number(), top = number();
  if (top < 1 || top > 65535) refuse_file("PPM or PGM", "a largest value of " + std::to_string(top));
  bool wide = top > 255;
  if (!plain && (at >= b.size() || !space(b[at++]))) refuse_file("PPM or PGM", "a header without its end");
  size_t least = plain ? 2 : wide ? 2 : 1;                            // bytes a value, one less in all where plain
  if (w > 0 && h > 0 && h <= max_pixels && w <= max_pixels / h && uint64_t(w * h * c) > (b.size() - at + 1) / least)
    refuse_file("PPM or PGM", "a file that is cut off");
  Decoded d{new_image("PPM or PGM", h, w, c, wide ? DType::u16 : DType::u8, max_pixels)};
  int64_t n = d.image.numel(), full = wide ? 65535 : 255;
  if (!plain && uint64_t(n) * (wide ? 2 : 1) > b.size() - at) refuse_file("PPM or PGM", "a file that is cut off");
  auto* narrow_to = d.image.view().as<uint8_t>();
  auto* wide_to = d.image.view().as<uint16_t>();
  if (!plain && top == 255) {
    std::memcpy(narrow_to, b.data() + at, size_t(n));
    return d;
  }
  for (int64_t i = 0; i < n; ++i) {
    int64_t v = plain ? number() : wide ? int64_t(b[at]) << 8 | int64_t(b[at + 1]) : int64_t(b[at]);
    if (!plain) at += wide ? 2 : 1;
    if (v > top) refuse_file("PPM or PGM", "the value " + std::to_string(v) + " above " + std::to_string(top));
    v = (v * full + top / 2) / top;
    if (wide) wide_to[i] = uint16_t(v);
    else narrow_to[i] = uint8_t(v);
  }
  return d;
}

std::vector<std::byte> encode_pnm(const Tensor& image) {
  bool wide = image.dtype() == DType::u16;
  std::string header = (image.dim(2) == 1 ? "P5\n" : "P6\n") + std::to_string(image.dim(1)) + " " + std::to_string(image.dim(0)) + "\n" + (wide ? "65535\n" : "255\n");
  std::vector<std::byte> out(header.size() + image.spec().bytes());
  std::memcpy(out.data(), header.data(), header.size());
  std::byte* to = out.data() + header.size();
  if (!wide) {
    std::memcpy(to, image.view().data, image.spec().bytes());
    return out;
  }
  const uint16_t* from = image.view().as<uint16_t>();
  for (int64_t i = 0; i < image.numel(); ++i) {
    *to++ = std::byte(from[i] >> 8);
    *to++ = std::byte(from[i]);
  }
  return out;
}

}  // namespace miniten::utils::vision
