#include <algorithm>
#include <bit>
#include <cmath>
#include "miniten/base/half.h"
#include "miniten/ops/ops.h"
#include "ops/loops.h"
#include "ops/onnx_rules.h"

namespace miniten {

// Order along an axis: stable, NaN greatest, as torch.
namespace {

// An unsigned number in the order of the values: NaN greatest, zeros of both signs equal.
template <class T> uint64_t order_key(T x) {
  if constexpr (std::is_class_v<T>) return order_key(float(x));
  else if constexpr (std::is_floating_point_v<T>) {
    constexpr uint64_t sign = uint64_t{1} << 63;
    if (x != x) return ~uint64_t{0};
    const uint64_t bits = std::bit_cast<uint64_t>(double(x) + 0.0);
    return bits & sign ? ~bits : bits | sign;
  } else if constexpr (std::is_signed_v<T>) return uint64_t(int64_t(x)) ^ (uint64_t{1} << 63);
  else return uint64_t(x);
}
struct Ranked {
  uint64_t key;
  int64_t at;
  bool operator<(const Ranked& o) const { return key != o.key ? key < o.key : at < o.at; }
};
// The first k of n behind `skipped` in order.
void rank(Ranked* item, int64_t n, int64_t k, int64_t skipped) {
  if (skipped) std::nth_element(item, item + skipped, item + n);
  item += skipped, n -= skipped;
  if (k == 1) return std::iter_swap(item, std::min_element(item, item + n));
  if (k < n / 16) return std::partial_sort(item, item + k, item + n);
  if (k < n) std::nth_element(item, item + k, item + n);
  std::sort(item, item + k);
}

template <class T> void keys_of(const std::byte* x, int64_t at, int64_t step, int64_t n, uint64_t turn, Ranked* item) {
  const T* from = reinterpret_cast<const T*>(x) + at;
  for (int64_t i = 0; i < n; ++i) item[i] = {order_key(from[i * step]) ^ turn, i};
}

void order_eval(const Context& c, int64_t skipped) {
  const auto& at = c.as<SortAttrs>();
  const View &x = c.in[0], &y = c.out[0];
  int axis = int(at.axis);
  int64_t n = x.shape()[axis], k = y.shape()[axis], step = x.strides[axis], to_step = y.strides[axis];
  View operands[] = {y, x};
  Shape lines = y.shape();
  lines[axis] = operands[0].spec.shape[axis] = operands[1].spec.shape[axis] = 1;
  auto* item = reinterpret_cast<Ranked*>(c.scratch);
  const uint64_t turn = at.descending ? ~uint64_t{0} : 0;
  auto keys = keys_of<Half>;                                   // one walk for all dtypes
  if (x.spec.dtype == DType::bf16) keys = keys_of<BFloat16>;
  else if (x.spec.dtype != DType::f16) visit_dtype(x.spec.dtype, [&](auto zero) { keys = keys_of<decltype(zero)>; });
  ElementLoop(lines, operands).run(c, [&](const int64_t* start, const int64_t* s, int64_t rows) {
    for (int64_t r = 0; r < rows; ++r) {
      int64_t* to = y.i64() + start[0] + r * s[0];
      keys(x.data, start[1] + r * s[1], step, n, turn, item);
      rank(item, n, k, skipped);
      for (int64_t i = 0; i < k; ++i) to[i * to_step] = item[skipped + i].at;
    }
  });
}
void argsort_eval(const Context& c) { order_eval(c, 0); }

}  // namespace

constinit const OpDef argsort_op{.name = "argsort", .doc = "indices in the order of the values along an axis",
    .infer = [](const Call& c, Specs& out) {
      const auto& at = c.as<SortAttrs>();
      Spec spec{DType::i64, c.in[0].shape};
      if (at.axis < 0 || at.axis >= spec.shape.rank) c.fail("an axis below " + std::to_string(spec.shape.rank), std::to_string(at.axis), "", ErrorKind::index);
      if (bits_of(c.in[0].dtype) < 8) c.fail("whole bytes", c.in[0].text(), "convert with cast first", ErrorKind::type);
      Dim& n = spec.shape[int(at.axis)];
      if (is_symbol(n)) c.fail("a known size on the sorted axis", c.in[0].shape.text(), "trace with a fixed shape", ErrorKind::unsupported);
      if (at.k < -1 || at.k > n) c.fail("k in [0, " + std::to_string(n) + "]", std::to_string(at.k));
      if (at.k >= 0) n = at.k;
      out.push(spec);
    },
    .eval = argsort_eval,
    .work = [](const Call& c) {
      return Work{.pieces = pieces_for(c.in[0].shape.count()), .scratch = uint64_t(c.in[0].shape[int(c.as<SortAttrs>().axis)]) * sizeof(Ranked)};
    },
    .cost = [](const Call& c) { return Cost{0, c.in[0].shape.count() * int64_t(std::log2(double(c.in[0].shape[int(c.as<SortAttrs>().axis)]) + 1) + 1)}; },
    .samples = []() -> std::vector<Sample> {
      return {{{sample_values({2, 5})}, std::make_shared<SortAttrs>(SortAttrs{1})}, {{transpose(sample_values({2, 5}))}, std::make_shared<SortAttrs>(SortAttrs{0, true, 3})}};
    },
    .traits = {.stops_gradient = true, .out = Layout::dense}, .onnx = {"TopK", 11, &onnx::argsort}, .attrs = codec<SortAttrs>};

// ---- functions ----
static int axis_of(std::string_view op, const Tensor& x, int axis) { return std::max(normal_axis(op, axis, x.rank()), 0); }
static Tensor one_axis(const Tensor& x) { return x.rank() ? x : reshape(x, {1}); }

Tensor argsort(const Tensor& x, int axis, bool descending) {
  axis = axis_of("argsort", x, axis);
  return reshape(apply(argsort_op, {one_axis(x)}, SortAttrs{axis, descending, -1}), x.shape());
}
Sorted sort(const Tensor& x, int axis, bool descending) {
  axis = axis_of("sort", x, axis);
  Tensor line = one_axis(x), order = apply(argsort_op, {line}, SortAttrs{axis, descending, -1});
  return {reshape(gather_elements(line, order, axis), x.shape()), reshape(order, x.shape())};
}
Tensor quantile(const Tensor& x, std::span<const double> q, int axis, Quantile kind) {
  axis = axis_of("quantile", x, axis);
  if (!is_float(x.dtype())) throw Error(ErrorKind::type, "quantile", "floats", x.spec().text(), "convert with cast first");
  Sorted s = sort(one_axis(x), axis);
  int64_t n = s.values.dim(axis);
  if (n == 0) throw Error(ErrorKind::value, "quantile", "at least one value", x.shape().text());
  std::vector<int64_t> lower, upper;
  std::vector<double> weight;
  for (double p : q) {
    if (!(p >= 0 && p <= 1)) throw Error(ErrorKind::value, "quantile", "q in [0, 1]", std::to_string(p));
    double at = p * double(n - 1), down = std::floor(at), up = std::ceil(at);
    if (kind == Quantile::lower) up = down;
    if (kind == Quantile::higher) down = up;
    if (kind == Quantile::nearest) up = down = std::nearbyint(at);
    lower.push_back(int64_t(down));
    upper.push_back(int64_t(up));
    weight.push_back(kind == Quantile::midpoint && up > down ? 0.5 : up > down ? at - down : 0);
  }
  int64_t count = int64_t(q.size());
  Shape along = Dims::filled(s.values.rank(), 1);
  along[axis] = count;
  Tensor y = index_select(s.values, axis, Tensor::of<int64_t>({count}, lower));
  if (lower != upper) {
    Tensor high = index_select(s.values, axis, Tensor::of<int64_t>({count}, upper));
    y = y + (high - y) * cast(Tensor::of<double>(along, weight), x.dtype());
  }
  Tensor last = slice(s.values, axis, n - 1, n);               // NaN where there is one
  return where(isnan(last), last, y);
}
Sorted topk(const Tensor& x, int64_t k, int axis, bool largest) {
  axis = axis_of("topk", x, axis);
  Tensor line = one_axis(x);
  if (k < 0) throw Error(ErrorKind::value, "topk", "k of 0 or more", std::to_string(k));
  Tensor order = apply(argsort_op, {line}, SortAttrs{axis, largest, k});
  Tensor values = gather_elements(line, order, axis);
  if (x.rank() == 0 && k == 1) return {reshape(values, {}), reshape(order, {})};
  return {values, order};
}
Tensor median(const Tensor& x, int axis, bool keepdim) {
  axis = axis_of("median", x, axis);
  Tensor line = one_axis(x);
  int64_t n = line.dim(axis);
  if (n == 0) throw Error(ErrorKind::value, "median", "an axis of at least one element", x.shape().text());
  const int64_t half = (n - 1) / 2;
  Tensor at;
  if (line.has_data()) {                                      // nothing needs the order of those before it
    Shape shape = line.shape();
    shape[axis] = 1;
    at = Tensor::empty({DType::i64, shape});
    SortAttrs attrs{axis, false, 1};
    View in = line.view(), out = at.view();
    std::vector<Ranked> memory(static_cast<size_t>(n));
    order_eval({.op = argsort_op, .attrs = &attrs, .in = {&in, 1}, .out = {&out, 1}, .scratch = reinterpret_cast<std::byte*>(memory.data())}, half);
  } else at = slice(apply(argsort_op, {line}, SortAttrs{axis, false, half + 1}), axis, half, half + 1);
  Tensor middle = gather_elements(line, at, axis);
  if (is_float(x.dtype())) {                                  // NaN wins
    Tensor greatest = max(line, {axis}, true);
    middle = where(not_equal(greatest, greatest), greatest, middle);
  }
  return keepdim || x.rank() == 0 ? reshape(middle, x.rank() ? middle.shape() : Shape{}) : squeeze(middle, axis);
}
Unique unique(const Tensor& x) {
  if (!x.has_data()) throw Error(ErrorKind::unsupported, "unique", "values to look at", "a traced " + x.spec().text(), "how many differ is known at run time only");
  Tensor flat = detach(reshape(x, {-1})), sorted, order;
  int64_t n = flat.numel();
  Unique u{{}, Tensor::empty({DType::i64, x.shape()}), {}};
  std::vector<int64_t> firsts, counts;
  if (n) {
    order = argsort(flat);
    sorted = gather(flat, order);
    Tensor same = equal(slice(sorted, 0, 1, n), slice(sorted, 0, 0, n - 1));
    const int64_t* at = order.view().i64();
    const bool* repeats = same.view().as<bool>();
    for (int64_t i = 0; i < n; ++i) {
      if (i == 0 || !repeats[i - 1]) { firsts.push_back(i); counts.push_back(0); }
      ++counts.back();
      u.inverse.view().i64()[at[i]] = int64_t(firsts.size()) - 1;
    }
  }
  auto list = [](const std::vector<int64_t>& v) { return Tensor::of<int64_t>({int64_t(v.size())}, v); };
  u.values = n ? gather(sorted, list(firsts)) : flat;
  u.counts = list(counts);
  return u;
}

}  // namespace miniten
