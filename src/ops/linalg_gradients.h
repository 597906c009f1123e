#pragma once
#include "miniten/ops/ops.h"

namespace miniten::linalg {

Tensor identity(int64_t n, DType);
inline Shape batch_of(const Shape& shape) {
  Shape batch = shape;
  batch.rank -= 2;
  return batch;
}
inline Shape with(Shape batch, std::initializer_list<Dim> sizes) {
  for (Dim d : sizes) batch.push(d);
  return batch;
}

// Townsend, "Differentiating the singular value decomposition", 2016; Walter and Lehmann, "Algorithmic differentiation of
// linear algebra functions", 2010; Golub and Pereyra, 1973, of the pseudo-inverse.
void qr_gradient(const Vjp&);
void svd_gradient(const Vjp&);
void eigh_gradient(const Vjp&);
void pinv_gradient(const Vjp&);

}  // namespace miniten::linalg
