#include "ops/loops.h"

namespace miniten {

ElementLoop::ElementLoop(const Shape& shape, std::span<const View> operands) : operands_(int(operands.size())) {
  Strides strides[max_operands];
  for (int k = 0; k < operands_; ++k) strides[k] = broadcast_strides(operands[size_t(k)], shape);
  Axes order;
  for (int i = 0; i < shape.rank; ++i) {                               // by insertion: nothing is allocated here
    if (shape[i] == 1) continue;
    order.push(i);
    for (int j = order.rank - 1; j > 0 && strides[0][int(order[j - 1])] < strides[0][int(order[j])]; --j) std::swap(order[j - 1], order[j]);
  }
  for (Dim d : order) {
    int axis = int(d);
    bool merges = rank_ > 0;
    for (int k = 0; k < operands_ && merges; ++k) merges = stride_[k][rank_ - 1] == strides[k][axis] * shape[axis];
    if (merges) size_[rank_ - 1] *= shape[axis];
    else size_[rank_++] = shape[axis];
    for (int k = 0; k < operands_; ++k) stride_[k][rank_ - 1] = strides[k][axis];
  }
  // Of two operands, the axis along which the second is dense comes next to the row: turned blocks are moved as such.
  if (operands_ == 2 && rank_ > 2 && stride_[1][rank_ - 1] != 1)
    for (int i = 0; i < rank_ - 2; ++i)
      if (stride_[1][i] == 1) {
        std::rotate(size_ + i, size_ + i + 1, size_ + rank_ - 1);
        for (auto& s : stride_) std::rotate(s + i, s + i + 1, s + rank_ - 1);
        break;
      }
  for (int i = 0; i + 1 < rank_; ++i) rows_ *= size_[i];
  for (int k = 0; k < operands_ && rank_ > 0; ++k) step_[k] = stride_[k][rank_ - 1];
}

void ElementLoop::offsets(int64_t row, int64_t* at) const {
  std::fill_n(at, operands_, 0);
  for (int i = rank_ - 2; i >= 0; --i) {
    int64_t index = row % size_[i];
    row /= size_[i];
    for (int k = 0; k < operands_; ++k) at[k] += index * stride_[k][i];
  }
}

void ElementLoop::walk(const Context& c, void (*row)(void*, const int64_t*, const int64_t*, int64_t), void* f) const {
  int64_t at[max_operands] = {};
  if (rank_ == 0) {
    if (c.piece == 0) row(f, at, step_, 1);
    return;
  }
  if (rows_ == 1) {                                                    // one long row: cut it
    auto [begin, end] = c.slice(size_[rank_ - 1], 16);
    for (int k = 0; k < operands_; ++k) at[k] = begin * step_[k];
    if (begin < end) row(f, at, step_, end - begin);
    return;
  }
  auto [begin, end] = c.slice(rows_);
  if (begin >= end) return;
  int64_t index[Dims::capacity] = {};
  for (int64_t i = rank_ - 2, r = begin; i >= 0; --i) {
    index[i] = r % size_[i];
    r /= size_[i];
  }
  offsets(begin, at);
  for (int64_t r = begin; r < end; ++r) {
    row(f, at, step_, size_[rank_ - 1]);
    for (int i = rank_ - 2; i >= 0; --i) {
      const bool over = ++index[i] == size_[i];
      for (int k = 0; k < operands_; ++k) at[k] += over ? stride_[k][i] * (1 - size_[i]) : stride_[k][i];
      if (!over) break;
      index[i] = 0;
    }
  }
}

bool ElementLoop::repeats(int k) const {
  if (rank_ < 2 || step_[k] != 1 || stride_[k][rank_ - 2] != 0) return false;
  for (int i = 0; i < operands_; ++i)
    if (i != k && (step_[i] != 1 || stride_[i][rank_ - 2] != size_[rank_ - 1])) return false;
  return true;
}

Tensor sample_values(const Shape& shape, float from, float to) {
  Tensor t = Tensor::empty({DType::f32, shape});
  int64_t n = shape.count();
  for (int64_t i = 0; i < n; ++i) t.view().f32()[i] = from + (to - from) * (float(i * 37 % 101) + 0.5f) / 101.0f;
  return t;
}

}  // namespace miniten
