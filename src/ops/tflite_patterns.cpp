#include <cmath>
#include "ops/pattern_look.h"
#include "ops/tflite_forms.h"

namespace miniten {

namespace {

using namespace to_tflite;

Found hard_swish(const PatternGraph& graph, int y) {
  Look g{graph};
  if (!g.is(y, mul_op) || !g.plain(y)) return {};
  for (int i : {0, 1}) {
    int x = g.in(y, i), part = g.beside(g.in(y, 1 - i), mul_op, 1.0 / 6), moved = -1;
    if (part < 0) continue;
    if (g.is(part, clamp_op)) {
      const auto& at = g.attrs<ClampAttrs>(part);
      if (at.lo == 0 && at.hi == 6) moved = g.beside(g.in(part, 0), add_op, 3);
    } else if (g.is(part, add_op)) {
      const auto& at = g.attrs<ClampAttrs>(part);
      for (int k : {0, 1}) if (at.lo == 0 && at.hi == 6 && g.is_near(g.in(part, k), 3)) moved = g.in(part, 1 - k);
    }
    if (moved == x && graph.spec(x) == graph.spec(y)) return {{y, &hard_swish_op, std::make_shared<AlphaAttrs>(), {x}, {}}};
  }
  return {};
}
// where(x > 0, x, x * slope)
Found leaky(const PatternGraph& graph, int y) {
  Look g{graph};
  if (!g.is(y, where_op)) return {};
  int test = g.in(y, 0), x = g.in(y, 1), low = g.in(y, 2);
  if (!g.is(test, greater_op) || g.in(test, 0) != x || g.number(g.in(test, 1)) != 0.0 || !g.is(low, mul_op) || !g.plain(low) || graph.spec(x) != graph.spec(y)) return {};
  for (int i : {0, 1}) {
    int slope = g.in(low, 1 - i);
    if (g.in(low, i) != x || !graph.constant(slope) || graph.spec(slope).dtype != DType::f32) continue;
    if (auto k = g.number(slope)) return {{y, &leaky_relu_op, std::make_shared<AlphaAttrs>(AlphaAttrs{*k}), {x}, {}}};
    if (graph.spec(slope).shape.rank < graph.spec(x).shape.rank) return {{y, &prelu_form, nullptr, {x, slope}, {}}};
  }
  return {};
}
// x * 0.5 * (tanh((x + x * x * x * 0.044715) * sqrt(2 / pi)) + 1)
Found tanh_gelu(const PatternGraph& graph, int y) {
  Look g{graph};
  if (!g.is(y, mul_op) || !g.plain(y)) return {};
  int x = g.beside(g.in(y, 0), mul_op, 0.5), t = g.beside(g.in(y, 1), add_op, 1);
  if (x < 0 || t < 0 || !g.is(t, tanh_op)) return {};
  int sum = g.beside(g.in(t, 0), mul_op, 0.7978845608028654);
  if (sum < 0 || !g.is(sum, add_op) || !g.plain(sum) || g.in(sum, 0) != x) return {};
  int cube = g.beside(g.in(sum, 1), mul_op, 0.044715);
  if (cube < 0 || !g.is(cube, mul_op) || g.in(cube, 1) != x) return {};
  int square = g.in(cube, 0);
  if (!g.is(square, mul_op) || g.in(square, 0) != x || g.in(square, 1) != x) return {};
  return {{y, &tanh_gelu_form, nullptr, {x}, {}}};
}

// Columns, then rows, taken by constant indices.
Found nearest(const PatternGraph& graph, int y) {
  Look g{graph};
  const Shape shape = graph.spec(y).shape;
  if (shape.rank != 4 || graph.spec(y).dtype != DType::f32) return {};
  int x = y;
  std::vector<int64_t> index[2];                                  // of rows, of columns
  for (int axis : {3, 2}) {
    if (!g.is(x, gather_op) || g.attrs<AxisAttrs>(x).axis != axis) continue;
    const Tensor* t = graph.constant(g.in(x, 1));
    if (!t || t->rank() != 1 || t->dtype() != DType::i64) return {};
    index[axis - 2] = t->to_vector<int64_t>();
    x = g.in(x, 0);
  }
  if (x == y) return {};
  const Shape from = graph.spec(x).shape;
  for (bool half : {false, true}) {
    bool fits = true;
    for (int i : {0, 1}) {
      int64_t in = from[2 + i], out = shape[2 + i];
      fits &= out >= in && (index[i].empty() ? in == out : int64_t(index[i].size()) == out);
      for (size_t o = 0; fits && o < index[i].size(); ++o) fits &= index[i][o] == nearest_source(int64_t(o), in, out, half);
    }
    if (fits) return {{y, &resize_nearest_form, std::make_shared<ResizeAttrs>(ResizeAttrs{shape[2], shape[3], false, half}), {x}, {}}};
  }
  return {};
}

bool interpolates(const Tensor& t, int64_t in, int64_t out, bool corners) {       // t: (out, in)
  std::vector<float> m = t.to_vector<float>();
  for (int64_t o = 0; o < out; ++o) {
    std::vector<float> row(size_t(in), 0.0f);
    Between b = linear_source(o, in, out, corners);
    row[size_t(b.lower)] += 1 - b.weight;
    row[size_t(b.upper)] += b.weight;
    for (int64_t i = 0; i < in; ++i) if (std::abs(row[size_t(i)] - m[size_t(o * in + i)]) > 2e-6f) return false;
  }
  return true;
}
// matrix @ x along rows, x @ matrix along columns
Found bilinear(const PatternGraph& graph, int y) {
  Look g{graph};
  const Shape shape = graph.spec(y).shape;
  if (!g.is(y, matmul_op) || shape.rank != 4 || graph.in(y).size() != 2 || !g.plain(y)) return {};
  int x = y;
  const Tensor *columns = nullptr, *rows = nullptr;
  if ((columns = graph.constant(g.in(x, 1)))) {
    if (columns->rank() != 2) return {};
    x = g.in(x, 0);
  }
  if (g.is(x, matmul_op) && graph.in(x).size() == 2 && g.plain(x) && (rows = graph.constant(g.in(x, 0)))) {
    if (rows->rank() != 2) return {};
    x = g.in(x, 1);
  }
  if (x == y || graph.constant(x) || graph.spec(x).shape.rank != 4) return {};
  const Shape from = graph.spec(x).shape;
  for (bool corners : {false, true}) {
    bool fits = (rows ? interpolates(*rows, from[2], shape[2], corners) : from[2] == shape[2]) &&
                (columns ? interpolates(miniten::transpose(*columns).clone(), from[3], shape[3], corners) : from[3] == shape[3]);
    if (fits) return {{y, &resize_bilinear_form, std::make_shared<ResizeAttrs>(ResizeAttrs{shape[2], shape[3], corners, !corners}), {x}, {}}};
  }
  return {};
}

}  // namespace

std::span<const Pattern> tflite_patterns() {
  static constexpr Pattern all[] = {hard_swish, leaky, tanh_gelu, nearest, bilinear};
  return all;
}

}  // namespace miniten
