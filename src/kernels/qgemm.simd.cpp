#include "kernels/qfinish-inl.h"
#include "kernels/qtable.h"
#include "kernels/turn-inl.h"

namespace miniten::kernels::MINITEN_TARGET {
namespace {

constexpr int kPanel = 16;
constexpr int kPanelVectors = kPanel / kLanes;
#if MINITEN_SCALAR
constexpr int kRows = 1, kVectors = 4;
#elif MINITEN_LANES == 16
constexpr int kRows = 8, kVectors = 2;
#elif defined(__x86_64__)
constexpr int kRows = 4, kVectors = 2;
#elif defined(__ARM_FEATURE_MATMUL_INT8)
constexpr int kRows = 8, kVectors = 2;
#else
constexpr int kRows = 6, kVectors = 4;
#endif
constexpr int kOneRowVectors = 4;                // of a lone row: enough sums in flight to hide their latency
#if defined(__AVX512VNNI__)
constexpr bool kJoins = true;
constexpr int64_t kTurnedColumns = 64, kTurnedDepth = 64;  // less is not worth it
constexpr int64_t kTurnedBytes = 1;  // of a value
#elif MINITEN_WIDENS
constexpr bool kJoins = false;
constexpr int64_t kTurnedColumns = 32, kTurnedDepth = 16;
constexpr int64_t kTurnedBytes = 2;
#else
constexpr bool kJoins = false;
constexpr int64_t kTurnedColumns = INT64_MAX;
#endif
constexpr int64_t kManyWeights = 256 * 1024;     // bytes: more than should be read again for every row

constexpr int64_t kStarts = 512;                 // columns whose sums are begun together

struct Tile {
  const uint8_t* a;
  int64_t a_col, outer, outer_stride, inner, inner_stride, groups;
  I flip;
  bool flips;              // else A needs none
  bool wide;               // A is pairs of 16-bit numbers already
  const int8_t* b;         // of the tile's first column
  int64_t b_panel;         // bytes between panels
  const int32_t *sums, *bias, *start;  // of the tile's columns; with which each sum begins
  int32_t correction;      // what each unit of a column's sum adds, to be taken away
  int64_t left;            // columns
};

// Where vector j of a tile's columns lies in a group of packed weights.
MINITEN_INLINE int64_t vector_offset(int j, int64_t b_panel) { return j / kPanelVectors * b_panel + j % kPanelVectors * kLanes * 4; }

#if defined(__ARM_FEATURE_MATMUL_INT8)
// One instruction multiplies two pixels by two columns, eight values deep: two groups of the packed weights at once.
template <int MR, int NV>
MINITEN_INLINE void accumulate_pairs(const Tile& t, I (&acc)[MR][NV]) {
  constexpr int kPairs = (MR + 1) / 2;
  const auto halves = [](I low, I high, int which) {
    const int64x2_t a = (int64x2_t)low, b = (int64x2_t)high;
    return (int32x4_t)(which ? vzip2q_s64(a, b) : vzip1q_s64(a, b));
  };
  int32x4_t sum[kPairs][2 * NV];
  MINITEN_UNROLL(4)
  for (int p = 0; p < kPairs; ++p) {
    const int second = 2 * p + 1 < MR ? 2 * p + 1 : 2 * p;
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j)
      for (int h = 0; h < 2; ++h) sum[p][2 * j + h] = halves(acc[2 * p][j], acc[second][j], h);
  }
  const int8_t* b = t.b;
  const int8x16_t flip = (int8x16_t)t.flip;
  const int64_t a_col = t.a_col, b_panel = t.b_panel;
  const auto step = [&](const uint8_t* a, auto read, auto weights_of) {
    int8x16_t x[kPairs];
    MINITEN_UNROLL(4)
    for (int p = 0; p < kPairs; ++p) {
      const int second = 2 * p + 1 < MR ? 2 * p + 1 : 2 * p;
      x[p] = veorq_s8(vcombine_s8(read(a + 2 * p * a_col), read(a + second * a_col)), flip);
    }
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) {
      const int8_t* at = b + vector_offset(j, b_panel);
      const int32x4_t first = vreinterpretq_s32_s8(vld1q_s8(at)), next = weights_of(at + kPanel * 4);
      const int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(first, next)), high = vreinterpretq_s8_s32(vzip2q_s32(first, next));
      MINITEN_UNROLL(4)
      for (int p = 0; p < kPairs; ++p) {
        sum[p][2 * j] = vmmlaq_s32(sum[p][2 * j], x[p], low);
        sum[p][2 * j + 1] = vmmlaq_s32(sum[p][2 * j + 1], x[p], high);
      }
    }
  };
  for (int64_t o = 0; o < t.outer; ++o)
    for (int64_t i = 0; i < t.inner; ++i) {
      const uint8_t* a = t.a + o * t.outer_stride + i * t.inner_stride;
      int64_t g = 0;
      for (; g + 2 <= t.groups; g += 2, a += 8, b += 2 * kPanel * 4)
        step(a, [](const uint8_t* p) { return load_as<int8x8_t>(p); }, [](const int8_t* w) { return vreinterpretq_s32_s8(vld1q_s8(w)); });
      if (g < t.groups) {                        // the other group's weights are zeros
        step(a, [](const uint8_t* p) { return (int8x8_t)vdup_n_s32(load_as<int32_t>(p)); }, [](const int8_t*) { return vdupq_n_s32(0); });
        b += kPanel * 4;
      }
    }
  MINITEN_UNROLL(8)
  for (int r = 0; r < MR; ++r)
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) acc[r][j] = (I)halves((I)sum[r / 2][2 * j], (I)sum[r / 2][2 * j + 1], r % 2);
}
#endif

