#include <cmath>
#include "miniten/core/memory_limit.h"
#include "ops/tflite_rules.h"

// Operators that move values. Integers that stand for numbers move as integers where the output has the same scale.
namespace miniten::tflite {

namespace {

using Ints = std::vector<int64_t>;

Dims dims(const Ints& v) { return Dims(std::span<const Dim>(v)); }
Tensor ints(const Ints& v) { return Tensor::of<int64_t>({int64_t(v.size())}, v); }
void require_static(const ForeignNode& n, const Tensor& x) {
  if (!x.shape().is_static()) n.fail("known sizes", x.spec().text());
}
Shape sizes_of(const ForeignNode& n, int i) {
  Ints v = n.constant_integers(i);
  if (v.size() > size_t(Dims::capacity)) n.fail("at most 8 axes", std::to_string(v.size()));
  for (int64_t d : v) if (d < 0) n.fail("sizes of 0 or more", std::to_string(d));
  check_sizes("load_tflite", dims(v));
  return dims(v);
}

Tensors reshape(const ForeignNode& n) {
  Tensor x = as_output(n, 0), shape = optional(n, 1);
  bool given = shape && shape.has_data();
  Ints sizes = given ? n.constant_integers(1) : n.integers("new_shape", {});
  if (!given && sizes.empty()) for (Dim d : n.output_spec(0).shape) sizes.push_back(d);
  if (sizes.size() > size_t(Dims::capacity)) n.fail("at most 8 axes", std::to_string(sizes.size()));
  return {miniten::reshape(x, dims(sizes))};
}
Tensors squeeze(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  Ints given = n.integers("squeeze_dims", {});
  Axes gone;
  for (int64_t a : given) gone.push(axis_of(n, a, x.rank()));
  Shape to;
  for (int i = 0; i < x.rank(); ++i) {
    bool drop = given.empty() ? x.dim(i) == 1 : gone.has(i);
    if (drop && x.dim(i) != 1) n.fail("axes of size 1 to drop", x.spec().text());
    if (!drop) to.push(x.dim(i));
  }
  return {miniten::reshape(x, to)};
}
Tensors expand_dims(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  return {unsqueeze(x, axis_of(n, n.constant_integers(1).at(0), x.rank() + 1))};
}
Tensors transpose(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  Ints order = n.constant_integers(1);
  if (int(order.size()) != x.rank()) n.fail("an order of all axes of " + x.spec().text(), std::to_string(order.size()) + " numbers");
  for (int64_t& a : order) a = axis_of(n, a, x.rank());
  return {miniten::permute(x, dims(order))};
}
Tensors concatenation(const ForeignNode& n) {
  Tensors parts;
  for (int i = 0; i < n.inputs(); ++i) parts.push_back(as_output(n, i));
  if (parts.empty()) n.fail("something to concatenate", "nothing");
  Tensor y = miniten::concat(parts, axis_of(n, n.integer("axis", 0), parts[0].rank()));
  return {n.integer("fused_activation_function", 0) ? result(n, activated(n, y)) : y};
}
Tensors pack(const ForeignNode& n) {
  Tensors parts;
  for (int i = 0; i < n.inputs(); ++i) parts.push_back(as_output(n, i));
  if (parts.empty()) n.fail("something to pack", "nothing");
  int axis = axis_of(n, n.integer("axis", 0), parts[0].rank() + 1);
  return {stack(parts, axis)};
}
Tensors unpack(const ForeignNode& n) {
  Tensor x = n.required(0);
  int axis = axis_of(n, n.integer("axis", 0), x.rank());
  if (x.dim(axis) != n.outputs()) n.fail(std::to_string(n.outputs()) + " slices", x.spec().text());
  Tensors out;
  for (int i = 0; i < n.outputs(); ++i) out.push_back(as_output(n, miniten::select(x, axis, i), i));
  return out;
}
Tensors split(const ForeignNode& n) {
  bool by_sizes = n.type() == "SPLIT_V";
  Tensor x = n.required(by_sizes ? 0 : 1);
  int axis = axis_of(n, n.constant_integers(by_sizes ? 2 : 0).at(0), x.rank()), count = n.outputs();
  if (is_symbol(x.dim(axis))) n.fail("a known size to split", x.spec().text());
  Ints sizes(size_t(count), count ? x.dim(axis) / count : 0);
  if (by_sizes) sizes = n.constant_integers(1);
  int64_t total = 0;
  for (int64_t& s : sizes) if (s >= 0) total += s;
  for (int64_t& s : sizes) if (s == -1) { s = x.dim(axis) - total; total = x.dim(axis); }
  if (int(sizes.size()) != count || total != x.dim(axis)) n.fail("sizes that make up " + std::to_string(x.dim(axis)), std::to_string(total));
  Tensors out;
  int64_t at = 0;
  for (int i = 0; i < count; ++i) {
    if (sizes[size_t(i)] < 0) n.fail("sizes of 0 or more", std::to_string(sizes[size_t(i)]));
    out.push_back(as_output(n, miniten::slice(x, axis, at, at + sizes[size_t(i)]), i, by_sizes ? 0 : 1));
    at += sizes[size_t(i)];
  }
  return out;
}
Tensors slice(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  Ints begin = n.constant_integers(1), size = n.constant_integers(2);
  if (int(begin.size()) != x.rank() || size.size() != begin.size()) n.fail("a begin and a size for each axis of " + x.spec().text(), std::to_string(begin.size()));
  for (int i = 0; i < x.rank(); ++i) {
    int64_t b = begin[size_t(i)], s = size[size_t(i)];
    if (b == 0 && (s == -1 || s == x.dim(i))) continue;
    if (is_symbol(x.dim(i)) || b < 0 || b > x.dim(i) || (s != -1 && (s < 0 || s > x.dim(i) - b))) n.fail("a slice inside " + x.spec().text(), std::to_string(b) + " and " + std::to_string(s));
    x = miniten::slice(x, i, b, s == -1 ? x.dim(i) : b + s);
  }
  return {x};
}
Tensors strided_slice(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  Ints begin = n.constant_integers(1), end = n.constant_integers(2), step = n.constant_integers(3);
  int64_t begins = n.integer("begin_mask", 0), ends = n.integer("end_mask", 0), ellipsis = n.integer("ellipsis_mask", 0), fresh = n.integer("new_axis_mask", 0),
          shrinks = n.integer("shrink_axis_mask", 0);
  bool offset = n.integer("offset", 0) != 0;
  size_t count = begin.size();
  if (count > 31 || end.size() != count || step.size() != count) n.fail("a begin, an end and a step for each axis", std::to_string(count));
  auto bit = [](int64_t mask, size_t i) { return (mask >> i & 1) != 0; };
  int kept = 0;                                                           // axes of x that the numbers speak of
  for (size_t i = 0; i < count; ++i) kept += !bit(fresh, i) && !bit(ellipsis, i);
  if (kept > x.rank()) n.fail("at most " + std::to_string(x.rank()) + " axes", std::to_string(kept));
  Shape to;
  int axis = 0;
  bool seen = false;
  for (size_t i = 0; i < count; ++i) {
    if (bit(ellipsis, i)) {
      if (seen) n.fail("one ellipsis", "two");
      seen = true;
      for (int k = 0; k < x.rank() - kept; ++k) to.push(x.dim(axis++));
      continue;
    }
    if (bit(fresh, i)) { to.push(1); continue; }
    Dim size = x.dim(axis);
    int64_t b = begin[i], e = offset ? begin[i] + end[i] : end[i], s = step[i];
    if (s == 0) n.fail("steps other than 0", "0");
    if (bit(shrinks, i)) {
      if (is_symbol(size)) n.fail("a known size", x.spec().text());
      if (b < 0) b += size;
      if (b < 0 || b >= size) n.fail("an index inside " + x.spec().text(), std::to_string(begin[i]));
      x = miniten::slice(x, axis++, b, b + 1);
      continue;
    }
    bool whole = s == 1 && (bit(begins, i) || b == 0) && (bit(ends, i) || e == size);
    if (!whole) {
      if (is_symbol(size)) n.fail("a known size to slice", x.spec().text());
      x = miniten::slice(x, axis, bit(begins, i) ? (s > 0 ? 0 : INT64_MAX) : b, bit(ends, i) ? (s > 0 ? INT64_MAX : INT64_MIN) : e, s);
    }
    to.push(x.dim(axis++));
  }
  while (axis < x.rank()) to.push(x.dim(axis++));
  return {miniten::reshape(x, to)};
}

Tensors gather(const ForeignNode& n) {
  Tensor x = as_output(n, 0), index = n.required(1);
  int axis = axis_of(n, n.integer("axis", 0), x.rank());
  int64_t batches = n.integer("batch_dims", 0);
  if (batches < 0) batches += index.rank();
  if (batches < 0 || batches > axis || batches > index.rank()) n.fail("batch axes in front", std::to_string(batches));
  if (batches == 0) return {miniten::gather(x, index, axis)};
  require_static(n, x);
  require_static(n, index);
  Shape lead, x_rest, index_rest;
  for (int i = 0; i < x.rank(); ++i) if (i < batches) lead.push(x.dim(i)); else x_rest.push(x.dim(i));
  for (int i = 0; i < index.rank(); ++i)
    if (i >= batches) index_rest.push(index.dim(i));
    else if (index.dim(i) != lead[i]) n.fail("batches that agree", index.spec().text());
  int64_t total = lead.count();
  if (total < 1 || total > 4096) n.fail("at most 4096 batches", std::to_string(total));
  Shape x_flat{total}, index_flat{total};
  for (Dim d : x_rest) x_flat.push(d);
  for (Dim d : index_rest) index_flat.push(d);
  Tensor a = miniten::reshape(x, x_flat), b = miniten::reshape(index, index_flat);
  Tensors rows;
  for (int64_t i = 0; i < total; ++i) rows.push_back(miniten::gather(miniten::select(a, 0, i), miniten::select(b, 0, i), axis - int(batches)));
  Tensor y = stack(rows, 0);
  for (int i = 1; i < y.rank(); ++i) lead.push(y.dim(i));
  return {miniten::reshape(y, lead)};
}
// Index tuples (.., k) as places in the first k axes, flattened.
Tensor flat_index(const ForeignNode& n, const Tensor& index, const Shape& shape) {
  if (index.rank() < 1 || is_symbol(index.dim(-1)) || index.dim(-1) > shape.rank || index.dim(-1) < 1) n.fail("index tuples for " + shape.text(), index.spec().text());
  auto k = int(index.dim(-1));
  Ints strides(size_t(k), 1);
  for (int i = k - 1; i-- > 0;) strides[size_t(i)] = strides[size_t(i) + 1] * shape[i + 1];
  return sum(miniten::cast(index, DType::i64) * ints(strides), {-1});
}
Tensors gather_nd(const ForeignNode& n) {
  Tensor x = as_output(n, 0), index = n.required(1);
  require_static(n, x);
  Tensor at = flat_index(n, index, x.shape());
  Shape rows{1};
  for (int i = 0; i < x.rank(); ++i) if (i < index.dim(-1)) rows[0] *= x.dim(i); else rows.push(x.dim(i));
  return {miniten::gather(miniten::reshape(x, rows), at, 0)};
}
Tensors scatter_nd(const ForeignNode& n) {
  Shape shape = sizes_of(n, 2);
  Tensor index = n.required(0), values = n.required(1), at = flat_index(n, index, shape);
  int64_t rows = 1, k = index.dim(-1);
  for (int i = 0; i < k; ++i) rows *= shape[i];
  DType t = values.dtype();
  if (t != DType::f32) values = miniten::cast(values, DType::f64);
  Tensor y = miniten::reshape(scatter_add(values, at, rows), shape);
  return {miniten::cast(y, t)};
}
Tensors embedding_lookup(const ForeignNode& n) {
  Tensor ids = n.required(0);
  return {result(n, miniten::gather(real(n, 1), ids, 0))};
}
Tensors one_hot(const ForeignNode& n) {
  Tensor index = n.required(0), on = n.required(2), off = n.required(3);
  int64_t depth = n.constant_integers(1).at(0);
  if (depth < 0 || depth > (1 << 24)) n.fail("a depth", std::to_string(depth));
  int axis = n.integer("axis", -1) == -1 ? index.rank() : axis_of(n, n.integer("axis", -1), index.rank() + 1);
  Shape to = index.shape();
  to.push(depth);
  check_sizes("load_tflite", to);
  Ints count;
  for (int64_t i = 0; i < depth; ++i) count.push_back(i);
  Shape along = Dims::filled(index.rank() + 1, 1);
  along[axis] = depth;
  Tensor hit = equal(unsqueeze(miniten::cast(index, DType::i64), axis), miniten::reshape(ints(count), along));
  return {miniten::where(hit, miniten::reshape(on, {}), miniten::reshape(off, {}))};
}

Tensors pad(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  Ints by = n.constant_integers(1);
  if (int64_t(by.size()) != 2 * x.rank()) n.fail("two numbers for each axis of " + x.spec().text(), std::to_string(by.size()));
  Dims before, after;
  for (int i = 0; i < x.rank(); ++i) { before.push(by[size_t(2 * i)]); after.push(by[size_t(2 * i) + 1]); }
  Shape to = x.shape();
  for (int i = 0; i < x.rank(); ++i) {
    if (before[i] < 0 || after[i] < 0 || before[i] > (1 << 28) || after[i] > (1 << 28)) n.fail("padding of 0 or more", before.text() + " and " + after.text());
    to[i] = is_symbol(to[i]) ? to[i] : to[i] + before[i] + after[i];
  }
  check_sizes("load_tflite", to);
  double value = 0;
  if (n.type() == "PADV2") value = n.constant(2).item();
  else if (const Quantized* q = n.quantized_output(0); is_quantized(x.dtype(), q)) value = q->zero[0];
  return {miniten::pad(x, before, after, value)};
}
Tensors mirror_pad(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  require_static(n, x);
  Ints by = n.constant_integers(1);
  int64_t skip = n.integer("mode", 0) == 0 ? 1 : 0;                       // REFLECT leaves the edge out
  if (int64_t(by.size()) != 2 * x.rank()) n.fail("two numbers for each axis of " + x.spec().text(), std::to_string(by.size()));
  for (int i = 0; i < x.rank(); ++i) {
    int64_t before = by[size_t(2 * i)], after = by[size_t(2 * i) + 1], size = x.dim(i);
    if (before == 0 && after == 0) continue;
    if (before < 0 || after < 0 || before > size - skip || after > size - skip) n.fail("padding within " + x.spec().text(), std::to_string(before) + " and " + std::to_string(after));
    MemoryLimit::check_numbers(before + size + after);
    Ints rows;
    for (int64_t k = before; k > 0; --k) rows.push_back(k - 1 + skip);
    for (int64_t k = 0; k < size; ++k) rows.push_back(k);
    for (int64_t k = 0; k < after; ++k) rows.push_back(size - 1 - skip - k);
    x = miniten::gather(x, ints(rows), i);
  }
  return {x};
}
Tensors tile(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  Ints times = n.constant_integers(1);
  if (int(times.size()) != x.rank()) n.fail("a number for each axis of " + x.spec().text(), std::to_string(times.size()));
  Shape to = x.shape();
  for (int i = 0; i < x.rank(); ++i) {
    if (times[size_t(i)] < 1 || times[size_t(i)] > (1 << 24)) n.fail("repetitions of 1 or more", std::to_string(times[size_t(i)]));
    to[i] = is_symbol(to[i]) ? to[i] : std::min<int64_t>(to[i], 1 << 28) * times[size_t(i)];
  }
  check_sizes("load_tflite", to);
  return {miniten::repeat(x, dims(times))};
}
Tensors broadcast_to(const ForeignNode& n) { return {miniten::copy(miniten::expand(as_output(n, 0), sizes_of(n, 1)))}; }
Tensors reverse(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  Axes axes;
  for (int64_t a : n.constant_integers(1)) axes.push(axis_of(n, a, x.rank()));
  return {flip(x, axes)};
}
Tensors dynamic_update_slice(const ForeignNode& n) {
  Tensor x = n.required(0), part = n.required(1);
  Ints at = n.constant_integers(2);
  require_static(n, x);
  if (int(at.size()) != x.rank() || part.rank() != x.rank()) n.fail("a place for each axis of " + x.spec().text(), std::to_string(at.size()));
  for (int i = 0; i < x.rank(); ++i) {
    if (part.dim(i) > x.dim(i)) n.fail("a part of " + x.spec().text(), part.spec().text());
    at[size_t(i)] = std::clamp<int64_t>(at[size_t(i)], 0, x.dim(i) - part.dim(i));
  }
  for (int i = x.rank(); i-- > 0;) {                                      // what lies around it, one axis more each time
    Tensor frame = x;
    for (int k = 0; k < i; ++k) frame = miniten::slice(frame, k, at[size_t(k)], at[size_t(k)] + part.dim(k));
    Tensors row{miniten::slice(frame, i, 0, at[size_t(i)]), part, miniten::slice(frame, i, at[size_t(i)] + part.dim(i), x.dim(i))};
    std::erase_if(row, [&](const Tensor& t) { return t.dim(i) == 0; });
    part = row.size() == 1 ? row[0] : miniten::concat(row, i);
  }
  return {part};
}

Tensors shape(const ForeignNode& n) {
  Tensor x = n.required(0);
  require_static(n, x);
  Ints v(x.shape().begin(), x.shape().end());
  return {miniten::cast(ints(v), n.output_spec(0).dtype)};
}
Tensors rank(const ForeignNode& n) { return {Tensor::full({}, n.required(0).rank(), DType::i32)}; }
Tensors fill(const ForeignNode& n) { return {miniten::copy(miniten::expand(miniten::reshape(n.required(1), {}), sizes_of(n, 0)))}; }
Tensors zeros_like(const ForeignNode& n) {
  Tensor x = n.required(0);
  require_static(n, x);
  return {Tensor::zeros(x.shape(), x.dtype())};
}
Tensors range(const ForeignNode& n) {
  double from = n.constant(0).item(), to = n.constant(1).item(), by = n.constant(2).item();
  double count = by == 0 ? -1 : std::ceil((to - from) / by);
  if (!(count <= 1 << 24)) n.fail("at most 2^24 numbers", std::to_string(count));
  std::vector<double> v;
  for (int64_t i = 0; i < int64_t(count); ++i) v.push_back(from + double(i) * by);
  return {miniten::cast(Tensor::of<double>({int64_t(v.size())}, v), n.output_spec(0).dtype)};
}
Tensors where(const ForeignNode& n) { return {nonzero(n.required(0))}; }

// ---- blocks of images ----
Tensors depth_to_space(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  int64_t b = n.integer("block_size", 1);
  if (x.rank() != 4 || b < 1 || b > 4096 || is_symbol(x.dim(3)) || x.dim(3) % (b * b)) n.fail("images of channels in blocks", x.spec().text());
  Tensor y = miniten::permute(miniten::reshape(x, {x.dim(0), x.dim(1), x.dim(2), b, b, x.dim(3) / (b * b)}), {0, 1, 3, 2, 4, 5});
  return {miniten::reshape(y, {x.dim(0), x.dim(1) * b, x.dim(2) * b, x.dim(3) / (b * b)})};
}
Tensors space_to_depth(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  int64_t b = n.integer("block_size", 1);
  if (x.rank() != 4 || b < 1 || is_symbol(x.dim(1)) || is_symbol(x.dim(2)) || x.dim(1) % b || x.dim(2) % b) n.fail("images of whole blocks", x.spec().text());
  Tensor y = miniten::permute(miniten::reshape(x, {x.dim(0), x.dim(1) / b, b, x.dim(2) / b, b, x.dim(3)}), {0, 1, 3, 2, 4, 5});
  return {miniten::reshape(y, {x.dim(0), x.dim(1) / b, x.dim(2) / b, b * b * x.dim(3)})};
}
struct Blocks { Ints size, before, after; };
Blocks blocks_of(const ForeignNode& n, const Tensor& x) {
  Blocks b{n.constant_integers(1), {}, {}};
  Ints pairs = n.constant_integers(2);
  require_static(n, x);
  if (b.size.empty() || int(b.size.size()) >= x.rank() || pairs.size() != 2 * b.size.size()) n.fail("blocks of axes of " + x.spec().text(), std::to_string(b.size.size()));
  for (size_t i = 0; i < b.size.size(); ++i) {
    b.before.push_back(pairs[2 * i]);
    b.after.push_back(pairs[2 * i + 1]);
    if (b.size[i] < 1 || b.size[i] > 4096 || pairs[2 * i] < 0 || pairs[2 * i + 1] < 0) n.fail("blocks of 1 or more", std::to_string(b.size[i]));
  }
  return b;
}
Tensors space_to_batch(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  Blocks b = blocks_of(n, x);
  auto m = int(b.size.size());
  Dims before = Dims::filled(x.rank(), 0), after = before;
  for (int i = 0; i < m; ++i) { before[i + 1] = b.before[size_t(i)]; after[i + 1] = b.after[size_t(i)]; }
  const Quantized* q = n.quantized_output(0);
  x = miniten::pad(x, before, after, is_quantized(x.dtype(), q) ? q->zero[0] : 0);
  Shape cut{x.dim(0)}, to{x.dim(0)};
  Axes order;
  for (int i = 0; i < m; ++i) {
    int64_t s = b.size[size_t(i)];
    if (x.dim(i + 1) % s) n.fail("whole blocks", x.spec().text());
    cut.push(x.dim(i + 1) / s);
    cut.push(s);
    to[0] *= s;
    to.push(x.dim(i + 1) / s);
    order.push(2 + 2 * i);
  }
  order.push(0);
  for (int i = 0; i < m; ++i) order.push(1 + 2 * i);
  for (int i = m + 1; i < x.rank(); ++i) { order.push(cut.rank); cut.push(x.dim(i)); to.push(x.dim(i)); }
  return {miniten::reshape(miniten::permute(miniten::reshape(x, cut), order), to)};
}
Tensors batch_to_space(const ForeignNode& n) {
  Tensor x = as_output(n, 0);
  Blocks b = blocks_of(n, x);
  auto m = int(b.size.size());
  int64_t all = 1;
  for (int64_t s : b.size) all *= s;
  if (all < 1 || x.dim(0) % all) n.fail("batches of whole blocks", x.spec().text());
  Shape cut, to{x.dim(0) / all};
  for (int64_t s : b.size) cut.push(s);
  cut.push(x.dim(0) / all);
  Axes order{m};
  for (int i = 0; i < m; ++i) {
    order.push(cut.rank);
    order.push(i);
    cut.push(x.dim(i + 1));
    to.push(x.dim(i + 1) * b.size[size_t(i)]);
  }
  for (int i = m + 1; i < x.rank(); ++i) { order.push(cut.rank); cut.push(x.dim(i)); to.push(x.dim(i)); }
  Tensor y = miniten::reshape(miniten::permute(miniten::reshape(x, cut), order), to);
  for (int i = 0; i < m; ++i) {
    int64_t end = y.dim(i + 1) - b.after[size_t(i)];
    if (b.before[size_t(i)] > end) n.fail("crops inside " + y.spec().text(), std::to_string(b.before[size_t(i)]));
    if (b.before[size_t(i)] || b.after[size_t(i)]) y = miniten::slice(y, i + 1, b.before[size_t(i)], end);
  }
  return {y};
}

// ---- resizing: rows and columns taken by index, two and two for bilinear ----
struct Places { Ints lower, upper, nearest; std::vector<float> part; };
Places places_of(const ForeignNode& n, int64_t in, int64_t out) {
  bool corners = n.integer("align_corners", 0) != 0, half = n.integer("half_pixel_centers", 0) != 0;
  float scale = corners && out > 1 ? float(in - 1) / float(out - 1) : float(in) / float(out);
  Places p;
  for (int64_t i = 0; i < out; ++i) {
    float at = half ? (float(i) + 0.5f) * scale - 0.5f : float(i) * scale, place = (float(i) + (half ? 0.5f : 0)) * scale;
    int64_t lower = std::max<int64_t>(int64_t(std::floor(at)), 0);
    p.lower.push_back(std::min(lower, in - 1));
    p.upper.push_back(std::clamp<int64_t>(int64_t(std::ceil(at)), 0, in - 1));
    p.part.push_back(at - float(lower));
    p.nearest.push_back(std::clamp<int64_t>(int64_t(corners ? std::round(place) : std::floor(place)), 0, in - 1));
  }
  return p;
}
Tensors resize(const ForeignNode& n) {
  bool bilinear = n.type() == "RESIZE_BILINEAR";
  Tensor x = bilinear ? real(n, 0) : as_output(n, 0);
  Shape size = sizes_of(n, 1);
  if (x.rank() != 4 || size.rank != 2 || size[0] < 1 || size[1] < 1 || size[0] > (1 << 20) || size[1] > (1 << 20)) n.fail("images, and a height and width", x.spec().text() + " and " + size.text());
  check_sizes("load_tflite", {x.dim(0), size[0], size[1], x.dim(3)});
  for (int axis : {1, 2}) {
    if (is_symbol(x.dim(axis)) || x.dim(axis) < 1) n.fail("known sizes", x.spec().text());
    if (x.dim(axis) == size[axis - 1]) continue;
    Places p = places_of(n, x.dim(axis), size[axis - 1]);
    if (!bilinear) { x = miniten::gather(x, ints(p.nearest), axis); continue; }
    Shape along = axis == 1 ? Shape{size[0], 1, 1} : Shape{size[1], 1};
    Tensor a = miniten::gather(x, ints(p.lower), axis), b = miniten::gather(x, ints(p.upper), axis);
    x = a + (b - a) * Tensor::of<float>(along, p.part);
  }
  return {bilinear ? result(n, x) : x};
}

constexpr ForeignComposition rules[] = {
    {"tflite", "RESHAPE", reshape}, {"tflite", "SQUEEZE", squeeze}, {"tflite", "EXPAND_DIMS", expand_dims}, {"tflite", "TRANSPOSE", transpose},
    {"tflite", "CONCATENATION", concatenation}, {"tflite", "PACK", pack}, {"tflite", "UNPACK", unpack}, {"tflite", "SPLIT", split}, {"tflite", "SPLIT_V", split},
    {"tflite", "SLICE", slice}, {"tflite", "STRIDED_SLICE", strided_slice}, {"tflite", "GATHER", gather}, {"tflite", "GATHER_ND", gather_nd},
    {"tflite", "SCATTER_ND", scatter_nd}, {"tflite", "EMBEDDING_LOOKUP", embedding_lookup}, {"tflite", "ONE_HOT", one_hot}, {"tflite", "PAD", pad}, {"tflite", "PADV2", pad},
    {"tflite", "MIRROR_PAD", mirror_pad}, {"tflite", "TILE", tile}, {"tflite", "BROADCAST_TO", broadcast_to}, {"tflite", "REVERSE_V2", reverse},
    {"tflite", "DYNAMIC_UPDATE_SLICE", dynamic_update_slice}, {"tflite", "SHAPE", shape}, {"tflite", "RANK", rank}, {"tflite", "FILL", fill},
    {"tflite", "ZEROS_LIKE", zeros_like}, {"tflite", "RANGE", range}, {"tflite", "WHERE", where}, {"tflite", "DEPTH_TO_SPACE", depth_to_space},
    {"tflite", "SPACE_TO_DEPTH", space_to_depth}, {"tflite", "SPACE_TO_BATCH_ND", space_to_batch}, {"tflite", "BATCH_TO_SPACE_ND", batch_to_space},
    {"tflite", "RESIZE_BILINEAR", resize}, {"tflite", "RESIZE_NEAREST_NEIGHBOR", resize},
    {"tflite", "DENSIFY", [](const ForeignNode& n) -> Tensors { return {n.required(0)}; }}};      // sparse constants are made dense as they are read

}  // namespace

Compositions shape_rules() { return rules; }

}  // namespace miniten::tflite
