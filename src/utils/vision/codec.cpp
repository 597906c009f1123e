#include "utils/vision/codec.h"
#include <cstring>
#include <fstream>
#include "base/allocate.h"
#include "utils/vision/image.h"

namespace miniten::utils::vision {

void refuse_file(const char* format, std::string got, std::string hint) {
  throw Error(ErrorKind::value, "load_image", std::string("a whole ") + format + " file", std::move(got), std::move(hint));
}

Tensor new_image(const char* format, int64_t h, int64_t w, int64_t c, DType dtype, int64_t max_pixels) {
  if (h < 1 || w < 1) refuse_file(format, "a picture of " + std::to_string(w) + " x " + std::to_string(h) + " pixels");
  if (h > max_pixels || w > max_pixels / h)
    refuse_file(format, std::to_string(w) + " x " + std::to_string(h) + " pixels", "at most " + std::to_string(max_pixels) + " are read; raise max_pixels where the file is trusted");
  return Tensor::empty({dtype, {h, w, c}});
}

int exif_orientation(Bytes b) {
  auto at = [&](size_t i) { return unsigned(b[i]); };
  if (b.size() < 8 || !((at(0) == 'I' && at(1) == 'I') || (at(0) == 'M' && at(1) == 'M'))) return 1;
  bool little = at(0) == 'I';
  auto u16 = [&](size_t i) { return little ? at(i) | at(i + 1) << 8 : at(i) << 8 | at(i + 1); };
  auto u32 = [&](size_t i) { return little ? u16(i) | u16(i + 2) << 16 : u16(i) << 16 | u16(i + 2); };
  if (u16(2) != 42) return 1;
  size_t entry = u32(4);
  if (entry > b.size() - 2) return 1;
  unsigned count = u16(entry);
  entry += 2;
  for (unsigned k = 0; k < count && entry + 12 <= b.size(); ++k, entry += 12)
    if (u16(entry) == 0x0112 && u16(entry + 2) == 3) {
      unsigned o = u16(entry + 8);
      return o >= 1 && o <= 8 ? int(o) : 1;
    }
  return 1;
}

namespace {

Tensor oriented(const Tensor& image, int orientation) {
  if (orientation == 1) return image;
  int64_t h = image.dim(0), w = image.dim(1), pixel = image.dim(2) * bits_of(image.dtype()) / 8;
  bool turned = orientation > 4;
  Tensor out = Tensor::empty({image.dtype(), {turned ? w : h, turned ? h : w, image.dim(2)}});
  const std::byte* from = image.view().data;
  std::byte* to = out.view().data;
  for (int64_t y = 0; y < out.dim(0); ++y)
    for (int64_t x = 0; x < out.dim(1); ++x, to += pixel) {
      int64_t a = turned ? x : y, b = turned ? y : x;                // row and column before mirroring
      if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 6) a = h - 1 - a;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) b = w - 1 - b;
      std::memcpy(to, from + (a * w + b) * pixel, size_t(pixel));
    }
  return out;
}

Tensor to_8_bits(const Tensor& image) {
  Tensor out = Tensor::empty({DType::u8, image.shape()});
  const uint16_t* from = image.view().as<uint16_t>();
  uint8_t* to = out.view().as<uint8_t>();
  for (int64_t i = 0, n = image.numel(); i < n; ++i) to[i] = uint8_t((from[i] + 128u) / 257u);
  return out;
}

Tensor in_mode(const Tensor& image, ColorMode mode) {
  if (mode == ColorMode::unchanged) return image;
  Tensor x = image.dtype() == DType::u16 ? to_8_bits(image) : image;
  int64_t h = x.dim(0), w = x.dim(1), c = x.dim(2), wanted = mode == ColorMode::gray ? 1 : mode == ColorMode::rgb ? 3 : 4;
  if (c == wanted) return x;
  if (mode == ColorMode::gray && c >= 3) return to_grayscale(x);
  Tensor out = Tensor::empty({DType::u8, {h, w, wanted}});
  const uint8_t* from = x.view().as<uint8_t>();
  uint8_t* to = out.view().as<uint8_t>();
  bool gray = c < 3, alpha = c == 2 || c == 4;
  for (int64_t i = 0; i < h * w; ++i, from += c, to += wanted) {
    to[0] = from[0];
    if (wanted == 1) continue;
    to[1] = from[gray ? 0 : 1];
    to[2] = from[gray ? 0 : 2];
    if (wanted == 4) to[3] = alpha ? from[c - 1] : 255;
  }
  return out;
}

std::string ending_of(const std::string& path) {
  size_t dot = path.find_last_of("./");
  std::string ending = dot == std::string::npos || path[dot] != '.' ? "" : path.substr(dot + 1);
  for (char& c : ending) c = char(std::tolower(static_cast<unsigned char>(c)));
  return ending;
}

}  // namespace

