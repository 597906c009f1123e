#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "base/allocate.h"
#include "kernels/sparse.h"
#include "miniten/base/random.h"
#include "ops/forms.h"
#include "ops/fused.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"
#include "ops/pattern_look.h"
#include "ops/tflite_write.h"

namespace miniten {

void check_range(const Call& c, int input, int64_t low, Dim size, std::string_view what) {
  const Tensor* t = c.value(input);
  if (!t || is_symbol(size)) return;
  View v = t->view();
  int64_t n = v.shape().count();
  bool flat = v.is_contiguous();
  std::vector<int64_t> copied;
  if (!flat) copied = cast(t->clone(), DType::i64).to_vector<int64_t>();
  for (int64_t i = 0; i < n; ++i) {
    int64_t index = flat ? index_at(v, i) : copied[size_t(i)];
    if (index < low || index >= size)
      c.fail(std::string(what) + " in [" + std::to_string(low) + ", " + std::to_string(size) + ")",
             std::to_string(index) + " at position " + std::to_string(i), "", ErrorKind::index);
  }
}

namespace {

int64_t safe_index(const View& rows, int64_t i, int64_t size) {    // negative ones count from the end
  int64_t index = index_at(rows, i);
  if (index < 0) index += size;
  return std::clamp<int64_t>(index, 0, size - 1);
}

void gather_eval(const Context& c) {
  const View &table = c.in[0], &rows = c.in[1];
  int axis = int(c.as<GatherAttrs>().axis);
  int64_t outer = 1, inner = 1, size = table.shape()[axis], n = rows.shape().count();
  for (int i = 0; i < axis; ++i) outer *= table.shape()[i];
  for (int i = axis + 1; i < table.shape().rank; ++i) inner *= table.shape()[i];
  size_t bytes = bytes_of(table.spec.dtype, inner);
  auto [begin, end] = c.slice(outer * n);
  auto run = [&, begin = begin, end = end](auto known) {        // bytes of a slice, 0: of any number
    const size_t each = known ? known : bytes;
    for (int64_t i = begin; i < end;) {
      const int64_t o = i / n, stop = std::min(end, (o + 1) * n);
      for (const std::byte* from = table.data + size_t(o * size) * each; i < stop; ++i)
        std::memcpy(c.out[0].data + size_t(i) * each, from + size_t(safe_index(rows, i - o * n, size)) * each, each);
    }
  };
  if (bytes == 4) run(std::integral_constant<size_t, 4>{});
  else if (bytes == 8) run(std::integral_constant<size_t, 8>{});
  else run(std::integral_constant<size_t, 0>{});
}

// All channels of a pixel at once.
void gather_pixels_eval(const Context& c) {
  const View &x = c.in[0], &y = c.out[0];
  const Shape &from = x.shape(), &to = y.shape();
  const size_t value = bytes_of(x.spec.dtype, 1), pixel = size_t(from[1]) * value;
  auto [begin, end] = c.slice(to[0] * to[2]);
  for (int64_t r = begin; r < end; ++r) {
    const std::byte* row = x.data + (r / to[2] * x.strides[0] + safe_index(c.in[1], r % to[2], from[2]) * x.strides[2]) * int64_t(value);
    for (int64_t j = 0; j < to[3]; ++j)
      std::memcpy(y.data + size_t(r * to[3] + j) * pixel, row + size_t(safe_index(c.in[2], j, from[3])) * pixel, pixel);
  }
}

template <class T> void scatter_rows(const Context& c) {
  int64_t n = c.in[1].shape().count(), size = c.out[0].shape()[0], width = n ? c.in[0].shape().count() / n : 0;
  std::memset(c.out[0].data, 0, c.out[0].spec.bytes());
  for (int64_t r = 0; r < n; ++r) {
    T* to = c.out[0].as<T>() + safe_index(c.in[1], r, size) * width;
    const T* from = c.in[0].as<T>() + r * width;
    for (int64_t j = 0; j < width; ++j) to[j] += from[j];
  }
}

Tensor indices(std::initializer_list<int64_t> values) { return Tensor::of<int64_t>({int64_t(values.size())}, std::span(values.begin(), values.size())); }

}  // namespace

Found gather_pixels_pattern(const PatternGraph& graph, int y) {
  Look g{graph};
  auto along = [&](int v, int64_t axis) { return g.is(v, gather_op) && g.attrs<GatherAttrs>(v).axis == axis && graph.spec(g.in(v, 1)).shape.rank == 1; };
  const Spec& spec = graph.spec(y);
  for (int last : {2, 3}) {
    if (spec.shape.rank != 4 || !along(y, last)) continue;
    int first = g.in(y, 0);
    if (!along(first, 5 - last) || graph.readers(first) != 1) continue;
    int rows = g.in(last == 2 ? y : first, 1), columns = g.in(last == 3 ? y : first, 1);
    return {{y, &gather_pixels_op, nullptr, {g.in(first, 0), rows, columns}, {}}};
  }
  return {};
}
constinit const OpDef gather_pixels_op{.name = "gather_pixels", .doc = "rows and columns of pictures (N, C, H, W) by index", .min_inputs = 3, .max_inputs = 3,
    .infer = [](const Call& c, Specs& out) {
      Spec spec = c.in[0];
      if (spec.shape.rank != 4 || c.in[1].shape.rank != 1 || c.in[2].shape.rank != 1) c.fail("pictures, rows and columns", spec.text() + ", " + c.in[1].text() + " and " + c.in[2].text());
      if (bits_of(spec.dtype) < 8) c.fail("pictures of whole bytes", spec.text(), "convert with cast first", ErrorKind::type);
      for (int i : {1, 2}) {
        require_integers(c, i);
        Dim& size = spec.shape[i + 1];
        check_range(c, i, is_symbol(size) ? 0 : -size, size, "indices");
        if (size == 0 && c.in[size_t(i)].shape[0] != 0) c.fail("pictures with pixels", spec.text(), "", ErrorKind::index);
        size = c.in[size_t(i)].shape[0];
      }
      out.push(spec);
    },
    .eval = gather_pixels_eval, .work = elementwise_work,
    .samples = []() -> std::vector<Sample> { return {{{sample_values({2, 3, 2, 4}), indices({1, 0, 1}), indices({3, 0, -2, 1, 1})}, nullptr}}; },
    .traits = {.movement = true, .dense = 6, .channels_last = 1, .out = Layout::channels_last}};

// gather and scatter_add are each other's gradients.
constinit const OpDef gather_op{.name = "gather", .doc = "slices of a table by index", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      require_integers(c, 1);
      const Shape &table = c.in[0].shape, &rows = c.in[1].shape;
      auto [axis, frozen] = c.as<GatherAttrs>();
      if (axis < 0 || axis >= table.rank) c.fail("an axis below " + std::to_string(table.rank), std::to_string(axis), "", ErrorKind::index);
      if (bits_of(c.in[0].dtype) < 8) c.fail("a table of whole bytes", c.in[0].text(), "convert with cast first", ErrorKind::type);
      Dim size = table[int(axis)];
      if (frozen < -1 || (!is_symbol(size) && frozen >= size)) c.fail("a frozen row of " + table.text() + " along axis " + std::to_string(axis) + ", or -1", std::to_string(frozen));
      check_range(c, 1, is_symbol(size) ? 0 : -size, size, "indices");
      Spec spec{c.in[0].dtype, {}};
      for (int i = 0; i < axis; ++i) spec.shape.push(table[i]);
      for (Dim d : rows) spec.shape.push(d);
      for (int i = int(axis) + 1; i < table.rank; ++i) spec.shape.push(table[i]);
      if (size == 0 && spec.shape.is_static() && spec.shape.count() > 0) c.fail("a table with entries", table.text(), "", ErrorKind::index);
      out.push(spec);
    },
    .eval = gather_eval, .work = elementwise_work,
    .vjp = [](const Vjp& v) {
      auto [along, frozen] = v.as<GatherAttrs>();
      int axis = int(along), n = v.in[1].rank();
      Tensor g = v.grad[0];
      Axes to_front;                                           // the indexed axes first, then what stood before, then after
      for (int i = 0; i < n; ++i) to_front.push(axis + i);
      for (int i = 0; i < g.rank(); ++i) if (i < axis || i >= axis + n) to_front.push(i);
      g = permute(g, to_front);
      if (frozen >= 0) {
        Shape rows = v.in[1].shape();
        while (rows.rank < g.rank()) rows.push(1);
        auto is = [&](int64_t row) { return equal(v.in[1], number_like(v.in[1], double(row))); };
        g = masked_fill(g, reshape(logical_or(is(frozen), is(frozen - v.in[0].dim(axis))), rows), number_like(g, 0));
      }
      Tensor sums = scatter_add(g, v.in[1], v.in[0].dim(axis));
      Axes back;                                               // (size, before.., after..) -> (before.., size, after..)
      for (int i = 0; i < axis; ++i) back.push(i + 1);
      back.push(0);
      for (int i = axis + 1; i < v.in[0].rank(); ++i) back.push(i);
      v.result[0] = permute(sums, back);
    },
    .keep = {2, 0}, .samples = []() -> std::vector<Sample> {
      return {{{sample_values({3, 2}), indices({2, 0, -1})}, std::make_shared<GatherAttrs>()},
              {{sample_values({2, 3, 2}), indices({1, 1})}, std::make_shared<GatherAttrs>(GatherAttrs{1})}};
    },
    .quant = {QuantMode::passes_through}, .traits = {.movement = true, .dense = 3, .out = Layout::dense, .weights = 0},
    .onnx = {"Gather", 1, &onnx::gather}, .tflite = {"GATHER", 1, &to_tflite::gather}, .c = {"gather", 0, &c::gather}, .attrs = codec<GatherAttrs>};

