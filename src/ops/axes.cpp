#include "ops/axes.h"
#include "miniten/ops/ops.h"
#include "ops/recurrent.h"

namespace miniten {

namespace {

constexpr int y = Axis::result;

// ---- elementwise: axes from the right, as broadcasting has them ----
void link_pointwise(const Call& c, AxisLinks& l) {
  int rank = c.out[0].shape.rank;
  for (int k = 0; k < int(c.in.size()); ++k) {
    const Shape& x = c.in[size_t(k)].shape;
    for (int a = 0; a < x.rank; ++a) {
      int b = a + rank - x.rank;
      if (x[a] == c.out[0].shape[b]) l.join({k, a}, {y, b});
      else l.keep({k, a});
    }
  }
}

// ---- one-input movement: told by moving the coordinates themselves ----
struct Moved {
  std::vector<int> along;                                 // axes of the result that the coordinate depends on
  std::vector<int64_t> at;                                // by index along the first of them: the input's index, -1: a new element
};
std::vector<int32_t> coordinates_after(const Call& c, int axis) {
  const Shape& x = c.in[0].shape;
  Tensor index = Tensor::empty({DType::i32, x}), moved;
  int64_t inner = 1;
  for (int i = axis + 1; i < x.rank; ++i) inner *= x[i];
  for (int64_t i = 0, n = x.count(); i < n; ++i) index.view().as<int32_t>()[i] = int32_t(i / inner % x[axis]) + 1;
  Input in[]{index};
  apply(c.op, in, c.attrs, {&moved, 1});
  return moved.to_vector<int32_t>();
}
Moved moved_axis(const Call& c, int axis, AxisLinks& l) {
  auto at = coordinates_after(c, axis);
  const Shape& out = c.out[0].shape;
  Strides step = contiguous(out);
  Moved m;
  for (int b = 0; b < out.rank; ++b) {
    bool varies = false;
    for (int64_t i = 0, n = out.count(); i < n && !varies; ++i) varies = i / step[b] % out[b] && at[size_t(i)] != at[size_t(i - step[b])];
    if (varies) m.along.push_back(b);
  }
  if (m.along.empty()) return m;
  if (m.along.size() > 1) std::swap(m.along[0], m.along[size_t(l.split(axis, int(m.along.size())))]);
  int b = m.along[0];
  m.at.assign(size_t(out[b]), -1);
  if (m.along.size() == 1) {
    for (int64_t k = 0; k < out[b]; ++k) m.at[size_t(k)] = at[size_t(k * step[b])] - 1;
    return m;
  }
  std::vector<int64_t> owner(size_t(c.in[0].shape[axis]), -1);        // split over several axes: the chosen one's indices are blocks
  for (int64_t i = 0, n = out.count(); i < n; ++i) {
    int64_t from = at[size_t(i)] - 1, k = i / step[b] % out[b];
    if (from < 0 || (owner[size_t(from)] >= 0 && owner[size_t(from)] != k)) { l.keep({0, axis}); return {}; }
    owner[size_t(from)] = k;
    if (m.at[size_t(k)] < 0) m.at[size_t(k)] = from;
    l.join({0, axis}, from, {0, axis}, m.at[size_t(k)]);
  }
  return m;
}
void link_movement(const Call& c, AxisLinks& l) {
  const Shape &x = c.in[0].shape, &out = c.out[0].shape;
  if (x.has(0) || out.has(0)) { for (int a = 0; a < x.rank; ++a) l.keep({0, a}); return; }
  std::vector<std::vector<std::pair<int, Moved>>> parts(static_cast<size_t>(out.rank));
  std::vector<bool> stays(size_t(out.rank), false);
  for (int a = 0; a < x.rank; ++a) {
    if (x[a] == 1) { l.keep({0, a}); continue; }
    Moved m = moved_axis(c, a, l);
    if (m.along.empty()) { l.keep({0, a}); continue; }
    for (size_t i = 1; i < m.along.size(); ++i) stays[size_t(m.along[i])] = true;
    parts[size_t(m.along[0])].emplace_back(a, std::move(m));
  }
  for (int b = 0; b < out.rank; ++b) {
    auto& from = parts[size_t(b)];
    if (from.size() > 1) std::erase_if(from, [&](auto& part) { return l.is_kept({0, part.first}); });
    if (from.size() != 1 || stays[size_t(b)]) {             // nothing that could go, or more than one thing
      for (auto& [a, m] : from) l.keep({0, a});
      l.keep({y, b});
      continue;
    }
    auto& [a, m] = from[0];
    for (int64_t k = 0; k < out[b]; ++k) {
      if (m.at[size_t(k)] < 0) l.keep({y, b}, k);
      else l.join({0, a}, m.at[size_t(k)], {y, b}, k);
    }
  }
}
Attrs shrink_shape(const Call& c, const KeptIndices& kept) {
  ShapeAttrs at = c.as<ShapeAttrs>();
  for (int b = 0; b < at.shape.rank; ++b)
    if (int64_t n = int64_t(kept({y, b}).size()); n != c.out[0].shape[b]) at.shape[b] = n;
  return std::make_shared<ShapeAttrs>(at);
}

void link_permute(const Call& c, AxisLinks& l) {
  const Axes& order = c.as<PermuteAttrs>().order;
  for (int b = 0; b < order.rank; ++b) l.join({0, int(order[b])}, {y, b});
}

void link_slice(const Call& c, AxisLinks& l) {
  const auto& at = c.as<SliceAttrs>();
  for (int a = 0; a < c.in[0].shape.rank; ++a) {
    if (at.step[a] != 1) { l.keep({0, a}); l.keep({y, a}); continue; }
    for (int64_t k = 0; k < c.out[0].shape[a]; ++k) l.join({0, a}, at.start[a] + k, {y, a}, k);
  }
}
Attrs shrink_slice(const Call& c, const KeptIndices& kept) {
  SliceAttrs at = c.as<SliceAttrs>();
  for (int a = 0; a < at.start.rank; ++a) {
    auto in = kept({0, a});
    if (int64_t(in.size()) == c.in[0].shape[a]) continue;
    auto before = [&](int64_t end) { return std::lower_bound(in.begin(), in.end(), end) - in.begin(); };
    at.stop[a] = before(at.stop[a]);
    at.start[a] = before(at.start[a]);
  }
  return std::make_shared<SliceAttrs>(at);
}

void link_concat(const Call& c, AxisLinks& l) {
  int rank = c.out[0].shape.rank, axis = int(c.as<AxisAttrs>().axis);
  if (axis < 0) axis += rank;
  int64_t offset = 0;
  for (int k = 0; k < int(c.in.size()); ++k) {
    for (int a = 0; a < rank; ++a)
      if (a != axis) l.join({k, a}, {y, a});
    for (int64_t i = 0; i < c.in[size_t(k)].shape[axis]; ++i) l.join({k, axis}, i, {y, axis}, offset++);
  }
}

// ---- products ----
void link_matmul(const Call& c, AxisLinks& l) {
  int x = c.in[0].shape.rank, w = c.in[1].shape.rank, rank = c.out[0].shape.rank;
  if (x < 2 || w < 2) { for (int k : {0, 1}) for (int a = 0; a < c.in[size_t(k)].shape.rank; ++a) l.keep({k, a}); return; }
  for (int k : {0, 1})
    for (int a = 0; a < c.in[size_t(k)].shape.rank - 2; ++a) {
      int b = a + rank - c.in[size_t(k)].shape.rank;
      if (c.in[size_t(k)].shape[a] == c.out[0].shape[b]) l.join({k, a}, {y, b});
      else l.keep({k, a});
    }
  l.join({0, x - 2}, {y, rank - 2});
  l.join({1, w - 1}, {y, rank - 1});
  l.join({0, x - 1}, {1, w - 2});
  if (c.in.size() == 3) {
    const Shape& bias = c.in[2].shape;
    for (int a = 0; a < bias.rank; ++a) {
      if (bias[a] == c.out[0].shape[a + rank - bias.rank]) l.join({2, a}, {y, a + rank - bias.rank});
      else l.keep({2, a});
    }
  }
}

// Groups stay equal in size: what goes from one goes from each, but in depthwise convolutions, where groups go whole.
void link_conv2d(const Call& c, AxisLinks& l) {
  int64_t groups = c.as<Conv2dAttrs>().groups, outputs = c.in[1].shape[0], inputs = c.in[1].shape[1], channels = c.in[0].shape[1];
  l.join({0, 0}, {y, 0});
  l.join({1, 0}, {y, 1});
  if (c.in.size() == 3) l.join({2, 0}, {y, 1});
  for (int a : {2, 3}) { l.keep({0, a}); l.keep({1, a}); l.keep({y, a}); }
  if (groups == 1) { l.join({0, 1}, {1, 1}); return; }
  if (groups == channels) {
    l.keep({1, 1});
    for (int64_t o = 0; o < outputs; ++o) l.join({1, 0}, o, {0, 1}, o / (outputs / groups));
    return;
  }
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t j = 0; j < inputs; ++j) l.join({0, 1}, g * inputs + j, {1, 1}, j);
    for (int64_t j = 0; j < outputs / groups; ++j) l.join({1, 0}, g * (outputs / groups) + j, {1, 0}, j);
  }
}
Attrs shrink_conv2d(const Call& c, const KeptIndices& kept) {
  Conv2dAttrs at = c.as<Conv2dAttrs>();
  if (at.groups > 1 && at.groups == c.in[0].shape[1]) at.groups = int64_t(kept({0, 1}).size());
  return std::make_shared<Conv2dAttrs>(at);
}

