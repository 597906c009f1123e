#include "miniten/ops/ops.h"
#include "ops/forms.h"
#include "ops/fused.h"
#include "ops/pattern_look.h"

namespace miniten {

namespace {

// The operands of a product and the numbers in it, across nodes that nobody else reads.
struct Product {
  double number = 1;
  std::vector<int> factors;
};
void multiply(const Look& g, int v, bool whole, Product& p) {
  if (auto k = g.number(v)) { p.number *= *k; return; }
  bool mine = whole || g.g.readers(v) == 1;
  if (mine && g.is(v, mul_op) && g.plain(v)) {
    for (int i : {0, 1}) multiply(g, g.in(v, i), false, p);
  } else if (mine && g.is(v, div_op) && g.plain(v) && g.number(g.in(v, 1))) {
    p.number /= *g.number(g.in(v, 1));
    multiply(g, g.in(v, 0), false, p);
  } else p.factors.push_back(v);
}

// x * (1 + erf(x / sqrt(2))) / 2 and x * sigmoid(x), in any order of the factors.
Found function_of_x(const PatternGraph& graph, int y) {
  Look g{graph};
  if (!(g.is(y, mul_op) || g.is(y, div_op)) || !g.plain(y) || graph.spec(y).dtype != DType::f32) return {};
  Product p;
  multiply(g, y, true, p);
  if (p.factors.size() != 2) return {};
  for (int i : {0, 1}) {
    int x = p.factors[size_t(i)], f = p.factors[size_t(1 - i)];
    if (graph.spec(x) != graph.spec(y)) continue;
    if (g.near(p.number, 1) && g.is(f, sigmoid_op) && g.in(f, 0) == x) return {{y, &silu_op, nullptr, {x}, {}}};
    int e = g.beside(f, add_op, 1);
    if (!g.near(p.number, 0.5) || e < 0 || !g.is(e, erf_op)) continue;
    Product inner;
    multiply(g, g.in(e, 0), true, inner);
    if (inner.factors == std::vector{x} && g.near(inner.number, 0.70710678118654752)) return {{y, &gelu_op, nullptr, {x}, {}}};
  }
  return {};
}

// where(x > 0, x, x * slope)
Found prelu(const PatternGraph& graph, int y) {
  Look g{graph};
  if (!g.is(y, where_op) || graph.spec(y).dtype != DType::f32) return {};
  int test = g.in(y, 0), x = g.in(y, 1), low = g.in(y, 2);
  if (!g.is(test, greater_op) || g.in(test, 0) != x || g.number(g.in(test, 1)) != 0.0 || !g.is(low, mul_op) || !g.plain(low) || graph.spec(x) != graph.spec(y)) return {};
  if (graph.op(x) && graph.op(x)->traits.converts == Conversion::to_floats) return {};   // it may have an integer form
  for (int i : {0, 1}) if (g.in(low, i) == x) return {{y, &prelu_op, std::make_shared<ClampAttrs>(), {x, g.in(low, 1 - i)}, {}}};
  return {};
}

// table[x], of bytes as they are stored: int8 moved up by 128.
Found table_of_bytes(const PatternGraph& graph, int y) {
  Look g{graph};
  if (!g.is(y, gather_op) || !graph.constant(g.in(y, 0)) || g.attrs<GatherAttrs>(y).axis != 0) return {};
  const Tensor& table = *graph.constant(g.in(y, 0));
  auto byte = [](DType t) { return t == DType::i8 || t == DType::u8; };
  if (!byte(table.dtype()) || table.shape() != Shape{256}) return {};
  int index = g.in(y, 1), moved = -1;
  auto is_128 = [&](int v) { const Tensor* t = graph.constant(v); return t && t->numel() == 1 && t->item() == 128; };
  for (int i : {0, 1}) if (g.is(index, add_op) && is_128(g.in(index, i))) moved = g.in(index, 1 - i);
  int wide = moved < 0 ? index : moved;
  if (!g.is(wide, cast_op)) return {};
  int x = g.in(wide, 0);
  if (graph.spec(x).dtype != (moved < 0 ? DType::u8 : DType::i8) || graph.spec(y) != Spec{table.dtype(), graph.spec(x).shape}) return {};
  return {{y, &qtable_op, std::make_shared<QTableAttrs>(), {x, g.in(y, 0)}, {}}};
}

}  // namespace

std::optional<Axes> turn_of(const OpDef& op, const void* attrs) {
  if (&op != &permute_op) return {};
  return static_cast<const PermuteAttrs*>(attrs)->order;
}
Attrs turned(const OpDef& op, const void* attrs, const Axes& order) {
  auto by_axis = [&](Dims d) {                         // one number for each axis
    Dims to = d;
    for (int i = 0; i < order.rank && i < d.rank; ++i) to[int(order[i])] = d[i];
    return to;
  };
  if (&op == &pad_op) {
    const auto& at = *static_cast<const PadAttrs*>(attrs);
    return std::make_shared<PadAttrs>(PadAttrs{by_axis(at.before), by_axis(at.after), at.value});
  }
  if (&op == &concat_op) {
    int64_t axis = static_cast<const AxisAttrs*>(attrs)->axis;
    return std::make_shared<AxisAttrs>(AxisAttrs{order[int(axis < 0 ? axis + order.rank : axis)]});
  }
  for (const OpDef* reduction : {&mean_op, &sum_op, &max_op, &min_op}) {
    if (&op != reduction) continue;
    Axes axes;
    for (int a = 0; a < order.rank; ++a)
      for (int64_t read : static_cast<const ReduceAttrs*>(attrs)->axes) if (order[int(read)] == a) axes.push(a);
    return std::make_shared<ReduceAttrs>(ReduceAttrs{axes});
  }
  return nullptr;
}

std::span<const Pattern> factor_patterns() {
  static constexpr Pattern all[] = {factored_pattern};
  return all;
}
std::span<const Pattern> function_patterns() {
  static constexpr Pattern all[] = {function_of_x, table_of_bytes};
  return all;
}
std::span<const Pattern> step_patterns() {
  static constexpr Pattern all[] = {matmul_turned_pattern, sparse_product_pattern};
  return all;
}
std::span<const Pattern> session_patterns() {
  static constexpr Pattern all[] = {attention_pattern, layer_norm_pattern, prelu, gather_pixels_pattern};
  return all;
}

}  // namespace miniten