// The segments of a run in one loop: the end of a short one is not foreseen.
template <bool Flips, int MR, int NV>
MINITEN_INLINE void add_products(const Tile& t, I (&acc)[MR][NV]) {
  const int8_t* b = t.b;
  [[maybe_unused]] const I flip = t.flip;
  const int64_t a_col = t.a_col, b_panel = t.b_panel, groups = t.groups, to_next = t.inner_stride - 4 * (groups - 1);
  for (int64_t o = 0; o < t.outer; ++o) {
    const uint8_t* a = t.a + o * t.outer_stride;
    for (int64_t all = t.inner * groups, left = groups; all; --all, b += kPanel * 4) {
      Weight w[NV];
      MINITEN_UNROLL(4)
      for (int j = 0; j < NV; ++j) w[j] = weight(b + vector_offset(j, b_panel));
      if constexpr (kLanes == 16 && 1 < MR && 1 < NV) {  // the columns that follow: their runs are too short for the processor to foresee
        MINITEN_UNROLL(4)
        for (int j = 0; j < NV; ++j) __builtin_prefetch(b + vector_offset(j + NV, b_panel));
      }
      MINITEN_UNROLL(8)
      for (int r = 0; r < MR; ++r) {
        const I bytes = set_i(load_as<int32_t>(a + r * a_col));
        const Activation x = activation(Flips ? bytes ^ flip : bytes);
        MINITEN_UNROLL(4)
        for (int j = 0; j < NV; ++j) acc[r][j] = dot(acc[r][j], x, w[j]);
      }
      --left;
      if constexpr (1 < MR) {
        int64_t step = left ? 4 : to_next;
        asm("" : "+r"(step));                            // chosen without a jump
        a += step;
        left = left ? left : groups;
      } else {
        a += 4;
        if (left == 0) a += to_next - 4, left = groups;
      }
    }
  }
}

#if MINITEN_WIDENS
template <int MR, int NV>
MINITEN_INLINE void add_wide_products(const Tile& t, I (&acc)[MR][NV]) {
  const uint8_t* a = t.a;
  const int8_t* b = t.b;
  const int64_t a_col = t.a_col, b_panel = t.b_panel;
  for (int64_t g = 0; g < t.groups; ++g, a += 8, b += kPanel * 4) {
    Weight w[NV];
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) w[j] = weight(b + vector_offset(j, b_panel));
    MINITEN_UNROLL(8)
    for (int r = 0; r < MR; ++r) {
      const Activation x{set_i(load_as<int32_t>(a + r * a_col)), set_i(load_as<int32_t>(a + r * a_col + 4))};
      MINITEN_UNROLL(4)
      for (int j = 0; j < NV; ++j) {
        acc[r][j] = dot(acc[r][j], x, w[j]);
        asm("" : "+x"(acc[r][j]));  // in this order: g++ 12 spills sums where it begins the next pixel earlier
      }
    }
  }
}
#endif

