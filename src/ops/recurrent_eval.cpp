#include "base/allocate.h"
#include "kernels/gemm.h"
#include "kernels/recurrent.h"
#include "kernels/unary.h"
#include "ops/forms.h"
#include "ops/recurrent.h"

namespace miniten {

namespace {

constexpr int64_t grain = 8;                                  // sequences that walk together
constexpr int64_t block = 32;                                 // of hidden units: panels of every kind of weights

struct Sizes {
  int64_t steps, batch, inputs, hidden, rows;                 // rows: all gates
  BF16Kind kind = not_bf16;                                   // with weights alone, x meets float32: it is multiplied for all steps at once
  int64_t rank = 0;                                           // of the factors of w_hh, where it is two
  uint64_t packed_ih() const { return aligned(packed(inputs, rows, kind == bf16_both)); }
  uint64_t packed_hh() const { return aligned(packed(rank ? rank : hidden, rows, kind)); }
  uint64_t packed_right() const { return rank ? aligned(packed(hidden, rank, false)) : 0; }
  uint64_t packed_all() const { return packed_ih() + packed_hh() + packed_right(); }
  uint64_t packed_back() const { return packed(rows, hidden, false); }
  int64_t taps() const { return rank ? rank * (rows + hidden) / rows : hidden; }                  // of a gate, about