Tensor decode_image(Bytes file, const LoadOptions& o) {
  checked_size("load_image", "max_pixels", o.max_pixels);
  auto starts = [&](std::string_view magic) { return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0; };
  Decoded d;
  if (starts("\x89PNG\r\n\x1a\n")) d = decode_png(file, o.max_pixels);
  else if (starts("\xff\xd8\xff")) d = decode_jpeg(file, o.max_pixels);
  else if (starts("BM")) d = decode_bmp(file, o.max_pixels);
  else if (starts("P2") || starts("P3") || starts("P5") || starts("P6")) d = decode_pnm(file, o.max_pixels);
  else if (starts("GIF87a") || starts("GIF89a")) d = decode_gif(file, o.max_pixels);
  else {
    std::string got = file.empty() ? "an empty file" : starts("RIFF") ? "a WebP or another RIFF file" : starts("II*") || starts("MM") ? "a TIFF" : starts("P1") || starts("P4") ? "a PBM" : "other bytes";
    throw Error(ErrorKind::value, "load_image", "a PNG, JPEG, GIF, BMP, PPM or PGM file", std::move(got));
  }
  return in_mode(o.exif_orientation ? oriented(d.image, d.orientation) : d.image, o.mode);
}

Tensor load_image(const std::string& path, const LoadOptions& o) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  auto unreadable = [&] { return Error(ErrorKind::io, "load_image", "a file that can be read", "\"" + path + "\""); };
  std::streamoff size = file ? std::streamoff(file.tellg()) : -1;
  if (size < 0 || size > std::streamoff{1} << 40 || !file.seekg(0)) throw unreadable();
  std::vector<std::byte> bytes(addressable(uint64_t(size)));
  if (size && !file.read(reinterpret_cast<char*>(bytes.data()), size)) throw unreadable();
  try {
    return decode_image(bytes, o);
  } catch (const Error& e) {
    throw Error(e.kind(), e.op(), e.want(), e.got() + " in \"" + path + "\"", e.hint());
  }
}

std::vector<std::byte> encode_image(const Tensor& image, std::string_view format, const SaveOptions& o) {
  constexpr std::string_view op = "save_image";
  Pixels p = pixels_of(op, image);
  bool png = format == "png", jpeg = format == "jpg" || format == "jpeg", bmp = format == "bmp", pnm = format == "ppm" || format == "pgm" || format == "pnm";
  if (!png && !jpeg && !bmp && !pnm)
    throw Error(ErrorKind::value, op, "a format of png, jpg, jpeg, bmp, ppm, pgm", "'" + std::string(format.substr(0, 40)) + "'", "end the path so, or pass format=");
  if (o.quality < 1 || o.quality > 100) throw Error(ErrorKind::value, op, "a quality of 1 to 100", std::to_string(o.quality));
  if (o.compression < 0 || o.compression > 9) throw Error(ErrorKind::value, op, "a compression of 0 to 9", std::to_string(o.compression));
  bool fits = p.c == 1 || (p.c == 3 && format != "pgm") || (png && p.c == 2) || ((png || bmp) && p.c == 4);
  if (!fits || (format == "ppm" && p.c != 3))
    throw Error(ErrorKind::value, op, png ? "1 to 4 channels in PNG" : bmp ? "1, 3 or 4 channels in BMP" : jpeg ? "1 or 3 channels in JPEG" : format == "pgm" ? "1 channel in PGM" : format == "ppm" ? "3 channels in PPM" : "1 or 3 channels",
                image.spec().text(), p.c == 4 ? "drop the alpha channel: image[..., :3]" : p.c == 1 && format == "ppm" ? "save as .pgm" : p.c == 3 ? "save as .ppm, or to_grayscale first" : "");
  if (p.dtype() == DType::u16 && (jpeg || bmp)) throw Error(ErrorKind::type, op, "uint8 or float in JPEG and BMP", image.spec().text(), "divide by 257 and cast, or save as PNG");
  Tensor x = p.tensor;
  if (is_float(p.dtype())) {
    check_finite(op, p);
    x = Tensor::empty({DType::u8, {p.h, p.w, p.c}});
    uint8_t* to = x.view().as<uint8_t>();
    visit_pixels(p.dtype(), [&](auto t) {
      const auto* from = p.as<decltype(t)>();
      for (int64_t i = 0; i < p.count(); ++i) to[i] = stored<uint8_t>(double(from[i]) * 255);
    });
  } else if (x.rank() == 2) {
    Spec spec{x.dtype(), {p.h, p.w, 1}};
    x = Tensor::wrap(x->storage, spec, contiguous(spec.shape), x->offset);
  }
  return png ? encode_png(x, o.compression) : jpeg ? encode_jpeg(x, o.quality) : bmp ? encode_bmp(x) : encode_pnm(x);
}

void save_image(const Tensor& image, const std::string& path, const SaveOptions& o) {
  std::vector<std::byte> bytes = encode_image(image, ending_of(path), o);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (file) file.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  if (file) file.close();
  if (!file) throw Error(ErrorKind::io, "save_image", "a path that can be written", "\"" + path + "\"");
}

}  // namespace miniten::utils::vision
