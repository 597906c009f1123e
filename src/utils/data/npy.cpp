#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bit>
#include <charconv>
#include <fstream>
#include "miniten/utils/data.h"

namespace miniten::utils::data {

namespace {

constexpr size_t header_limit = size_t{1} << 20;

[[noreturn]] void refuse(const std::string& path, std::string got, std::string hint = "") {
  throw Error(ErrorKind::value, "load_npy", "a .npy file of little-endian numbers or bools", std::move(got) + " in \"" + path + "\"", std::move(hint));
}

struct Header {
  Spec spec;
  bool fortran = false;
};

// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }: the one form of header that arrays of numbers have.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  Header parse() {
    Header h;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!skip('}')) {
      std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !descr) { h.spec.dtype = dtype(); descr = true; }
      else if (key == "fortran_order" && !order) { h.fortran = boolean(); order = true; }
      else if (key == "shape" && !shape) { h.spec.shape = sizes(); shape = true; }
      else refuse(path_, "a header with the entry '" + std::string(key.substr(0, 32)) + "'");
      if (skip(',')) continue;
      expect('}');
      break;
    }
    space();
    if (at_ != text_.size()) refuse(path_, "bytes after the header's end");
    if (!descr || !order || !shape) refuse(path_, "a header without descr, fortran_order or shape");
    return h;
  }

 private:
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }
  bool skip(char c) {
    space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) { if (!skip(c)) refuse(path_, std::string("a header without '") + c + "' at " + std::to_string(at_)); }
  std::string_view quoted() {
    char quote = skip('\'') ? '\'' : skip('"') ? '"' : '\0';
    size_t end = quote ? text_.find(quote, at_) : text_.npos;
    if (end == text_.npos) refuse(path_, "a header without a quoted word at " + std::to_string(at_));
    std::string_view word = text_.substr(at_, end - at_);
    at_ = end + 1;
    return word;
  }
  bool boolean() {
    space();
    for (bool value : {true, false}) {
      std::string_view word = value ? "True" : "False";
      if (text_.substr(at_).starts_with(word)) { at_ += word.size(); return value; }
    }
    refuse(path_, "a fortran_order that is no bool");
  }
  Shape sizes() {
    Shape out;
    expect('(');
    while (!skip(')')) {
      space();
      int64_t n = 0;
      auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), n);
      if (error != std::errc() || n < 0) refuse(path_, "a shape that is no tuple of sizes");
      if (out.rank == Dims::capacity) refuse(path_, "more than " + std::to_string(Dims::capacity) + " dimensions");
      out.push(n);
      at_ = size_t(end - text_.data());
      if (skip(',')) continue;
      expect(')');
      break;
    }
    return out;
  }
  DType dtype() {
    space();
    if (at_ < text_.size() && text_[at_] == '[') refuse(path_, "a structured dtype", "save each field as an array of its own");
    std::string_view d = quoted();
    static constexpr struct { std::string_view code; DType type; } rows[] = {
        {"f4", DType::f32}, {"f8", DType::f64}, {"f2", DType::f16}, {"i1", DType::i8}, {"i2", DType::i16}, {"i4", DType::i32}, {"i8", DType::i64},
        {"u1", DType::u8}, {"u2", DType::u16}, {"u4", DType::u32}, {"u8", DType::u64}, {"b1", DType::boolean}};
    for (auto& row : rows) {
      if (d.size() != 3 || d.substr(1) != row.code) continue;
      if (d[0] == '<' || (d[0] == '|' && bits_of(row.type) == 8)) return row.type;
      if (d[0] == '>') refuse(path_, "big-endian '" + std::string(d) + "'", "save array.astype(array.dtype.newbyteorder('<'))");
    }
    refuse(path_, "dtype '" + std::string(d.substr(0, 32)) + "'");
  }

  std::string_view text_;
  const std::string& path_;
  size_t at_ = 0;
};

}  // namespace

Tensor load_npy(const std::string& path) {
  static_assert(std::endian::native == std::endian::little);
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  auto unreadable = [&] { return Error(ErrorKind::io, "load_npy", "a file that can be read", "\"" + path + "\""); };
  if (!file) throw unreadable();
  std::streamoff length = file.tellg();
  if (length < 0 || !file.seekg(0)) throw unreadable();
  auto size = uint64_t(length);
  auto read = [&](void* to, size_t bytes) {
    if (bytes && !file.read(static_cast<char*>(to), std::streamsize(bytes))) throw unreadable();
  };
  auto read_values = [&](const Tensor& to) {
    View v = to.view();
    read(v.data, v.spec.bytes());
    if (v.spec.dtype != DType::boolean) return;
    for (size_t i = 0; i < v.spec.bytes(); ++i) v.data[i] = std::byte(v.data[i] != std::byte{0});   // a bool is 0 or 1
  };

  unsigned char start[12] = {};
  if (size < 10) refuse(path, std::to_string(size) + " bytes");
  read(start, 10);
  if (std::memcmp(start, "\x93NUMPY", 6) != 0) refuse(path, "other bytes");
  int version = start[6];
  if (version < 1 || version > 3) refuse(path, "format version " + std::to_string(version));
  size_t begin = version == 1 ? 10 : 12;
  if (size < begin) refuse(path, "a header that is cut off");
  if (version > 1) read(start + 10, 2);
  size_t header_bytes = version == 1 ? size_t(start[8]) | size_t(start[9]) << 8
                                     : size_t(start[8]) | size_t(start[9]) << 8 | size_t(start[10]) << 16 | size_t(start[11]) << 24;
  if (header_bytes > size - begin || header_bytes > header_limit) refuse(path, "a header of " + std::to_string(header_bytes) + " bytes");
  std::string text(header_bytes, '\0');
  read(text.data(), text.size());
  Header h = HeaderParser(text, path).parse();

  uint64_t left = size - begin - header_bytes;
  check_sizes("load_npy", h.spec.shape);
  if (h.spec.bytes() != left) refuse(path, std::to_string(left) + " bytes for " + h.spec.text());
  if (!h.fortran) {
    Tensor out = Tensor::empty(h.spec);
    read_values(out);
    return out;
  }
  Tensor stored = Tensor::empty(h.spec), out = Tensor::empty(h.spec);
  read_values(stored);
  View from = stored.view();
  int64_t step = 1;
  for (int i = 0; i < from.strides.rank; ++i) {
    from.strides[i] = step;
    step *= h.spec.shape[i];
  }
  copy_values(from, out.view());
  return out;
}

