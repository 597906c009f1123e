#include "interchange/native/entropy.h"
#include <algorithm>
#include "interchange/native/sparse.h"

namespace miniten {

static constexpr int64_t most_values = 4096;
static const EntropyCoder& coder_of(Entropy e) { return e == Entropy::huffman ? huffman_coder : rans_coder; }

void refuse_coded(std::string want, std::string got) { throw Error(ErrorKind::value, "native", std::move(want), std::move(got), "the file may be damaged"); }

std::optional<Tensor> code_indices(const Tensor& t, const Tensor& codebook, const Tensor& mask, Entropy entropy) {
  if (entropy == Entropy::none || t.dtype() != DType::f32 || codebook.dtype() != DType::f32 || codebook.rank() != 1 || codebook.numel() < 1 || codebook.numel() > most_values || !t.numel()) return {};
  auto values = t.to_vector<float>(), book = codebook.to_vector<float>();
  if (!std::is_sorted(book.begin(), book.end())) return {};
  if (mask) {
    Tensor whole = mask.clone();
    const bool* keep = whole.view().as<bool>();
    size_t kept = 0;
    for (size_t i = 0; i < values.size(); ++i) if (keep[i]) values[kept++] = values[i]; else if (values[i] != 0) return {};
    values.resize(kept);
    if (!kept) return {};
  }
  std::vector<uint16_t> symbols(values.size());
  std::vector<uint64_t> count(book.size(), 0);
  for (size_t i = 0; i < values.size(); ++i) {
    auto place = std::lower_bound(book.begin(), book.end(), values[i]);
    if (place == book.end() || *place != values[i]) return {};
    symbols[i] = uint16_t(place - book.begin());
    ++count[symbols[i]];
  }
  const EntropyCoder& coder = coder_of(entropy);
  std::vector<uint8_t> bytes = coder.code(symbols, count);
  if (int64_t(symbols.size()) > coder.most * int64_t(bytes.size())) return {};
  return Tensor::of<uint8_t>({int64_t(bytes.size())}, bytes);
}

Tensor decode_indices(const Tensor& coded, const Tensor& codebook, const Tensor& mask, const Spec& spec, Entropy entropy) {
  if (codebook.dtype() != DType::f32 || codebook.rank() != 1 || codebook.numel() < 1 || codebook.numel() > most_values || spec.dtype != DType::f32 || !spec.shape.is_static())
    refuse_coded("a codebook of float32 for " + spec.text(), codebook.spec().text());
  const EntropyCoder& coder = coder_of(entropy);
  const int64_t n = mask ? kept_by(mask) : spec.shape.count();
  if (coded.dtype() != DType::u8 || coded.rank() != 1 || n > coder.most * coded.numel()) refuse_coded("coded indices of " + spec.text(), coded.spec().text());
  auto book = codebook.to_vector<float>();
  Tensor t = Tensor::empty({DType::f32, {n}});
  coder.decode({coded.view().as<uint8_t>(), size_t(coded.numel())}, book, {t.view().f32(), size_t(n)});
  return mask ? unpack_values(t, mask, spec) : Tensor::wrap(t->storage, spec, contiguous(spec.shape));
}

}  // namespace miniten
