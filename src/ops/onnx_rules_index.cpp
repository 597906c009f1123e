#include <algorithm>
#include <map>
#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// ONNX operators that pick, place and order elements.
namespace miniten::onnx {

namespace {

Tensor whole(const ForeignNode& n, const Tensor& t) {
  if (!is_integer(t.dtype())) n.fail("integers as indices", t.spec().text());
  return miniten::cast(t, DType::i64);
}
Tensor from_start(const Tensor& index, int64_t size) {                    // negative ones count from the end
  return miniten::where(less(index, Tensor::full({}, 0, DType::i64)), index + double(size), index);
}
// The number of each element along one axis times a step, in a shape of ones but there.
Tensor along(int axis, int rank, int64_t size, int64_t step) {
  Ints v;
  for (int64_t i = 0; i < size; ++i) v.push_back(i * step);
  Shape shape = Dims::filled(rank, 1);
  shape[axis] = size;
  return miniten::reshape(ints(v), shape);
}
Tensor flat(const Tensor& x) { return miniten::reshape(x, {x.numel()}); }

Tensors read_gather_nd(const ForeignNode& n) {
  Tensor x = n.required(0), index = whole(n, n.required(1));
  require_static(n, x);
  require_static(n, index);
  int64_t batch = n.integer("batch_dims", 0), depth = index.rank() ? index.dim(-1) : 0;
  if (batch < 0 || index.rank() < 1 || batch >= index.rank() || batch + depth > x.rank()) n.fail("index tuples into " + x.spec().text(), index.spec().text());
  Shape leading, rest, out;
  for (int i = 0; i < index.rank() - 1; ++i) leading.push(index.dim(i));
  int64_t rows = 1;
  for (int i = 0; i < batch + depth; ++i) rows *= x.dim(i);
  rest.push(rows);
  for (int i = int(batch + depth); i < x.rank(); ++i) rest.push(x.dim(i));
  Tensor at = Tensor::full({}, 0, DType::i64);
  int64_t step = 1;
  for (int k = int(depth); k-- > 0;) {
    Tensor one = miniten::reshape(miniten::slice(index, -1, k, k + 1), leading);
    at = at + from_start(one, x.dim(int(batch) + k)) * double(step);
    step *= x.dim(int(batch) + k);
  }
  for (int b = int(batch); b-- > 0;) {
    at = at + along(b, leading.rank, leading[b], step);
    step *= x.dim(b);
  }
  return {miniten::gather(miniten::reshape(x, rest), miniten::expand(at, leading), 0)};
}

// Rows of x, counted over its first axes, take the updates' rows.
Tensors read_scatter_nd(const ForeignNode& n) {
  Tensor x = n.required(0), index = whole(n, n.required(1)), updates = n.required(2);
  require_static(n, x);
  require_static(n, index);
  int64_t depth = index.rank() ? index.dim(-1) : 0, step = 1, width = 1;
  if (depth < 1 || depth > x.rank()) n.fail("index tuples into " + x.spec().text(), index.spec().text());
  Shape leading, expected;
  for (int i = 0; i < index.rank() - 1; ++i) leading.push(index.dim(i));
  expected = leading;
  for (int i = int(depth); i < x.rank(); ++i) { expected.push(x.dim(i)); width *= x.dim(i); }
  if (updates.shape() != expected) n.fail("updates of shape " + expected.text(), updates.spec().text());
  Tensor at = Tensor::full({}, 0, DType::i64);
  for (int k = int(depth); k-- > 0; step *= x.dim(k)) at = at + from_start(miniten::reshape(miniten::slice(index, -1, k, k + 1), leading), x.dim(k)) * double(step);
  Shape rows{leading.count(), width};
  at = miniten::expand(miniten::reshape(miniten::expand(at, leading), {leading.count(), 1}), rows);
  return {miniten::reshape(miniten::scatter_elements(miniten::reshape(x, {step, width}), at, miniten::reshape(updates, rows), 0, n.text("reduction", "none")), x.shape())};
}
Tensors read_tensor_scatter(const ForeignNode& n) {                       // rows of a cache, from a place of their own in each batch
  Tensor cache = n.required(0), update = n.required(1), start = optional(n, 2);
  require_static(n, cache);
  int axis = axis_of(n, n.integer("axis", -2), cache.rank());
  if (cache.rank() != update.rank() || axis == 0 || (start && start.shape() != Shape{cache.dim(0)})) n.fail("a cache, an update of as many axes and a start for each batch", update.spec().text());
  Shape by_batch = Dims::filled(cache.rank(), 1);
  by_batch[0] = cache.dim(0);
  Tensor at = along(axis, cache.rank(), update.dim(axis), 1);
  if (start) at = at + miniten::reshape(whole(n, start), by_batch);
  if (n.text("mode", "linear") == "circular") at = miniten::remainder(at, Tensor::full({}, double(cache.dim(axis)), DType::i64));
  return {miniten::scatter_elements(cache, miniten::expand(at, update.shape()), update, axis)};
}

// ---- order ----
struct Rows { int64_t outer = 1, size = 1, inner = 1; };                   // of an axis
Rows rows_of(const Shape& s, int axis) {
  Rows r;
  for (int i = 0; i < axis; ++i) r.outer *= s[i];
  r.size = s[axis];
  for (int i = axis + 1; i < s.rank; ++i) r.inner *= s[i];
  return r;
}
Tensors read_cumprod(const ForeignNode& n) {
  Tensor x = n.required(0);
  int axis = axis_of(n, n.constant_integers(1).at(0), x.rank());
  bool reverse = n.integer("reverse", 0) != 0;
  Tensor y = miniten::cumprod(reverse ? onnx::flip(x, axis) : x, axis);
  if (n.integer("exclusive", 0) != 0) {
    Dims before = Dims::filled(x.rank(), 0), after = before;
    before[axis] = 1;
    y = miniten::slice(miniten::pad(y, before, after, 1), axis, 0, x.dim(axis));
  }
  return {miniten::cast(reverse ? onnx::flip(y, axis) : y, x.dtype())};
}
Tensors read_unique(const ForeignNode& n) {
  Tensor x = n.constant(0);
  bool sorted = n.integer("sorted", 1) != 0, flat_all = !n.has("axis");
  int axis = flat_all ? 0 : axis_of(n, n.integer("axis", 0), x.rank());
  auto v = numbers_of(n, 0);
  Rows r = flat_all ? Rows{1, x.numel(), 1} : rows_of(x.shape(), axis);
  std::map<std::vector<double>, int64_t> seen;
  Ints first, inverse, counts;
  std::vector<std::vector<double>> slices;
  for (int64_t j = 0; j < r.size; ++j) {
    std::vector<double> key;
    for (int64_t o = 0; o < r.outer; ++o) for (int64_t i = 0; i < r.inner; ++i) key.push_back(v[size_t((o * r.size + j) * r.inner + i)]);
    auto [at, fresh] = seen.try_emplace(key, int64_t(slices.size()));
    if (fresh) { slices.push_back(key); first.push_back(j); counts.push_back(0); }
    inverse.push_back(at->second);
    ++counts[size_t(at->second)];
  }
  Ints order = counting(int64_t(slices.size())).to_vector<int64_t>();
  if (sorted) std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return slices[size_t(a)] < slices[size_t(b)]; });
  Ints place(order.size()), sorted_first, sorted_counts;
  for (size_t i = 0; i < order.size(); ++i) {
    place[size_t(order[i])] = int64_t(i);
    sorted_first.push_back(first[size_t(order[i])]);
    sorted_counts.push_back(counts[size_t(order[i])]);
  }
  for (int64_t& i : inverse) i = place[size_t(i)];
  Tensor y = miniten::gather(flat_all ? flat(x) : x, ints(sorted_first), axis);
  return {y, ints(sorted_first), ints(inverse), ints(sorted_counts)};
}
Tensors read_compress(const ForeignNode& n) {
  Tensor x = n.required(0);
  bool flat_all = !n.has("axis");
  if (flat_all) { require_static(n, x); x = flat(x); }
  int axis = flat_all ? 0 : axis_of(n, n.integer("axis", 0), x.rank());
  std::vector<double> keep = numbers_of(n, 1);
  Ints rows;
  for (size_t i = 0; i < keep.size() && int64_t(i) < x.dim(axis); ++i) if (keep[i] != 0) rows.push_back(int64_t(i));
  return {miniten::gather(x, ints(rows), axis)};
}
Tensors read_reverse_sequence(const ForeignNode& n) {
  Tensor x = n.required(0);
  require_static(n, x);
  int time = axis_of(n, n.integer("time_axis", 0), x.rank()), batch = axis_of(n, n.integer("batch_axis", 1), x.rank());
  Shape by_batch = Dims::filled(x.rank(), 1);
  by_batch[batch] = x.dim(batch);
  Tensor length = miniten::reshape(whole(n, n.required(1)), by_batch), t = along(time, x.rank(), x.dim(time), 1);
  Tensor from = miniten::where(less(t, length), length - 1.0 - t, t);
  return {miniten::gather_elements(x, miniten::expand(from, x.shape()), time)};
}
Tensors read_hardmax(const ForeignNode& n) {
  Tensor x = n.required(0);
  require_static(n, x);
  bool old = n.version() < 13;
  int axis = axis_of(n, n.integer("axis", old ? 1 : -1), x.rank());
  Shape shape = x.shape();
  if (old) {
    Shape two{1, 1};
    for (int i = 0; i < x.rank(); ++i) (i < axis ? two[0] : two[1]) *= x.dim(i);
    x = miniten::reshape(x, two);
    axis = 1;
  }
  Tensor hit = equal(argmax(x, axis, true), along(axis, x.rank(), x.dim(axis), 1));
  return {miniten::reshape(miniten::cast(hit, x.dtype()), shape)};
}
Tensors read_tile(const ForeignNode& n) {
  Tensor x = n.required(0);
  Ints times = n.constant_integers(1);
  if (int(times.size()) != x.rank()) n.fail("a count for each axis of " + x.spec().text(), std::to_string(times.size()));
  return {miniten::repeat(x, Dims(std::span<const Dim>(times)))};
}
Tensors read_trilu(const ForeignNode& n) {
  Tensor x = n.required(0);
  if (x.rank() < 2) n.fail("matrices", x.spec().text());
  int64_t k = optional(n, 1) ? n.constant_integers(1).at(0) : 0;
  Tensor gap = along(1, 2, x.dim(-1), 1) - along(0, 2, x.dim(-2), 1), edge = Tensor::full({}, double(k), DType::i64);
  return {miniten::where(n.integer("upper", 1) ? greater_equal(gap, edge) : less_equal(gap, edge), x, Tensor::full({}, 0, x.dtype()))};
}
Tensors read_depth_to_space(const ForeignNode& n) {
  Tensor x = n.required(0);
  int64_t b = n.integer("blocksize", 0);
  if (x.rank() != 4 || b < 1 || x.dim(1) % (b * b)) n.fail("(N, C, H, W) with channels for each block", x.spec().text());
  int64_t c = x.dim(1) / (b * b);
  bool rows_first = n.text("mode", "DCR") == "DCR";
  Tensor y = rows_first ? miniten::permute(miniten::reshape(x, {x.dim(0), b, b, c, x.dim(2), x.dim(3)}), {0, 3, 4, 1, 5, 2})
                        : miniten::permute(miniten::reshape(x, {x.dim(0), c, b, b, x.dim(2), x.dim(3)}), {0, 1, 4, 2, 5, 3});
  return {miniten::reshape(y, {x.dim(0), c, x.dim(2) * b, x.dim(3) * b})};
}
Tensors read_space_to_depth(const ForeignNode& n) {
  Tensor x = n.required(0);
  int64_t b = n.integer("blocksize", 0);
  if (x.rank() != 4 || b < 1 || x.dim(2) % b || x.dim(3) % b) n.fail("(N, C, H, W) of whole blocks", x.spec().text());
  Tensor y = miniten::reshape(x, {x.dim(0), x.dim(1), x.dim(2) / b, b, x.dim(3) / b, b});
  bool columns_first = n.text("mode", "DCR") == "CRD";
  y = miniten::permute(y, columns_first ? Axes{0, 1, 3, 5, 2, 4} : Axes{0, 3, 5, 1, 2, 4});
  return {miniten::reshape(y, {x.dim(0), x.dim(1) * b * b, x.dim(2) / b, x.dim(3) / b})};
}
Tensors read_array_feature(const ForeignNode& n) { return {miniten::gather(n.required(0), flat(whole(n, n.required(1))), n.required(0).rank() - 1)}; }
Tensors read_binarizer(const ForeignNode& n) {
  Tensor x = n.required(0);
  return {miniten::cast(greater(x, number_like(x, n.number("threshold", 0))), x.dtype())};
}

constexpr ForeignComposition rules[] = {
    {"onnx", "GatherND", read_gather_nd}, {"onnx", "Scatter", read_scatter_elements}, {"onnx", "ScatterND", read_scatter_nd}, {"onnx", "TensorScatter", read_tensor_scatter},
    {"onnx", "CumProd", read_cumprod}, {"onnx", "Unique", read_unique}, {"onnx", "Compress", read_compress},
    {"onnx", "ReverseSequence", read_reverse_sequence}, {"onnx", "Hardmax", read_hardmax}, {"onnx", "Tile", read_tile}, {"onnx", "Trilu", read_trilu},
    {"onnx", "DepthToSpace", read_depth_to_space}, {"onnx", "SpaceToDepth", read_space_to_depth},
    {"onnx", "ai.onnx.ml.ArrayFeatureExtractor", read_array_feature}, {"onnx", "ai.onnx.ml.Binarizer", read_binarizer}};

}  // namespace

Compositions index_rules() { return rules; }

}  // namespace miniten::onnx