constinit const OpDef scatter_add_op{.name = "scatter_add", .doc = "adds slices by index into zeros", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) {
      require_integers(c, 1);
      if (DType t = c.in[0].dtype; t != DType::f32 && t != DType::f64) c.fail("float32 or float64", c.in[0].text(), "convert with cast first", ErrorKind::type);
      const Shape &values = c.in[0].shape, &rows = c.in[1].shape;
      Dim size = c.as<SizeAttrs>().size;
      if (!is_symbol(size) && size < 0) c.fail("a size of 0 or more", std::to_string(size));
      for (int i = 0; i < rows.rank; ++i)
        if (i >= values.rank || values[i] != rows[i]) c.fail("values that begin with the indices' shape " + rows.text(), values.text());
      check_range(c, 1, is_symbol(size) ? 0 : -size, size, "indices");
      if (size == 0 && rows.is_static() && rows.count() > 0) c.fail("a size that has room for values", "0", "", ErrorKind::index);
      Spec spec{c.in[0].dtype, {size}};
      for (int i = rows.rank; i < values.rank; ++i) spec.shape.push(values[i]);
      out.push(spec);
    },
    .eval = [](const Context& c) { c.in[0].spec.dtype == DType::f64 ? scatter_rows<double>(c) : scatter_rows<float>(c); },
    .vjp = [](const Vjp& v) { if (v.needs(0)) v.result[0] = gather(v.grad[0], v.in[1]); },
    .keep = {2, 0}, .cost = [](const Call& c) { return Cost{0, c.in[0].shape.count()}; },
    .samples = []() -> std::vector<Sample> { return {{{sample_values({3, 2}), indices({1, 1, 0})}, std::make_shared<SizeAttrs>(SizeAttrs{4})}}; },
    .traits = {.dense = 3, .out = Layout::dense}, .onnx = {"ScatterND", 16, &onnx::scatter_add}, .attrs = codec<SizeAttrs>};

