#pragma once
#include "miniten/core/op.h"

namespace miniten {

// An op with a weight as a chain of smaller ones.
enum class Factors { svd, spatial, tucker, cp };
struct FactorRule {
  // What is factorised: a matrix of outputs x inputs (svd, spatial), or outputs x inputs x taps of a window (tucker, cp); null: it has no such form.
  Tensor (*unfold)(const Call&, const Tensor& weight, Factors);
  struct Step { const OpDef* op; Attrs attrs; Tensor weight; };
  // In place of the op; or, where they have no op of their own, two whose product stands in the weight's place. svd, spatial: left (m, r), right (r, n). tucker: outputs (o, p), inputs (i, q), core (p, q, taps). cp: outputs (o, r),
  // inputs (i, r), taps (t, r). The first step reads x, each other what the one before it gives; the last also what the op
  // reads behind its weight.
  std::vector<Step> (*steps)(const Call&, Factors, const std::vector<Tensor>& factors);
};
const FactorRule* factor_rule(const OpDef&, int input = 1);  // of the weight it reads there; null: none

}  // namespace miniten
