#pragma once
#include <cstdlib>
#include <filesystem>
#include "check.h"
#include "miniten/nn/graph_module.h"
#include "miniten/nn/layers.h"

namespace miniten::check {

// Convolution, batch norm, depthwise and pointwise, pooling, linear: (N, 1, 8, 8) -> (N, 4).
inline nn::ModuleRef small_net(uint64_t seed = 3) {
  manual_seed(seed);
  return make<nn::Sequential>(std::vector<nn::ModuleRef>{
      make<nn::Conv2d>(1, 8, nn::Conv2dOptions{.kernel_size = {3, 3}, .padding = {1, 1}, .bias = false}), make<nn::BatchNorm2d>(8), make<nn::ReLU>(),
      make<nn::DepthwiseSeparableConv2d>(8, 16, nn::Conv2dOptions{.kernel_size = {3, 3}, .padding = {1, 1}}), make<nn::ReLU>(),
      make<nn::MaxPool2d>(Dims{2, 2}), make<nn::Flatten>(), make<nn::Linear>(16 * 4 * 4, 4)});
}
inline const std::vector<std::string> small_net_weights{"0.weight", "3.depthwise.weight", "3.pointwise.weight", "7.weight"};
inline constexpr int64_t small_net_weight_count = 8 * 9 + 8 * 9 + 16 * 8 + 4 * 256;
inline const Spec small_input{DType::f32, {2, 1, 8, 8}};

struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "miniten_test_XXXXXX").string();
  Folder() { EXPECT_NE(mkdtemp(path.data()), nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
};

inline int64_t zeros_in(const Tensor& t) {
  int64_t n = 0;
  for (double v : values(t)) n += v == 0;
  return n;
}

}  // namespace miniten::check
