#include "interchange/native/sparse.h"
#include <algorithm>
#include <bit>

namespace miniten {

static constexpr size_t bytes_of_member = 320;               // headers of zip and .npy

Tensor pack_bits(const Tensor& mask) {
  Tensor whole = mask.clone(), bits = Tensor::zeros({(mask.numel() + 7) / 8}, DType::u8);
  const bool* at = whole.view().as<bool>();
  for (int64_t i = 0; i < mask.numel(); ++i) bits.view().as<uint8_t>()[i / 8] |= uint8_t(at[i] << (7 - i % 8));
  return bits;
}
int64_t kept_by(const Tensor& mask) { return std::count(mask.view().as<bool>(), mask.view().as<bool>() + mask.numel(), true); }

Tensor unpack_bits(const Tensor& bits, const Shape& shape) {
  if (!shape.is_static()) throw Error(ErrorKind::value, "native", "a mask of known size", shape.text(), "the file may be damaged");
  Spec want{DType::u8, {(shape.count() + 7) / 8}};
  if (bits.spec() != want) throw Error(ErrorKind::value, "native", "a mask of " + want.text(), bits.spec().text(), "the file may be damaged");
  Tensor mask = Tensor::empty({DType::boolean, shape});
  const uint8_t* at = bits.view().as<uint8_t>();
  for (int64_t i = 0; i < shape.count(); ++i) mask.view().as<bool>()[i] = at[i / 8] >> (7 - i % 8) & 1;
  return mask;
}

Tensor nonzero_mask(const Tensor& t) {
  if (bits_of(t.dtype()) < 8) throw Error(ErrorKind::unsupported, "native", "elements of whole bytes", t.spec().text());
  Tensor dense = t.clone(), mask = Tensor::empty({DType::boolean, t.shape()});
  size_t size = bytes_of(t.dtype(), 1);
  const std::byte* from = dense.view().data;
  for (int64_t i = 0; i < t.numel(); ++i, from += size)
    mask.view().as<bool>()[i] = std::any_of(from, from + size, [](std::byte b) { return b != std::byte{0}; });
  return mask;
}
bool is_nonzero(const Tensor& t, const Tensor& mask) {
  if (bits_of(t.dtype()) < 8 || mask.shape() != t.shape()) return false;
  Tensor told = nonzero_mask(t), whole = mask.clone();
  return std::equal(told.view().as<bool>(), told.view().as<bool>() + told.numel(), whole.view().as<bool>());
}

std::optional<Tensor> pack_values(const Tensor& t, const Tensor& mask) {
  if (mask.dtype() != DType::boolean || mask.shape() != t.shape() || bits_of(t.dtype()) <= 8) return {};
  Tensor whole = mask.clone(), dense = t.clone();
  const bool* keep = whole.view().as<bool>();
  size_t size = bytes_of(t.dtype(), 1);
  int64_t n = t.numel(), kept = kept_by(whole);
  if (size_t(kept) * size + size_t(n + 7) / 8 + bytes_of_member >= t.spec().bytes()) return {};
  Tensor values = Tensor::empty({t.dtype(), {kept}});
  const std::byte* from = dense.view().data;
  std::byte* to = values.view().data;
  for (int64_t i = 0; i < n; ++i, from += size) {
    if (keep[i]) to = std::copy_n(from, size, to);
    else if (std::any_of(from, from + size, [](std::byte b) { return b != std::byte{0}; })) return {};
  }
  return values;
}
Tensor unpack_values(const Tensor& values, const Tensor& mask, const Spec& spec) {
  const bool* keep = mask.view().as<bool>();
  int64_t n = mask.numel(), kept = kept_by(mask);
  if (bits_of(spec.dtype) < 8 || values.spec() != Spec{spec.dtype, {kept}})
    throw Error(ErrorKind::value, "native", "as many values as its mask has: " + Spec{spec.dtype, {kept}}.text(), values.spec().text(), "the file may be damaged");
  Tensor t = Tensor::zeros(spec.shape, spec.dtype);
  size_t size = bytes_of(spec.dtype, 1);
  const std::byte* from = values.view().data;
  std::byte* to = t.view().data;
  for (int64_t i = 0; i < n; ++i, to += size)
    if (keep[i]) { std::copy_n(from, size, to); from += size; }
  return t;
}

static int bits_for(const Tensor& codebook) { return std::max(1, int(std::bit_width(uint64_t(codebook.numel()) - 1))); }

std::optional<Tensor> pack_indices(const Tensor& t, const Tensor& codebook, const Tensor& mask) {
  if (t.dtype() != DType::f32 || codebook.dtype() != DType::f32 || codebook.rank() != 1 || codebook.numel() < 1) return {};
  if (mask && (mask.dtype() != DType::boolean || mask.shape() != t.shape())) return {};
  auto values = t.to_vector<float>(), book = codebook.to_vector<float>();
  if (!std::is_sorted(book.begin(), book.end())) return {};
  Tensor whole = mask ? mask.clone() : Tensor();
  int bits = bits_for(codebook);
  int64_t kept = mask ? kept_by(whole) : t.numel();
  size_t bytes = size_t(kept * bits + 7) / 8;
  if (bytes + size_t(4 * codebook.numel()) + bytes_of_member >= t.spec().bytes()) return {};
  Tensor packed = Tensor::zeros({int64_t(bytes)}, DType::u8);
  uint8_t* to = packed.view().as<uint8_t>();
  size_t at = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (mask && !whole.view().as<bool>()[i]) {
      if (values[i] != 0) return {};
      continue;
    }
    auto place = std::lower_bound(book.begin(), book.end(), values[i]);
    if (place == book.end() || *place != values[i]) return {};
    auto index = uint64_t(place - book.begin());
    for (int b = bits; b-- > 0; ++at) to[at / 8] = uint8_t(to[at / 8] | (index >> b & 1) << (7 - at % 8));
  }
  return packed;
}
Tensor unpack_indices(const Tensor& packed, const Tensor& codebook, const Tensor& mask, const Spec& spec) {
  auto refuse = [](std::string want, std::string got) { throw Error(ErrorKind::value, "native", std::move(want), std::move(got), "the file may be damaged"); };
  if (codebook.dtype() != DType::f32 || codebook.rank() != 1 || codebook.numel() < 1 || spec.dtype != DType::f32 || !spec.shape.is_static())
    refuse("a codebook of float32 for " + spec.text(), codebook.spec().text());
  auto book = codebook.to_vector<float>();
  int bits = bits_for(codebook);
  int64_t n = spec.shape.count(), kept = mask ? kept_by(mask) : n;
  if (Spec want{DType::u8, {(kept * bits + 7) / 8}}; packed.spec() != want) refuse("indices of " + want.text(), packed.spec().text());
  Tensor t = Tensor::zeros(spec.shape);
  const uint8_t* from = packed.view().as<uint8_t>();
  size_t at = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (mask && !mask.view().as<bool>()[i]) continue;
    uint64_t index = 0;
    for (int b = 0; b < bits; ++b, ++at) index = index << 1 | (from[at / 8] >> (7 - at % 8) & 1);
    if (index >= book.size()) refuse("indices below " + std::to_string(book.size()), std::to_string(index));
    t.view().f32()[i] = book[size_t(index)];
  }
  return t;
}

}  // namespace miniten