// ---- a sparse constant times x: what scatter_add(gather(x, columns) * values, rows) is. columns and rows (E,), values (E, 1..) ----
namespace {
struct SparseRows {                                    // in compressed rows, entries of one in their order
  int64_t rows, entries;
  int32_t *begin, *column;
  float* value;
  SparseRows(const Call& c, std::byte* at) : rows(c.as<SizeAttrs>().size), entries(c.in[1].shape.count()), begin(reinterpret_cast<int32_t*>(at)),
        column(begin + rows + 1), value(reinterpret_cast<float*>(column + entries)) {}
  uint64_t bytes() const { return uint64_t(rows + 1 + 2 * entries) * 4; }
};
uint64_t sparse_product_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  SparseRows m(c, to);
  const int64_t height = c.in[0].shape[0];
  if (!in[1].data || !in[2].data || !in[3].data || m.rows + m.entries > INT32_MAX || height > INT32_MAX) return 0;
  if (!to) return m.bytes();
  std::fill_n(m.begin, m.rows + 1, 0);
  for (int64_t i = 0; i < m.entries; ++i) ++m.begin[safe_index(in[3], i, m.rows) + 1];
  for (int64_t r = 0; r < m.rows; ++r) m.begin[r + 1] += m.begin[r];
  for (int64_t i = 0; i < m.entries; ++i) {
    int32_t at = m.begin[safe_index(in[3], i, m.rows)]++;
    m.column[at] = int32_t(safe_index(in[1], i, height));
    m.value[at] = in[2].f32()[i];
  }
  std::memmove(m.begin + 1, m.begin, size_t(m.rows) * sizeof *m.begin);      // each had become the next one's
  m.begin[0] = 0;
  return m.bytes();
}
}  // namespace
constinit const OpDef sparse_product_op{.name = "sparse_product", .doc = "a sparse matrix times x: of each entry its column, value and row", .min_inputs = 4, .max_inputs = 4,
    .infer = [](const Call& c, Specs& out) {
      require_integers(c, 1);
      require_integers(c, 3);
      const Shape &x = c.in[0].shape, &entries = c.in[1].shape;
      if (c.in[0].dtype != DType::f32 || c.in[2].dtype != DType::f32) c.fail("float32", c.in[0].text() + " and " + c.in[2].text(), "convert with cast first", ErrorKind::type);
      if (x.rank < 1 || entries.rank != 1 || c.in[3].shape != entries || c.in[2].shape.count() != entries.count()) c.fail("as many columns, values and rows", c.in[1].text() + ", " + c.in[2].text() + " and " + c.in[3].text());
      check_range(c, 1, -x[0], x[0], "indices");
      check_range(c, 3, -c.as<SizeAttrs>().size, c.as<SizeAttrs>().size, "indices");
      Spec spec = c.in[0];
      spec.shape[0] = c.as<SizeAttrs>().size;
      out.push(spec);
    },
    .eval = [](const Context& c) {
      const Shape& x = c.in[0].shape();
      const int64_t width = x[0] ? x.count() / x[0] : 0;
      float* y = c.out[0].f32();
      if (!c.prepared) {
        std::memset(y, 0, c.out[0].spec.bytes());
        for (int64_t i = 0, n = c.in[1].shape().count(); i < n; ++i) {
          const float *from = c.in[0].f32() + safe_index(c.in[1], i, x[0]) * width, value = c.in[2].f32()[i];
          float* to = y + safe_index(c.in[3], i, c.out[0].shape()[0]) * width;
          for (int64_t j = 0; j < width; ++j) to[j] += from[j] * value;
        }
        return;
      }
      const Spec in[] = {c.in[0].spec, c.in[1].spec};
      SparseRows m({.op = c.op, .attrs = c.attrs, .in = in, .out = {}}, const_cast<std::byte*>(c.prepared));
      auto [first, last] = c.slice(m.rows);
      kernels::csr_product(m.begin + first, m.column, m.value, last - first, c.in[0].f32(), width, y + first * width);
    },
    .work = [](const Call& c) {
      const int64_t rows = std::max<int64_t>(1, c.in[0].shape[0]);
      return Work{.pieces = c.prepared ? pieces_for(c.in[1].shape.count() * (c.in[0].shape.count() / rows)) : 1};
    },
    .cost = [](const Call& c) { return Cost{c.in[1].shape.count() * (c.in[0].shape.count() / std::max<int64_t>(1, c.in[0].shape[0])), 0}; }, .prepare = sparse_product_prepare,
    .samples = []() -> std::vector<Sample> { return {{{sample_values({3, 2}), indices({2, 0, -1}), sample_values({3, 1}), indices({1, 1, 0})}, std::make_shared<SizeAttrs>(SizeAttrs{4})}}; },
    .traits = {.stops_gradient = true, .dense = 15, .out = Layout::dense}, .attrs = codec<SizeAttrs>};