MINITEN_INLINE I start_of(const Tile& t, int64_t column) {
  const I start = (I)(load_as<U>(t.sums + column) * (U)set_i(-t.correction));
  return t.bias && column < t.left ? add(start, load_ints(t.bias + column, t.left - column)) : start;
}

template <int MR, int NV>
MINITEN_INLINE void accumulate(const Tile& t, I (&acc)[MR][NV]) {
  MINITEN_UNROLL(8)
  for (int r = 0; r < MR; ++r) {
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) acc[r][j] = kVectors < NV ? start_of(t, j * kLanes) : load_as<I>(t.start + j * kLanes);
  }
#if defined(__ARM_FEATURE_MATMUL_INT8)
  if constexpr (1 < MR) return accumulate_pairs(t, acc);
#endif
#if defined(__AVX512VNNI__)
  if (!t.flips) return add_products<false>(t, acc);
#elif MINITEN_WIDENS
  if (t.wide) return add_wide_products(t, acc);
#endif
  add_products<true>(t, acc);
}

template <int MR, int NV>
__attribute__((noinline)) void sum_up(const Tile& t, int64_t height, I (*sums)[NV]) {
  if constexpr (1 < MR)
    if (height < MR) return sum_up<MR - 1, NV>(t, height, sums);
  I acc[MR][NV];
  accumulate(t, acc);
  MINITEN_UNROLL(8)
  for (int r = 0; r < MR; ++r)
    MINITEN_UNROLL(4)
    for (int j = 0; j < NV; ++j) sums[r][j] = acc[r][j];
}

// A tile of at most MR pixels, any number: the sums pass through memory, so that one end serves every height.
template <int MR, int NV, class Finish>
__attribute__((noinline)) void run_lower_tile(const Tile& t, const Finish& finish, int64_t height, int64_t row, int64_t col, int64_t j0) {
  I sums[MR][NV];
  sum_up<MR, NV>(t, height, sums);
  int64_t r = 0;
  if constexpr (kLanes == 16 && NV == 2 && 1 < MR && 1 < Finish::kTogether)
    for (; r + 2 <= height; r += 2) {
      I two[2][NV];
      __builtin_memcpy(two, sums + r, sizeof two);
      finish(two, row, col + r, j0, t.left);
    }
  for (; r < height; ++r) finish(reinterpret_cast<const I(&)[1][NV]>(sums[r]), row, col + r, j0, t.left);
}
template <int MR, int NV, class Finish>
void run_tile(const Tile& t, const Finish& finish, int64_t height, int64_t row, int64_t col, int64_t j0) {
  if constexpr (1 < MR)
    if (height < MR) return run_lower_tile<MR - 1, NV>(t, finish, height, row, col, j0);
  I acc[MR][NV];
  accumulate(t, acc);
  finish(acc, row, col, j0, t.left);
}

template <class Finish>
struct Product {
  const QGemmShape& s;
  const Finish& finish;
  const int8_t* panels;
  const int32_t *sums, *bias;
  int64_t padded;
  Tile t{};
  int64_t begin = 0, end = 0;  // columns that `starts` holds
  int32_t starts[kStarts];

  Product(const QGemmShape& shape, const std::byte* packed, const int32_t* column_bias, const Finish& to)
      : s(shape), finish(to), panels(qgemm_panels(shape, packed)), sums(qgemm_sums(shape, packed)), bias(column_bias), padded((shape.n + kPanel - 1) / kPanel * kPanel) {}

