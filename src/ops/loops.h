#pragma once
#include "miniten/core/op.h"

namespace miniten {

// How many pieces an elementwise op of so many elements is cut into.
inline int pieces_for(int64_t work) { return int(std::clamp<int64_t>(work / 16384, 1, 64)); }
// Where threads are known and cuts change no bit: a piece for each of them, of work that makes up to `most` pieces worth a wait; of
// more pieces the same number for each.
inline int pieces_for_threads(const Call& call, int pieces, int64_t most) {
  if (call.workers < 2) return pieces;
  if (pieces < call.workers) return std::max(pieces, int(std::min<int64_t>(call.workers, most)));
  return pieces / call.workers * call.workers;
}
inline int pieces_for_threads(const Call& call, int64_t work) { return pieces_for_threads(call, pieces_for(work), work / 4096); }
inline Work elementwise_work(const Call& call) { return {.pieces = pieces_for_threads(call, call.out[0].shape.count())}; }

// One pass over several operands of one shape, each with strides of its own (0 where broadcast). Axes are ordered by
// the first operand's strides and merged where all operands allow, so the last axis is the row.
class ElementLoop {
 public:
  static constexpr int max_operands = 5;
  ElementLoop(const Shape&, std::span<const View> operands);           // operands broadcast to the shape
  // Calls f(offsets, steps, n) for the rows of c's piece; offsets and steps count elements, by operand.
  template <class F> void run(const Context& c, F f) const {
    walk(c, [](void* row, const int64_t* at, const int64_t* step, int64_t n) { (*static_cast<F*>(row))(at, step, n); }, &f);
  }

  // Both operands of two lie as matrices turned round: then calls f(offsets, n, m, rows of m of operand 0, rows of n of operand 1).
  bool is_turned() const { return operands_ == 2 && rank_ >= 2 && step_[0] == 1 && step_[1] != 1 && stride_[1][rank_ - 2] == 1; }
  template <class F> void run_turned(const Context& c, F f) const {
    const int64_t n = size_[rank_ - 2];
    auto [begin, end] = c.slice(rows_, 16);
    for (int64_t r = begin, next; r < end; r = next) {
      next = std::min(end, (r / n + 1) * n);
      int64_t at[max_operands] = {};
      offsets(r, at);
      f(at, next - r, size_[rank_ - 1], stride_[0][rank_ - 2], step_[1]);
    }
  }

  // Operand k has one row for many rows of the others, which go on from one to the next: then calls f(offsets, rows) for as many as share it.
  bool repeats(int k) const;
  int64_t row() const { return size_[rank_ - 1]; }
  template <class F> void run_repeated(const Context& c, F f) const {
    const int64_t n = size_[rank_ - 2];
    auto [begin, end] = c.slice(rows_);
    for (int64_t r = begin, next; r < end; r = next) {
      next = std::min(end, (r / n + 1) * n);
      int64_t at[max_operands] = {};
      offsets(r, at);
      f(at, next - r);
    }
  }

 private:
  void offsets(int64_t row, int64_t* at) const;
  // One walk for all: each op and dtype adds its row alone to the program.
  void walk(const Context&, void (*row)(void*, const int64_t* at, const int64_t* step, int64_t n), void*) const;
  int rank_ = 0, operands_ = 0;
  int64_t rows_ = 1, size_[Dims::capacity], stride_[max_operands][Dims::capacity], step_[max_operands] = {};
};

inline void require_floats(const Call& call) {
  for (const Spec& s : call.in)
    if (!is_float(s.dtype)) call.fail("a floating-point tensor", s.text(), "convert with cast first", ErrorKind::type);
}
inline void require_same_dtype(const Call& call) {
  for (const Spec& s : call.in)
    if (s.dtype != call.in[0].dtype)
      call.fail("inputs of one dtype", call.in[0].text() + " and " + s.text(), "convert with cast first", ErrorKind::type);
}
inline void require_integers(const Call& call, int i) {
  if (DType t = call.in[size_t(i)].dtype; t != DType::i64 && t != DType::i32)
    call.fail("int64 or int32 indices", call.in[size_t(i)].text(), "", ErrorKind::type);
}
inline int normal_axis(std::string_view op, int64_t axis, int rank) {
  if (axis < -std::max(rank, 1) || axis >= std::max(rank, 1))
    throw Error(ErrorKind::index, op, "an axis in [-" + std::to_string(rank) + ", " + std::to_string(rank) + ")", std::to_string(axis));
  return int(axis < 0 ? axis + rank : axis);
}
// The index at i of an int64 or int32 view read in row-major order.
inline int64_t index_at(const View& v, int64_t offset) { return v.spec.dtype == DType::i64 ? v.i64()[offset] : v.as<int32_t>()[offset]; }

// Throws at the first index outside [low, size), naming it; where the values are not known yet, eval clamps.
void check_range(const Call&, int input, int64_t low, Dim size, std::string_view what);

// Both in the dtype of `a op b`: a tensor without axes is weaker than one with them, as in torch.
std::pair<Tensor, Tensor> promoted(const Tensor& a, const Tensor& b);

// A few values for the contract tests: distinct, away from kinks and ties.
Tensor sample_values(const Shape&, float from = -1.5f, float to = 1.5f);

}  // namespace miniten
