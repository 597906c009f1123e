#include <bit>
#include <cstring>
#include "utils/vision/codec.h"

namespace miniten::utils::vision {

namespace {
uint32_t little(Bytes b, size_t at, int bytes) {
  if (at > b.size() || size_t(bytes) > b.size() - at) refuse_file("BMP", "a file that is cut off");
  uint32_t v = 0;
  for (int i = 0; i < bytes; ++i) v |= uint32_t(b[at + size_t(i)]) << (8 * i);
  return v;
}
void put(std::vector<std::byte>& out, uint32_t v, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(std::byte(v >> (8 * i)));
}
// A field of bits as 8 of them.
struct Field {
  uint32_t mask = 0;
  int shift = 0;
  uint8_t of(uint32_t v) const {
    if (!mask) return 255;
    uint64_t top = mask >> shift;
    return uint8_t((uint64_t((v & mask) >> shift) * 255 + top / 2) / top);
  }
};

// Runs of equal colours (RLE8, RLE4) as a number for each pixel, bottom row first; what is skipped is 0.
std::vector<uint8_t> unpacked(Bytes b, size_t at, int64_t w, int64_t h, unsigned bits) {
  std::vector<uint8_t> out(size_t(w * h), 0);
  int64_t x = 0, y = 0;
  auto put = [&](unsigned v) {
    if (x < w && y < h) out[size_t(y * w + x)] = uint8_t(v);
    ++x;
  };
  auto half = [](unsigned v, unsigned i) { return i % 2 ? v & 15 : v >> 4; };
  while (y < h) {
    unsigned n = little(b, at, 1), v = little(b, at + 1, 1);
    at += 2;
    if (n) {
      for (unsigned i = 0; i < n; ++i) put(bits == 8 ? v : half(v, i));
    } else if (v == 0) {
      x = 0;
      ++y;
    } else if (v == 1) {
      break;
    } else if (v == 2) {
      x += little(b, at, 1);
      y += little(b, at + 1, 1);
      at += 2;
    } else {
      unsigned bytes = bits == 8 ? v : (v + 1) / 2;
      for (unsigned i = 0; i < v; ++i) put(bits == 8 ? little(b, at + i, 1) : half(little(b, at + i / 2, 1), i));
      at += (bytes + 1) / 2 * 2;
    }
  }
  return out;
}
}  // namespace

Decoded decode_bmp(Bytes b, int64_t max_pixels) {
  size_t pixels = little(b, 10, 4), header = little(b, 14, 4);
  bool core = header == 12;
  if (!core && header < 40) refuse_file("BMP", "a header of " + std::to_string(header) + " bytes");
  int64_t w = core ? int64_t(little(b, 18, 2)) : int64_t(int32_t(little(b, 18, 4)));
  int64_t h = core ? int64_t(little(b, 20, 2)) : int64_t(int32_t(little(b, 22, 4)));
  unsigned bits = little(b, core ? 24 : 28, 2), packing = core ? 0 : little(b, 30, 4);
  bool down = h < 0;
  if (down) h = -h;
  bool runs = (packing == 1 && bits == 8) || (packing == 2 && bits == 4);
  if (packing != 0 && packing != 3 && packing != 6 && !runs) refuse_file("BMP", "compression " + std::to_string(packing) + " of " + std::to_string(bits) + " bits a pixel");
  if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32) refuse_file("BMP", std::to_string(bits) + " bits a pixel");
  if (packing && !runs && bits != 16 && bits != 32) refuse_file("BMP", "bit fields with " + std::to_string(bits) + " bits a pixel");
  Field fields[4];
  size_t palette = 14 + header;
  if (bits == 16 || bits == 32) {
    uint32_t masks[4] = {bits == 16 ? 0x7c00u : 0xff0000u, bits == 16 ? 0x3e0u : 0xff00u, bits == 16 ? 0x1fu : 0xffu, 0};
    if (packing) for (int i = 0; i < (header >= 56 || packing == 6 ? 4 : 3); ++i) masks[i] = little(b, 54 + 4 * size_t(i), 4);
    for (int i = 0; i < 4; ++i) {
      fields[i] = {masks[i], masks[i] ? std::countr_zero(masks[i]) : 0};
      if (i < 3 && !masks[i]) refuse_file("BMP", "a colour without bits");
    }
  }
  int64_t c = fields[3].mask ? 4 : 3;
  size_t colors = 0;
  if (bits <= 8) {
    colors = core ? size_t{1} << bits : little(b, 46, 4);
    if (!colors) colors = size_t{1} << bits;
    size_t entry = core ? 3 : 4;
    if (colors > 256 || palette + colors * entry > b.size()) refuse_file("BMP", "a palette of " + std::to_string(colors) + " colours");
    bool gray = true;
    for (size_t i = 0; i < colors; ++i) gray = gray && b[palette + i * entry] == b[palette + i * entry + 1] && b[palette + i * entry] == b[palette + i * entry + 2];
    if (gray) c = 1;
  }
  if (w < 1 || h < 1 || h > max_pixels || w > max_pixels / h) new_image("BMP", h, w, c, DType::u8, max_pixels);
  uint64_t stride = (uint64_t(w) * bits + 31) / 32 * 4;
  if (pixels > b.size() || (!runs && stride * uint64_t(h) > b.size() - pixels)) refuse_file("BMP", "a file that is cut off");
  Decoded d{new_image("BMP", h, w, c, DType::u8, max_pixels)};
  uint8_t* to = d.image.view().as<uint8_t>();
  std::vector<uint8_t> numbers;
  if (runs) {
    numbers = unpacked(b, pixels, w, h, bits);
    stride = uint64_t(w);
  }
  for (int64_t y = 0; y < h; ++y) {
    const auto* row = runs ? numbers.data() + stride * size_t(down ? y : h - 1 - y) : reinterpret_cast<const uint8_t*>(b.data()) + pixels + stride * size_t(down ? y : h - 1 - y);
    for (int64_t x = 0; x < w; ++x, to += c) {
      if (bits <= 8) {
        unsigned per = 8 / bits, i = runs ? row[x] : (row[size_t(x) / per] >> (8 - bits - bits * (unsigned(x) % per))) & ((1u << bits) - 1);
        if (i >= colors) refuse_file("BMP", "colour " + std::to_string(i) + " of " + std::to_string(colors));
        const auto* color = reinterpret_cast<const uint8_t*>(b.data()) + palette + i * (core ? 3 : 4);
        for (int64_t k = 0; k < c; ++k) to[k] = color[2 - k];
      } else if (bits == 24) {
        for (int k = 0; k < 3; ++k) to[k] = row[3 * x + 2 - k];
      } else {
        const uint8_t* at = row + x * bits / 8;
        uint32_t v = at[0] | uint32_t(at[1]) << 8;
        if (bits == 32) v |= uint32_t(at[2]) << 16 | uint32_t(at[3]) << 24;
        for (int64_t k = 0; k < c; ++k) to[k] = fields[k].of(v);
      }
    }
  }
  return d;
}