Found sparse_product_pattern(const PatternGraph& graph, int y) {
  Look g{graph};
  auto mine = [&](int v, const OpDef& op) {              // behind permutes that leave the order
    while (g.is(v, permute_op) && graph.readers(v) == 1 && g.attrs<PermuteAttrs>(v).order == Dims::iota(graph.spec(v).shape.rank)) v = g.in(v, 0);
    return g.is(v, op) && graph.readers(v) == 1 ? v : -1;
  };
  if (!g.is(y, scatter_add_op) || graph.spec(y).dtype != DType::f32 || !graph.spec(y).shape.is_static()) return {};
  int rows = g.in(y, 1), product = mine(g.in(y, 0), mul_op);
  if (product < 0 || !g.plain(product)) return {};
  for (int i : {0, 1}) {
    int picked = mine(g.in(product, i), gather_op), values = g.in(product, 1 - i);
    if (picked < 0 || g.attrs<GatherAttrs>(picked).axis != 0 || g.attrs<GatherAttrs>(picked).frozen >= 0) continue;
    int x = g.in(picked, 0), columns = g.in(picked, 1);
    const Tensor *c = graph.constant(columns), *v = graph.constant(values), *r = graph.constant(rows);
    if (!c || !v || !r || c->rank() != 1 || r->shape() != c->shape() || v->dtype() != DType::f32 || v->rank() != graph.spec(picked).shape.rank || v->numel() != c->numel() || v->dim(0) != c->dim(0)) continue;
    return {{y, &sparse_product_op, std::make_shared<SizeAttrs>(g.attrs<SizeAttrs>(y)), {x, columns, values, rows}, {}}};
  }
  return {};
}

