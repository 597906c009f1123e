#include "kernels/ftable.h"
#include "kernels/simd-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

int64_t tap_floats(const DepthwiseShape& s) { return s.w_tap ? s.w_tap : s.channels; }

template <int N>
struct Int {
  static constexpr int n = N;
};

// Where the taps of a tile are padding: rows before top and from bottom on, columns before left and from right on.
struct Inside {
  int64_t top, bottom, left, right;
};
Inside inside_of(const DepthwiseShape& s, int64_t i, int64_t j) {
  const int64_t y = i * s.stride_h, x = j * s.stride_w;
  return {s.row_begin - y, s.row_end - y, s.col_begin - x, s.col_end - x};
}
// Whether column i of the n that a tile reads is padding; there are at most KW / 2 on either side.
template <int KW>
MINITEN_INLINE bool is_padding(int i, int n, const Inside& in) {
  return (i < KW / 2 && i < in.left) || (n - KW / 2 <= i && in.right <= i);
}

// Outputs RY x RX of a 3x3 kernel with stride S, dilation 1, for one vector of channels.
template <int S, int RY, int RX, bool Full>
MINITEN_INLINE void tile3x3(const DepthwiseShape& s, const Inside& in, const float* x, const V (&w)[9], V bias, V lo,
                            V hi, float* y, int64_t lanes) {
  constexpr int kColumns = (RX - 1) * S + 3;
  V acc[RY][RX];
  MINITEN_UNROLL(8)
  for (int i = 0; i < RY; ++i) {
    MINITEN_UNROLL(8)
    for (int j = 0; j < RX; ++j) acc[i][j] = bias;
  }
  MINITEN_UNROLL(16)
  for (int iy = 0; iy < (RY - 1) * S + 3; ++iy) {
    if (iy < in.top || in.bottom <= iy) continue;
    MINITEN_UNROLL(16)
    for (int ix = 0; ix < kColumns; ++ix) {
      if (is_padding<3>(ix, kColumns, in)) continue;
      const V v = load_if<Full>(x + iy * s.x_row + ix * s.x_col, lanes);
      MINITEN_UNROLL(8)
      for (int i = 0; i < RY; ++i) {
        const int ky = iy - i * S;
        if (ky < 0 || 2 < ky) continue;
        MINITEN_UNROLL(8)
        for (int j = 0; j < RX; ++j) {
          const int kx = ix - j * S;
          if (kx < 0 || 2 < kx) continue;
          acc[i][j] = fma(v, w[ky * 3 + kx], acc[i][j]);
        }
      }
    }
  }
  MINITEN_UNROLL(8)
  for (int i = 0; i < RY; ++i) {
    MINITEN_UNROLL(8)
    for (int j = 0; j < RX; ++j) store_if<Full>(y + i * s.y_row + j * s.y_col, clamp(acc[i][j], lo, hi), lanes);
  }
}

// Two rows share what they load where accumulators and weights fit the registers.
#if MINITEN_LANES == 16 || defined(__aarch64__)
constexpr int kRows3x3 = 2;
#else
constexpr int kRows3x3 = 1;
#endif

struct Cut {
  float lo, hi;
};

// Output rows [begin, end) for one vector of channels. Widths from 3 on are sums of tiles 3, 4 and 5 wide; of those of
// 4 alone, the last one of a row may compute some outputs again.
template <int S, bool Full>
void rows3x3(const DepthwiseShape& s, int64_t begin, int64_t end, const float* x, const float* w, const float* bias,
             Cut cut, float* y, int64_t lanes) {
  constexpr bool kExact = S == 1 && Full;
  V wv[9];
  MINITEN_UNROLL(9)
  for (int t = 0; t < 9; ++t) wv[t] = load_if<Full>(w + t * tap_floats(s), lanes);
  const V b = bias ? load_if<Full>(bias, lanes) : V{}, lo = set(cut.lo), hi = set(cut.hi);
  for (int64_t i = begin, rows; i < end; i += rows) {
    rows = end - i < kRows3x3 ? 1 : kRows3x3;
    for (int64_t at = 0, wide; at < s.out_w; at += wide) {
      const int64_t left = s.out_w - at;
      int64_t j = at;
      wide = left < 3 ? 1 : left == 3 || left == 6 ? 3 : left == 5 ? 5 : 4;
      if (!kExact) {
        wide = s.out_w < 4 || left == 1 ? 1 : 4;
        if (left < wide) j = s.out_w - wide;
      }
      const Inside in = inside_of(s, i, j);
      const float* from = x + i * S * s.x_row + j * S * s.x_col;
      float* to = y + i * s.y_row + j * s.y_col;
      const auto tile = [&](auto height, auto width) {
        tile3x3<S, decltype(height)::n, decltype(width)::n, Full>(s, in, from, wv, b, lo, hi, to, lanes);
      };
      const auto tiles = [&](auto height) {
        if (wide == 4) return tile(height, Int<4>());
        if (wide == 1) return tile(height, Int<1>());
        if constexpr (kExact) wide == 3 ? tile(height, Int<3>()) : tile(height, Int<5>());
      };
      rows == 1 ? tiles(Int<1>()) : tiles(Int<kRows3x3>());
    }
  }
}

