#include "kernels/qsimd-inl.h"
#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

// Up to 64 channels at a time. Four input rows are interleaved into a strip of 32-bit numbers, one for each column and
// channel, so that one dot product covers four taps of a kernel column, and a tap further right is the same strip read
// further on. With a horizontal stride, columns that meet the same tap lie side by side (a "phase"). Sums then run flat
// over pixels and channels, whatever the number of channels; where four rows hold the taps of two output rows, both are
// summed from one reading.
constexpr int64_t kBlock = 64, kStrip = 2048, kSlots = 36, kSpare = 5 * kBlock;

// What turns sums into outputs, repeated over a block's period.
struct Terms {
  alignas(64) int32_t start[kBlock];
  alignas(64) float multiplier[kBlock], bias[kBlock];
};

struct Plan {
  int64_t groups = 0, slots = 0;           // of four kernel rows; groups * kernel_w
  int64_t phases = 0, phase[kSlots], phase_reach[kSlots], of_tap[kSlots];
  int64_t reach = 0;                       // further columns a phase needs beyond one per output
  bool pairs = false;                      // two output rows from one group of input rows
};

// False where the kernel does not fit the buffers.
bool make_plan(const QDepthwiseShape& s, Plan& p) {
  p.groups = (s.kernel_h + 3) / 4;
  p.slots = p.groups * s.kernel_w;
  if (p.slots > kSlots) return false;
  for (int64_t v = 0; v < s.kernel_w; ++v) {
    const int64_t phase = v * s.dilation_w % s.stride_w, reach = v * s.dilation_w / s.stride_w;
    int64_t i = 0;
    while (i < p.phases && p.phase[i] != phase) ++i;
    if (i == p.phases) p.phase[p.phases++] = phase;
    p.phase_reach[i] = reach;              // they grow with v
    p.of_tap[v] = i;
    p.reach = reach;
  }
  p.pairs = s.dilation_h == 1 && (s.kernel_h + s.stride_h + 3) / 4 == p.groups;
  return p.groups * p.phases * (1 + p.reach) * kBlock <= kStrip;
}

// n numbers from four rows, `absent` from one that is not there. all: none is not.
template <bool all = false>
MINITEN_INLINE void interleave_rows(int32_t* to, const uint8_t* const (&rows)[4], int64_t n, W absent, I flip, const uint8_t* end) {
  for (int64_t i = 0; i < n; i += kWide) {
    const int64_t m = n - i < kWide ? n - i : (int64_t)kWide;
    W bytes[4];
    MINITEN_UNROLL(4)
    for (int k = 0; k < 4; ++k) bytes[k] = all || rows[k] ? load_wide(rows[k] + i, m, end) : absent;
    I out[4];
    interleave(bytes[0], bytes[1], bytes[2], bytes[3], out);
    MINITEN_UNROLL(4)
    for (int k = 0; k < 4; ++k) store_as<I>(to + i + k * kLanes, out[k] ^ flip);
  }
}

// Sums of R rows of `count` numbers, four vectors at a time. `whole`: they lie side by side (the period is a multiple of
// kWide) and leave at once, each period to_step further; else they lie a period apart, and as far apart they leave.
template <int R, bool whole, class Finish, class Out>
MINITEN_INLINE void sum_strip(const int32_t* strip, const int64_t* offset, int64_t slots, const Weight (*weights)[kSlots][kBlock / kLanes],
                              int64_t period, int64_t count, const Terms& terms, const Finish& finish, Out* to, int64_t to_row,
                              int64_t to_step) {
  const int64_t step = whole ? (int64_t)kLanes : period;
  for (int64_t j = 0; j < period; j += whole ? kWide : kLanes) {
    Out* out = to + j;
    for (int64_t e = j; e < count; e += whole ? period : 4 * period, out += whole ? to_step : 4 * period) {
      I acc[R][4];
      MINITEN_UNROLL(4)
      for (int t = 0; t < 4; ++t) {
        const I start = load_as<I>(terms.start + j + (whole ? t * kLanes : 0));
        MINITEN_UNROLL(2)
        for (int r = 0; r < R; ++r) acc[r][t] = start;
      }
      for (int64_t k = 0; k < slots; ++k) {
        const int32_t* x = strip + offset[k] + e;
        Weight w[R];
        if (!whole) {
          MINITEN_UNROLL(2)
          for (int r = 0; r < R; ++r) w[r] = weights[r][k][j / kLanes];
        }
        MINITEN_UNROLL(4)
        for (int t = 0; t < 4; ++t) {
          const Activation a = activation(load_as<I>(x + t * step));
          MINITEN_UNROLL(2)
          for (int r = 0; r < R; ++r) acc[r][t] = dot(acc[r][t], a, whole ? weights[r][k][j / kLanes + t] : w[r]);
        }
      }
      MINITEN_UNROLL(2)
      for (int r = 0; r < R; ++r) {
        if (whole) finish.side_by_side(out + r * to_row, count - e, acc[r], terms, j);
        else finish.apart(out + r * to_row, period, acc[r], terms, j);
      }
    }
  }
}