constinit const OpDef one_hot_op{.name = "one_hot", .doc = "1 at the label, else 0",
    .infer = [](const Call& c, Specs& out) {
      require_integers(c, 0);
      Dim size = c.as<SizeAttrs>().size;
      if (!is_symbol(size) && size < 1) c.fail("at least one class", std::to_string(size));
      check_range(c, 0, 0, size, "labels");
      Spec spec{DType::f32, c.in[0].shape};
      spec.shape.push(size);
      out.push(spec);
    },
    .eval = [](const Context& c) {
      int64_t size = c.out[0].shape()[-1];
      std::memset(c.out[0].data, 0, c.out[0].spec.bytes());
      for (int64_t r = 0, n = c.in[0].shape().count(); r < n; ++r)
        if (int64_t label = index_at(c.in[0], r); label >= 0 && label < size) c.out[0].f32()[r * size + label] = 1;
    },
    .samples = []() -> std::vector<Sample> { return {{{indices({2, 0, 1})}, std::make_shared<SizeAttrs>(SizeAttrs{3})}}; },
    .traits = {.stops_gradient = true, .dense = 1, .out = Layout::dense}, .onnx = {"OneHot", 9, &onnx::one_hot}, .tflite = {"ONE_HOT", 1, &to_tflite::one_hot}, .c = {"one_hot", 0, &c::one_hot}, .attrs = codec<SizeAttrs>};

