#pragma once
#include <optional>
#include <span>
#include "miniten/interchange/native.h"

namespace miniten {

// Elements as places in an ascending codebook, by their frequencies: a frequent one takes few bits. All of them, or with a mask
// those inside it (the others are 0). None where one is not in the codebook, where that is of more than 4096 values, or where
// bytes would stand for more than a reader believes.
std::optional<Tensor> code_indices(const Tensor&, const Tensor& codebook, const Tensor& mask, Entropy);
Tensor decode_indices(const Tensor& coded, const Tensor& codebook, const Tensor& mask, const Spec&, Entropy);       // throws for damaged bytes

// The coders. count: of each symbol, one at least. Decoding fills `to` with values of `book` and takes every byte, or throws.
struct EntropyCoder {
  std::vector<uint8_t> (*code)(std::span<const uint16_t> symbols, std::span<const uint64_t> count);
  void (*decode)(std::span<const uint8_t> coded, std::span<const float> book, std::span<float> to);
  int64_t most;                                                // elements a byte may stand for: a file's length bounds what it unpacks to
};
extern const EntropyCoder rans_coder, huffman_coder;
[[noreturn]] void refuse_coded(std::string want, std::string got);

}  // namespace miniten
