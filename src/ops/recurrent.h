#pragma once
#include "miniten/core/op.h"
#include "miniten/ops/attrs.h"

// A recurrent layer in one direction over a whole sequence, and its gradient: what their rows and evaluation share.
namespace miniten {

// Importers write the forms that `recurrent` does not have as some ten ops a step: of so many steps at most.
inline constexpr int64_t most_unrolled_steps = 4096;

// recurrent: x (T, N, I), w_ih (G*H, I), w_hh (G*H, H), [b_ih, b_hh (G*H)], [h0, c0 (N, H)], [lengths (N) int64]
//   -> y (T, N, H), h (N, H), c (N, H), saved (T, N, 5H or 4H); c is empty but for the LSTM, saved where not asked for.
// Without h0 (and for the LSTM c0) the first states are 0. recurrent_factored: w_hh is two inputs, left (G*H, R)
// and right (R, H), whose product is never made.
struct RecurrentInputs {
  explicit RecurrentInputs(const RecurrentAttrs&, bool factored = false);
  int x = 0, w_ih = 1, w_hh = 2, right = -1, b_ih = -1, b_hh = -1, h0 = -1, c0 = -1, lengths = -1, count;
};
// recurrent_backward: w_hh, saved, y, dy (T, N, H), dh (N, H), [dc (N, H)], [h0, c0], [lengths]
//   -> gradients of the gates as they come from x (T, N, G*H) and, for the GRU, from h (else empty), of h0 and of c0.
struct RecurrentBackwardInputs {
  explicit RecurrentBackwardInputs(const RecurrentAttrs&);
  int w_hh = 0, saved = 1, y = 2, dy = 3, dh = 4, dc = -1, h0 = -1, c0 = -1, lengths = -1, count;
};

int recurrent_gates(CellKind);                           // G
int recurrent_saved(CellKind);                           // blocks of H
CellKind cell_of(const RecurrentAttrs&);                 // attributes that infer let pass

void recurrent_eval(const Context&);
Work recurrent_work(const Call&);
Cost recurrent_cost(const Call&);
uint64_t recurrent_prepare(const Call&, std::span<const View> in, std::byte* to);
void recurrent_backward_eval(const Context&);
Work recurrent_backward_work(const Call&);

}  // namespace miniten
