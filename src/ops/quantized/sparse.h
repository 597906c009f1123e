#pragma once
#include <functional>
#include "miniten/core/op.h"
#include "ops/sparse.h"

namespace miniten {

// prepare's header and weights in the form chosen for one group's product (n = 0: there is no sparse one). q: less panels
// and steps; dense writes the dense form of dense_bytes. -> bytes of header and weights, 64 a multiple
uint64_t pack_form(const kernels::QGemmShape&, SparseQuestion, uint64_t dense_bytes, const std::function<void(std::byte*)>& dense, std::byte* to);

// By what prepare wrote, or by `weights` where nothing did.
void multiply(const Context&, const kernels::QGemmShape&, const void* x, const std::byte* weights, void* y, const kernels::QEpilogue&);
void multiply(const Context&, const kernels::QGemmShape&, const void* x, const std::byte* weights, float* y, const kernels::QEpilogueF32&);

}  // namespace miniten