struct ToBytes {
  Rounding round;
  bool plain = false;
  explicit ToBytes(const Rounding& rounding) : round(rounding) {}
  MINITEN_INLINE W bytes(const V (&f)[4]) const {
#if MINITEN_LANES == 16
    if (plain) return round.plain(f);
#endif
    return round.four(f);
  }
  MINITEN_INLINE void side_by_side(uint8_t* to, int64_t n, const I (&acc)[4], const Terms& terms, int64_t j) const {
    V f[4];
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) f[t] = to_float(acc[t]) * load(terms.multiplier + j + t * kLanes);
    store_wide(to, bytes(f), n);
  }
  MINITEN_INLINE void apart(uint8_t* to, int64_t step, const I (&acc)[4], const Terms& terms, int64_t j) const {
    const V multiplier = load(terms.multiplier + j);
    V f[4];
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) f[t] = to_float(acc[t]) * multiplier;
    store_quarters(to, step, bytes(f));
  }
};
struct ToFloats {
  V lo, hi;
  MINITEN_INLINE V value(I acc, const Terms& terms, int64_t j) const {
    const V v = to_float(acc) * load(terms.multiplier + j);
    return clamp(v + load(terms.bias + j), lo, hi);
  }
  MINITEN_INLINE void side_by_side(float* to, int64_t n, const I (&acc)[4], const Terms& terms, int64_t j) const {
    for (int t = 0; t < 4 && t * kLanes < n; ++t) store_n(to + t * kLanes, value(acc[t], terms, j + t * kLanes), n - t * kLanes);
  }
  MINITEN_INLINE void apart(float* to, int64_t step, const I (&acc)[4], const Terms& terms, int64_t j) const {
    MINITEN_UNROLL(4)
    for (int t = 0; t < 4; ++t) store(to + t * step, value(acc[t], terms, j));
  }
};

// One block's weights: four kernel rows interleaved like the strip; [1] for the second of two output rows.
struct Weights {
  alignas(64) Weight at[2][kSlots][kBlock / kLanes];
};

MINITEN_INLINE int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

template <int n>
struct Count {
  static constexpr int value = n;
};

template <class T>
MINITEN_INLINE void repeat(T* values, int64_t pitch, int64_t period) {
  for (int64_t i = pitch; i < period; ++i) values[i] = values[i - pitch];
}

struct Source {
  const uint8_t *x, *x_end;
  const int8_t* w;
  const int32_t* bias;
  const float *bias_f, *multiplier;
  float scale;  // of every multiplier
  int32_t correction;
  I flip;
  W outside;    // taps in the padding
  float multiplier_of(int64_t channel) const {
    const float m = multiplier[channel] * scale;
    return m < __FLT_MAX__ ? m : __FLT_MAX__;
  }
};