constexpr int64_t kBlockFloats = 4096;  // of x that pass once for each vector of channels: they stay in the first cache

template <int S>
void run3x3(const DepthwiseShape& s, const float* x, const float* w, const float* bias, Cut cut, float* y) {
  int64_t block = kBlockFloats / (S * s.x_row < 1 ? 1 : S * s.x_row) / 2 * 2;
  if (block < 2) block = 2;
  for (int64_t i = 0; i < s.out_h; i += block) {
    const int64_t end = i + block < s.out_h ? i + block : s.out_h;
    for_lanes(s.channels, [&](int64_t c, int64_t m) {
      const float* b = bias ? bias + c : nullptr;
      m == kLanes ? rows3x3<S, true>(s, i, end, x + c, w + c, b, cut, y + c, m)
                  : rows3x3<S, false>(s, i, end, x + c, w + c, b, cut, y + c, m);
    });
  }
}

// RX neighbouring outputs of any kernel. A kernel KW wide with stride S and dilation 1 loads each input once a row;
// KW = 0: any width, stride and dilation.
template <int KW, int S, int RX, bool Full>
MINITEN_INLINE void tile_any(const DepthwiseShape& s, const Inside& in, const float* x, const float* w, V bias, V lo,
                             V hi, float* y, int64_t lanes) {
  V acc[RX];
  MINITEN_UNROLL(8)
  for (int j = 0; j < RX; ++j) acc[j] = bias;
  const int64_t tap = tap_floats(s);
  for (int64_t u = 0; u < s.kernel_h; ++u) {
    const int64_t row = u * s.dilation_h;
    const float* from = x + row * s.x_row;
    if constexpr (KW != 0) {
      constexpr int kColumns = (RX - 1) * S + KW;
      if (row < in.top || in.bottom <= row) {
        w += KW * tap;
        continue;
      }
      V wv[KW ? KW : 1];
      MINITEN_UNROLL(8)
      for (int v = 0; v < KW; ++v) wv[v] = load_if<Full>(w + v * tap, lanes);
      MINITEN_UNROLL(32)
      for (int i = 0; i < kColumns; ++i) {
        if (is_padding<KW>(i, kColumns, in)) continue;
        const V value = load_if<Full>(from + i * s.x_col, lanes);
        MINITEN_UNROLL(8)
        for (int j = 0; j < RX; ++j)
          if (0 <= i - j * S && i - j * S < KW) acc[j] = fma(value, wv[i - j * S], acc[j]);
      }
      w += KW * tap;
    } else {
      const int64_t step = s.stride_w * s.x_col;
      for (int64_t v = 0; v < s.kernel_w; ++v, from += s.dilation_w * s.x_col, w += tap) {
        const V wv = load_if<Full>(w, lanes);
        MINITEN_UNROLL(8)
        for (int j = 0; j < RX; ++j) acc[j] = fma(load_if<Full>(from + j * step, lanes), wv, acc[j]);
      }
    }
  }
  MINITEN_UNROLL(8)
  for (int j = 0; j < RX; ++j) store_if<Full>(y + j * s.y_col, clamp(acc[j], lo, hi), lanes);
}

