#include <cstddef>
#include <cstdio>
// jpeglib.h needs size_t and FILE before it.
#include <jpeglib.h>
#include <jerror.h>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include "utils/vision/codec.h"

namespace miniten::utils::vision {

namespace {

// libjpeg leaves by longjmp: everything that owns memory stands here, outside the functions it jumps over.
struct Handler {
  jpeg_error_mgr base;
  std::jmp_buf back;
  char text[JMSG_LENGTH_MAX] = {};
  bool damaged = false;
};
void leave(j_common_ptr c) {
  auto* h = reinterpret_cast<Handler*>(c->err);
  (*c->err->format_message)(c, h->text);
  std::longjmp(h->back, 1);
}
void note(j_common_ptr c, int level) {
  if (level >= 0) return;
  auto* h = reinterpret_cast<Handler*>(c->err);
  int code = c->err->msg_code;
  if (h->damaged || (code != JWRN_JPEG_EOF && code != JWRN_HIT_MARKER && code != JWRN_HUFF_BAD_CODE && code != JWRN_MUST_RESYNC)) return;
  h->damaged = true;
  (*c->err->format_message)(c, h->text);
}
void set_up(Handler& h) {
  jpeg_std_error(&h.base);
  h.base.error_exit = leave;
  h.base.emit_message = note;
}

struct Reader {
  Handler handler;
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct jpeg{};
  std::vector<uint8_t> line;                   // CMYK
  uint8_t* to = nullptr;                       // the next row
  int64_t stride = 0;
  ~Reader() { jpeg_destroy_decompress(&jpeg); }
};

// A file of many empty scans keeps a decoder busy for hours.
void bound_scans(j_common_ptr c) {
  if (c->is_decompressor && reinterpret_cast<j_decompress_ptr>(c)->input_scan_number > 500) {
    auto* h = reinterpret_cast<Handler*>(c->err);
    std::snprintf(h->text, sizeof h->text, "more than 500 scans");
    std::longjmp(h->back, 1);
  }
}

bool read_header(Reader& r, Bytes file, int* orientation) {
  if (setjmp(r.handler.back)) return false;
  jpeg_create_decompress(&r.jpeg);
  r.progress.progress_monitor = bound_scans;
  r.jpeg.progress = &r.progress;
  jpeg_mem_src(&r.jpeg, reinterpret_cast<const unsigned char*>(file.data()), static_cast<unsigned long>(file.size()));
  jpeg_save_markers(&r.jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&r.jpeg, TRUE);
  for (jpeg_saved_marker_ptr m = r.jpeg.marker_list; m; m = m->next)
    if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && std::memcmp(m->data, "Exif\0\0", 6) == 0) {
      *orientation = exif_orientation({reinterpret_cast<const std::byte*>(m->data) + 6, m->data_length - 6});
      break;
    }
  switch (r.jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE: r.jpeg.out_color_space = JCS_GRAYSCALE; break;
    case JCS_CMYK: case JCS_YCCK: r.jpeg.out_color_space = JCS_CMYK; break;
    default: r.jpeg.out_color_space = JCS_RGB;
  }
  return true;
}

bool read_rows(Reader& r) {
  if (setjmp(r.handler.back)) return false;
  jpeg_start_decompress(&r.jpeg);
  bool cmyk = r.jpeg.out_color_space == JCS_CMYK, inverted = r.jpeg.saw_Adobe_marker;
  while (r.jpeg.output_scanline < r.jpeg.output_height) {
    JSAMPROW row = cmyk ? r.line.data() : r.to;
    if (jpeg_read_scanlines(&r.jpeg, &row, 1) != 1) break;
    if (cmyk)
      for (unsigned x = 0; x < r.jpeg.output_width; ++x) {
        const uint8_t* s = row + 4 * x;
        unsigned k = inverted ? s[3] : 255u - s[3];
        for (int i = 0; i < 3; ++i) r.to[3 * x + unsigned(i)] = uint8_t(((inverted ? s[i] : 255u - s[i]) * k + 127) / 255);
      }
    r.to += r.stride;
  }
  jpeg_finish_decompress(&r.jpeg);
  return true;
}

struct Writer {
  Handler handler;
  jpeg_compress_struct jpeg{};
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  ~Writer() {
    jpeg_destroy_compress(&jpeg);
    std::free(buffer);
  }
};

bool write_all(Writer& w, const uint8_t* from, int64_t h, int64_t width, int64_t c, int quality) {
  if (setjmp(w.handler.back)) return false;
  jpeg_create_compress(&w.jpeg);
  jpeg_mem_dest(&w.jpeg, &w.buffer, &w.size);
  w.jpeg.image_width = JDIMENSION(width);
  w.jpeg.image_height = JDIMENSION(h);
  w.jpeg.input_components = int(c);
  w.jpeg.in_color_space = c == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&w.jpeg);
  jpeg_set_quality(&w.jpeg, quality, TRUE);
  jpeg_start_compress(&w.jpeg, TRUE);
  while (w.jpeg.next_scanline < w.jpeg.image_height) {
    auto* row = const_cast<JSAMPROW>(from + int64_t(w.jpeg.next_scanline) * width * c);
    jpeg_write_scanlines(&w.jpeg, &row, 1);
  }
  jpeg_finish_compress(&w.jpeg);
  return true;
}

}  // namespace

Decoded decode_jpeg(Bytes file, int64_t max_pixels) {
  Reader r;
  set_up(r.handler);
  r.jpeg.err = &r.handler.base;
  Decoded d;
  if (!read_header(r, file, &d.orientation)) refuse_file("JPEG", r.handler.text);
  bool gray = r.jpeg.out_color_space == JCS_GRAYSCALE;
  int64_t w = r.jpeg.image_width, c = gray ? 1 : 3;
  d.image = new_image("JPEG", r.jpeg.image_height, w, c, DType::u8, max_pixels);
  if (r.jpeg.out_color_space == JCS_CMYK) r.line.resize(size_t(4 * w));
  r.to = d.image.view().as<uint8_t>();
  r.stride = w * c;
  if (!read_rows(r) || r.handler.damaged) refuse_file("JPEG", r.handler.text);
  return d;
}

std::vector<std::byte> encode_jpeg(const Tensor& image, int quality) {
  Writer w;
  set_up(w.handler);
  w.jpeg.err = &w.handler.base;
  if (!write_all(w, image.view().as<uint8_t>(), image.dim(0), image.dim(1), image.dim(2), quality))
    throw Error(ErrorKind::value, "save_image", "an image that JPEG can hold", w.handler.text);
  auto* bytes = reinterpret_cast<std::byte*>(w.buffer);
  return {bytes, bytes + w.size};
}

}  // namespace miniten::utils::vision