// The same backwards: w (C, O / groups, R, S).
void link_transposed(const Call& c, AxisLinks& l) {
  int64_t groups = c.as<Conv2dAttrs>().groups, inputs = c.in[0].shape[1], outputs = c.in[1].shape[1];
  l.join({0, 0}, {y, 0});
  for (int a : {2, 3}) { l.keep({0, a}); l.keep({1, a}); l.keep({y, a}); }
  l.join({0, 1}, {1, 0});
  if (groups == 1) { l.join({1, 1}, {y, 1}); return; }
  if (groups == inputs) {
    l.keep({1, 1});
    for (int64_t i = 0; i < inputs; ++i)
      for (int64_t j = 0; j < outputs; ++j) l.join({0, 1}, i, {y, 1}, i * outputs + j);
    return;
  }
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t j = 0; j < inputs / groups; ++j) l.join({0, 1}, g * (inputs / groups) + j, {0, 1}, j);
    for (int64_t j = 0; j < outputs; ++j) l.join({y, 1}, g * outputs + j, {1, 1}, j);
  }
}

// A unit is its rows of every gate, its column of the states' weights, and what it gives.
void link_recurrent(const Call& c, AxisLinks& l) {
  const auto& at = c.as<RecurrentAttrs>();
  RecurrentInputs in(at);
  int64_t units = c.in[size_t(in.w_hh)].shape[1], gates = c.in[size_t(in.w_hh)].shape[0] / units;
  l.keep({in.x, 0});
  l.join({in.x, 1}, {y, 1});
  l.join({in.x, 2}, {in.w_ih, 1});
  for (int64_t u = 0; u < units; ++u) {
    Axis unit{in.w_hh, 1};
    for (int64_t g = 0; g < gates; ++g)
      for (int k : {in.w_ih, in.w_hh, in.b_ih, in.b_hh}) if (k >= 0) l.join(unit, u, {k, 0}, g * units + u);
    for (int k : {in.h0, in.c0}) if (k >= 0) l.join(unit, u, {k, 1}, u);
    l.join(unit, u, {y, 2}, u);
    l.join(unit, u, {y - 1, 1}, u);
    if (at.cell == "lstm") l.join(unit, u, {y - 2, 1}, u);
  }
  for (int k : {in.h0, in.c0}) if (k >= 0) l.join({k, 0}, {y, 1});
  if (in.lengths >= 0) l.keep({in.lengths, 0});
}

