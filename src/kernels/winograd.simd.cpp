#include "kernels/ftable.h"
#include "kernels/gemm-inl.h"
#include "kernels/simd-inl.h"
#include "kernels/winograd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// The transforms of one line of a tile: T + 2 inputs to T + 2 values, and T + 2 products to T outputs.
MINITEN_INLINE void input_line(const V (&d)[4], V (&to)[4]) {
  to[0] = d[0] - d[2];
  to[1] = d[1] + d[2];
  to[2] = d[2] - d[1];
  to[3] = d[3] - d[1];
}
MINITEN_INLINE void output_line(const V (&m)[4], V (&to)[2]) {
  to[0] = m[0] + m[1] + m[2];
  to[1] = m[1] - m[2] + m[3];
}
MINITEN_INLINE void input_line(const V (&d)[6], V (&to)[6]) {
  const V two = set(2), four = set(4), five = set(-5);
  const V even = fma(set(-4), d[2], d[4]), odd = fma(set(-4), d[1], d[3]);
  const V even2 = d[4] - d[2], odd2 = d[3] - d[1];
  to[0] = fma(four, d[0], fma(five, d[2], d[4]));
  to[1] = even + odd;
  to[2] = even - odd;
  to[3] = fma(two, odd2, even2);
  to[4] = fma(set(-2), odd2, even2);
  to[5] = fma(four, d[1], fma(five, d[3], d[5]));
}
MINITEN_INLINE void output_line(const V (&m)[6], V (&to)[4]) {
  const V sum1 = m[1] + m[2], diff1 = m[1] - m[2], sum2 = m[3] + m[4], diff2 = m[3] - m[4];
  to[0] = m[0] + sum1 + sum2;
  to[1] = fma(set(2), diff2, diff1);
  to[2] = fma(set(4), sum2, sum1);
  to[3] = fma(set(8), diff2, diff1) + m[5];
}

// One tile's input, one vector of channels from pixel(row, column): to[product*stride].
template <int T, bool Full, class F>
MINITEN_INLINE void input_tile(F pixel, float* to, int64_t stride, int64_t lanes) {
  constexpr int E = T + 2;
  V half[E][E];
  MINITEN_UNROLL(8)
  for (int b = 0; b < E; ++b) {
    V line[E], out[E];
    MINITEN_UNROLL(8)
    for (int a = 0; a < E; ++a) line[a] = load_if<Full>(pixel(a, b), lanes);
    input_line(line, out);
    MINITEN_UNROLL(8)
    for (int a = 0; a < E; ++a) half[a][b] = out[a];
  }
  MINITEN_UNROLL(8)
  for (int a = 0; a < E; ++a) {
    V out[E];
    input_line(half[a], out);
    MINITEN_UNROLL(8)
    for (int b = 0; b < E; ++b) store_if<Full>(to + (a * E + b) * stride, out[b], lanes);
  }
}

// One tile's outputs, one vector of channels: its first `rows` x `cols`.
template <int T, bool Full>
void output_tile(const float* m, int64_t stride, const Epilogue& e, int64_t at, int64_t channel, int64_t row,
                 int64_t col, int64_t rows, int64_t cols, float* y, int64_t lanes) {
  constexpr int E = T + 2;
  V half[T][E];
  MINITEN_UNROLL(8)
  for (int b = 0; b < E; ++b) {
    V line[E], out[T];
    MINITEN_UNROLL(8)
    for (int a = 0; a < E; ++a) line[a] = load_if<Full>(m + (a * E + b) * stride, lanes);
    output_line(line, out);
    MINITEN_UNROLL(8)
    for (int a = 0; a < T; ++a) half[a][b] = out[a];
  }
  const V bias = e.bias ? load_if<Full>(e.bias + channel, lanes) : V{}, lo = set(e.lo), hi = set(e.hi);
  MINITEN_UNROLL(8)
  for (int a = 0; a < T; ++a) {
    if (rows <= a) break;
    V out[T];
    output_line(half[a], out);
    MINITEN_UNROLL(8)
    for (int b = 0; b < T; ++b) {
      if (cols <= b) break;
      const int64_t to = at + a * row + b * col;
      V v = out[b] + bias;
      if (e.residual) v += load_if<Full>(e.residual + to, lanes);
      store_if<Full>(y + to, clamp(v, lo, hi), lanes);
    }
  }
}

