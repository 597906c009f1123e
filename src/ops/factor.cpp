#include "ops/factor.h"
#include "miniten/ops/ops.h"

namespace miniten {

namespace {

using Steps = std::pair<FactorRule::Step, FactorRule::Step>;

// x (.., k) times w (k, n)
Tensor matrix_of_product(const Call& c, const Tensor& w) { return c.in[1].shape.rank == 2 ? w.clone() : Tensor(); }
Steps products(const Call& c, const Tensor& left, const Tensor& right) {
  return {{&matmul_op, std::make_shared<ClampAttrs>(), left}, {&matmul_op, std::make_shared<ClampAttrs>(c.as<ClampAttrs>()), right}};
}

// Outputs by the taps of a window: fewer outputs first, then a 1x1 that mixes them.
Tensor matrix_of_windows(const Call& c, const Tensor& w) {
  return c.as<Conv2dAttrs>().groups == 1 ? reshape(w.clone(), {w.dim(0), w.dim(1) * w.dim(2) * w.dim(3)}) : Tensor();
}
Steps windows(const Call& c, const Tensor& left, const Tensor& right) {
  Conv2dAttrs first = c.as<Conv2dAttrs>(), second;
  second.lo = std::exchange(first.lo, -infinity);
  second.hi = std::exchange(first.hi, infinity);
  const Shape& w = c.in[1].shape;
  return {{&conv2d_op, std::make_shared<Conv2dAttrs>(first), reshape(right, {right.dim(0), w[1], w[2], w[3]}).clone()},
          {&conv2d_op, std::make_shared<Conv2dAttrs>(second), reshape(left, {left.dim(0), left.dim(1), 1, 1}).clone()}};
}

constexpr FactorRule product{matrix_of_product, products}, window{matrix_of_windows, windows};

}  // namespace

const FactorRule* factor_rule(const OpDef& op) { return &op == &matmul_op ? &product : &op == &conv2d_op ? &window : nullptr; }

}  // namespace miniten
