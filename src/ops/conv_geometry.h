#pragma once
#include <algorithm>
#include <cstring>
#include "miniten/base/symbol.h"
#include "miniten/core/op.h"
#include "miniten/ops/attrs.h"

namespace miniten {

// Sizes of a 2-D convolution: x (n, c, h, w), weight (o, c / groups, r, s), y (n, o, p, q).
struct ConvGeometry {
  int64_t n, c, h, w, o, r, s, p, q;
  int64_t stride_h, stride_w, dilation_h, dilation_w, top, left, bottom, right, groups;
  int64_t padded_h() const { return h + top + bottom; }
  int64_t padded_w() const { return w + left + right; }
  bool is_padded() const { return top || left || bottom || right; }
  bool is_depthwise() const { return groups > 1 && groups == c && o == c; }
  int64_t c_group() const { return c / groups; }
  int64_t o_group() const { return o / groups; }
  int64_t taps() const { return r * s * c_group(); }           // of one output
  int64_t macs() const { return n * p * q * o * taps(); }
};

// An even number of pieces, so that two threads end together.
inline int even_pieces(int64_t n) { return int(std::clamp<int64_t>(n / 2 * 2, 1, 64)); }

// How a product in integers is shared out: pixels in `units` (rows of them), or, where every piece would read many weights again,
// output channels.
struct ByteCut {
  int pieces;
  bool columns;
  int64_t most;                                                // that are worth a wait
  ByteCut(int64_t macs, int64_t units, int64_t n, uint64_t weight_bytes)
      : pieces(even_pieces(std::min<int64_t>({macs / 2097152, units, 16}))), columns(weight_bytes > 256 * 1024 && n >= 64) {
    if (columns) pieces = even_pieces(std::min<int64_t>({std::max(macs, 4 * int64_t(weight_bytes)) / 2097152, n / 32, 16}));
    most = std::min(macs / 131072, columns ? n / 32 : units);
  }
};

// Works for any attributes with stride, padding, dilation and groups.
template <class A> ConvGeometry conv_geometry(const Shape& x, const Shape& weight, const Shape& y, const A& at) {
  return {x[0], x[1], x[2], x[3], weight[0], weight[2], weight[3], y[2], y[3],
          at.stride[0], at.stride[1], at.dilation[0], at.dilation[1], at.padding[0], at.padding[1], at.padding[2], at.padding[3], at.groups};
}

inline Dim conv_size(Dim in, Dim before, Dim after, Dim kernel, Dim stride, Dim dilation) {
  return (in + before + after - dilation * (kernel - 1) - 1) / stride + 1;
}

// Throws unless stride, dilation, padding and groups make sense for x and weight; gives y's shape.
template <class A> Shape conv_output(const Call& call, const Shape& x, const Shape& weight, const A& at) {
  if (x.rank != 4) call.fail("4-D input (N, C, H, W)", x.text(), x.rank == 3 ? "add a batch axis" : "");
  if (weight.rank != 4) call.fail("4-D weight (O, C / groups, R, S)", weight.text());
  if (at.stride.rank != 2 || at.dilation.rank != 2 || at.padding.rank != 4)
    call.fail("2 strides, 2 dilations and 4 paddings", at.stride.text() + ", " + at.dilation.text() + " and " + at.padding.text());
  for (Dim d : at.stride) if (d < 1) call.fail("strides of at least 1", at.stride.text());
  for (Dim d : at.dilation) if (d < 1) call.fail("dilations of at least 1", at.dilation.text());
  for (Dim d : at.padding) if (d < 0) call.fail("paddings of 0 or more", at.padding.text());
  if (at.groups < 1 || (!is_symbol(x[1]) && x[1] % at.groups) || weight[0] % at.groups)
    call.fail("groups that divide input and output channels", std::to_string(at.groups) + " for " + x.text() + " and " + weight.text());
  if (x[1] != weight[1] * at.groups)
    call.fail("input of " + std::to_string(weight[1] * at.groups) + " channels", x.text(), "weight is " + weight.text());
  if (weight[2] < 1 || weight[3] < 1) call.fail("a kernel of at least 1 x 1", weight.text());
  Shape y{x[0], weight[0]};
  Dim reach_h = at.dilation[0] * (weight[2] - 1) + 1, reach_w = at.dilation[1] * (weight[3] - 1) + 1;
  bool fits = true;
  for (int i : {0, 1}) {
    Dim room = at.padding[i] + at.padding[i + 2] - (i ? reach_w : reach_h);
    fits &= is_symbol(x[i + 2]) || x[i + 2] + room >= 0;
    y.push(derived({x[i + 2], 1, room + at.stride[i], at.stride[i]}));
  }
  if (!fits)
    call.fail("an input at least as large as the kernel's reach (" + std::to_string(reach_h) + ", " + std::to_string(reach_w) + ")", x.text(),
              "add padding");
  check_sizes(call.op.name, y);
  return y;
}

// Rows [begin, end) of n * padded_h rows of a channels-last image with a border of `fill` around it.
template <class T>
void pad_rows(const T* x, const ConvGeometry& g, T fill, int64_t begin, int64_t end, T* row) {
  const size_t width = size_t(g.padded_w() * g.c), left = size_t(g.left * g.c), inside = size_t(g.w * g.c);
  auto set = [&](T* to, size_t n) {
    if (sizeof(T) == 1 || fill == T(0)) std::memset(to, int(fill), n * sizeof(T));
    else std::fill_n(to, n, fill);
  };
  // Borders of short rows all at once; others by lengths known here, a store or two: what lies over a border's end is overwritten by the row.
  constexpr size_t line = 64 / sizeof(T);
  const size_t right = width - left - inside;
  const bool tiny = width <= 4 * line, narrow = left <= line && right <= line && inside >= line;
  if (tiny) set(row, size_t(end - begin) * width);
  int64_t image = begin / g.padded_h(), y = begin % g.padded_h() - g.top;
  for (int64_t i = begin; i < end; ++i, row += width) {
    const bool outside = y < 0 || y >= g.h;
    if (!tiny && outside) set(row, width);
    if (!tiny && !outside && narrow) {
      set(row, line);
      set(row + width - line, line);
    } else if (!tiny && !outside) {
      set(row, left);
      set(row + left + inside, right);
    }
    if (!outside) std::memcpy(row + left, x + size_t(image * g.h + y) * inside, inside * sizeof(T));
    if (++y == g.h + g.bottom) {
      y = -g.top;
      ++image;
    }
  }
}

// Evaluation of the three faces of one trilinear form: conv_eval.cpp, conv_gradients.cpp.
void conv2d_eval(const Context&);
void conv2d_input_eval(const Context&);
void conv2d_weight_eval(const Context&);
Work conv2d_work(const Call&);
Work conv2d_input_work(const Call&);
Work conv2d_weight_work(const Call&);
uint64_t conv2d_prepare(const Call&, std::span<const View> in, std::byte* to);

}  // namespace miniten