struct Place {
  int64_t image, row, column;  // of a tile's first output
};
Place place_of(const WinogradShape& s, const WinogradGrid& grid, int64_t tile) {
  const int64_t line = tile / grid.across;
  return {line / grid.down, line % grid.down * s.tile, tile % grid.across * s.tile};
}

template <int T, bool Full>
void inner_tile(const float* x, int64_t row, int64_t col, float* to, int64_t stride, int64_t lanes) {
  input_tile<T, Full>([&](int a, int b) { return x + a * row + b * col; }, to, stride, lanes);
}
template <int T, bool Full>
void edge_tile(const float* const* pixels, int64_t channel, float* to, int64_t stride, int64_t lanes) {
  input_tile<T, Full>([&](int a, int b) { return pixels[a * (T + 2) + b] + channel; }, to, stride, lanes);
}

// Pixels beyond the edge are read from `zeros`.
template <int T>
void read_tile(const WinogradShape& s, const float* x, const Place& p, const float* zeros, float* to, int64_t stride) {
  constexpr int E = T + 2;
  const int64_t c = s.channels, row = s.width * c, i = p.row - s.top, j = p.column - s.left;
  const float* from = x + p.image * s.height * row;
  if (0 <= i && 0 <= j && i + E <= s.height && j + E <= s.width) {
    from += i * row + j * c;
    return for_lanes(c, [&](int64_t k, int64_t m) {
      m == kLanes ? inner_tile<T, true>(from + k, row, c, to + k, stride, m)
                  : inner_tile<T, false>(from + k, row, c, to + k, stride, m);
    });
  }
  const float* pixels[E * E];
  for (int a = 0; a < E; ++a)
    for (int b = 0; b < E; ++b) {
      const bool inside = 0 <= i + a && i + a < s.height && 0 <= j + b && j + b < s.width;
      pixels[a * E + b] = inside ? from + (i + a) * row + (j + b) * c : zeros;
    }
  for_lanes(c, [&](int64_t k, int64_t m) {
    m == kLanes ? edge_tile<T, true>(pixels, k, to + k, stride, m) : edge_tile<T, false>(pixels, k, to + k, stride, m);
  });
}

template <int T>
void inputs_of(const WinogradShape& s, const float* x, int64_t begin, int64_t end, const float* zeros, float* to,
               int64_t stride) {
  const WinogradGrid grid(s);
  for (int64_t t = begin; t < end; ++t)
    read_tile<T>(s, x, place_of(s, grid, t), zeros, to + (t - begin) * s.channels, stride);
}

template <int T>
void outputs_of(const WinogradShape& s, const WinogradPart& part, const float* packed, const Epilogue& e, float* y) {
  const WinogradGrid grid(s);
  const int64_t n = part.end - part.begin;
  GemmShape gemm_shape;
  gemm_shape.cols = part.tiles;
  gemm_shape.n = gemm_shape.c_col = n;
  gemm_shape.segment = gemm_shape.a_col = s.channels;
  gemm_batch(gemm_shape, grid.products, part.inputs, part.input_stride, packed + part.begin * s.channels,
             gemm_packed_floats(s.channels, s.n), part.outputs, part.output_stride);
  for (int64_t t = 0; t < part.tiles; ++t) {
    const Place p = place_of(s, grid, part.tile + t);
    const int64_t rows = s.out_h - p.row, cols = s.out_w - p.column;
    const int64_t at = ((p.image * s.out_h + p.row) * s.out_w + p.column) * s.n + part.begin;
    for_lanes(n, [&](int64_t j, int64_t m) {
      const auto finish = m == kLanes ? output_tile<T, true> : output_tile<T, false>;
      finish(part.outputs + t * n + j, part.output_stride, e, at + j, part.begin + j, s.out_w * s.n, s.n, rows, cols, y, m);
    });
  }
}

}  // namespace

void winograd_inputs(const WinogradShape& s, const float* x, int64_t begin, int64_t end, const float* zeros, float* to,
                     int64_t stride) {
  s.tile == 4 ? inputs_of<4>(s, x, begin, end, zeros, to, stride) : inputs_of<2>(s, x, begin, end, zeros, to, stride);
}
void winograd_outputs(const WinogradShape& s, const WinogradPart& part, const float* packed, const Epilogue& e, float* y) {
  s.tile == 4 ? outputs_of<4>(s, part, packed, e, y) : outputs_of<2>(s, part, packed, e, y);
}

}  // namespace miniten::kernels::MINITEN_TARGET
