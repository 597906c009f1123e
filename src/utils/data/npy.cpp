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

}  // namespace miniten::utils::data
