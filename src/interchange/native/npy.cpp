#include <charconv>
#include <cstring>
#include "base/features.h"
#include "interchange/native/zip.h"
#include "miniten/core/memory_limit.h"

namespace miniten {

namespace {
constexpr struct { DType type; const char* descr; } descriptions[] = {
    {DType::f32, "<f4"}, {DType::f64, "<f8"}, {DType::f16, "<f2"}, {DType::i8, "|i1"}, {DType::i16, "<i2"}, {DType::i32, "<i4"}, {DType::i64, "<i8"},
    {DType::u8, "|u1"}, {DType::u16, "<u2"}, {DType::u32, "<u4"}, {DType::u64, "<u8"}, {DType::boolean, "|b1"}, {DType::bf16, "<u2"}, {DType::i4, "|u1"}, {DType::u4, "|u1"}};
struct Piece {                                       // of pages, a tensor's memory
  std::shared_ptr<Pages> pages;
  std::span<std::byte> bytes;
  Piece(const std::shared_ptr<Pages>& pages, std::span<std::byte> bytes) : pages(pages), bytes(bytes) { MemoryLimit::take(bytes.size()); }
  ~Piece() {
    MemoryLimit::give_back(bytes.size());
    Pages::drop(bytes);
  }
};
}  // namespace

std::vector<std::byte> to_npy(const Tensor& given) {
  Tensor t = given.view().is_contiguous() ? given : given.clone();
  Shape shape = t.shape();
  if (bits_of(t.dtype()) < 8) shape = {int64_t(t.spec().bytes())};       // packed: the manifest tells the shape
  std::string descr;
  for (auto& row : descriptions) if (row.type == t.dtype()) descr = row.descr;
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape.text() + ", }";
  while ((10 + header.size() + 1) % 64) header += ' ';
  header += '\n';
  std::vector<std::byte> out(10 + header.size() + t.spec().bytes());
  const unsigned char magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<unsigned char>(header.size()), static_cast<unsigned char>(header.size() >> 8)};
  std::memcpy(out.data(), magic, 10);
  std::memcpy(out.data() + 10, header.data(), header.size());
  if (t.spec().bytes()) std::memcpy(out.data() + 10 + header.size(), t.view().data, t.spec().bytes());
  return out;
}

Tensor from_npy(std::span<const std::byte> bytes, std::string_view name, const std::shared_ptr<Pages>& pages) {
  auto refuse = [&](std::string got) -> void {
    throw Error(ErrorKind::value, "npy", "a .npy array of numbers, versions 1 to 3", std::move(got) + " in \"" + std::string(name) + "\"");
  };
  auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0) refuse("other bytes");
  size_t length = at(6) == 1 ? size_t(at(8)) | size_t(at(9)) << 8 : size_t(at(8)) | size_t(at(9)) << 8 | size_t(at(10)) << 16 | size_t(at(11)) << 24;
  size_t begin = at(6) == 1 ? 10 : 12;
  if (at(6) < 1 || at(6) > 3 || length > bytes.size() - begin) refuse("a header of " + std::to_string(length) + " bytes");
  std::string_view header(reinterpret_cast<const char*>(bytes.data()) + begin, length);
  auto value_of = [&](std::string_view key) {
    size_t k = header.find(key);
    size_t colon = k == header.npos ? k : header.find(':', k);
    if (colon == header.npos) refuse("a header without " + std::string(key));
    size_t start = header.find_first_not_of(' ', colon + 1);
    return start == header.npos ? std::string_view() : header.substr(start);
  };
  std::string_view descr = value_of("'descr'"), order = value_of("'fortran_order'"), sizes = value_of("'shape'");
  Spec spec;
  bool known = false;
  for (auto& row : descriptions) {
    std::string quoted = std::string("'") + row.descr + "'";
    if (!known && descr.starts_with(quoted)) { spec.dtype = row.type; known = true; }
  }
  if (!known) refuse("element type " + std::string(descr.substr(0, 8)));
  if (!sizes.starts_with('(') || sizes.find(')') == sizes.npos) refuse("a bad shape");
  for (size_t i = 1; sizes[i] != ')';) {
    if (sizes[i] == ' ' || sizes[i] == ',') { ++i; continue; }
    int64_t n = -1;
    auto r = std::from_chars(sizes.data() + i, sizes.data() + sizes.size(), n);
    if (r.ec != std::errc() || n < 0) refuse("a bad shape");
    spec.shape.push(n);
    i = size_t(r.ptr - sizes.data());
  }
  check_sizes("npy", spec.shape);
  if (spec.bytes() != bytes.size() - begin - length) refuse(std::to_string(bytes.size() - begin - length) + " bytes for " + spec.text());
  bool fortran = order.starts_with("True");
  Strides strides = contiguous(spec.shape);
  if (fortran) {
    int64_t step = 1;
    for (int i = 0; i < spec.shape.rank; ++i) { strides[i] = step; step *= std::max<Dim>(spec.shape[i], 1); }
  }
  const auto at_data = reinterpret_cast<uintptr_t>(bytes.data() + begin + length);
  if (has_in_place && pages && spec.bytes() >= least_in_place && at_data % 64 == 0 && !fortran) {
    std::span own = pages->bytes().subspan(size_t(bytes.data() - pages->data()) + begin + length, size_t(spec.bytes()));
    return Tensor::wrap(Storage::borrow(own.data(), own.size(), std::make_shared<Piece>(pages, own)), spec, strides);
  }
  Tensor t = Tensor::empty(spec, strides);
  if (spec.bytes()) std::memcpy(t.view().data, bytes.data() + begin + length, spec.bytes());
  return fortran ? t.clone() : t;
}

}  // namespace miniten