 private:
  static uint64_t packed(int64_t k, int64_t n, bool bf16) { return bf16 ? uint64_t(kernels::bf16_packed_bytes(k, n)) : uint64_t(kernels::gemm_packed_floats(k, n)) * sizeof(float); }
};

const int* order_of(CellKind cell, bool onnx) {
  static constexpr int lstm[2][4] = {{0, 1, 2, 3}, {0, 2, 3, 1}}, gru[2][4] = {{0, 1, 2}, {1, 0, 2}};
  return cell == CellKind::lstm ? lstm[onnx] : gru[onnx];
}

// rows x k times the transpose of a weight (n, k), or with `plain` a weight (k, n) as it stands.
template <class T> struct Weight {
  const T* values;
  const void* packed;
  int64_t n, k;
  bool plain = false;
  BF16Kind kind = not_bf16;
  Weight columns(int64_t begin, int64_t count) const {        // begin: a whole number of blocks
    const int64_t bytes = kind ? kernels::bf16_column_bytes(k) : k * int64_t(sizeof(float));
    return {values ? values + begin * k : nullptr, packed ? static_cast<const std::byte*>(packed) + begin * bytes : nullptr, count, k, plain, kind};
  }
};
template <class T> void multiply(const T* a, int64_t rows, const Weight<T>& w, const T* bias, bool accumulate, T* c, int64_t c_step) {
  kernels::GemmShape s{.rows = 1, .cols = rows, .n = w.n, .a_col = w.k, .a_k = 1, .c_col = c_step, .segment = w.k};
  if constexpr (std::is_same_v<T, float>) {
    kernels::Epilogue e{.bias = bias, .accumulate = accumulate};
    if (w.kind) kernels::gemm_bf16(s, a, static_cast<const std::byte*>(w.packed), c, e, w.kind == bf16_weights);
    else kernels::gemm(s, a, static_cast<const float*>(w.packed), c, e);
  } else kernels::gemm_f64(s, a, w.values, w.plain ? w.n : 1, w.plain ? 1 : w.k, c, {.bias = bias, .accumulate = accumulate});
}

// The walk over the steps: in what order, and which sequences take part.
struct Walk {
  int64_t steps;
  bool reverse;
  const int64_t* lengths;                                     // null: all of them always
  int64_t at(int64_t i) const { return reverse ? steps - 1 - i : i; }
  bool active(int64_t t, int64_t row) const { return 0 <= t && t < steps && (!lengths || t < lengths[row]); }
  int64_t before(int64_t t) const { return reverse ? t + 1 : t - 1; }
};

// Where what a run needs lies in its scratch.
template <class T> struct Parts { T *from_x, *from_h, *reduced; const void *packed_hh, *packed_right; };

struct Range {
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};
// What one piece does: some sequences and all units, or all sequences and some units.
struct Share {
  Range rows, units;
  // The gates of these units, each a block of columns of the products: all at once where it is all units.
  template <class F> void for_gates(const Sizes& z, F f) const {
    if (units.count() == z.hidden) f(int64_t(0), z.rows);
    else for (int64_t at = units.begin; at < z.rows; at += z.hidden) f(at, units.count());
  }
};

template <class T> void start(const Context& c, const RecurrentInputs& in, const Sizes& z, const Share& share) {
  auto fill = [&](int out, int given) {
    for (int64_t row = share.rows.begin; row < share.rows.end; ++row) {
      const int64_t at = row * z.hidden + share.units.begin;
      T* to = c.out[size_t(out)].template as<T>() + at;
      if (given < 0) std::fill_n(to, share.units.count(), T(0));
      else std::copy_n(c.in[size_t(given)].template as<T>() + at, share.units.count(), to);
    }
  };
  fill(1, in.h0);
  if (cell_of(c.as<RecurrentAttrs>()) == CellKind::lstm) fill(2, in.c0);
}

// States are read where the step before wrote its outputs, so that no piece writes what another still reads; where some sequences are
// over, in the last state.
template <class T> void forward_steps(const Context& c, const Sizes& z, const Parts<T>& parts, const Share& share, Range steps) {
  const auto& attrs = c.as<RecurrentAttrs>();
  RecurrentInputs in(attrs, z.rank);
  CellKind cell = cell_of(attrs);
  Walk walk{z.steps, attrs.reverse, attrs.lengths ? c.in[size_t(in.lengths)].i64() : nullptr};
  const int* order = order_of(cell, attrs.onnx_gates);
  const int64_t n = z.hidden, begin = share.rows.begin, count = share.rows.count(), unit = share.units.begin, units = share.units.count();
  const T* bias = attrs.bias ? c.in[size_t(in.b_hh)].template as<T>() : nullptr;
  Weight<T> w{c.in[size_t(in.w_hh)].template as<T>(), parts.packed_hh, z.rows, z.rank ? z.rank : n, false, z.kind}, right{};
  if (z.rank) right = {c.in[size_t(in.right)].template as<T>(), parts.packed_right, z.rank, n};
  T *outputs = c.out[0].template as<T>(), *h = c.out[1].template as<T>(), *state = cell == CellKind::lstm ? c.out[2].template as<T>() : nullptr;
  for (int64_t i = steps.begin; i < steps.end; ++i) {
    int64_t t = walk.at(i);
    T *gates = parts.from_x + (t * z.batch + begin) * z.rows, *own = parts.from_h ? parts.from_h + begin * z.rows : nullptr, *by_h = own ? own : gates;
    const T *before = (i == 0 || walk.lengths ? h : outputs + walk.before(t) * z.batch * n) + begin * n, *states = before;
    if (z.rank) {
      T* reduced = parts.reduced + begin * z.rank;
      multiply<T>(states, count, right, nullptr, false, reduced, z.rank);
      states = reduced;
    }
    share.for_gates(z, [&](int64_t at, int64_t columns) { multiply<T>(states, count, w.columns(at, columns), bias ? bias + at : nullptr, !own, by_h + at, z.rows); });
    for (int64_t row = begin; row < share.rows.end; ++row, gates += z.rows, own += own ? z.rows : 0, before += n) {
      int64_t place = t * z.batch + row;
      T* y = outputs + place * n + unit;
      int64_t kept = attrs.save ? recurrent_saved(cell) * n : 0;
      T* saved = kept ? c.out[3].template as<T>() + place * kept + unit : nullptr;
      if (!walk.active(t, row)) {
        std::fill_n(y, n, T(0));
        if (saved) std::fill_n(saved, kept, T(0));
        continue;
      }
      T* c_state = state + row * n + unit;
      if (cell == CellKind::lstm) kernels::lstm_cell(gates + unit, order, c_state, c_state, y, saved, units, n);
      else if (cell == CellKind::gru) kernels::gru_cell(gates + unit, own + unit, order, before + unit, y, saved, units, n);
      else kernels::unary(cell == CellKind::tanh ? kernels::Unary::tanh : kernels::Unary::relu, gates + unit, y, units);
      if (walk.lengths || i == z.steps - 1) std::copy_n(y, units, h + row * n + unit);
    }
  }
}

template <class T> void backward_rows(const Context& c, const Sizes& z, const float* packed, const T* zeros, int64_t begin, int64_t end) {
  const auto& attrs = c.as<RecurrentAttrs>();
  RecurrentBackwardInputs in(attrs);
  CellKind cell = cell_of(attrs);
  Walk walk{z.steps, attrs.reverse, attrs.lengths ? c.in[size_t(in.lengths)].i64() : nullptr};
  const int* order = order_of(cell, attrs.onnx_gates);
  const int64_t n = z.hidden, count = end - begin, kept = recurrent_saved(cell) * n;
  auto values = [&](int i) { return c.in[size_t(i)].template as<T>(); };
  const T *saved = values(in.saved), *y = values(in.y), *dy = values(in.dy);
  auto first_state = [&](int i, int64_t row) { return i < 0 ? zeros : values(i) + row * n; };
  Weight<T> w{values(in.w_hh), packed, n, z.rows, true};
  bool gru = cell == CellKind::gru;
  T *by_x = c.out[0].template as<T>(), *by_h = gru ? c.out[1].template as<T>() : by_x, *dh = c.out[2].template as<T>(), *dc = in.dc < 0 ? nullptr : c.out[3].template as<T>();
  std::copy_n(values(in.dh) + begin * n, count * n, dh + begin * n);
  if (dc) std::copy_n(values(in.dc) + begin * n, count * n, dc + begin * n);
  for (int64_t i = z.steps; i-- > 0;) {
    int64_t t = walk.at(i), before = walk.before(t);
    for (int64_t row = begin; row < end; ++row) {
      int64_t place = t * z.batch + row;
      T *d = dh + row * n, *dx = by_x + place * z.rows, *own = by_h + place * z.rows;
      if (!walk.active(t, row)) {
        std::fill_n(dx, z.rows, T(0));
        if (gru) std::fill_n(own, z.rows, T(0));
        continue;
      }
      for (int64_t j = 0; j < n; ++j) d[j] += dy[place * n + j];
      bool first = !walk.active(before, row);
      int64_t last = before * z.batch + row;
      if (cell == CellKind::lstm) kernels::lstm_cell_backward(saved + place * kept, first ? first_state(in.c0, row) : saved + last * kept + 4 * n, d, order, dc + row * n, dx, n);
      else if (gru) kernels::gru_cell_backward(saved + place * kept, first ? first_state(in.h0, row) : y + last * n, order, d, dx, own, n);
      else for (int64_t j = 0; j < n; ++j) {
        T v = y[place * n + j];
        dx[j] = cell == CellKind::tanh ? d[j] * (1 - v * v) : v > 0 ? d[j] : T(0);
      }
      if (!gru) std::fill_n(d, n, T(0));
    }
    multiply<T>(by_h + (t * z.batch + begin) * z.rows, count, w, nullptr, true, dh + begin * n, n);
  }
}

// shape(i): of input i.
template <class F> Sizes forward_sizes(const OpDef& op, F shape, BF16Kind kind) {
  const Shape x = shape(0), w_hh = shape(2);
  if (&op != &recurrent_factored_op) return {x[0], x[1], x[2], w_hh[1], w_hh[0], kind};
  return {x[0], x[1], x[2], shape(3)[1], w_hh[0], kind, w_hh[1]};
}
// In how many pieces are the hidden units shared out, with a phase for each step? One: not at all, where a step is not worth a wait
// or there are sequences enough.
int pieces_of_units(const Sizes& z, const RecurrentAttrs& at, int workers) {
  if (z.rank || at.lengths || z.batch >= 2 * grain || z.steps < 2 || z.steps >= 1 << 20 || z.hidden % block) return 1;
  return int(std::clamp<int64_t>(std::min(z.hidden / block, z.batch * z.rows * z.hidden / 16384), 1, workers));
}
Sizes sizes_of(const Call& c, BF16Kind kind) { return forward_sizes(c.op, [&](int i) { return c.in[size_t(i)].shape; }, kind); }
Sizes backward_sizes(const Shape& y, const Shape& w_hh) { return {y[0], y[1], 0, w_hh[1], w_hh[0]}; }
void pack(const View& w, int64_t rows, int64_t k, int64_t begin, int64_t end, float* to) {   // columns [begin, end) of the transpose
  if (begin < end) kernels::gemm_pack(w.f32() + begin * k, k, std::min(end, rows) - begin, 1, k, to + begin * k);
}
void pack_all(const View& w, int64_t rows, int64_t k, bool bf16, std::byte* to) {
  if (bf16) kernels::bf16_pack(w.f32(), k, rows, 1, k, to);
  else pack(w, rows, k, 0, rows, reinterpret_cast<float*>(to));
}

}  // namespace

Work recurrent_work(const Call& c) {
  const auto& attrs = c.as<RecurrentAttrs>();
  Sizes z = sizes_of(c, not_bf16);
  uint64_t item = bytes_of(c.in[0].dtype, 1);
  Work w{.shared = aligned(uint64_t(z.steps * z.batch * z.rows) * item) + aligned(uint64_t(z.batch * z.rank) * item), .phases = 2};
  if (cell_of(attrs) == CellKind::gru) w.shared += uint64_t(z.batch * z.rows) * item;
  if (c.in[0].dtype != DType::f32) return w;
  w.pieces = int(std::clamp<int64_t>(z.steps * z.batch * z.rows * (z.inputs + z.taps()) / 65536, 1, 32));
  if (const int units = pieces_of_units(z, attrs, c.workers); units > 1) {
    w.pieces = units;
    w.phases = int(1 + z.steps);
  }
  if (!c.prepared) {
    w.shared += z.packed_all();
    ++w.phases;
  }
  return w;
}
Cost recurrent_cost(const Call& c) {
  Sizes z = sizes_of(c, not_bf16);
  int64_t by_state = z.rank ? z.rank * (z.rows + z.hidden) : z.rows * z.hidden;
  return Cost{z.steps * z.batch * (z.rows * z.inputs + by_state), z.steps * z.batch * z.rows * 6};
}
uint64_t recurrent_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  Sizes z = sizes_of(c, bf16_kind(c.op));
  if (!in[1].data || !in[2].data || (z.rank && !in[3].data) || c.in[0].dtype != DType::f32) return 0;
  if (to) {
    pack_all(in[1], z.rows, z.inputs, z.kind == bf16_both, to);
    pack_all(in[2], z.rows, z.rank ? z.rank : z.hidden, z.kind, to += z.packed_ih());
    if (z.rank) pack_all(in[3], z.rank, z.hidden, false, to + z.packed_hh());
  }
  return z.packed_all();
}

