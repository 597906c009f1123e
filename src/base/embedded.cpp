#include "base/embedded.h"
#include <zlib.h>
#include "miniten/base/error.h"

namespace miniten {

std::string unpacked(std::span<const uint8_t> gzip) {
  const uint8_t* end = gzip.data() + gzip.size();
  std::string file(end[-4] | size_t(end[-3]) << 8 | size_t(end[-2]) << 16 | size_t(end[-1]) << 24, '\0');   // gzip ends in the length
  z_stream stream{};
  stream.next_in = const_cast<uint8_t*>(gzip.data());
  stream.avail_in = uInt(gzip.size());
  stream.next_out = reinterpret_cast<uint8_t*>(file.data());
  stream.avail_out = uInt(file.size());
  const bool whole = inflateInit2(&stream, 15 + 16) == Z_OK && inflate(&stream, Z_FINISH) == Z_STREAM_END;   // + 16: gzip's frame
  inflateEnd(&stream);
  if (!whole) throw Error(ErrorKind::io, "embedded", "a sound embedded file", "a damaged one", "build again");
  return file;
}

}  // namespace miniten
