#include <vector>
#include "utils/vision/codec.h"

namespace miniten::utils::vision {

namespace {

// The bytes of a GIF in order; sub-blocks are runs of up to 255 of them, each behind its length, the last of length 0.
struct Reader {
  Bytes b;
  size_t at = 0;
  unsigned byte() {
    if (at >= b.size()) refuse_file("GIF", "a file that is cut off");
    return unsigned(b[at++]);
  }
  unsigned word() {
    unsigned low = byte();
    return low | byte() << 8;
  }
  Bytes run(size_t n) {
    if (n > b.size() - at) refuse_file("GIF", "a file that is cut off");
    at += n;
    return b.subspan(at - n, n);
  }
  std::vector<std::byte> blocks() {
    std::vector<std::byte> out;
    while (unsigned n = byte()) {
      Bytes part = run(n);
      out.insert(out.end(), part.begin(), part.end());
    }
    return out;
  }
};

// Codes of growing width (Welch 1984), least significant bit first, as n colour numbers.
std::vector<uint8_t> unpacked(const std::vector<std::byte>& packed, unsigned bits, size_t n) {
  if (bits < 1 || bits > 8) refuse_file("GIF", "codes of " + std::to_string(bits) + " bits");
  const unsigned clear = 1u << bits, end = clear + 1;
  std::vector<uint16_t> before(4096);
  std::vector<uint8_t> last(4096), out, turned;
  unsigned width = bits + 1, next = end + 1, previous = clear, held = 0, buffer = 0;
  uint8_t first = 0;
  for (size_t at = 0; out.size() < n;) {
    while (held < width) {
      if (at >= packed.size()) refuse_file("GIF", "a file that is cut off");
      buffer |= unsigned(packed[at++]) << held;
      held += 8;
    }
    unsigned code = buffer & ((1u << width) - 1);
    buffer >>= width;
    held -= width;
    if (code == clear) {
      width = bits + 1;
      next = end + 1;
      previous = clear;
      continue;
    }
    if (code == end) refuse_file("GIF", "a picture that ends early");
    if (code > next || (code == next && previous == clear) || (previous == clear && code > end)) refuse_file("GIF", "a code out of order");
    turned.clear();
    unsigned from = code;
    if (code == next) {                                                // a run that is being defined: it ends as it begins
      turned.push_back(first);
      from = previous;
    }
    for (; from > end; from = before[from]) turned.push_back(last[from]);
    turned.push_back(first = uint8_t(from));
    out.insert(out.end(), turned.rbegin(), turned.rend());
    if (previous != clear && next < 4096) {
      before[next] = uint16_t(previous);
      last[next++] = first;
      if (next == 1u << width && width < 12) ++width;
    }
    previous = code;
  }
  return out;
}

}  // namespace

// The first frame, on the colour of the background; with alpha where it names a transparent colour.
Decoded decode_gif(Bytes b, int64_t max_pixels) {
  Reader r{b, 6};
  int64_t w = r.word(), h = r.word();
  unsigned flags = r.byte(), background = r.byte(), transparent = 256;
  r.byte();
  Bytes palette = flags & 0x80 ? r.run(size_t{3} << ((flags & 7) + 1)) : Bytes();
  for (unsigned kind = r.byte(); kind != 0x2c; kind = r.byte()) {
    if (kind != 0x21) refuse_file("GIF", kind == 0x3b ? "a file without a picture" : "a block of kind " + std::to_string(kind));
    unsigned label = r.byte();
    auto body = r.blocks();
    if (label == 0xf9 && body.size() >= 4 && (unsigned(body[0]) & 1)) transparent = unsigned(body[3]);
  }
  int64_t left = r.word(), top = r.word(), fw = r.word(), fh = r.word();
  unsigned local = r.byte();
  if (local & 0x80) palette = r.run(size_t{3} << ((local & 7) + 1));
  if (palette.empty()) refuse_file("GIF", "a picture without colours");
  if (fw < 1 || fh < 1 || left + fw > w || top + fh > h) refuse_file("GIF", "a frame outside the picture");
  const int64_t c = transparent < 256 ? 4 : 3;
  Decoded d{new_image("GIF", h, w, c, DType::u8, max_pixels)};
  unsigned bits = r.byte();
  auto colours = unpacked(r.blocks(), bits, size_t(fw * fh));
  uint8_t* pixels = d.image.view().as<uint8_t>();
  auto paint = [&](uint8_t* to, size_t i, bool empty) {
    for (size_t k = 0; k < 3; ++k) to[k] = 3 * i + k < palette.size() ? uint8_t(palette[3 * i + k]) : 0;
    if (c == 4) to[3] = empty || i == transparent ? 0 : 255;
  };
  if (fw < w || fh < h) for (int64_t i = 0; i < w * h; ++i) paint(pixels + i * c, background, true);
  for (int64_t i = 0, y = 0, step = local & 0x40 ? 8 : 1, pass = 0; i < fh; ++i) {
    for (int64_t x = 0; x < fw; ++x) paint(pixels + ((top + y) * w + left + x) * c, colours[size_t(i * fw + x)], false);
    y += step;
    if (y >= fh && (local & 0x40)) {                                   // rows 0, 8 ..; 4, 12 ..; 2, 6 ..; 1, 3 ..
      do {
        ++pass;
        y = 8 >> pass;
        step = 16 >> pass;
      } while (y >= fh && pass < 3);
    }
  }
  return d;
}

}  // namespace miniten::utils::vision
