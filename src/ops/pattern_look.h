#pragma once
#include <cmath>
#include <optional>
#include "miniten/core/pattern.h"
#include "miniten/ops/attrs.h"

namespace miniten {

using Found = std::vector<StandIn>;

// What patterns ask of a value.
struct Look {
  const PatternGraph& g;
  bool is(int v, const OpDef& op) const { return g.op(v) == &op; }
  int in(int v, int i) const { return g.in(v)[size_t(i)]; }
  template <class A> const A& attrs(int v) const { return *static_cast<const A*>(g.attrs(v)); }
  bool plain(int v) const { const auto& at = attrs<ClampAttrs>(v); return at.lo == -infinity && at.hi == infinity; }
  std::optional<double> number(int v) const {                     // a constant of one float
    const Tensor* t = g.constant(v);
    if (!t || t->numel() != 1 || t->dtype() != DType::f32) return {};
    return t->item();
  }
  static bool near(double n, double wanted) { return std::abs(n - wanted) <= 1e-6 * std::abs(wanted); }
  bool is_near(int v, double wanted) const { auto n = number(v); return n && near(*n, wanted); }
  // op(other, k), either way round where it commutes: other.
  int beside(int v, const OpDef& op, double k) const {
    if (!is(v, op) || !plain(v)) return -1;
    for (int i : {0, 1}) if (is_near(in(v, i), k)) return in(v, 1 - i);
    return -1;
  }
};

}  // namespace miniten
