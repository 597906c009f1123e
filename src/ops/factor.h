#pragma once
#include "miniten/core/op.h"

namespace miniten {

// An op with a weight as two ops of the same kind with smaller ones between which `rank` values pass.
struct FactorRule {
  Tensor (*matrix)(const Call&, const Tensor& weight);       // the weight as a matrix; null: it has no such form
  struct Step { const OpDef* op; Attrs attrs; Tensor weight; };
  // matrix = left (m, r) right (r, n). The first step reads x and its weight, the second what it gives, its weight and what the
  // op reads besides.
  std::pair<Step, Step> (*steps)(const Call&, const Tensor& left, const Tensor& right);
};
const FactorRule* factor_rule(const OpDef&);                 // null: none

}  // namespace miniten
