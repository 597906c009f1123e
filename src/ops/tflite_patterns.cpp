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

// Of (N, H, W, C) where both axes say so, else of (N, C, H, W).
Found along_either(Found (*find)(const PatternGraph&, int, int, bool), const PatternGraph& graph, int y) {
  for (auto [first, both] : {std::pair(1, true), {2, false}, {1, false}})
    if (Found f = find(graph, y, first, both); !f.empty()) return f;
  return {};
}

// Columns, then rows, taken by constant indices.
Found nearest_along(const PatternGraph& graph, int y, int first, bool both) {
  Look g{graph};
  const Shape shape = graph.spec(y).shape;
  int x = y;
  std::vector<int64_t> index[2];                                  // of rows, of columns
  for (int axis : {first + 1, first}) {
    if (!g.is(x, gather_op) || g.attrs<GatherAttrs>(x).axis != axis) continue;
    const Tensor* t = graph.constant(g.in(x, 1));
    if (!t || t->rank() != 1 || t->dtype() != DType::i64) return {};
    index[axis - first] = t->to_vector<int64_t>();
    x = g.in(x, 0);
  }
  if (x == y || (both && index[0].empty())) return {};
  const Shape from = graph.spec(x).shape;
  for (bool half : {false, true}) {
    bool fits = true;
    for (int i : {0, 1}) {
      int64_t in = from[first + i], out = shape[first + i];
      fits &= out >= in && (index[i].empty() ? in == out : int64_t(index[i].size()) == out);
      for (size_t o = 0; fits && o < index[i].size(); ++o) fits &= index[i][o] == nearest_source(int64_t(o), in, out, half);
    }
    if (fits) return {{y, &resize_nearest_form, std::make_shared<ResizeAttrs>(ResizeAttrs{shape[first], shape[first + 1], false, half, first}), {x}, {}}};
  }
  return {};
}
Found nearest(const PatternGraph& graph, int y) {
  if (graph.spec(y).shape.rank != 4 || bits_of(graph.spec(y).dtype) < 8 || !graph.spec(y).shape.is_static()) return {};
  return along_either(nearest_along, graph, y);
}

// reshape(permute(reshape(x))) as blocks of images (N, H, W, C) move.
Found blocks(const PatternGraph& graph, int y) {
  Look g{graph};
  if (!g.is(y, reshape_op) || graph.spec(y).shape.rank != 4) return {};
  int moved = g.in(y, 0), cut = -1;
  if (!g.is(moved, permute_op) || g.attrs<PermuteAttrs>(moved).order != Axes{0, 1, 3, 2, 4, 5} || !g.is(cut = g.in(moved, 0), reshape_op)) return {};
  int x = g.in(cut, 0);
  const Shape from = graph.spec(x).shape, by = graph.spec(cut).shape, to = graph.spec(y).shape;
  if (from.rank != 4 || by.rank != 6 || graph.constant(x)) return {};
  auto found = [&](const OpDef& form, int64_t b) -> Found { return {{y, &form, std::make_shared<BlockAttrs>(BlockAttrs{b}), {x}, {}}}; };
  if (int64_t b = by[3]; by == Shape{from[0], from[1], from[2], b, b, from[3] / (b * b)} && to == Shape{from[0], from[1] * b, from[2] * b, by[5]}) return found(depth_to_space_form, b);
  if (int64_t b = by[2]; by == Shape{from[0], from[1] / b, b, from[2] / b, b, from[3]} && to == Shape{from[0], by[1], by[3], b * b * from[3]}) return found(space_to_depth_form, b);
  return {};
}

// a + (b - a) * part, a and b taken by constant indices: columns of what rows gave.
Found bilinear_along(const PatternGraph& graph, int y, int first, bool both) {
  Look g{graph};
  const Shape shape = graph.spec(y).shape;
  struct { std::vector<int64_t> lower, upper; std::vector<float> part; } at[2];
  int x = y;
  for (int axis : {first + 1, first}) {
    if (!g.is(x, add_op) || !g.plain(x)) continue;
    int a = g.in(x, 0), scaled = g.in(x, 1);
    if (!g.is(a, gather_op) || !g.is(scaled, mul_op) || !g.plain(scaled) || g.attrs<GatherAttrs>(a).axis != axis) continue;
    int difference = g.in(scaled, 0);
    if (!g.is(difference, sub_op) || !g.plain(difference) || g.in(difference, 1) != a) return {};
    int b = g.in(difference, 0);
    if (!g.is(b, gather_op) || g.attrs<GatherAttrs>(b).axis != axis || g.in(b, 0) != g.in(a, 0)) return {};
    const Tensor *lower = graph.constant(g.in(a, 1)), *upper = graph.constant(g.in(b, 1)), *part = graph.constant(g.in(scaled, 1));
    if (!lower || !upper || !part || lower->dtype() != DType::i64 || upper->dtype() != DType::i64 || part->dtype() != DType::f32 || part->numel() != shape[axis]) return {};
    at[axis - first] = {lower->to_vector<int64_t>(), upper->to_vector<int64_t>(), part->to_vector<float>()};
    x = g.in(a, 0);
  }
  if (x == y || graph.constant(x) || (both && at[0].lower.empty())) return {};
  const Shape from = graph.spec(x).shape;
  for (auto [corners, half] : {std::pair(false, true), {true, false}, {false, false}}) {
    bool fits = true;
    for (int i : {0, 1}) {
      int64_t in = from[first + i], out = shape[first + i];
      fits &= at[i].lower.empty() ? in == out : int64_t(at[i].lower.size()) == out && int64_t(at[i].upper.size()) == out;
      for (size_t o = 0; fits && o < at[i].lower.size(); ++o) {
        Between want = linear_source(int64_t(o), in, out, corners, half);
        int64_t lower = at[i].lower[o], upper = at[i].upper[o];
        float part = lower == upper ? 0 : at[i].part[o];
        fits &= lower == want.lower && std::abs(part - (want.lower == want.upper ? 0 : want.weight)) <= 2e-6f && (part == 0 || upper == want.upper);
      }
    }
    if (fits) return {{y, &resize_bilinear_form, std::make_shared<ResizeAttrs>(ResizeAttrs{shape[first], shape[first + 1], corners, half, first}), {x}, {}}};
  }
  return {};
}
Found bilinear_places(const PatternGraph& graph, int y) {
  if (graph.spec(y).shape.rank != 4 || graph.spec(y).dtype != DType::f32 || graph.op(y) != &add_op) return {};
  return along_either(bilinear_along, graph, y);
}

bool interpolates(const Tensor& t, int64_t in, int64_t out, bool corners) {       // t: (out, in)
  std::vector<float> m = t.to_vector<float>();
  for (int64_t o = 0; o < out; ++o) {
    std::vector<float> row(size_t(in), 0.0f);
    Between b = linear_source(o, in, out, corners, !corners);
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
    if (fits) return {{y, &resize_bilinear_form, std::make_shared<ResizeAttrs>(ResizeAttrs{shape[2], shape[3], corners, !corners, 2}), {x}, {}}};
  }
  return {};
}

}  // namespace

std::span<const Pattern> tflite_patterns() {
  static constexpr Pattern all[] = {hard_swish, leaky, tanh_gelu, nearest, bilinear, bilinear_places, blocks};
  return all;
}

}  // namespace miniten