// Channels [c, c + n), n <= kBlock, of every output row.
template <class Out, class Finish>
void run_block(const QDepthwiseShape& s, const Plan& p, const Source& from, int64_t c, int64_t n, const Finish& finish, Out* y) {
  // pitch: numbers a column takes in the strip. period: after how many of them weights repeat, in whole vectors.
  int64_t pitch = n, period = n;
  while (period % kWide && period <= kBlock) period += n;
  const bool direct = period <= kBlock && (period == n || s.y_col == n);
  if (!direct) {
    for (period = n; period % kLanes && period <= kBlock;) period += n;
    if (period > kBlock) period = pitch = (n + kLanes - 1) / kLanes * kLanes;
  }

  Weights weights;
  Terms terms = {};
  const auto* w = reinterpret_cast<const uint8_t*>(from.w);
  const uint8_t* w_end = w + s.kernel_h * s.kernel_w * s.channels;
  for (int r = 0; r < (p.pairs ? 2 : 1); ++r)
    for (int64_t k = 0; k < p.slots; ++k) {
      const uint8_t* rows[4];
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t u = k / s.kernel_w * 4 + i - r * s.stride_h;
        rows[i] = u < 0 || u >= s.kernel_h ? nullptr : w + (u * s.kernel_w + k % s.kernel_w) * s.channels + c;
      }
      alignas(64) int32_t row[kBlock];
      interleave_rows(row, rows, n, W{}, I{}, w_end);
      repeat(row, pitch, period);
      for (int64_t j = 0; j < period; j += kLanes) weights.at[r][k][j / kLanes] = weight(row + j);
    }
  for (int64_t i = 0; i < n; ++i) {
    terms.start[i] = from.bias ? from.bias[c + i] : 0;
    terms.bias[i] = from.bias_f ? from.bias_f[c + i] : 0.0f;
    terms.multiplier[i] = from.multiplier_of(c + i);
  }
  repeat(terms.start, pitch, period);
  repeat(terms.bias, pitch, period);
  repeat(terms.multiplier, pitch, period);
  const Activation ones = activation(set_i(0x01010101));
  for (int64_t j = 0; j < period; j += kLanes) {
    I sum = {};
    for (int64_t k = 0; k < p.slots; ++k) sum = dot(sum, ones, weights.at[0][k][j / kLanes]);
    store_as<I>(terms.start + j, (I)(load_as<U>(terms.start + j) - (U)sum * (U)set_i(from.correction)));
  }

  alignas(64) uint8_t absent[kBlock + kWide];    // a pixel of a row that is not there
  for (int64_t i = 0; i < kBlock + kWide; i += kWide) store_as<W>(absent + i, from.outside);
  alignas(64) int32_t strip[kStrip + kSpare];
  constexpr int64_t kSums = kStrip + kSpare;
  alignas(64) Out sums[2][kSums];
  const int64_t chunk = kStrip / (p.groups * p.phases * pitch) - p.reach;
  for (int64_t q = 0; q < s.out_w; q += chunk) {
    const int64_t pixels = s.out_w - q < chunk ? s.out_w - q : chunk, columns = pixels + p.reach;
    int64_t offset[kSlots];
    for (int64_t k = 0; k < p.slots; ++k) {
      const int64_t v = k % s.kernel_w;
      offset[k] = ((k / s.kernel_w * p.phases + p.of_tap[v]) * columns + v * s.dilation_w / s.stride_w) * pitch;
    }
    for (int64_t row = 0, height; row < s.out_h; row += height) {
      height = p.pairs && row + 1 < s.out_h ? 2 : 1;
      const int64_t rows_in = s.kernel_h + (height == 2 ? s.stride_h : 0);
      const int64_t first_row = row * s.stride_h - s.top;
      int32_t* to = strip;
      for (int64_t g = 0; g < p.groups; ++g)
        for (int64_t i = 0; i < p.phases; ++i, to += columns * pitch) {
          const int64_t first_col = q * s.stride_w + p.phase[i] - s.left, used = pixels + p.phase_reach[i], step = s.stride_w * s.x_col;
          int64_t begin = 0, end = used;         // of the columns that lie in x
          if (s.in_h) {
            begin = first_col < 0 ? at_most((s.stride_w - 1 - first_col) / s.stride_w, used) : 0;
            end = first_col < s.in_w ? at_most((s.in_w - 1 - first_col) / s.stride_w + 1, used) : begin;
            if (end < begin) end = begin;
          }
          const auto fill = [&](int64_t column, int64_t to_column) {
            for (int64_t j = column * pitch; j < to_column * pitch; j += kLanes) store_as<I>(to + j, (I)from.outside ^ from.flip);
          };
          fill(0, begin);
          const uint8_t* rows[4];
          for (int64_t k = 0; k < 4; ++k) {
            const int64_t u = 4 * g + k, at = first_row + u * s.dilation_h;
            const bool there = u < rows_in && (!s.in_h || (0 <= at && at < s.in_h));
            rows[k] = there ? from.x + at * s.x_row + (first_col + begin * s.stride_w) * s.x_col + c : nullptr;
          }
          if (step == pitch && begin < end) {
            interleave_rows(to + begin * pitch, rows, (end - begin - 1) * pitch + n, from.outside, from.flip, from.x_end);
          } else {
            int64_t steps[4];
            for (int64_t k = 0; k < 4; ++k) steps[k] = rows[k] ? step : 0, rows[k] = rows[k] ? rows[k] : absent;
            for (int64_t column = begin; column < end; ++column) {
              interleave_rows<true>(to + column * pitch, rows, n, from.outside, from.flip, from.x_end);
              for (int64_t k = 0; k < 4; ++k) rows[k] += steps[k];
            }
          }
          fill(end, used);                       // over what lies behind the last column
        }
      Out* const out = y + row * s.y_row + q * s.y_col + c;
      const auto sum = [&](auto rows, auto whole, Out* first, int64_t to_row, int64_t to_step) {
        sum_strip<rows.value, whole.value>(strip, offset, p.slots, weights.at, period, pixels * pitch, terms, finish, first, to_row, to_step);
      };
      if (direct) {
        const int64_t step = period / n * s.y_col;
        height == 2 ? sum(Count<2>(), Count<1>(), out, s.y_row, step) : sum(Count<1>(), Count<1>(), out, s.y_row, step);
        continue;
      }
      height == 2 ? sum(Count<2>(), Count<0>(), sums[0], kSums, 0) : sum(Count<1>(), Count<0>(), sums[0], kSums, 0);
      for (int64_t r = 0; r < height; ++r) {
        auto* to_y = reinterpret_cast<uint8_t*>(out + r * s.y_row);
        const auto* from_sums = reinterpret_cast<const uint8_t*>(sums[r]);
        constexpr int64_t size = sizeof(Out);
        if (s.y_col == n && pitch == n) copy_bytes(to_y, from_sums, pixels * n * size);
        else
          for (int64_t i = 0; i < pixels; ++i) copy_bytes(to_y + i * s.y_col * size, from_sums + i * pitch * size, n * size);
      }
    }
  }
}