  // With what the sums of channels [j0, reach) begin, and those of more at once.
  void begin_sums(int64_t j0, int64_t reach) {
    if (j0 < begin || end < reach) {
      begin = j0;
      end = padded - j0 < kStarts ? padded : j0 + kStarts;
      for (int64_t j = 0; j < end - begin; j += kLanes) store_as<I>(starts + j, start_of(t, j));
    }
    t.start = starts + (j0 - begin);
  }
  // `height` pixels from column `col` on, channels from j0 on, by A at t.a; returns how many channels.
  int64_t run(int64_t height, int64_t row, int64_t col, int64_t j0) {
    const int64_t vectors = (padded - j0) / kLanes;                 // vectors past the last panel do not exist
    t.b = panels + j0 / kPanel * t.b_panel + j0 % kPanel * 4;
    t.sums = sums + j0;
    t.bias = bias ? bias + j0 : nullptr;
    t.left = s.n - j0;
    const bool one_row = s.cols == 1 && vectors >= kOneRowVectors;
    if (!one_row || kOneRowVectors <= kVectors) begin_sums(j0, vectors < kVectors ? padded : j0 + kVectors * kLanes);
    if (one_row) {
      run_tile<1, kOneRowVectors>(t, finish, 1, row, col, j0);
      return kOneRowVectors * kLanes;
    }
    if (vectors >= kVectors && t.left > kLanes) {
      run_tile<kRows, kVectors>(t, finish, height, row, col, j0);
      return kVectors * kLanes;
    }
    run_tile<kRows, 1>(t, finish, height, row, col, j0);
    return kLanes;
  }
};

#if defined(__AVX512VNNI__) || MINITEN_WIDENS
// The segments of `height` pixels of `depth` values, one behind the other, flipped and wide where products want that.
void turn(const Tile& t, const uint8_t* a, int64_t height, int64_t depth, uint8_t* to) {
  int64_t segment = 4 * t.groups;
#if !MINITEN_WIDENS
  if (segment == 4) {                                       // in the place of a vector for each
    const int32_t flip = t.flip[0];
    const int64_t inner = t.inner, stride = t.inner_stride;
    for (int64_t r = 0; r < height; ++r)
      for (int64_t o = 0; o < t.outer; ++o) {
        const uint8_t* from = a + r * t.a_col + o * t.outer_stride;
        for (int64_t i = 0; i < inner; ++i, from += stride, to += 4) store_as<int32_t>(to, load_as<int32_t>(from) ^ flip);
      }
    return;
  }
#endif
  if (t.a_col == depth && segment == depth) segment *= height, height = 1;  // they follow one another
  for (int64_t r = 0; r < height; ++r, to += depth * kTurnedBytes) {
    uint8_t* at = to;
    for (int64_t o = 0; o < t.outer; ++o)
      for (int64_t i = 0; i < t.inner; ++i, at += segment * kTurnedBytes) {
        const uint8_t* from = a + r * t.a_col + o * t.outer_stride + i * t.inner_stride;
#if MINITEN_WIDENS
        widen_bytes(from, segment, (W)t.flip, at);
#else
        turn_bytes(from, segment, (W)t.flip, at);
#endif
      }
  }
}
// Pixels from `first` on, counted through rows of s.cols.
void turn_joined(const Tile& t, const QGemmShape& s, const uint8_t* a, int64_t first, int64_t height, int64_t depth, uint8_t* to) {
  int64_t row = first / s.cols, col = first % s.cols;
  for (int64_t n; 0 < height; height -= n, to += n * depth, col = 0, ++row) {
    n = height < s.cols - col ? height : s.cols - col;
    turn(t, a + row * s.a_row + col * s.a_col, n, depth, to);
  }
}
#endif

