#include <png.h>
#include <csetjmp>
#include <cstring>
#include "utils/vision/codec.h"

namespace miniten::utils::vision {

namespace {

// libpng leaves by longjmp: everything that owns memory stands here, outside the functions it jumps over.
struct Reader {
  Bytes file;
  size_t at = 0;
  std::string error;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<png_bytep> rows;
  int64_t h = 0, w = 0, c = 0;
  int depth = 0;
  int orientation = 1;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void keep_error(png_structp png, png_const_charp text) {
  static_cast<Reader*>(png_get_error_ptr(png))->error = text;
  png_longjmp(png, 1);
}
void no_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, size_t n) {
  auto* r = static_cast<Reader*>(png_get_io_ptr(png));
  if (n > r->file.size() - r->at) png_error(png, "a file that is cut off");
  std::memcpy(to, r->file.data() + r->at, n);
  r->at += n;
}

bool read_header(Reader& r) {
  if (setjmp(png_jmpbuf(r.png))) return false;
  png_set_read_fn(r.png, &r, read_bytes);
  png_read_info(r.png, r.info);
  int type = png_get_color_type(r.png, r.info);
  int depth = png_get_bit_depth(r.png, r.info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r.png);
  if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(r.png);
  if (png_get_valid(r.png, r.info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(r.png);
  if (depth == 16) png_set_swap(r.png);
  png_set_interlace_handling(r.png);
  png_read_update_info(r.png, r.info);
  r.h = png_get_image_height(r.png, r.info);
  r.w = png_get_image_width(r.png, r.info);
  r.c = png_get_channels(r.png, r.info);
  r.depth = png_get_bit_depth(r.png, r.info);
  return true;
}

bool read_rows(Reader& r) {
  if (setjmp(png_jmpbuf(r.png))) return false;
  png_read_image(r.png, r.rows.data());
  png_read_end(r.png, r.info);
#ifdef PNG_eXIf_SUPPORTED
  png_uint_32 n = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(r.png, r.info, &n, &exif)) r.orientation = exif_orientation({reinterpret_cast<std::byte*>(exif), n});
#endif
  return true;
}

struct Writer {
  std::vector<std::byte> out;
  std::string error;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<png_bytep> rows;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};
void keep_write_error(png_structp png, png_const_charp text) {
  static_cast<Writer*>(png_get_error_ptr(png))->error = text;
  png_longjmp(png, 1);
}
void write_bytes(png_structp png, png_bytep from, size_t n) {
  auto* w = static_cast<Writer*>(png_get_io_ptr(png));
  auto* bytes = reinterpret_cast<std::byte*>(from);
  w->out.insert(w->out.end(), bytes, bytes + n);
}
void no_flush(png_structp) {}

bool write_all(Writer& w, int64_t h, int64_t width, int64_t c, int depth, int compression) {
  if (setjmp(png_jmpbuf(w.png))) return false;
  png_set_write_fn(w.png, &w, write_bytes, no_flush);
  png_set_user_limits(w.png, 0x7fffffff, 0x7fffffff);
  constexpr int types[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
  png_set_IHDR(w.png, w.info, png_uint_32(width), png_uint_32(h), depth, types[c - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(w.png, compression);
  png_write_info(w.png, w.info);
  if (depth == 16) png_set_swap(w.png);
  png_write_image(w.png, w.rows.data());
  png_write_end(w.png, nullptr);
  return true;
}

template <class R> void point_rows(R& r, const Tensor& image) {
  auto* data = reinterpret_cast<png_bytep>(image.view().data);
  size_t stride = size_t(image.dim(1) * image.dim(2) * bits_of(image.dtype()) / 8);
  for (int64_t y = 0; y < image.dim(0); ++y) r.rows.push_back(data + size_t(y) * stride);
}

}  // namespace

Decoded decode_png(Bytes file, int64_t max_pixels) {
  Reader r;
  r.file = file;
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, keep_error, no_warning);
  r.info = r.png ? png_create_info_struct(r.png) : nullptr;
  if (!r.info) throw std::bad_alloc();
  if (!read_header(r)) refuse_file("PNG", r.error);
  Tensor image = new_image("PNG", r.h, r.w, r.c, r.depth == 16 ? DType::u16 : DType::u8, max_pixels);
  if (image.spec().bytes() / 32 / 1040 > file.size())                // deflate packs 1032 : 1 at most, and a pixel of 32 bits takes 1
    refuse_file("PNG", std::to_string(r.w) + " x " + std::to_string(r.h) + " pixels in " + std::to_string(file.size()) + " bytes");
  point_rows(r, image);
  if (!read_rows(r)) refuse_file("PNG", r.error);
  return {image, r.orientation};
}

std::vector<std::byte> encode_png(const Tensor& image, int compression) {
  Writer w;
  w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, keep_write_error, no_warning);
  w.info = w.png ? png_create_info_struct(w.png) : nullptr;
  if (!w.info) throw std::bad_alloc();
  point_rows(w, image);
  if (!write_all(w, image.dim(0), image.dim(1), image.dim(2), image.dtype() == DType::u16 ? 16 : 8, compression))
    throw Error(ErrorKind::value, "save_image", "an image that PNG can hold", w.error);
  return std::move(w.out);
}

}  // namespace miniten::utils::vision
