#include "kernels/ftable.h"
#include "kernels/math-inl.h"

namespace miniten::kernels::MINITEN_TARGET {

void lstm_cell(const float* gates, const int* order, const float* c_before, float* c, float* h, float* saved, int64_t n, int64_t block) {
  const float *in = gates + order[0] * block, *forget = gates + order[1] * block, *cell = gates + order[2] * block, *out = gates + order[3] * block;
  for_lanes(n, [&](int64_t j, int64_t m) {
    const V i = sigmoid(load_n(in + j, m)), f = sigmoid(load_n(forget + j, m)), g = tanh(load_n(cell + j, m)), o = sigmoid(load_n(out + j, m));
    const V now = fma(f, load_n(c_before + j, m), i * g);
    store_n(c + j, now, m);
    store_n(h + j, o * tanh(now), m);
    if (!saved) return;
    store_n(saved + j, i, m);
    store_n(saved + block + j, f, m);
    store_n(saved + 2 * block + j, g, m);
    store_n(saved + 3 * block + j, o, m);
    store_n(saved + 4 * block + j, now, m);
  });
}

void lstm_cell_backward(const float* saved, const float* c_before, const float* dh, const int* order, float* dc, float* dgates, int64_t n) {
  for_lanes(n, [&](int64_t j, int64_t m) {
    const V i = load_n(saved + j, m), f = load_n(saved + n + j, m), g = load_n(saved + 2 * n + j, m), o = load_n(saved + 3 * n + j, m);
    const V t = tanh(load_n(saved + 4 * n + j, m)), d = load_n(dh + j, m);
    const V dcell = fma(d * o, 1.0f - t * t, load_n(dc + j, m));
    store_n(dgates + order[0] * n + j, dcell * g * i * (1.0f - i), m);
    store_n(dgates + order[1] * n + j, dcell * load_n(c_before + j, m) * f * (1.0f - f), m);
    store_n(dgates + order[2] * n + j, dcell * i * (1.0f - g * g), m);
    store_n(dgates + order[3] * n + j, d * t * o * (1.0f - o), m);
    store_n(dc + j, dcell * f, m);
  });
}

void gru_cell(const float* from_x, const float* from_h, const int* order, const float* h_before, float* h, float* saved, int64_t n, int64_t block) {
  const int64_t reset = order[0] * block, update = order[1] * block, cell = order[2] * block;
  for_lanes(n, [&](int64_t j, int64_t m) {
    const V r = sigmoid(load_n(from_x + reset + j, m) + load_n(from_h + reset + j, m));
    const V z = sigmoid(load_n(from_x + update + j, m) + load_n(from_h + update + j, m));
    const V share = load_n(from_h + cell + j, m), candidate = tanh(fma(r, share, load_n(from_x + cell + j, m)));
    store_n(h + j, fma(z, load_n(h_before + j, m) - candidate, candidate), m);
    if (!saved) return;
    store_n(saved + j, r, m);
    store_n(saved + block + j, z, m);
    store_n(saved + 2 * block + j, candidate, m);
    store_n(saved + 3 * block + j, share, m);
  });
}

void gru_cell_backward(const float* saved, const float* h_before, const int* order, float* dh, float* dfrom_x, float* dfrom_h, int64_t n) {
  const int64_t reset = order[0] * n, update = order[1] * n, cell = order[2] * n;
  for_lanes(n, [&](int64_t j, int64_t m) {
    const V r = load_n(saved + j, m), z = load_n(saved + n + j, m), candidate = load_n(saved + 2 * n + j, m), d = load_n(dh + j, m);
    const V dcandidate = d * (1.0f - z) * (1.0f - candidate * candidate);
    const V dr = dcandidate * load_n(saved + 3 * n + j, m) * r * (1.0f - r);
    const V dz = d * (load_n(h_before + j, m) - candidate) * z * (1.0f - z);
    store_n(dfrom_x + reset + j, dr, m);
    store_n(dfrom_h + reset + j, dr, m);
    store_n(dfrom_x + update + j, dz, m);
    store_n(dfrom_h + update + j, dz, m);
    store_n(dfrom_x + cell + j, dcandidate, m);
    store_n(dfrom_h + cell + j, dcandidate * r, m);
    store_n(dh + j, d * z, m);
  });
}

}  // namespace miniten::kernels::MINITEN_TARGET