template <class Finish>
void run(const QGemmShape& shape, const void* data, const std::byte* packed, const int32_t* bias, int32_t x_zero, bool x_signed,
         const Finish& finish) {
  if (shape.rows <= 0 || shape.cols <= 0 || shape.n <= 0) return;
  QGemmShape s = shape;
  // Rows shorter than a tile are one, whose pixels are turned wherever they lie.
  const bool joins = kJoins && 1 < s.rows && s.cols < kRows && s.c_row == s.cols * s.c_col && kTurnedColumns <= s.n && s.outer * s.inner * s.segment <= 512;
  if (joins) s.cols *= s.rows, s.rows = 1;
  Product<Finish> p(s, packed, bias, finish);
  Tile& t = p.t;
  t.a_col = s.a_col;
  t.outer = s.outer;
  t.outer_stride = s.outer_stride;
  t.inner = s.inner;
  t.inner_stride = s.inner_stride;
  t.groups = (s.segment + 3) / 4;
  t.flip = flip_of(x_signed);
  t.flips = x_signed;
  t.correction = x_zero + shift_of(x_signed);
  t.b_panel = t.outer * t.inner * t.groups * kPanel * 4;
  const auto* a = static_cast<const uint8_t*>(data);
  const bool many = p.padded / kPanel * t.b_panel > kManyWeights;
  int64_t together = many ? 1 : s.n;             // columns that a turned pixel serves
#if defined(__AVX512VNNI__) || MINITEN_WIDENS
  const int64_t depth = t.outer * t.inner * t.groups * 4;
  uint8_t turned[64 * 1024 + 2 * kWide];
  const bool long_runs = kTurnedDepth <= depth && (32 <= s.segment || t.outer * t.inner == 1);
  bool turns = long_runs && kTurnedColumns <= s.n && kRows * depth * kTurnedBytes <= 64 * 1024;
#if MINITEN_WIDENS
  turns = turns && 1 < s.cols;
  if (many) together = kManyWeights / t.b_panel * kPanel;
#else
  turns = joins || (turns && x_signed && 1 < s.cols);
#endif
  Tile as_it_lies;
  if (turns) as_it_lies = t, t.a = turned, t.a_col = depth * kTurnedBytes, t.groups = depth / 4, t.outer = t.inner = 1, t.flips = false, t.wide = 1 < kTurnedBytes;
#else
  constexpr bool turns = false;
#endif
  // A row of pixels in the fewest tiles, all about as tall, channels from j0 on; returns how many were done: where A is turned as many
  // as go together.
  const auto pixels = [&](int64_t row, int64_t j0) -> int64_t {
    int64_t done = 0, tiles = (s.cols + kRows - 1) / kRows;
    for (int64_t col = 0; tiles > 0; --tiles) {
      const int64_t height = (s.cols - col + tiles - 1) / tiles;
      const uint8_t* from = a + row * s.a_row + col * s.a_col;
#if defined(__AVX512VNNI__) || MINITEN_WIDENS
      if (joins) turn_joined(as_it_lies, shape, a, col, height, depth, turned);
      else if (turns) turn(as_it_lies, from, height, depth, turned);
      else t.a = from;
#else
      t.a = from;
#endif
      done = 0;
      do done += p.run(height, row, col, j0 + done);
      while (turns && done < together && j0 + done < s.n);
      col += height;
    }
    return done;
  };
  if (many) {
    int64_t width = 0;
    for (int64_t j0 = 0; j0 < s.n; j0 += width)
      for (int64_t row = 0; row < s.rows; ++row) width = pixels(row, j0);
  } else {
    for (int64_t row = 0; row < s.rows; ++row)
      for (int64_t j0 = 0; j0 < s.n;) j0 += pixels(row, j0);
  }
}

}  // namespace

void qgemm(const QGemmShape& shape, const void* a, const std::byte* packed, void* c, const QEpilogue& e) {
  ToBytes finish(Rounding(e.y_zero, e.lo, e.hi), e.multiplier, c, shape.c_row, shape.c_col);
#if MINITEN_LANES == 16
  finish.plain = finish.round.is_plain(e.multiplier, shape.n, e.most);
#endif
  run(shape, a, packed, e.bias, e.x_zero, e.x_signed, finish);
}
void qgemm_f32(const QGemmShape& shape, const void* a, const std::byte* packed, float* c, const QEpilogueF32& e) {
  run(shape, a, packed, nullptr, e.x_zero, e.x_signed, ToFloats{e, c, shape.c_row, shape.c_col});
}

int64_t qgemm_flips_from() {
#if defined(__AVX512VNNI__)
  return kTurnedColumns;
#else
  return INT64_MAX;
#endif
}

}  // namespace miniten::kernels::MINITEN_TARGET
