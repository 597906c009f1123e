#include "miniten/nn/layers.h"
#include "python/layer_binding.h"

namespace miniten::python {

using namespace nb::literals;

// One number with a default.
template <class M> static void tuned(nb::module_& m, const char* name, const char* argument, double value, const char* doc) {
  layer<M>(m, name, doc).def("__init__", [](nb::pointer_and_handle<M> at, double v) { construct(at, v); }, nb::arg(argument) = value);
}
template <class M> static void inplace(nb::module_& m, const char* name, const char* doc) {
  layer<M>(m, name, doc).def("__init__", [](nb::pointer_and_handle<M> at, bool) { construct(at); }, "inplace"_a = false);
}

void bind_activation_layers(nb::module_& m) {
  inplace<nn::ReLU>(m, "ReLU", "max(x, 0); NaN stays NaN. inplace is taken and changes nothing.");
  inplace<nn::ReLU6>(m, "ReLU6", "x cut to [0, 6]. inplace is taken and changes nothing.");
  tuned<nn::LeakyReLU>(m, "LeakyReLU", "negative_slope", 0.01, "x where it is positive, else negative_slope x.");
  tuned<nn::ELU>(m, "ELU", "alpha", 1, "x where it is positive, else alpha (exp(x) - 1).");
  tuned<nn::CELU>(m, "CELU", "alpha", 1, "x where it is positive, else alpha (exp(x / alpha) - 1).");
  plain<nn::SELU>(m, "SELU", "Self-normalising ELU (Klambauer et al. 2017).");
  plain<nn::Sigmoid>(m, "Sigmoid", "1 / (1 + exp(-x)).");
  plain<nn::Tanh>(m, "Tanh", "");
  layer<nn::GELU>(m, "GELU", "x * Phi(x), exact or by tanh.")
      .def("__init__", [](nb::pointer_and_handle<nn::GELU> at, const std::string& approximate) { construct(at, approximate); }, "approximate"_a = "none");
  plain<nn::SiLU>(m, "SiLU", "x * sigmoid(x).");
  plain<nn::Mish>(m, "Mish", "x * tanh(softplus(x)).");
  plain<nn::Hardswish>(m, "Hardswish", "x * relu6(x + 3) / 6.");
  plain<nn::Hardsigmoid>(m, "Hardsigmoid", "relu6(x + 3) / 6.");
  layer<nn::Hardtanh>(m, "Hardtanh", "x cut to [min_val, max_val].")
      .def("__init__", [](nb::pointer_and_handle<nn::Hardtanh> at, double low, double high) { construct(at, low, high); }, "min_val"_a = -1.0, "max_val"_a = 1.0);
  layer<nn::Softplus>(m, "Softplus", "log(1 + exp(beta x)) / beta; x itself where beta x exceeds threshold.")
      .def("__init__", [](nb::pointer_and_handle<nn::Softplus> at, double beta, double threshold) { construct(at, beta, threshold); }, "beta"_a = 1.0, "threshold"_a = 20.0);
  plain<nn::LogSigmoid>(m, "LogSigmoid", "log(sigmoid(x)).");
  plain<nn::Softsign>(m, "Softsign", "x / (1 + |x|).");
  plain<nn::Tanhshrink>(m, "Tanhshrink", "x - tanh(x).");
  layer<nn::GLU>(m, "GLU", "a * sigmoid(b), the halves of x along dim.").def("__init__", [](nb::pointer_and_handle<nn::GLU> at, int dim) { construct(at, dim); }, "dim"_a = -1);
  layer<nn::PReLU>(m, "PReLU", "x where it is positive, else weight x; one slope, or one per channel.")
      .def("__init__", [](nb::pointer_and_handle<nn::PReLU> at, int64_t n, double init) { construct(at, n, init); }, "num_parameters"_a = 1, "init"_a = 0.25)
      .def_prop_ro("num_parameters", [](const nn::PReLU& l) { return l.num_parameters; });
  layer<nn::Softmax>(m, "Softmax", "Along dim.").def("__init__", [](nb::pointer_and_handle<nn::Softmax> at, int dim) { construct(at, dim); }, "dim"_a = -1).def_ro("dim", &nn::Softmax::dim);
  layer<nn::LogSoftmax>(m, "LogSoftmax", "Along dim.").def("__init__", [](nb::pointer_and_handle<nn::LogSoftmax> at, int dim) { construct(at, dim); }, "dim"_a = -1).def_ro("dim", &nn::LogSoftmax::dim);
  auto noise = [](auto c, auto* type) {
    using M = std::remove_pointer_t<decltype(type)>;
    c.def("__init__", [](nb::pointer_and_handle<M> at, double p, bool, bool deterministic, std::optional<uint64_t> seed) { construct(at, p, deterministic, seed); },
          "p"_a = 0.5, "inplace"_a = false, nb::kw_only(), "deterministic"_a = false, "seed"_a = nb::none());
  };
  auto dropout = layer<nn::Dropout>(m, "Dropout", "In training zeroes with probability p and scales the rest by 1 / (1 - p). deterministic, or a seed: the masks are those of the seed, one after another.");
  noise(dropout, static_cast<nn::Dropout*>(nullptr));
  dropout.def_ro("p", &nn::Dropout::p).def_ro("deterministic", &nn::Dropout::deterministic);
  noise(layer<nn::Dropout2d, nn::Dropout>(m, "Dropout2d", "Dropout of whole channels of (N, C, H, W)."), static_cast<nn::Dropout2d*>(nullptr));
  m.def("_determinism", []() { return nb::make_tuple(nn::determinism().seed, nn::determinism().step); });
  m.def("_set_determinism", [](std::optional<uint64_t> seed, int64_t step) { nn::determinism() = {seed, step}; }, "seed"_a.none(), "step"_a);
}

void bind_normalization_layers(nb::module_& m) {
  auto batch = [](auto c, auto* type) {
    using M = std::remove_pointer_t<decltype(type)>;
    c.def("__init__", [](nb::pointer_and_handle<M> at, int64_t n, double eps, std::optional<double> momentum, bool affine, bool track) { construct(at, n, eps, momentum, affine, track); },
          "num_features"_a, "eps"_a = 1e-5, "momentum"_a = 0.1, "affine"_a = true, "track_running_stats"_a = true,
          nb::sig("def __init__(self, num_features: int, eps: float = 1e-05, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True) -> None"))
        .def_prop_ro("num_features", [](const M& l) { return l.num_features; })
        .def_prop_ro("affine", [](const M& l) { return l.affine; })
        .def_prop_ro("track_running_stats", [](const M& l) { return l.track_running_stats; })
        .def_prop_rw("eps", [](const M& l) { return l.eps; }, [](M& l, double v) { l.eps = v; })
        .def_prop_rw("momentum", [](const M& l) { return l.momentum; }, [](M& l, std::optional<double> v) { l.momentum = v; }, nb::for_setter(nb::arg("value").none()));
  };
  batch(layer<nn::BatchNorm1d>(m, "BatchNorm1d", "(N, C) or (N, C, L). Training: the batch's statistics; the running variance is unbiased; momentum None: the plain mean over batches."),
        static_cast<nn::BatchNorm1d*>(nullptr));
  batch(layer<nn::BatchNorm2d>(m, "BatchNorm2d", "(N, C, H, W). Training: the batch's statistics; the running variance is unbiased; momentum None: the plain mean over batches."),
        static_cast<nn::BatchNorm2d*>(nullptr));
  layer<nn::LayerNorm>(m, "LayerNorm", "Over the last axes, of sizes normalized_shape.")
      .def("__init__", [](nb::pointer_and_handle<nn::LayerNorm> at, nb::object shape, double eps, bool affine, bool bias) { construct(at, shape_of("LayerNorm", shape), eps, affine, bias); },
           "normalized_shape"_a, "eps"_a = 1e-5, "elementwise_affine"_a = true, "bias"_a = true,
           nb::sig("def __init__(self, normalized_shape: " INT2 ", eps: float = 1e-05, elementwise_affine: bool = True, bias: bool = True) -> None"))
      .def_prop_ro("normalized_shape", [](const nn::LayerNorm& l) { return shape_tuple(l.normalized_shape); }, nb::sig("def normalized_shape(self) -> tuple[int, ...]"))
      .def_ro("eps", &nn::LayerNorm::eps);
  layer<nn::RMSNorm>(m, "RMSNorm", "x / sqrt(mean(x^2) + eps) over the last axes; eps None: the dtype's step.")
      .def("__init__", [](nb::pointer_and_handle<nn::RMSNorm> at, nb::object shape, std::optional<double> eps, bool affine) { construct(at, shape_of("RMSNorm", shape), eps, affine); },
           "normalized_shape"_a, "eps"_a = nb::none(), "elementwise_affine"_a = true,
           nb::sig("def __init__(self, normalized_shape: " INT2 ", eps: float | None = None, elementwise_affine: bool = True) -> None"))
      .def_prop_ro("normalized_shape", [](const nn::RMSNorm& l) { return shape_tuple(l.normalized_shape); }, nb::sig("def normalized_shape(self) -> tuple[int, ...]"));
  layer<nn::GroupNorm>(m, "GroupNorm", "(N, C, ..): statistics of each sample and group of channels.")
      .def("__init__", [](nb::pointer_and_handle<nn::GroupNorm> at, int64_t groups, int64_t channels, double eps, bool affine) { construct(at, groups, channels, eps, affine); },
           "num_groups"_a, "num_channels"_a, "eps"_a = 1e-5, "affine"_a = true);
  auto instance = [](auto c, auto* type) {
    using M = std::remove_pointer_t<decltype(type)>;
    c.def("__init__", [](nb::pointer_and_handle<M> at, int64_t n, double eps, bool affine) { construct(at, n, eps, affine); }, "num_features"_a, "eps"_a = 1e-5, nb::kw_only(), "affine"_a = false);
  };
  instance(layer<nn::InstanceNorm1d>(m, "InstanceNorm1d", "(N, C, L): statistics of each sample and channel."), static_cast<nn::InstanceNorm1d*>(nullptr));
  instance(layer<nn::InstanceNorm2d>(m, "InstanceNorm2d", "(N, C, H, W): statistics of each sample and channel."), static_cast<nn::InstanceNorm2d*>(nullptr));
}

}  // namespace miniten::python