// ---- the rest ----
void link_gather(const Call& c, AxisLinks& l) {              // of a table's rows: its other axes stay as they are
  int axis = int(c.as<GatherAttrs>().axis), rows = c.in[1].shape.rank;
  l.keep({0, axis});
  for (int a = 0; a < rows; ++a) l.keep({1, a});
  for (int a = 0; a < c.in[0].shape.rank; ++a) if (a != axis) l.join({0, a}, {y, a < axis ? a : a - 1 + rows});
}
void link_pool2d(const Call&, AxisLinks& l) {
  for (int a : {0, 1}) l.join({0, a}, {y, a});
  for (int a : {2, 3}) { l.keep({0, a}); l.keep({y, a}); }
}
void link_batch_norm(const Call& c, AxisLinks& l) {
  for (int a = 0; a < c.in[0].shape.rank; ++a) l.join({0, a}, {y, a});
  for (int k = 1; k < 5; ++k) l.join({k, 0}, {y, 1});
}
void link_softmax(const Call& c, AxisLinks& l) {             // what is gone would count in the sum
  link_pointwise(c, l);
  l.keep({0, c.in[0].shape.rank - 1});
}
template <class A> void link_reduce(const Call& c, AxisLinks& l) {
  for (int a = 0; a < c.in[0].shape.rank; ++a) {
    bool reduced;
    if constexpr (std::is_same_v<A, ReduceAttrs>) reduced = c.as<A>().axes.has(a);
    else reduced = (c.as<A>().axis + c.in[0].shape.rank) % c.in[0].shape.rank == a;
    if (reduced) l.keep({0, a});
    else l.join({0, a}, {y, a});
  }
}