// Tiles of 4 outputs, of 7 where that leaves less to compute again.
template <int KW, int S, bool Full>
void row_any(const DepthwiseShape& s, int64_t i, const float* x, const float* w, const float* bias, Cut cut, float* y,
             int64_t lanes) {
  constexpr bool kSeven = KW == 5 && Full;
  const V b = bias ? load_if<Full>(bias, lanes) : V{}, lo = set(cut.lo), hi = set(cut.hi);
  const int64_t step = s.stride_w * s.x_col;
  for (int64_t at = 0, wide; at < s.out_w; at += wide) {
    const int64_t left = s.out_w - at;
    wide = s.out_w < 4 ? 1 : kSeven && 7 <= left && (left % 4 || left % 7 == 0) ? 7 : 4;
    const int64_t j = left < wide ? s.out_w - wide : at;
    const Inside in = inside_of(s, i, j);
    const float* from = x + j * step;
    float* to = y + j * s.y_col;
    if (wide == 4) tile_any<KW, S, 4, Full>(s, in, from, w, b, lo, hi, to, lanes);
    else if (wide == 1) tile_any<KW, S, 1, Full>(s, in, from, w, b, lo, hi, to, lanes);
    else if constexpr (kSeven) tile_any<KW, S, 7, Full>(s, in, from, w, b, lo, hi, to, lanes);
  }
}

template <int KW, int S>
void run_any(const DepthwiseShape& s, const float* x, const float* w, const float* bias, Cut cut, float* y) {
  for (int64_t i = 0; i < s.out_h; ++i) {
    for_lanes(s.channels, [&](int64_t c, int64_t m) {
      const float* from = x + i * s.stride_h * s.x_row + c;
      float* to = y + i * s.y_row + c;
      const float* b = bias ? bias + c : nullptr;
      m == kLanes ? row_any<KW, S, true>(s, i, from, w + c, b, cut, to, m)
                  : row_any<KW, S, false>(s, i, from, w + c, b, cut, to, m);
    });
  }
}

// Few channels, horizontal stride 1, no gaps between pixels: vectors run along the flattened (column, channel) row and
// the weights are repeated so that a vector may start at any channel.
constexpr int64_t kFlatChannels = kLanes / 2, kFlatTaps = 64, kFlatPeriod = kFlatChannels + kLanes;

bool fits_flat(const DepthwiseShape& s) {
  return s.channels <= kFlatChannels && s.stride_w == 1 && s.x_col == s.channels && s.y_col == s.channels &&
         s.kernel_h * s.kernel_w <= kFlatTaps;
}

// Same: every vector starts at channel 0. lanes: of the only vector where N is 1.
template <int N, bool Same>
MINITEN_INLINE void tile_flat(const DepthwiseShape& s, const float* x, const float* w, const float* bias, int64_t phase,
                              V lo, V hi, float* y, int64_t lanes) {
  const int64_t turn = kLanes % s.channels;
  int64_t at[N];
  V acc[N];
  MINITEN_UNROLL(4)
  for (int j = 0; j < N; ++j) {
    at[j] = phase;
    acc[j] = load(bias + phase);
    phase += turn;
    if (s.channels <= phase) phase -= s.channels;
  }
  for (int64_t u = 0; u < s.kernel_h; ++u) {
    const float* from = x + u * s.dilation_h * s.x_row;
    for (int64_t v = 0; v < s.kernel_w; ++v, from += s.dilation_w * s.x_col, w += kFlatPeriod) {
      const V first = load(w + at[0]);
      MINITEN_UNROLL(4)
      for (int j = 0; j < N; ++j)
        acc[j] = fma(N == 1 ? load_n(from, lanes) : load(from + j * kLanes), Same ? first : load(w + at[j]), acc[j]);
    }
  }
  MINITEN_UNROLL(4)
  for (int j = 0; j < N; ++j) store_n(y + j * kLanes, clamp(acc[j], lo, hi), N == 1 ? lanes : kLanes);
}

struct FlatWeights {
  float taps[kFlatTaps * kFlatPeriod], biases[kFlatPeriod];
  FlatWeights(const DepthwiseShape& s, const float* w, const float* bias) {
    for (int64_t i = 0, c = 0; i < kFlatPeriod; ++i, c = c + 1 == s.channels ? 0 : c + 1) {
      biases[i] = bias ? bias[c] : 0;
      for (int64_t t = 0; t < s.kernel_h * s.kernel_w; ++t) taps[t * kFlatPeriod + i] = w[t * tap_floats(s) + c];
    }
  }
};

