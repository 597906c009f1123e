#include "miniten/nn/activations.h"
#include "nn/layer_parts.h"

namespace miniten::nn {

namespace F = functional;

std::vector<Tensor> Activation::forward(const std::vector<Tensor>& in) { return {f_(only(*this, in))}; }
ReLU::ReLU(bool) : Activation("ReLU", relu) {}
ReLU6::ReLU6(bool) : Activation("ReLU6", [](const Tensor& x) { return clamp(x, 0, 6); }) {}
LeakyReLU::LeakyReLU(double slope) : Activation("LeakyReLU", [=](const Tensor& x) { return F::leaky_relu(x, slope); }, "negative_slope=" + number(slope)) {}
ELU::ELU(double alpha) : Activation("ELU", [=](const Tensor& x) { return F::elu(x, alpha); }, "alpha=" + number(alpha)) {}
CELU::CELU(double alpha) : Activation("CELU", [=](const Tensor& x) { return F::celu(x, alpha); }, "alpha=" + number(alpha)) {
  if (alpha == 0) throw Error(ErrorKind::value, "CELU", "an alpha other than 0", "0");
}
SELU::SELU() : Activation("SELU", F::selu) {}
Sigmoid::Sigmoid() : Activation("Sigmoid", sigmoid) {}
Tanh::Tanh() : Activation("Tanh", tanh) {}
GELU::GELU(const std::string& approximate)
    : Activation("GELU", [=](const Tensor& x) { return F::gelu(x, approximate); }, "approximate='" + approximate + "'") {
  if (approximate != "none" && approximate != "tanh") throw Error(ErrorKind::value, "GELU", "approximate 'none' or 'tanh'", "'" + approximate + "'");
}
SiLU::SiLU() : Activation("SiLU", silu) {}
Mish::Mish() : Activation("Mish", F::mish) {}
Hardswish::Hardswish() : Activation("Hardswish", F::hardswish) {}
Hardsigmoid::Hardsigmoid() : Activation("Hardsigmoid", F::hardsigmoid) {}
Hardtanh::Hardtanh(double low, double high)
    : Activation("Hardtanh", [=](const Tensor& x) { return F::hardtanh(x, low, high); }, "min_val=" + number(low) + ", max_val=" + number(high)) {
  if (!(low <= high)) throw Error(ErrorKind::value, "Hardtanh", "min_val <= max_val", number(low) + " and " + number(high));
}
Softplus::Softplus(double beta, double threshold)
    : Activation("Softplus", [=](const Tensor& x) { return F::softplus(x, beta, threshold); }, "beta=" + number(beta) + ", threshold=" + number(threshold)) {
  if (beta == 0) throw Error(ErrorKind::value, "Softplus", "a beta other than 0", "0");
}
LogSigmoid::LogSigmoid() : Activation("LogSigmoid", F::logsigmoid) {}
Softsign::Softsign() : Activation("Softsign", F::softsign) {}
Tanhshrink::Tanhshrink() : Activation("Tanhshrink", F::tanhshrink) {}
GLU::GLU(int dim) : Activation("GLU", [=](const Tensor& x) { return F::glu(x, dim); }, "dim=" + std::to_string(dim)) {}

PReLU::PReLU(int64_t n, double init) : num_parameters(n) {
  require_positive("PReLU", "num_parameters", n);
  register_parameter("weight", Tensor::full({n}, init));
}
std::vector<Tensor> PReLU::forward(const std::vector<Tensor>& in) { return {F::prelu(only(*this, in), parameter_of("weight"))}; }
std::string PReLU::extra_repr() const { return "num_parameters=" + std::to_string(num_parameters); }

std::vector<Tensor> Softmax::forward(const std::vector<Tensor>& in) { return {softmax(only(*this, in), dim)}; }
std::string Softmax::extra_repr() const { return "dim=" + std::to_string(dim); }
std::vector<Tensor> LogSoftmax::forward(const std::vector<Tensor>& in) { return {log_softmax(only(*this, in), dim)}; }
std::string LogSoftmax::extra_repr() const { return "dim=" + std::to_string(dim); }

// ---- noise ----
Determinism& determinism() {
  static thread_local Determinism d;
  return d;
}
static int64_t stream_of(const std::string& path) {            // FNV-1a, kept positive
  uint64_t h = 1469598103934665603u;
  for (char c : path) h = (h ^ uint8_t(c)) * 1099511628211u;
  return int64_t(h >> 2);
}

Dropout::Dropout(double p, bool deterministic, std::optional<uint64_t> seed) : p(p), deterministic(deterministic || seed) {
  if (!(p >= 0 && p <= 1)) throw Error(ErrorKind::value, "Dropout", "a probability in [0, 1]", number(p));
  int64_t key[] = {this->deterministic ? int64_t(seed.value_or(0)) : int64_t(default_generator().next()), 0};
  key_ = Tensor::of<int64_t>({2}, key);
}
Tensor Dropout::masked(const Tensor& x, const Shape& mask) {
  auto noise = [&](const Tensor& key, int64_t stream) {
    if (mask == x.shape()) return dropout(x, float(p), key, stream);
    return x * cast(dropout(Tensor::ones(mask), float(p), key, stream), x.dtype());
  };
  if (const Determinism& d = determinism(); d.seed && !deterministic) {
    int64_t key[] = {int64_t(*d.seed), d.step};
    return noise(Tensor::of<int64_t>({2}, key), stream_of(LayerScope::current()));
  }
  Tensor y = noise(key_, 0);
  NoGrad no_grad;
  static const int64_t one[] = {0, 1};
  assign(key_, key_ + Tensor::of<int64_t>({2}, one));
  return y;
}
std::vector<Tensor> Dropout::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  if (!training() || p == 0) return {x};
  return {masked(x, x.shape())};
}
std::string Dropout::extra_repr() const { return "p=" + number(p) + (deterministic ? ", deterministic=True" : ""); }
std::vector<Tensor> Dropout2d::forward(const std::vector<Tensor>& in) {
  const Tensor& x = images(*this, in);
  if (!training() || p == 0) return {x};
  if (!x.shape().is_static()) throw Error(ErrorKind::unsupported, "Dropout2d", "known sizes in training", x.shape().text(), "trace with a fixed shape");
  return {masked(x, {x.dim(0), x.dim(1), 1, 1})};
}

}  // namespace miniten::nn