// Kernels of any size, one vector of one pixel at a time.
template <class Out, class Finish>
void run_plainly(const QDepthwiseShape& s, const Source& from, int32_t x_zero, bool x_signed, const Finish& finish, Out* y) {
  const auto* w = from.w;
  for (int64_t c = 0; c < s.channels; c += kLanes) {
    const int64_t n = s.channels - c < kLanes ? s.channels - c : (int64_t)kLanes;
    Terms terms = {};
    for (int64_t i = 0; i < n; ++i) {
      terms.bias[i] = from.bias_f ? from.bias_f[c + i] : 0.0f;
      terms.multiplier[i] = from.multiplier_of(c + i);
    }
    for (int64_t i = 0; i < s.out_h * s.out_w; ++i) {
      const int64_t row = i / s.out_w, col = i % s.out_w;
      const int64_t first_row = row * s.stride_h - s.top, first_col = col * s.stride_w - s.left;
      I acc[4] = {from.bias ? load_ints(from.bias + c, n) : I{}};
      for (int64_t u = 0; u < s.kernel_h; ++u)
        for (int64_t v = 0; v < s.kernel_w; ++v) {
          const int64_t at_row = first_row + u * s.dilation_h, at_col = first_col + v * s.dilation_w;
          if (s.in_h && (at_row < 0 || s.in_h <= at_row || at_col < 0 || s.in_w <= at_col)) continue;
          const I value = load_bytes(from.x + at_row * s.x_row + at_col * s.x_col + c, n, x_signed) - set_i(x_zero);
          acc[0] = add(acc[0], value * load_bytes(w + (u * s.kernel_w + v) * s.channels + c, n, true));
        }
      Out staged[4 * kLanes];
      finish.apart(staged, kLanes, acc, terms, 0);
      copy_bytes(reinterpret_cast<uint8_t*>(y + row * s.y_row + col * s.y_col + c), reinterpret_cast<const uint8_t*>(staged),
                 n * (int64_t)sizeof(Out));
    }
  }
}

template <class Out, class Finish>
void run(const QDepthwiseShape& s, const void* x, const int8_t* w, const int32_t* bias, const float* bias_f, const float* multiplier,
         float scale, int32_t x_zero, bool x_signed, const Finish& finish, Out* y) {
  if (s.channels <= 0 || s.out_h <= 0 || s.out_w <= 0) return;
  const int64_t last_row = s.in_h ? s.in_h - 1 : (s.out_h - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h;
  const int64_t last_col = s.in_h ? s.in_w - 1 : (s.out_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w;
  const auto* first = static_cast<const uint8_t*>(x);
  const Source from = {first,  first + last_row * s.x_row + last_col * s.x_col + s.channels, w, bias, bias_f, multiplier, scale,
                       x_zero + shift_of(x_signed), flip_of(x_signed), Rounding::all_bytes(x_zero & 255)};
  Plan plan;
  if (!make_plan(s, plan)) return run_plainly(s, from, x_zero, x_signed, finish, y);
  for (int64_t c = 0; c < s.channels; c += kBlock)
    run_block(s, plan, from, c, s.channels - c < kBlock ? s.channels - c : kBlock, finish, y);
}

}  // namespace

void qdepthwise(const QDepthwiseShape& s, const void* x, const int8_t* w, void* y, const QEpilogue& e) {
  ToBytes finish(Rounding(e.y_zero, e.lo, e.hi));
#if MINITEN_LANES == 16
  finish.plain = finish.round.is_plain(e.multiplier, s.channels, e.most);
#endif
  run(s, x, w, e.bias, nullptr, e.multiplier, 1, e.x_zero, e.x_signed, finish, static_cast<uint8_t*>(y));
}
void qdepthwise_f32(const QDepthwiseShape& s, const void* x, const int8_t* w, float* y, const QEpilogueF32& e) {
  run(s, x, w, nullptr, e.bias, e.multiplier, e.scale, e.x_zero, e.x_signed, ToFloats{set(e.lo), set(e.hi)}, y);
}

}  // namespace miniten::kernels::MINITEN_TARGET