template <bool Same>
void rows_flat(const DepthwiseShape& s, const float* x, const FlatWeights& w, Cut cut, float* y) {
  const V low = set(cut.lo), high = set(cut.hi);
  const int64_t n = s.out_w * s.channels, turn = kLanes % s.channels, turn4 = 4 * kLanes % s.channels;
  for (int64_t row = 0; row < s.out_h; ++row) {
    const float* from = x + row * s.stride_h * s.x_row;
    float* to = y + row * s.y_row;
    int64_t i = 0, phase = 0;
    for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
      tile_flat<4, Same>(s, from + i, w.taps, w.biases, phase, low, high, to + i, kLanes);
      phase += turn4;
      if (s.channels <= phase) phase -= s.channels;
    }
    for (; i < n; i += kLanes) {
      tile_flat<1, Same>(s, from + i, w.taps, w.biases, phase, low, high, to + i, n - i);
      phase += turn;
      if (s.channels <= phase) phase -= s.channels;
    }
  }
}
void run_flat(const DepthwiseShape& s, const float* x, const FlatWeights& w, Cut cut, float* y) {
  kLanes % s.channels == 0 ? rows_flat<true>(s, x, w, cut, y) : rows_flat<false>(s, x, w, cut, y);
}

// The last one or two channels beside whole vectors of them: laid out without gaps, to go as above.
constexpr int64_t kRestFloats = 2048;  // of a block's inputs, and of its outputs