std::vector<std::byte> encode_bmp(const Tensor& image) {
  int64_t h = image.dim(0), w = image.dim(1), c = image.dim(2);
  uint64_t row = uint64_t(w * c), stride = (row + 3) / 4 * 4, header = c == 4 ? 108 : 40, start = 14 + header + (c == 1 ? 1024 : 0);
  if (stride * uint64_t(h) + start > 0xffffffffu || w > 0x7fffffff || h > 0x7fffffff)
    throw Error(ErrorKind::value, "save_image", "a picture below 4 GiB in BMP", image.spec().text(), "save as PNG");
  std::vector<std::byte> out;
  out.reserve(start + stride * size_t(h));
  out.push_back(std::byte('B'));
  out.push_back(std::byte('M'));
  put(out, uint32_t(start + stride * size_t(h)), 4);
  put(out, 0, 4);
  put(out, uint32_t(start), 4);
  put(out, uint32_t(header), 4);
  put(out, uint32_t(w), 4);
  put(out, uint32_t(h), 4);
  put(out, 1, 2);
  put(out, uint32_t(c * 8), 2);
  put(out, c == 4 ? 3 : 0, 4);
  put(out, uint32_t(stride * size_t(h)), 4);
  for (int i = 0; i < 2; ++i) put(out, 2835, 4);                     // 72 dots an inch
  for (int i = 0; i < 2; ++i) put(out, 0, 4);
  if (c == 4) {                                                      // version 4: the fields, sRGB, and nothing more
    for (uint32_t mask : {0xff0000u, 0xff00u, 0xffu, 0xff000000u}) put(out, mask, 4);
    put(out, 0x73524742, 4);
    out.resize(out.size() + 48);
  }
  if (c == 1) for (uint32_t i = 0; i < 256; ++i) put(out, i * 0x010101u, 4);
  const uint8_t* from = image.view().as<uint8_t>();
  for (int64_t y = h - 1; y >= 0; --y) {
    const uint8_t* p = from + y * int64_t(row);
    for (int64_t x = 0; x < w; ++x, p += c)
      for (int64_t k = 0; k < c; ++k) out.push_back(std::byte(p[c == 1 ? 0 : k == 3 ? 3 : 2 - k]));
    out.resize(out.size() + stride - row);
  }
  return out;
}

}  // namespace miniten::utils::vision
