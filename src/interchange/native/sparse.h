#pragma once
#include <optional>
#include "miniten/core/tensor.h"

namespace miniten {

// A mask as bits, uint8 of (n + 7) / 8, the first element in the highest bit as np.packbits has it.
Tensor pack_bits(const Tensor& mask);
Tensor unpack_bits(const Tensor& bits, const Shape&);        // throws where the length does not fit
int64_t kept_by(const Tensor& mask);                         // true elements of a row-major mask

// Where any byte of an element is not 0.
Tensor nonzero_mask(const Tensor&);
bool is_nonzero(const Tensor&, const Tensor& mask);          // mask == nonzero_mask

// The elements inside the mask, in row-major order; none where an element outside is not 0, where mask and elements save
// too little of the tensor to pay for an array more, and for single bytes, whose zeros deflating packs as well.
std::optional<Tensor> pack_values(const Tensor&, const Tensor& mask);
Tensor unpack_values(const Tensor& values, const Tensor& mask, const Spec&);

// Elements (with a mask those inside it) as their places in an ascending codebook, each in as few bits as its length needs,
// from the highest bit on; none where one is not in the codebook, or not 0 outside the mask, or where it saves too little.
std::optional<Tensor> pack_indices(const Tensor&, const Tensor& codebook, const Tensor& mask);
Tensor unpack_indices(const Tensor& packed, const Tensor& codebook, const Tensor& mask, const Spec&);

}  // namespace miniten