int64_t reach_h(const DepthwiseShape& s) { return (s.out_h - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1; }
int64_t reach_w(const DepthwiseShape& s) { return (s.out_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1; }

// Output rows of so many last channels that fit a block; 0: better in vectors, as the narrower ones are.
int64_t rest_rows(const DepthwiseShape& s, int64_t channels) {
  if (kLanes < 16 || channels < 1 || 2 < channels || 2 < s.stride_w || kFlatTaps < s.kernel_h * s.kernel_w) return 0;
  const int64_t most = kRestFloats / (reach_w(s) * channels), row = s.stride_h * s.x_row < 1 ? 1 : s.stride_h * s.x_row;
  const int64_t fit = (most - (s.kernel_h - 1) * s.dilation_h - 1 + s.stride_h) / s.stride_h, near = kBlockFloats / row;
  return fit < (s.out_h < 4 ? s.out_h : 4) ? 0 : near < 4 || fit < near ? fit : near;
}

template <int C>
void copy_pixels(const float* from, int64_t from_step, float* to, int64_t to_step, int64_t n) {
  MINITEN_UNROLL(4)
  for (int64_t i = 0; i < n; ++i, from += from_step, to += to_step) __builtin_memcpy(to, from, C * sizeof(float));
}
using CopyFn = void (*)(const float*, int64_t, float*, int64_t, int64_t);
constexpr CopyFn kCopies[] = {copy_pixels<1>, copy_pixels<2>};

void run_rest(const DepthwiseShape& s, const float* x, const FlatWeights& weights, Cut cut, float* y) {
  const CopyFn copy = kCopies[s.channels - 1];
  const int64_t in_w = reach_w(s), line = in_w * s.channels;
  const int64_t left = s.col_begin < 0 ? 0 : s.col_begin, right = s.col_end < in_w ? s.col_end : in_w;
  float in[kRestFloats], out[kRestFloats];
  for (int64_t row = 0; row < reach_h(s); ++row) {
    float* to = in + row * line;
    const bool inside = s.row_begin <= row && row < s.row_end;
    const int64_t first = inside ? left * s.channels : line;
    for (int64_t k = 0; k < first; ++k) to[k] = 0;
    if (!inside) continue;
    copy(x + row * s.x_row + left * s.x_col, s.x_col, to + first, s.channels, right - left);
    for (int64_t k = right * s.channels; k < line; ++k) to[k] = 0;
  }
  DepthwiseShape flat = s;
  flat.out_w = (s.out_w - 1) * s.stride_w + 1;
  flat.x_row = flat.y_row = line, flat.x_col = flat.y_col = s.channels;
  if (s.stride_h == 1) flat.out_w += (s.out_h - 1) * in_w, flat.out_h = 1;  // what lies between rows is computed too
  run_flat(flat, in, weights, cut, out);
  for (int64_t i = 0; i < s.out_h; ++i) copy(out + i * line, s.stride_w * s.channels, y + i * s.y_row, s.y_col, s.out_w);
}

// Adds RX neighbouring outputs' share of one row of KW taps into dx, in the order of the outputs. The KW - S columns
// that the next outputs also reach stay in `kept` and are not stored yet.
template <int S, int KW, int RX, bool Full>
MINITEN_INLINE void scatter(const DepthwiseShape& s, const float* dy, const V (&w)[KW], float* dx, V (&kept)[KW - S],
                            int64_t lanes) {
  constexpr int kKept = KW - S, kDone = RX * S;
  V acc[kKept + kDone];
  MINITEN_UNROLL(8)
  for (int i = 0; i < kKept; ++i) acc[i] = kept[i];
  MINITEN_UNROLL(8)
  for (int i = kKept; i < kKept + kDone; ++i) acc[i] = load_if<Full>(dx + i * s.x_col, lanes);
  MINITEN_UNROLL(8)
  for (int j = 0; j < RX; ++j) {
    const V d = load_if<Full>(dy + j * s.y_col, lanes);
    MINITEN_UNROLL(8)
    for (int v = 0; v < KW; ++v) acc[j * S + v] = fma(d, w[v], acc[j * S + v]);
  }
  MINITEN_UNROLL(8)
  for (int i = 0; i < kDone; ++i) store_if<Full>(dx + i * s.x_col, acc[i], lanes);
  MINITEN_UNROLL(8)
  for (int i = 0; i < kKept; ++i) kept[i] = acc[kDone + i];
}

template <int S, int KW, bool Full>
void scatter_taps(const DepthwiseShape& s, const float* dy, const float* w, float* dx, int64_t lanes) {
  V wv[KW], kept[KW - S];
  MINITEN_UNROLL(8)
  for (int v = 0; v < KW; ++v) wv[v] = load_if<Full>(w + v * tap_floats(s), lanes);
  MINITEN_UNROLL(8)
  for (int i = 0; i < KW - S; ++i) kept[i] = load_if<Full>(dx + i * s.x_col, lanes);
  int64_t j = 0;
  for (; j + 4 <= s.out_w; j += 4) scatter<S, KW, 4, Full>(s, dy + j * s.y_col, wv, dx + j * S * s.x_col, kept, lanes);
  for (; j < s.out_w; ++j) scatter<S, KW, 1, Full>(s, dy + j * s.y_col, wv, dx + j * S * s.x_col, kept, lanes);
  MINITEN_UNROLL(8)
  for (int i = 0; i < KW - S; ++i) store_if<Full>(dx + (j * S + i) * s.x_col, kept[i], lanes);
}

using ScatterFn = void (*)(const DepthwiseShape&, const float*, const float*, float*, int64_t);

// One row of taps against one output row, for one vector of channels.
ScatterFn scatter_for(const DepthwiseShape& s, bool full) {
  if (s.dilation_w == 1 && s.kernel_w == 3) {
    if (s.stride_w == 1) return full ? scatter_taps<1, 3, true> : scatter_taps<1, 3, false>;
    if (s.stride_w == 2) return full ? scatter_taps<2, 3, true> : scatter_taps<2, 3, false>;
  }
  if (s.dilation_w == 1 && s.kernel_w == 5) {
    if (s.stride_w == 1) return full ? scatter_taps<1, 5, true> : scatter_taps<1, 5, false>;
    if (s.stride_w == 2) return full ? scatter_taps<2, 5, true> : scatter_taps<2, 5, false>;
  }
  return [](const DepthwiseShape& d, const float* dy, const float* w, float* dx, int64_t lanes) {
    for (int64_t j = 0; j < d.out_w; ++j) {
      const V g = load_n(dy + j * d.y_col, lanes);
      float* to = dx + j * d.stride_w * d.x_col;
      for (int64_t v = 0; v < d.kernel_w; ++v, to += d.dilation_w * d.x_col)
        store_n(to, fma(g, load_n(w + v * tap_floats(d), lanes), load_n(to, lanes)), lanes);
    }
  };
}

// Sums of N taps over one output row, added to dw.
template <int N>
void gather(const DepthwiseShape& s, const float* x, const int64_t* offset, const float* dy, float* dw, int64_t lanes) {
  const float* from[N];
  V acc[N];
  MINITEN_UNROLL(16)
  for (int t = 0; t < N; ++t) {
    from[t] = x + offset[t];
    acc[t] = V{};
  }
  const int64_t step = s.stride_w * s.x_col;
  if (lanes == kLanes) {
    for (int64_t j = 0; j < s.out_w; ++j) {
      const V d = load(dy + j * s.y_col);
      MINITEN_UNROLL(16)
      for (int t = 0; t < N; ++t) acc[t] = fma(load(from[t] + j * step), d, acc[t]);
    }
  } else {
    for (int64_t j = 0; j < s.out_w; ++j) {
      const V d = load_part(dy + j * s.y_col, lanes);
      MINITEN_UNROLL(16)
      for (int t = 0; t < N; ++t) acc[t] = fma(load_part(from[t] + j * step, lanes), d, acc[t]);
    }
  }
  MINITEN_UNROLL(16)
  for (int t = 0; t < N; ++t) {
    float* to = dw + t * tap_floats(s);
    store_n(to, load_n(to, lanes) + acc[t], lanes);
  }
}

constexpr int kGather = 9;  // taps summed at a time
using GatherFn = void (*)(const DepthwiseShape&, const float*, const int64_t*, const float*, float*, int64_t);
constexpr GatherFn kGathers[kGather] = {gather<1>, gather<2>, gather<3>, gather<4>, gather<5>,
                                        gather<6>, gather<7>, gather<8>, gather<9>};

}  // namespace

void depthwise(const DepthwiseShape& s, const float* x, const float* w, const float* bias, float lo, float hi,
               float* y) {
  const bool three = s.kernel_h == 3 && s.kernel_w == 3 && s.dilation_h == 1 && s.dilation_w == 1;
  if (s.out_w <= 0 || s.channels <= 0) return;
  const Cut cut{lo, hi};
  if (fits_flat(s)) return run_flat(s, x, {s, w, bias}, cut, y);
  if (const int64_t rest = s.channels % kLanes, rows = rest_rows(s, rest); 0 < rows) {
    const int64_t whole = s.channels - rest;
    DepthwiseShape part = s;
    part.w_tap = tap_floats(s), part.channels = rest;
    const FlatWeights weights(part, w + whole, bias ? bias + whole : nullptr);
    for (int64_t i = 0; i < s.out_h; i += rows) {
      const int64_t first = i * s.stride_h;
      const float* from = x + first * s.x_row;
      part.out_h = s.out_h - i < rows ? s.out_h - i : rows;
      part.row_begin = s.row_begin - first, part.row_end = s.row_end - first;
      part.channels = whole;
      MINITEN_TARGET::depthwise(part, from, w, bias, lo, hi, y + i * s.y_row);
      part.channels = rest;
      run_rest(part, from + whole, weights, cut, y + i * s.y_row + whole);
    }
    return;
  }
  if (three && s.stride_h == 1 && s.stride_w == 1) return run3x3<1>(s, x, w, bias, cut, y);
  if (three && s.stride_h == 2 && s.stride_w == 2) return run3x3<2>(s, x, w, bias, cut, y);
  const bool plain = s.dilation_w == 1, five = plain && s.kernel_w == 5;
  if (five && s.stride_w == 1) return run_any<5, 1>(s, x, w, bias, cut, y);
  if (five && s.stride_w == 2) return run_any<5, 2>(s, x, w, bias, cut, y);
  if (plain && s.kernel_w == 7 && s.stride_w == 1) return run_any<7, 1>(s, x, w, bias, cut, y);
  run_any<0, 1>(s, x, w, bias, cut, y);
}

void depthwise_input(const DepthwiseShape& s, const float* dy, const float* w, float* dx) {
  const int64_t tap = tap_floats(s);
  if (s.out_w <= 0) return;
  const ScatterFn whole = scatter_for(s, true), part = scatter_for(s, false);
  for (int64_t i = 0; i < s.out_h; ++i)
    for (int64_t u = 0; u < s.kernel_h; ++u)
      for_lanes(s.channels, [&](int64_t c, int64_t m) {
        (m == kLanes ? whole : part)(s, dy + i * s.y_row + c, w + u * s.kernel_w * tap + c,
                                     dx + (i * s.stride_h + u * s.dilation_h) * s.x_row + c, m);
      });
}

void depthwise_weight(const DepthwiseShape& s, const float* x, const float* dy, float* dw) {
  const int64_t taps = s.kernel_h * s.kernel_w, groups = (taps + kGather - 1) / kGather;
  for (int64_t i = 0; i < s.out_h; ++i) {
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t t0 = g * taps / groups, t1 = (g + 1) * taps / groups;
      int64_t offset[kGather];
      for (int64_t t = t0; t < t1; ++t)
        offset[t - t0] = t / s.kernel_w * s.dilation_h * s.x_row + t % s.kernel_w * s.dilation_w * s.x_col;
      for_lanes(s.channels, [&](int64_t c, int64_t m) {
        kGathers[t1 - t0 - 1](s, x + i * s.stride_h * s.x_row + c, offset, dy + i * s.y_row + c,
                              dw + t0 * tap_floats(s) + c, m);
      });
    }
  }
}

}  // namespace miniten::kernels::MINITEN_TARGET