void recurrent_eval(const Context& c) {
  const auto& attrs = c.as<RecurrentAttrs>();
  Sizes z = forward_sizes(c.op, [&](int i) { return c.in[size_t(i)].shape(); }, c.prepared ? bf16_kind(c.op) : not_bf16);
  RecurrentInputs in(attrs, z.rank);
  auto run = [&]<class T>(T) {
    constexpr bool packs = std::is_same_v<T, float>;
    std::byte *weights = const_cast<std::byte*>(c.prepared), *rest = c.shared;
    if (packs && !c.prepared) {
      weights = c.shared;
      rest += z.packed_all();
    }
    auto part = [&](uint64_t at) { return packs ? reinterpret_cast<float*>(weights + at) : nullptr; };
    float *packed_ih = part(0), *packed_hh = part(z.packed_ih()), *packed_right = part(z.packed_ih() + z.packed_hh());
    int phase = c.phase + (packs && !c.prepared ? 0 : 1);
    auto taken = [&](int64_t values) { return reinterpret_cast<T*>(std::exchange(rest, rest + aligned(uint64_t(values) * sizeof(T)))); };
    Parts<T> parts{taken(z.steps * z.batch * z.rows), nullptr, taken(z.batch * z.rank), packed_hh, packed_right};
    if (cell_of(attrs) == CellKind::gru) parts.from_h = reinterpret_cast<T*>(rest);
    if (phase == 0) {
      auto pack_part = [&](int i, int64_t rows, int64_t k, float* to) {
        auto [begin, end] = c.slice(rows, 16);
        pack(c.in[size_t(i)], rows, k, begin, end, to);
      };
      pack_part(1, z.rows, z.inputs, packed_ih);
      pack_part(2, z.rows, z.rank ? z.rank : z.hidden, packed_hh);
      if (z.rank) pack_part(in.right, z.rank, z.hidden, packed_right);
      return;
    }
    const bool units = c.phases > (packs && !c.prepared ? 3 : 2);
    auto cut = [&](int64_t of, int64_t size) { auto [begin, end] = c.slice(of, size); return Range{begin, end}; };
    const Share share{units ? Range{0, z.batch} : cut(z.batch, grain), units ? cut(z.hidden, block) : Range{0, z.hidden}};
    if (phase == 1) {
      const Range rows = units ? Range{0, z.steps * z.batch} : cut(z.steps * z.batch, 14);
      const T *x = c.in[0].template as<T>() + rows.begin * z.inputs, *bias = attrs.bias ? c.in[size_t(in.b_ih)].template as<T>() : nullptr;
      const Weight<T> w{c.in[1].template as<T>(), packed_ih, z.rows, z.inputs, false, z.kind == bf16_both ? bf16_both : not_bf16};
      if (rows.count() > 0)
        share.for_gates(z, [&](int64_t at, int64_t columns) { multiply<T>(x, rows.count(), w.columns(at, columns), bias ? bias + at : nullptr, false, parts.from_x + rows.begin * z.rows + at, z.rows); });
      start<T>(c, in, z, share);
    } else if (share.rows.count() > 0) forward_steps<T>(c, z, parts, share, units ? Range{phase - 2, phase - 1} : Range{0, z.steps});
  };
  c.in[0].spec.dtype == DType::f64 ? run(double()) : run(float());
}

