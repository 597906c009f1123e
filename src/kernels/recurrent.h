#pragma once
#include <cstdint>

namespace miniten::kernels {

// The part of a recurrent cell that is no matrix product, for n hidden units of one row. A row of gates, or of what is saved, holds
// one block for each gate, `block` values apart (0: n); order[k] is the block of the k-th gate: input, forget, candidate, output for
// the LSTM and reset, update, candidate for the GRU. Outputs may not overlap inputs, except that c may be c_before.

// c = f*c_before + i*g, h = o*tanh(c), with sigmoid gates i, f, o and g = tanh. saved, if given, receives i, f, g, o, c.
void lstm_cell(const float* gates, const int* order, const float* c_before, float* c, float* h, float* saved, int64_t n, int64_t block = 0);
void lstm_cell(const double* gates, const int* order, const double* c_before, double* c, double* h, double* saved, int64_t n, int64_t block = 0);

// From dh and, in dc, the gradient of c that later steps give: the gradients of the gates before their activations;
// dc becomes that of c_before.
void lstm_cell_backward(const float* saved, const float* c_before, const float* dh, const int* order, float* dc, float* dgates, int64_t n);
void lstm_cell_backward(const double* saved, const double* c_before, const double* dh, const int* order, double* dc, double* dgates, int64_t n);

// r, z = sigmoid(from_x + from_h); candidate = tanh(from_x + r*from_h); h = candidate + z*(h_before - candidate).
// saved, if given, receives r, z, candidate and the candidate's share of from_h.
void gru_cell(const float* from_x, const float* from_h, const int* order, const float* h_before, float* h, float* saved, int64_t n, int64_t block = 0);
void gru_cell(const double* from_x, const double* from_h, const int* order, const double* h_before, double* h, double* saved, int64_t n, int64_t block = 0);

// dh becomes what reaches h_before directly, without the products.
void gru_cell_backward(const float* saved, const float* h_before, const int* order, float* dh, float* dfrom_x, float* dfrom_h, int64_t n);
void gru_cell_backward(const double* saved, const double* h_before, const int* order, double* dh, double* dfrom_x, double* dfrom_h, int64_t n);

}  // namespace miniten::kernels
