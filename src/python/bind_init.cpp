#include <nanobind/stl/optional.h>
#include "miniten/nn/init.h"
#include "python/bind.h"

namespace miniten::python {

using namespace nb::literals;
namespace I = nn::init;

void bind_init(nb::module_& m) {
  m.def("uniform_", I::uniform_, "tensor"_a, "a"_a = 0.0, "b"_a = 1.0);
  m.def("normal_", I::normal_, "tensor"_a, "mean"_a = 0.0, "std"_a = 1.0);
  m.def("trunc_normal_", I::trunc_normal_, "tensor"_a, "mean"_a = 0.0, "std"_a = 1.0, "a"_a = -2.0, "b"_a = 2.0, "Normal within [a, b].");
  m.def("constant_", I::constant_, "tensor"_a, "val"_a);
  m.def("zeros_", I::zeros_, "tensor"_a);
  m.def("ones_", I::ones_, "tensor"_a);
  m.def("eye_", I::eye_, "tensor"_a);
  m.def("dirac_", I::dirac_, "tensor"_a, "groups"_a = 1, "A convolution that gives its input.");
  m.def("xavier_uniform_", I::xavier_uniform_, "tensor"_a, "gain"_a = 1.0, "Glorot and Bengio 2010.");
  m.def("xavier_normal_", I::xavier_normal_, "tensor"_a, "gain"_a = 1.0, "Glorot and Bengio 2010.");
  m.def("kaiming_uniform_", I::kaiming_uniform_, "tensor"_a, "a"_a = 0.0, "mode"_a = "fan_in", "nonlinearity"_a = "leaky_relu", "He et al. 2015.");
  m.def("kaiming_normal_", I::kaiming_normal_, "tensor"_a, "a"_a = 0.0, "mode"_a = "fan_in", "nonlinearity"_a = "leaky_relu", "He et al. 2015.");
  m.def("orthogonal_", I::orthogonal_, "tensor"_a, "gain"_a = 1.0, "Saxe et al. 2013.");
  m.def("sparse_", I::sparse_, "tensor"_a, "sparsity"_a, "std"_a = 0.01, "Normal, that share of each column 0.");
  m.def("calculate_gain", [](std::string_view f, std::optional<double> param) { return I::calculate_gain(f, param.value_or(0.01)); }, "nonlinearity"_a, "param"_a = nb::none());
}

}  // namespace miniten::python