constexpr AxisRule pointwise{link_pointwise}, movement{link_movement}, permuted{link_permute}, reshaped{link_movement, shrink_shape}, sliced{link_slice, shrink_slice}, concatenated{link_concat},
    matrix{link_matmul}, convolved{link_conv2d, shrink_conv2d}, pooled{link_pool2d}, normalised{link_batch_norm, nullptr, 1}, shares{link_softmax}, recurrence{link_recurrent}, transposed{link_transposed, shrink_conv2d, 0, 1, 1}, gathered{link_gather, nullptr, 0, 0, 1}, reduced{link_reduce<ReduceAttrs>};

}  // namespace

const AxisRule* axis_rule(const OpDef& op) {
  static constexpr std::pair<const OpDef*, const AxisRule*> rules[]{
      {&permute_op, &permuted}, {&reshape_op, &reshaped}, {&expand_op, &reshaped}, {&slice_op, &sliced}, {&concat_op, &concatenated}, {&matmul_op, &matrix}, {&conv2d_op, &convolved}, {&conv2d_input_op, &transposed}, {&recurrent_op, &recurrence}, {&gather_op, &gathered},
      {&max_pool2d_op, &pooled}, {&avg_pool2d_op, &pooled}, {&batch_norm_op, &normalised}, {&softmax_op, &shares}, {&log_softmax_op, &shares},
      {&sum_op, &reduced}, {&mean_op, &reduced}, {&max_op, &reduced}, {&min_op, &reduced}};
  for (auto& [known, rule] : rules) if (known == &op) return rule;
  if (op.outputs != 1 || op.traits.writes.n || op.traits.random || op.traits.converts != Conversion::none) return nullptr;
  if (op.traits.movement) return op.max_inputs == 1 ? &movement : nullptr;
  return op.traits.pointwise ? &pointwise : nullptr;
}

}  // namespace miniten
