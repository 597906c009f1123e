#include <cmath>
#include "kernels/norm.h"
#include "miniten/ops/ops.h"
#include "ops/fused.h"
#include "ops/loops.h"
#include "ops/pattern_look.h"

namespace miniten {

namespace {

int64_t width(const Shape& x, int64_t axes) {
  int64_t n = 1;
  for (int64_t i = 1; i <= axes; ++i) n *= x[-int(i)];
  return n;
}
void infer(const Call& c, Specs& out) {
  const auto& at = c.as<LayerNormAttrs>();
  const Shape& x = c.in[0].shape;
  for (const Spec& s : c.in) if (s.dtype != DType::f32) c.fail("float32", s.text(), "", ErrorKind::type);
  if (at.axes < 1 || at.axes > x.rank) c.fail("1 to " + std::to_string(x.rank) + " axes", std::to_string(at.axes));
  Shape last;
  for (int i = x.rank - int(at.axes); i < x.rank; ++i) last.push(x[i]);
  for (int i : {1, 2}) if (c.in[size_t(i)].shape != last) c.fail("weight and bias of shape " + last.text(), c.in[size_t(i)].shape.text());
  out.push(c.in[0]);
}
void eval(const Context& c) {
  const auto& at = c.as<LayerNormAttrs>();
  const Shape& shape = c.in[0].shape();
  int64_t n = width(shape, at.axes), rows = n ? shape.count() / n : 0;
  auto [begin, end] = c.slice(rows);
  kernels::layer_norm_rows(c.in[0].f32() + begin * n, end - begin, n, float(at.eps), c.in[1].f32(), c.in[2].f32(), c.out[0].f32() + begin * n);
}

// Is v computed by op from x alone, of `axes` last axes with a 1 left of each? Their number, 0: no.
int64_t reduced(const Look& g, int v, const OpDef& op, int x) {
  if (!g.is(v, op) || g.in(v, 0) != x) return 0;
  const Shape &from = g.g.spec(x).shape, &to = g.g.spec(v).shape;
  const Axes& axes = g.attrs<ReduceAttrs>(v).axes;
  if (to.rank != from.rank) return 0;
  for (int i = 0; i < axes.rank; ++i) if (axes[i] != from.rank - axes.rank + i || to[int(axes[i])] != 1) return 0;
  return axes.rank;
}

}  // namespace

Found layer_norm_pattern(const PatternGraph& graph, int y) {
  Look g{graph};
  if (graph.spec(y).dtype != DType::f32) return {};
  // (x - mean) / sqrt(variance + eps) * weight + bias, from behind; v read by nobody else.
  auto other = [&](int v, const OpDef& op, int i) { return g.is(v, op) && g.plain(v) && (v == y || graph.readers(v) == 1) ? g.in(v, i) : -1; };
  for (int i : {0, 1})
    for (int j : {0, 1}) {
      int scaled = other(y, add_op, i), standard = scaled < 0 ? -1 : other(scaled, mul_op, j);
      if (standard < 0 || graph.readers(standard) != 1) continue;
      int bias = g.in(y, 1 - i), weight = g.in(scaled, 1 - j), centred = -1, deviation = -1;
      if (g.is(standard, div_op) && g.plain(standard)) { centred = g.in(standard, 0); deviation = g.in(standard, 1); }
      else if (g.is(standard, mul_op) && g.plain(standard))
        for (int k : {0, 1}) if (g.is(g.in(standard, k), reciprocal_op)) { centred = g.in(standard, 1 - k); deviation = g.in(g.in(standard, k), 0); }
      if (centred < 0 || !g.is(centred, sub_op) || !g.plain(centred) || !g.is(deviation, sqrt_op) || graph.readers(deviation) != 1) continue;
      int shifted = g.in(deviation, 0), x = g.in(centred, 0);
      if (!g.is(shifted, add_op) || !g.plain(shifted)) continue;
      for (int k : {0, 1}) {
        auto eps = g.number(g.in(shifted, 1 - k));
        int variance = g.in(shifted, k);
        if (!eps || !g.is(variance, mean_op)) continue;
        int squared = g.in(variance, 0);
        bool square = (g.is(squared, square_op) && g.in(squared, 0) == centred) || (g.is(squared, mul_op) && g.plain(squared) && g.in(squared, 0) == centred && g.in(squared, 1) == centred) ||
                      (g.is(squared, pow_op) && g.in(squared, 0) == centred && g.number(g.in(squared, 1)) == 2.0);
        int64_t axes = reduced(g, g.in(centred, 1), mean_op, x);
        if (!square || !axes || reduced(g, variance, mean_op, squared) != axes || graph.spec(x) != graph.spec(y)) continue;
        Shape last;
        for (int a = graph.spec(x).shape.rank - int(axes); a < graph.spec(x).shape.rank; ++a) last.push(graph.spec(x).shape[a]);
        if (graph.spec(weight) != Spec{DType::f32, last} || graph.spec(bias) != Spec{DType::f32, last}) continue;
        return {{y, &layer_norm_op, std::make_shared<LayerNormAttrs>(LayerNormAttrs{axes, *eps}), {x, weight, bias}, {}}};
      }
    }
  return {};
}

constinit const OpDef layer_norm_op{.name = "layer_norm", .doc = "(x - mean) / sqrt(variance + eps) * weight + bias along the last axes", .min_inputs = 3, .max_inputs = 3,
    .infer = infer, .eval = eval, .work = [](const Call& c) { return Work{pieces_for_threads(c, c.in[0].shape.count() * 4)}; },
    .cost = [](const Call& c) { return Cost{0, 7 * c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({3, 5}), sample_values({5}), sample_values({5}, -1, 1)}, std::make_shared<LayerNormAttrs>()},
              {{sample_values({2, 3, 4}), sample_values({3, 4}), sample_values({3, 4}, -1, 1)}, std::make_shared<LayerNormAttrs>(LayerNormAttrs{2, 1e-3})}};
    },
    .traits = {.dense = 7, .out = Layout::dense}, .attrs = codec<LayerNormAttrs>};

}  // namespace miniten
