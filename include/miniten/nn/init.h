#pragma once
#include "miniten/core/tensor.h"

// Fill a tensor in place, from default_generator(), without gradient; each returns it. Bounds and defaults are
// torch.nn.init's. fan_in of a weight (O, I, ..) is I times its taps, fan_out O times its taps.
namespace miniten::nn::init {

Tensor uniform_(const Tensor&, double a = 0, double b = 1);
Tensor normal_(const Tensor&, double mean = 0, double std = 1);
Tensor trunc_normal_(const Tensor&, double mean = 0, double std = 1, double a = -2, double b = 2);
Tensor constant_(const Tensor&, double value);
Tensor zeros_(const Tensor&);
Tensor ones_(const Tensor&);
Tensor eye_(const Tensor&);                                    // of a matrix
Tensor dirac_(const Tensor&, int64_t groups = 1);              // a convolution that gives its input
Tensor xavier_uniform_(const Tensor&, double gain = 1);        // Glorot and Bengio 2010
Tensor xavier_normal_(const Tensor&, double gain = 1);
Tensor kaiming_uniform_(const Tensor&, double a = 0, std::string_view mode = "fan_in", std::string_view nonlinearity = "leaky_relu");   // He et al. 2015
Tensor kaiming_normal_(const Tensor&, double a = 0, std::string_view mode = "fan_in", std::string_view nonlinearity = "leaky_relu");
Tensor orthogonal_(const Tensor&, double gain = 1);            // Saxe et al. 2013
Tensor sparse_(const Tensor&, double sparsity, double std = 0.01);       // that share of each column is 0
double calculate_gain(std::string_view nonlinearity, double param = 0.01);

}  // namespace miniten::nn::init