// 1 for each element that is not zero, row-major.
static std::vector<uint8_t> nonzero_flags(const View& x) {
  std::vector<uint8_t> set(size_t(x.shape().count()));
  copy_values(x, View{reinterpret_cast<std::byte*>(set.data()), {DType::boolean, x.shape()}, contiguous(x.shape())});
  return set;
}
// How many rows there are is known at run time only: infer tells it once the values are there.
constinit const OpDef nonzero_op{.name = "nonzero", .doc = "indices of elements that are not zero, one row each",
    .infer = [](const Call& c, Specs& out) {
      Dim rows = symbol("nonzero");
      if (const Tensor* t = c.value(0)) {
        rows = 0;
        for (uint8_t s : nonzero_flags(t->view())) rows += s;
      }
      out.push({DType::i64, {rows, c.in[0].shape.rank}});
    },
    .eval = [](const Context& c) {
      const Shape& shape = c.in[0].shape();
      const int64_t rank = shape.rank, rows = c.out[0].shape()[0];
      if (rank == 0 || rows == 0) return;
      const std::vector<uint8_t> set = nonzero_flags(c.in[0]);
      int64_t* to = c.out[0].i64();
      Axes at = Dims::filled(shape.rank, 0);                    // of the row of the last axis
      for (int64_t row = 0, found = 0, last = shape[-1]; found < rows; ++row) {
        for (int64_t i = 0; i < last && found < rows; ++i) {    // a row is written in any case, and counts if it was one
          for (int k = 0; k + 1 < rank; ++k) to[found * rank + k] = at[k];
          to[found * rank + rank - 1] = i;
          found += set[size_t(row * last + i)];
        }
        for (int k = shape.rank - 2; k >= 0 && ++at[k] == shape[k]; --k) at[k] = 0;
      }
    },
    .samples = []() -> std::vector<Sample> { return {{{relu(sample_values({2, 3}))}, nullptr}}; },
    .traits = {.stops_gradient = true, .out = Layout::dense}, .onnx = {"NonZero", 9, &onnx::nonzero}};

// The key is an input, a state that a training step moves on: eager, replayed and compiled draw the same numbers.
constinit const OpDef uniform_op{.name = "uniform", .doc = "[0, 1) from key (seed, counter), stream and index",
    .infer = [](const Call& c, Specs& out) {
      if (!(c.in[0] == Spec{DType::i64, {2}})) c.fail("a key int64(2,): seed and counter", c.in[0].text());
      const Shape& shape = c.as<RandomAttrs>().shape;
      check_sizes("uniform", shape);
      out.push({DType::f32, shape});
    },
    .eval = [](const Context& c) {
      const int64_t* key = c.in[0].i64();
      auto stream = uint64_t(c.as<RandomAttrs>().stream);
      auto [begin, end] = c.slice(c.out[0].shape().count(), 4);
      for (int64_t i = begin; i < end; i += 4) {
        Philox4 r = philox(uint64_t(key[0]), uint64_t(i / 4), uint64_t(key[1]) << 16 ^ stream);
        for (int64_t k = i; k < std::min(i + 4, end); ++k) c.out[0].f32()[k] = unit_float(r.at[k - i]);
      }
    },
    .work = elementwise_work, .samples = []() -> std::vector<Sample> {
      return {{{indices({7, 1})}, std::make_shared<RandomAttrs>(RandomAttrs{{3, 5}, 0})}}; },
    .traits = {.stops_gradient = true, .random = true, .dense = 1, .out = Layout::dense}, .attrs = codec<RandomAttrs>};

Tensor gather(const Tensor& table, const Tensor& rows, int axis) {
  return apply(gather_op, {table, rows}, GatherAttrs{normal_axis("gather", axis, table.rank())});
}
Tensor scatter_add(const Tensor& values, const Tensor& rows, int64_t size) { return apply(scatter_add_op, {values, rows}, SizeAttrs{size}); }
Tensor one_hot(const Tensor& labels, int64_t size) {
  bool narrow = is_integer(labels.dtype()) && labels.dtype() != DType::i64 && labels.dtype() != DType::i32;
  return apply(one_hot_op, {narrow ? cast(labels, DType::i64) : labels}, SizeAttrs{size});
}
Tensor nonzero(const Tensor& x) { return apply(nonzero_op, {x}); }
Tensor uniform(const Tensor& key, const Shape& shape, int64_t stream) { return apply(uniform_op, {key}, RandomAttrs{shape, stream}); }
Tensor dropout(const Tensor& x, float p, const Tensor& key, int64_t stream) {
  if (!(p >= 0 && p <= 1)) throw Error(ErrorKind::value, "dropout", "a probability in [0, 1]", std::to_string(p));
  if (p == 0) return x;
  if (p == 1) return x * 0.0;
  Tensor kept = greater_equal(uniform(key, x.shape(), stream), Tensor::full({}, p));
  return where(kept, x * (1.0 / (1.0 - double(p))), number_like(x, 0));
}

}  // namespace miniten
