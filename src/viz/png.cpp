#include "viz/png.h"
#include <algorithm>
#include <array>
#include <string_view>

namespace miniten::viz {
namespace {

using Bytes = std::vector<uint8_t>;

// Deflate (RFC 1951) with the fixed codes and hash-chained matches.
class Deflate {
 public:
  Bytes run(std::span<const uint8_t> data) {
    put(1, 1), put(1, 2);  // the last block, fixed codes
    std::vector<int32_t> head(1 << 15, -1), previous(data.size(), -1);
    auto hash = [&](size_t i) { return (data[i] * 2654435761u ^ data[i + 1] * 40503u * 65599u ^ data[i + 2] * 97777u) >> 7 & 0x7fff; };
    for (size_t i = 0; i < data.size();) {
      size_t best = 0, distance = 0;
      const size_t limit = std::min<size_t>(258, data.size() - i);
      if (limit >= 3) {
        int tries = 32;
        for (int32_t at = head[hash(i)]; at >= 0 && i - size_t(at) <= 32768 && tries-- > 0; at = previous[size_t(at)]) {
          size_t n = 0;
          while (n < limit && data[size_t(at) + n] == data[i + n]) ++n;
          if (n > best) best = n, distance = i - size_t(at);
          if (n == limit) break;
        }
      }
      size_t taken = 1;
      if (best >= 3) match(unsigned(best), unsigned(distance)), taken = best;
      else literal(data[i]);
      for (size_t end = i + taken; i < end; ++i) {
        if (i + 2 >= data.size()) continue;
        int32_t& slot = head[hash(i)];
        previous[i] = slot, slot = int32_t(i);
      }
    }
    literal(256);
    if (used_) out_.push_back(uint8_t(bits_));
    return std::move(out_);
  }

 private:
  void put(unsigned value, int count) {  // least significant bit first
    bits_ |= value << used_;
    for (used_ += count; used_ >= 8; used_ -= 8, bits_ >>= 8) out_.push_back(uint8_t(bits_));
  }
  void code(unsigned value, int count) {  // most significant bit first
    for (int i = count; i-- > 0;) put(value >> i & 1, 1);
  }
  void literal(unsigned symbol) {
    if (symbol < 144) code(0x30 + symbol, 8);
    else if (symbol < 256) code(0x190 + symbol - 144, 9);
    else if (symbol < 280) code(symbol - 256, 7);
    else code(0xc0 + symbol - 280, 8);
  }
  void match(unsigned length, unsigned distance) {
    static constexpr uint16_t lengths[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                           31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static constexpr uint8_t length_bits[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static constexpr uint16_t distances[] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                             193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    int l = 28, d = 29;
    while (lengths[l] > length) --l;
    while (distances[d] > distance) --d;
    literal(unsigned(257 + l));
    put(length - lengths[l], length_bits[l]);
    code(unsigned(d), 5);
    put(distance - distances[d], d < 2 ? 0 : d / 2 - 1);
  }
  Bytes out_;
  unsigned bits_ = 0;
  int used_ = 0;
};

void big_endian(Bytes& out, uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(uint8_t(v >> shift));
}

uint32_t crc32(std::span<const uint8_t> data) {
  uint32_t crc = ~0u;
  for (uint8_t byte : data) {
    crc ^= byte;
    for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

uint32_t adler32(std::span<const uint8_t> data) {
  uint32_t a = 1, b = 0;
  for (uint8_t byte : data) a = (a + byte) % 65521, b = (b + a) % 65521;
  return b << 16 | a;
}

void chunk(Bytes& png, std::string_view type, const Bytes& content) {
  big_endian(png, uint32_t(content.size()));
  Bytes body(type.begin(), type.end());
  body.insert(body.end(), content.begin(), content.end());
  png.insert(png.end(), body.begin(), body.end());
  big_endian(png, crc32(body));
}

// Colours in order of first use; more than 256, or a transparent one: empty.
std::vector<uint32_t> palette_of(const std::vector<uint32_t>& pixels) {
  std::vector<uint32_t> palette, seen;
  for (size_t i = 0; i < pixels.size(); ++i) {
    uint32_t pixel = pixels[i];
    if (i > 0 && pixel == pixels[i - 1]) continue;
    if ((pixel >> 24) != 255) return {};
    auto at = std::lower_bound(seen.begin(), seen.end(), pixel);
    if (at != seen.end() && *at == pixel) continue;
    if (seen.size() == 256) return {};
    seen.insert(at, pixel);
  }
  return seen;
}

}  // namespace

std::vector<uint8_t> encode_png(const Bitmap& bitmap, double dpi) {
  const size_t width = size_t(bitmap.width), height = size_t(bitmap.height);
  std::vector<uint32_t> pixels(width * height);
  bool opaque = true;
  for (size_t i = 0; i < pixels.size(); ++i) {
    const uint8_t* p = &bitmap.rgba[i * 4];
    pixels[i] = uint32_t(p[3]) << 24 | uint32_t(p[0]) << 16 | uint32_t(p[1]) << 8 | p[2];
    opaque = opaque && p[3] == 255;
  }
  const std::vector<uint32_t> palette = palette_of(pixels);
  const size_t channels = !palette.empty() ? 1 : opaque ? 3 : 4;
  Bytes raw;
  raw.reserve((width * channels + 1) * height);
  for (size_t y = 0; y < height; ++y) {
    raw.push_back(channels == 1 ? 0 : 1);  // filter: none for indices, else the difference to the left pixel
    for (size_t x = 0; x < width; ++x) {
      const size_t i = y * width + x;
      if (channels == 1) {
        raw.push_back(uint8_t(std::lower_bound(palette.begin(), palette.end(), pixels[i]) - palette.begin()));
        continue;
      }
      for (size_t c = 0; c < channels; ++c) {
        raw.push_back(uint8_t(bitmap.rgba[i * 4 + c] - (x == 0 ? 0 : bitmap.rgba[(i - 1) * 4 + c])));
      }
    }
  }
  Bytes png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, header;
  big_endian(header, uint32_t(width));
  big_endian(header, uint32_t(height));
  header.insert(header.end(), {8, uint8_t(channels == 1 ? 3 : channels == 3 ? 2 : 6), 0, 0, 0});
  chunk(png, "IHDR", header);
  if (dpi > 0) {
    Bytes density;
    for (int axis = 0; axis < 2; ++axis) big_endian(density, uint32_t(dpi / 0.0254 + 0.5));  // per metre
    density.push_back(1);
    chunk(png, "pHYs", density);
  }
  if (channels == 1) {
    Bytes colors;
    for (uint32_t p : palette) colors.insert(colors.end(), {uint8_t(p >> 16), uint8_t(p >> 8), uint8_t(p)});
    chunk(png, "PLTE", colors);
  }
  Bytes stream = {0x78, 0x01}, packed = Deflate().run(raw);
  stream.insert(stream.end(), packed.begin(), packed.end());
  big_endian(stream, adler32(raw));
  chunk(png, "IDAT", stream);
  chunk(png, "IEND", {});
  return png;
}

std::string base64(std::span<const uint8_t> bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t v = uint32_t(bytes[i]) << 16 | (n > 1 ? uint32_t(bytes[i + 1]) << 8 : 0) | (n > 2 ? bytes[i + 2] : 0);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

}  // namespace miniten::viz