Work recurrent_backward_work(const Call& c) {
  Sizes z = backward_sizes(c.in[2].shape, c.in[0].shape);
  uint64_t zeros = bytes_of(c.in[0].dtype, z.hidden);
  if (c.in[0].dtype != DType::f32) return {.shared = zeros};
  return {.pieces = int(std::clamp<int64_t>(z.steps * z.batch * z.rows * z.hidden / 65536, 1, 32)), .shared = aligned(z.packed_back()) + zeros, .phases = 2};
}
void recurrent_backward_eval(const Context& c) {
  Sizes z = backward_sizes(c.in[2].shape(), c.in[0].shape());
  auto [begin, end] = c.slice(z.batch, grain);
  if (c.in[0].spec.dtype == DType::f64) {
    auto* zeros = reinterpret_cast<double*>(c.shared);
    std::fill_n(zeros, z.hidden, 0.0);
    return backward_rows<double>(c, z, nullptr, zeros, begin, end);
  }
  auto *packed = reinterpret_cast<float*>(c.shared), *zeros = reinterpret_cast<float*>(c.shared + aligned(z.packed_back()));
  if (c.phase == 0) {
    if (c.piece == 0) std::fill_n(zeros, z.hidden, 0.0f);
    auto [first, last] = c.slice(z.hidden, 16);
    if (first < last) kernels::gemm_pack(c.in[0].f32() + first, z.rows, std::min(last, z.hidden) - first, z.hidden, 1, packed + first * z.rows);
  } else if (begin < end) backward_rows<float>(c, z, packed, zeros, begin, end);
}

}  // namespace miniten