namespace {
// A file in memory, unmapped with its last owner.
struct Mapping {
  std::byte* data = nullptr;
  size_t bytes = 0;
  ~Mapping() { if (data) munmap(data, bytes); }
};
std::shared_ptr<Mapping> mapped(std::string_view op, const std::string& path) {
  auto m = std::make_shared<Mapping>();
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat s {};
  bool ok = file >= 0 && fstat(file, &s) == 0 && S_ISREG(s.st_mode);
  if (ok && s.st_size > 0) {
    void* at = mmap(nullptr, size_t(s.st_size), PROT_READ, MAP_SHARED, file, 0);
    ok = at != MAP_FAILED;
    if (ok) { m->data = static_cast<std::byte*>(at); m->bytes = size_t(s.st_size); }
  }
  if (file >= 0) close(file);
  if (!ok) throw Error(ErrorKind::io, op, "a file that can be read", "\"" + path + "\"");
  return m;
}
Tensor viewed(const std::shared_ptr<Mapping>& m, const Spec& spec, const Strides& strides, uint64_t at) {
  Ref<Storage> storage = Storage::borrow(m->data + at, spec.bytes(), m, false);
  View v{m->data + at, spec, strides};
  if (spec.dtype == DType::boolean || reinterpret_cast<uintptr_t>(v.data) % size_t(bits_of(spec.dtype) / 8)) {
    Tensor out = Tensor::empty(spec);
    View to = out.view();
    if (strides == contiguous(spec.shape) || spec.dtype != DType::boolean) {
      std::vector<std::byte> aligned(v.data, v.data + spec.bytes());
      v.data = aligned.data();
      copy_values(v, to);
    } else {
      copy_values(v, to);
    }
    if (spec.dtype == DType::boolean) for (size_t i = 0; i < spec.bytes(); ++i) to.data[i] = std::byte(to.data[i] != std::byte{0});
    return out;
  }
  return Tensor::wrap(std::move(storage), spec, strides);
}
}  // namespace

Tensor map_npy(const std::string& path, uint64_t offset) {
  auto m = mapped("map_npy", path);
  if (offset > m->bytes) refuse(path, "no byte " + std::to_string(offset));
  std::span<const std::byte> b(m->data + offset, m->bytes - offset);
  if (b.size() < 12 || std::memcmp(b.data(), "\x93NUMPY", 6) != 0) refuse(path, b.size() < 12 ? std::to_string(b.size()) + " bytes" : "other bytes");
  int version = int(b[6]);
  if (version < 1 || version > 3) refuse(path, "format version " + std::to_string(version));
  size_t begin = version == 1 ? 10 : 12, length = size_t(b[8]) | size_t(b[9]) << 8;
  if (version > 1) length |= size_t(b[10]) << 16 | size_t(b[11]) << 24;
  if (length > b.size() - begin || length > header_limit) refuse(path, "a header of " + std::to_string(length) + " bytes");
  Header h = HeaderParser({reinterpret_cast<const char*>(b.data()) + begin, length}, path).parse();
  check_sizes("map_npy", h.spec.shape);
  uint64_t at = offset + begin + length;
  if (h.spec.bytes() > m->bytes - at || (offset == 0 && h.spec.bytes() != m->bytes - at)) refuse(path, std::to_string(m->bytes - at) + " bytes for " + h.spec.text());
  Strides strides = contiguous(h.spec.shape);
  if (h.fortran) {
    int64_t step = 1;
    for (int i = 0; i < strides.rank; ++i) {
      strides[i] = step;
      step *= h.spec.shape[i];
    }
  }
  return viewed(m, h.spec, strides, at);
}

Tensor map_raw(const std::string& path, DType dtype, const Shape& shape, uint64_t offset) {
  if (bits_of(dtype) < 8) throw Error(ErrorKind::type, "map_raw", "a dtype of whole bytes", std::string(name_of(dtype)));
  check_sizes("map_raw", shape);
  auto m = mapped("map_raw", path);
  Spec spec{dtype, shape};
  if (offset > m->bytes || spec.bytes() > m->bytes - offset)
    throw Error(ErrorKind::value, "map_raw", std::to_string(spec.bytes()) + " bytes for " + spec.text() + " from byte " + std::to_string(offset) + " on", "a file of " + std::to_string(m->bytes) + " bytes");
  return viewed(m, spec, contiguous(shape), offset);
}

}  // namespace miniten::utils::data
