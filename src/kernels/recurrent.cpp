#include "kernels/recurrent.h"

#include <cmath>

#include "kernels/ftable.h"

namespace miniten::kernels {
namespace {
double logistic(double x) { return 1 / (1 + std::exp(-x)); }
}  // namespace

void lstm_cell(const float* gates, const int* order, const float* c_before, float* c, float* h, float* saved, int64_t n, int64_t block) {
  ftable().lstm_cell(gates, order, c_before, c, h, saved, n, block ? block : n);
}
void lstm_cell_backward(const float* saved, const float* c_before, const float* dh, const int* order, float* dc, float* dgates, int64_t n) {
  ftable().lstm_cell_backward(saved, c_before, dh, order, dc, dgates, n);
}
void gru_cell(const float* from_x, const float* from_h, const int* order, const float* h_before, float* h, float* saved, int64_t n, int64_t block) {
  ftable().gru_cell(from_x, from_h, order, h_before, h, saved, n, block ? block : n);
}
void gru_cell_backward(const float* saved, const float* h_before, const int* order, float* dh, float* dfrom_x, float* dfrom_h, int64_t n) {
  ftable().gru_cell_backward(saved, h_before, order, dh, dfrom_x, dfrom_h, n);
}

void lstm_cell(const double* gates, const int* order, const double* c_before, double* c, double* h, double* saved, int64_t n, int64_t block) {
  const int64_t apart = block ? block : n;
  for (int64_t j = 0; j < n; ++j) {
    const double i = logistic(gates[order[0] * apart + j]), f = logistic(gates[order[1] * apart + j]);
    const double g = std::tanh(gates[order[2] * apart + j]), o = logistic(gates[order[3] * apart + j]);
    c[j] = f * c_before[j] + i * g;
    h[j] = o * std::tanh(c[j]);
    if (!saved) continue;
    const double kept[] = {i, f, g, o, c[j]};
    for (int k = 0; k < 5; ++k) saved[k * apart + j] = kept[k];
  }
}

void lstm_cell_backward(const double* saved, const double* c_before, const double* dh, const int* order, double* dc, double* dgates, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const double i = saved[j], f = saved[n + j], g = saved[2 * n + j], o = saved[3 * n + j], t = std::tanh(saved[4 * n + j]);
    const double dcell = dc[j] + dh[j] * o * (1 - t * t);
    dgates[order[0] * n + j] = dcell * g * i * (1 - i);
    dgates[order[1] * n + j] = dcell * c_before[j] * f * (1 - f);
    dgates[order[2] * n + j] = dcell * i * (1 - g * g);
    dgates[order[3] * n + j] = dh[j] * t * o * (1 - o);
    dc[j] = dcell * f;
  }
}

void gru_cell(const double* from_x, const double* from_h, const int* order, const double* h_before, double* h, double* saved, int64_t n, int64_t block) {
  const int64_t apart = block ? block : n;
  for (int64_t j = 0; j < n; ++j) {
    const double r = logistic(from_x[order[0] * apart + j] + from_h[order[0] * apart + j]);
    const double z = logistic(from_x[order[1] * apart + j] + from_h[order[1] * apart + j]);
    const double share = from_h[order[2] * apart + j], candidate = std::tanh(from_x[order[2] * apart + j] + r * share);
    h[j] = candidate + z * (h_before[j] - candidate);
    if (!saved) continue;
    const double kept[] = {r, z, candidate, share};
    for (int k = 0; k < 4; ++k) saved[k * apart + j] = kept[k];
  }
}

void gru_cell_backward(const double* saved, const double* h_before, const int* order, double* dh, double* dfrom_x, double* dfrom_h, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const double r = saved[j], z = saved[n + j], candidate = saved[2 * n + j], share = saved[3 * n + j];
    const double dcandidate = dh[j] * (1 - z) * (1 - candidate * candidate);
    const double dr = dcandidate * share * r * (1 - r), dz = dh[j] * (h_before[j] - candidate) * z * (1 - z);
    dfrom_x[order[0] * n + j] = dfrom_h[order[0] * n + j] = dr;
    dfrom_x[order[1] * n + j] = dfrom_h[order[1] * n + j] = dz;
    dfrom_x[order[2] * n + j] = dcandidate;
    dfrom_h[order[2] * n + j] = dcandidate * r;
    dh[j] *= z;
  }
}

}  // namespace miniten::kernels
