#include "miniten/base/shape.h"
#include <algorithm>
#include <limits>
#include "miniten/base/symbol.h"

namespace miniten {

void Dims::overflow() { throw Error(ErrorKind::value, "shape", "at most 8 dimensions", "more"); }

std::string Dims::text() const {
  std::string s = "(";
  for (int i = 0; i < rank; ++i) {
    Dim d = at[size_t(i)];
    s += (i ? ", " : "") + (is_symbol(d) ? symbol_name(d) : std::to_string(d));
  }
  return s + (rank == 1 ? ",)" : ")");
}

std::string Spec::text() const { return std::string(name_of(dtype)) + shape.text(); }

Strides contiguous(const Shape& shape) {
  Strides strides = Dims::filled(shape.rank, 1);
  for (int i = shape.rank - 2; i >= 0; --i) strides[i] = strides[i + 1] * std::max<Dim>(shape[i + 1], 1);
  return strides;
}

Strides channels_last(const Shape& shape) {
  if (shape.rank < 3) return contiguous(shape);
  Strides strides = Dims::filled(shape.rank, 1);
  Dim step = std::max<Dim>(shape[1], 1);
  for (int i = shape.rank - 1; i >= 2; --i) {
    strides[i] = step;
    step *= std::max<Dim>(shape[i], 1);
  }
  strides[0] = step;
  return strides;
}

bool same_layout(const Shape& shape, const Strides& a, const Strides& b) {
  for (int i = 0; i < shape.rank; ++i)
    if (shape[i] != 1 && a[i] != b[i]) return shape.has(0);
  return true;
}

void check_sizes(std::string_view op, const Shape& shape) {
  int64_t count = 1;
  for (Dim d : shape) {
    if (is_symbol(d)) continue;
    if (d < 0) throw Error(ErrorKind::value, op, "sizes of 0 or more", shape.text());
    if (__builtin_mul_overflow(count, std::max<Dim>(d, 1), &count) || count > (int64_t{1} << 48))
      throw Error(ErrorKind::value, op, "a shape that fits in memory", shape.text());
  }
}

Shape broadcast(std::string_view op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  int rank = std::max(a.rank, b.rank);
  Shape out = Dims::filled(rank, 1);
  for (int i = 1; i <= rank; ++i) {
    Dim x = i <= a.rank ? a[-i] : 1, y = i <= b.rank ? b[-i] : 1;
    if (x != y && x != 1 && y != 1 && !may_equal(x, y))
      throw Error(ErrorKind::value, op, "shapes that broadcast", a.text() + " and " + b.text(),
                  "sizes must be equal or 1, counted from the last axis");
    out[-i] = x == 1 ? y : x;
  }
  return out;
}

Strides broadcast_strides(const View& v, const Shape& out) {
  Strides s = Dims::filled(out.rank, 0);
  for (int i = 1; i <= v.shape().rank; ++i) s[-i] = v.shape()[-i] == 1 ? 0 : v.strides[-i];
  return s;
}

}  // namespace miniten
