#include "ops/factor.h"
#include "miniten/ops/ops.h"

namespace miniten {

namespace {

using Steps = std::vector<FactorRule::Step>;

// x (.., k) times w (k, n): the matrix is outputs x inputs, as of the others.
Tensor unfold_product(const Call& c, const Tensor& w, Factors f) { return f == Factors::svd && c.in[1].shape.rank == 2 ? transpose(w).clone() : Tensor(); }
Steps products(const Call& c, Factors, const std::vector<Tensor>& f) {
  return {{&matmul_op, std::make_shared<ClampAttrs>(), transpose(f[1]).clone()}, {&matmul_op, std::make_shared<ClampAttrs>(c.as<ClampAttrs>()), transpose(f[0]).clone()}};
}

Tensor unfold_recurrent(const Call&, const Tensor& w, Factors f) { return f == Factors::svd ? w.clone() : Tensor(); }
Steps recurrent_steps(const Call& c, Factors, const std::vector<Tensor>& f) {
  return {{&matmul_op, std::make_shared<ClampAttrs>(), transpose(f[1]).clone()}, {&recurrent_op, std::make_shared<RecurrentAttrs>(c.as<RecurrentAttrs>()), f[0]}};
}
// What comes from the states is multiplied within each step (recurrent_factored).
Steps state_factors(const Call&, Factors, const std::vector<Tensor>& f) { return {{nullptr, nullptr, f[0]}, {nullptr, nullptr, f[1]}}; }

Tensor unfold_window(const Call& c, const Tensor& w, Factors f) {
  Dim o = w.dim(0), i = w.dim(1), h = w.dim(2), wide = w.dim(3);
  if (c.as<Conv2dAttrs>().groups != 1 || (f == Factors::spatial && (h == 1 || wide == 1)) || (f != Factors::svd && h * wide == 1)) return {};
  if (f == Factors::svd) return reshape(w.clone(), {o, i * h * wide});
  if (f == Factors::spatial) return reshape(permute(w, {0, 3, 1, 2}).clone(), {o * wide, i * h});
  return reshape(w.clone(), {o, i, h * wide});
}
Steps windows(const Call& c, Factors form, const std::vector<Tensor>& f) {
  const auto& given = c.as<Conv2dAttrs>();
  const Shape& w = c.in[1].shape;
  Steps all;
  auto add = [&](Conv2dAttrs at, const Tensor& weight, const Shape& shape) {
    at.lo = -infinity;
    at.hi = infinity;
    all.push_back({&conv2d_op, std::make_shared<Conv2dAttrs>(at), reshape(weight, shape).clone()});
  };
  Conv2dAttrs point, whole = given;
  if (form == Factors::svd) {
    add(whole, f[1], {f[1].dim(0), w[1], w[2], w[3]});
    add(point, f[0], {w[0], f[0].dim(1), 1, 1});
  } else if (form == Factors::spatial) {
    Conv2dAttrs tall, wide;
    tall.stride[0] = given.stride[0];
    tall.dilation[0] = given.dilation[0];
    tall.padding[0] = given.padding[0];
    tall.padding[2] = given.padding[2];
    wide.stride[1] = given.stride[1];
    wide.dilation[1] = given.dilation[1];
    wide.padding[1] = given.padding[1];
    wide.padding[3] = given.padding[3];
    Dim r = f[1].dim(0);
    add(tall, f[1], {r, w[1], w[2], 1});
    add(wide, permute(reshape(f[0], {w[0], w[3], r}), {0, 2, 1}).clone(), {w[0], r, 1, w[3]});
  } else {
    Dim q = f[1].dim(1), p = f[0].dim(1);
    add(point, transpose(f[1]).clone(), {q, w[1], 1, 1});
    if (form == Factors::tucker) add(whole, f[2], {p, q, w[2], w[3]});
    else {
      whole.groups = q;
      add(whole, transpose(f[2]).clone(), {q, 1, w[2], w[3]});
    }
    add(point, f[0], {w[0], p, 1, 1});
  }
  auto last = std::make_shared<Conv2dAttrs>(*static_cast<const Conv2dAttrs*>(all.back().attrs.get()));
  last->lo = given.lo;
  last->hi = given.hi;
  all.back().attrs = last;
  return all;
}

constexpr FactorRule product{unfold_product, products}, window{unfold_window, windows}, recurrence{unfold_recurrent, recurrent_steps}, states{unfold_recurrent, state_factors};

}  // namespace

const FactorRule* factor_rule(const OpDef& op, int input) {
  if (input == 2) return &op == &recurrent_op ? &states : nullptr;
  return input != 1 ? nullptr : &op == &matmul_op ? &product : &op == &conv2d_op ? &window : &op == &recurrent_op ? &recurrence : nullptr;
}

}  // namespace miniten
