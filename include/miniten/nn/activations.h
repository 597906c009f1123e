#pragma once
#include "miniten/nn/module.h"

namespace miniten::nn {

// One function of one tensor under the name of its layer; formulas stand in nn/functional.h.
class Activation : public Module {
 public:
  using Function = std::function<Tensor(const Tensor&)>;
  Activation(const char* name, Function f, std::string shown = "") : name_(name), f_(std::move(f)), shown_(std::move(shown)) {}
  std::vector<Tensor> forward(const std::vector<Tensor>& in) override;
  std::string type_name() const override { return name_; }
  std::string extra_repr() const override { return shown_; }

 private:
  const char* name_;
  Function f_;
  std::string shown_;
};
struct ReLU : Activation { explicit ReLU(bool inplace = false); };       // inplace is taken and changes nothing
struct ReLU6 : Activation { explicit ReLU6(bool inplace = false); };
struct LeakyReLU : Activation { explicit LeakyReLU(double negative_slope = 0.01); };
struct ELU : Activation { explicit ELU(double alpha = 1); };
struct CELU : Activation { explicit CELU(double alpha = 1); };
struct SELU : Activation { SELU(); };
struct Sigmoid : Activation { Sigmoid(); };
struct Tanh : Activation { Tanh(); };
struct GELU : Activation { explicit GELU(const std::string& approximate = "none"); };
struct SiLU : Activation { SiLU(); };
struct Mish : Activation { Mish(); };
struct Hardswish : Activation { Hardswish(); };
struct Hardsigmoid : Activation { Hardsigmoid(); };
struct Hardtanh : Activation { explicit Hardtanh(double min_val = -1, double max_val = 1); };
struct Softplus : Activation { explicit Softplus(double beta = 1, double threshold = 20); };
struct LogSigmoid : Activation { LogSigmoid(); };
struct Softsign : Activation { Softsign(); };
struct Tanhshrink : Activation { Tanhshrink(); };
struct GLU : Activation { explicit GLU(int dim = -1); };

class PReLU : public Module {              // weight: one slope, or one per channel
 public:
  explicit PReLU(int64_t num_parameters = 1, double init = 0.25);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "PReLU"; }
  std::string extra_repr() const override;
  int64_t num_parameters;
};
class Softmax : public Module {
 public:
  explicit Softmax(int dim = -1) : dim(dim) {}
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Softmax"; }
  std::string extra_repr() const override;
  int dim;
};
class LogSoftmax : public Module {
 public:
  explicit LogSoftmax(int dim = -1) : dim(dim) {}
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "LogSoftmax"; }
  std::string extra_repr() const override;
  int dim;
};

// Noise that can be repeated: while a seed is set, dropout's masks depend on (seed, step, layer) alone, where a layer is
// its path in the model; without one, on the layer's own seed and its number of calls.
struct Determinism { std::optional<uint64_t> seed; int64_t step = 0; };
Determinism& determinism();                // of this thread

class Dropout : public Module {            // zeroes with probability p in training and scales the rest by 1 / (1 - p)
 public:
  explicit Dropout(double p = 0.5, bool deterministic = false, std::optional<uint64_t> seed = {});   // deterministic: seed, or 0
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Dropout"; }
  std::string extra_repr() const override;
  double p;
  bool deterministic;

 protected:
  Tensor masked(const Tensor& x, const Shape& mask);   // mask: x's shape, 1 where one number is drawn for the whole axis

 private:
  Tensor key_;                             // seed, counter: moved on by each training call, so noise replays
};
class Dropout2d : public Dropout {         // whole channels
 public:
  using Dropout::Dropout;
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Dropout2d"; }
};

}  // namespace miniten::nn
