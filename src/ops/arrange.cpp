#include <algorithm>
#include "miniten/ops/ops.h"
#include "ops/loops.h"

namespace miniten {

// Elements in another arrangement, made of the ops in movement.cpp and indexing.cpp.
namespace {

int64_t known(std::string_view op, const Tensor& x, int axis) {
  if (is_symbol(x.dim(axis))) throw Error(ErrorKind::unsupported, op, "a known size on axis " + std::to_string(axis), x.shape().text(), "trace with a fixed shape");
  return x.dim(axis);
}
void at_least(std::string_view op, const Tensor& x, int rank) {
  if (x.rank() < rank) throw Error(ErrorKind::value, op, "at least " + std::to_string(rank) + " axes", x.shape().text());
}
// True where column - row compares with the diagonal as asked.
Tensor triangle(int64_t rows, int64_t columns, int64_t diagonal, bool lower) {
  Tensor mask = Tensor::empty({DType::boolean, {rows, columns}});
  bool* at = mask.view().as<bool>();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) *at++ = lower ? j - i <= diagonal : j - i >= diagonal;
  return mask;
}

}  // namespace

Tensor flip(const Tensor& x, Axes axes) {
  SliceAttrs at{Dims::filled(x.rank(), 0), x.shape(), Dims::filled(x.rank(), 1)};
  for (Dim a : axes) {
    int axis = normal_axis("flip", a, x.rank());
    if (x.rank() == 0) continue;
    if (at.step[axis] == -1) throw Error(ErrorKind::value, "flip", "each axis once", axes.text());
    at.start[axis] = known("flip", x, axis) - 1;
    at.stop[axis] = at.step[axis] = -1;
  }
  return slice(x, at);
}
Tensor roll(const Tensor& x, Dims shifts, Axes axes) {
  if (axes.rank == 0) {
    if (shifts.rank != 1) throw Error(ErrorKind::value, "roll", "one shift where no axis is given", shifts.text());
    return reshape(roll(reshape(x, {-1}), shifts, {0}), x.shape());
  }
  if (shifts.rank != axes.rank) throw Error(ErrorKind::value, "roll", "a shift for each axis", shifts.text() + " for axes " + axes.text());
  Tensor y = x;
  for (int i = 0; i < axes.rank; ++i) {
    int axis = normal_axis("roll", axes[i], x.rank());
    if (x.rank() == 0) continue;
    int64_t n = known("roll", x, axis), by = n ? (shifts[i] % n + n) % n : 0;
    if (by) y = concat(std::vector<Tensor>{slice(y, axis, n - by, n), slice(y, axis, 0, n - by)}, axis);
  }
  return y;
}
Tensor repeat(const Tensor& x, Dims counts) {
  if (counts.rank < x.rank()) throw Error(ErrorKind::value, "repeat", "a count for each axis of " + x.shape().text(), counts.text());
  Shape apart, spread, joined;                                 // (1, n) each, then (count, n), then count * n
  if (2 * counts.rank > Dims::capacity) {                      // too many axes for one go: axis by axis
    Tensor y = x;
    while (y.rank() < counts.rank) y = unsqueeze(y, 0);
    for (int i = 0; i < counts.rank; ++i) {
      if (counts[i] < 0) throw Error(ErrorKind::value, "repeat", "counts of 0 or more", counts.text());
      if (counts[i] == 0) y = slice(y, i, 0, 0);
      else if (counts[i] > 1) y = concat(std::vector<Tensor>(size_t(counts[i]), y), i);
    }
    return y;
  }
  for (int i = 0; i < counts.rank; ++i) {
    if (counts[i] < 0) throw Error(ErrorKind::value, "repeat", "counts of 0 or more", counts.text());
    int axis = i - (counts.rank - x.rank());
    Dim n = axis < 0 ? 1 : x.dim(axis);
    if (counts[i] == 1) {
      for (Shape* s : {&apart, &spread, &joined}) s->push(n);
      continue;
    }
    if (is_symbol(n)) known("repeat", x, axis);
    apart.push(1);
    apart.push(n);
    spread.push(counts[i]);
    spread.push(n);
    joined.push(counts[i] * n);
  }
  return reshape(expand(reshape(x, apart), spread), joined);
}
Tensor repeat_interleave(const Tensor& x, int64_t count, int axis) {
  axis = std::max(normal_axis("repeat_interleave", axis, x.rank()), 0);
  if (count < 0) throw Error(ErrorKind::value, "repeat_interleave", "a count of 0 or more", std::to_string(count));
  Tensor line = x.rank() ? x : reshape(x, {1});
  Shape spread, joined;
  for (int i = 0; i < line.rank(); ++i) {
    spread.push(line.dim(i));
    joined.push(i == axis ? known("repeat_interleave", line, axis) * count : line.dim(i));
    if (i == axis) spread.push(count);
  }
  return reshape(expand(unsqueeze(line, axis + 1), spread), joined);
}
Tensor movedim(const Tensor& x, Axes from, Axes to) {
  if (from.rank != to.rank) throw Error(ErrorKind::value, "movedim", "as many axes to as from", from.text() + " and " + to.text());
  Axes order = Dims::filled(x.rank(), -1);
  for (int i = 0; i < from.rank; ++i) {
    int a = normal_axis("movedim", from[i], x.rank()), b = normal_axis("movedim", to[i], x.rank());
    if (x.rank() == 0) return x;
    if (order.has(a) || order[b] >= 0) throw Error(ErrorKind::value, "movedim", "each axis once", from.text() + " to " + to.text());
    order[b] = a;
  }
  int next = 0;
  for (Dim& d : order) {
    if (d >= 0) continue;
    while (order.has(next)) ++next;
    d = next;
  }
  return permute(x, order);
}
Tensor tril(const Tensor& x, int64_t diagonal) {
  at_least("tril", x, 2);
  return where(triangle(known("tril", x, x.rank() - 2), known("tril", x, x.rank() - 1), diagonal, true), x, Tensor::zeros({}, x.dtype()));
}
Tensor triu(const Tensor& x, int64_t diagonal) {
  at_least("triu", x, 2);
  return where(triangle(known("triu", x, x.rank() - 2), known("triu", x, x.rank() - 1), diagonal, false), x, Tensor::zeros({}, x.dtype()));
}
Tensor diagonal(const Tensor& x, int64_t offset, int a, int b) {
  at_least("diagonal", x, 2);
  a = normal_axis("diagonal", a, x.rank());
  b = normal_axis("diagonal", b, x.rank());
  if (a == b) throw Error(ErrorKind::value, "diagonal", "two axes", std::to_string(a) + " twice");
  Tensor m = movedim(x, {a, b}, {-2, -1});
  int64_t rows = known("diagonal", x, a), columns = known("diagonal", x, b);
  int64_t n = std::max<int64_t>(0, std::min(rows - std::max<int64_t>(-offset, 0), columns - std::max<int64_t>(offset, 0)));
  Shape flat = m.shape();
  flat[--flat.rank - 1] = rows * columns;
  int64_t first = offset < 0 ? -offset * columns : offset;
  return slice(reshape(m, flat), flat.rank - 1, n ? first : 0, n ? first + (n - 1) * (columns + 1) + 1 : 0, columns + 1);
}
Tensor diag(const Tensor& x, int64_t offset) {
  if (x.rank() == 2) return diagonal(x, offset, 0, 1);
  if (x.rank() != 1) throw Error(ErrorKind::value, "diag", "a vector or a matrix", x.shape().text());
  int64_t n = known("diag", x, 0) + std::abs(offset);
  Tensor columns = unsqueeze(pad(x, {std::max<int64_t>(offset, 0)}, {std::max<int64_t>(-offset, 0)}), 0);   // column j holds its element
  return where(logical_and(triangle(n, n, offset, true), triangle(n, n, offset, false)), columns, Tensor::zeros({}, x.dtype()));
}
Tensor unfold(const Tensor& x, int axis, int64_t size, int64_t step) {
  axis = std::max(normal_axis("unfold", axis, x.rank()), 0);
  Tensor line = x.rank() ? x : reshape(x, {1});
  int64_t n = known("unfold", line, axis);
  if (size < 0 || size > n || step < 1)
    throw Error(ErrorKind::value, "unfold", "a size up to " + std::to_string(n) + " and a step of at least 1", std::to_string(size) + " and " + std::to_string(step));
  int64_t windows = (n - size) / step + 1;
  Tensor rows = Tensor::empty({DType::i64, {windows, size}});
  for (int64_t i = 0; i < windows * size; ++i) rows.view().i64()[i] = i / std::max<int64_t>(size, 1) * step + i % std::max<int64_t>(size, 1);
  return movedim(gather(line, rows, axis), {axis + 1}, {-1});
}
std::vector<Tensor> chunk(const Tensor& x, int64_t count, int axis) {
  axis = normal_axis("chunk", axis, x.rank());
  if (count < 1 || x.rank() == 0) throw Error(ErrorKind::value, "chunk", "an axis and at least 1 chunk", std::to_string(count) + " of " + x.shape().text());
  int64_t n = known("chunk", x, axis);
  if (n == 0) return std::vector<Tensor>(size_t(count), x);
  return split(x, (n + count - 1) / count, axis);
}
std::vector<Tensor> unbind(const Tensor& x, int axis) {
  at_least("unbind", x, 1);
  axis = normal_axis("unbind", axis, x.rank());
  std::vector<Tensor> rows;
  for (int64_t i = 0, n = known("unbind", x, axis); i < n; ++i) rows.push_back(select(x, axis, i));
  return rows;
}

}  // namespace miniten
