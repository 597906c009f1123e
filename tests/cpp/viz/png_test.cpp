#include "viz/png.h"
#include <gtest/gtest.h>
#include <zlib.h>
#include <cstring>
#include <string>

namespace miniten::viz {
namespace {

uint32_t number(const uint8_t* p) { return uint32_t(p[0]) << 24 | uint32_t(p[1]) << 16 | uint32_t(p[2]) << 8 | p[3]; }

// An independent reader on zlib: 8-bit palette, RGB and RGBA, filters 0 and 1.
Bitmap decode(const std::vector<uint8_t>& png) {
  Bitmap bitmap;
  EXPECT_EQ(std::memcmp(png.data(), "\x89PNG\r\n\x1a\n", 8), 0);
  std::vector<uint8_t> palette, packed;
  int kind = -1;
  for (size_t at = 8; at < png.size();) {
    const size_t length = number(&png[at]);
    const std::string type(reinterpret_cast<const char*>(&png[at + 4]), 4);
    const uint8_t* body = &png[at + 8];
    EXPECT_EQ(number(body + length), crc32(0, &png[at + 4], uInt(length + 4))) << type;
    if (type == "IHDR") bitmap.width = int(number(body)), bitmap.height = int(number(body + 4)), kind = body[9];
    if (type == "PLTE") palette.assign(body, body + length);
    if (type == "IDAT") packed.insert(packed.end(), body, body + length);
    at += length + 12;
  }
  const size_t channels = kind == 3 ? 1 : kind == 2 ? 3 : 4, row = size_t(bitmap.width) * channels;
  std::vector<uint8_t> raw((row + 1) * size_t(bitmap.height));
  uLongf size = uLongf(raw.size());
  EXPECT_EQ(uncompress(raw.data(), &size, packed.data(), uLong(packed.size())), Z_OK);
  EXPECT_EQ(size, raw.size());
  for (size_t y = 0; y < size_t(bitmap.height); ++y) {
    uint8_t* line = &raw[y * (row + 1) + 1];
    if (line[-1] == 1) for (size_t i = channels; i < row; ++i) line[i] = uint8_t(line[i] + line[i - channels]);
    for (size_t x = 0; x < size_t(bitmap.width); ++x) {
      const uint8_t* p = channels == 1 ? &palette[line[x] * 3u] : &line[x * channels];
      bitmap.rgba.insert(bitmap.rgba.end(), {p[0], p[1], p[2], channels == 4 ? p[3] : uint8_t(255)});
    }
  }
  return bitmap;
}

Bitmap pattern(int width, int height, uint32_t colors, bool translucent) {
  Bitmap b{width, height, {}};
  uint32_t state = 1;
  for (int i = 0; i < width * height; ++i) {
    state = state * 1664525u + 1013904223u;
    const uint32_t c = (state >> 8) % colors * 2654435761u;
    b.rgba.insert(b.rgba.end(), {uint8_t(c), uint8_t(c >> 8), uint8_t(c >> 16), translucent ? uint8_t(c >> 24) : uint8_t(255)});
  }
  return b;
}

TEST(Png, RoundTripsThroughZlib) {
  for (const Bitmap& b : {pattern(1, 1, 1, false), pattern(8, 8, 16, false), pattern(37, 23, 256, false), pattern(64, 40, 100000, false),
                          pattern(31, 17, 100000, true), pattern(300, 200, 2, false), pattern(500, 300, 1, false)}) {
    EXPECT_EQ(decode(encode_png(b)).rgba, b.rgba) << b.width << " x " << b.height;
  }
}

TEST(Png, RepeatsAreShort) {
  Bitmap flat{500, 500, std::vector<uint8_t>(500 * 500 * 4, 255)};
  EXPECT_LT(encode_png(flat).size(), 3000u);
}

TEST(Base64, MatchesRfc4648) {
  auto of = [](std::string_view s) { return base64(std::span(reinterpret_cast<const uint8_t*>(s.data()), s.size())); };
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of("f"), "Zg==");
  EXPECT_EQ(of("fo"), "Zm8=");
  EXPECT_EQ(of("foobar"), "Zm9vYmFy");
}

}  // namespace
}  // namespace miniten::viz
