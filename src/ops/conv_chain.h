#pragma once
#include <array>
#include "miniten/core/op.h"
#include "miniten/ops/attrs.h"

namespace miniten {

// One to three convolutions, each read by the next alone, and the functions that follow them.
struct ConvChainAttrs {
  enum Function : int64_t { none, hard_swish, leaky_relu, silu };
  int64_t stages = 2;
  bool residual = false;                     // the last input is added to the last stage
  std::array<Conv2dAttrs, 3> stage;
  std::array<int64_t, 3> function{};
  std::array<double, 3> alpha{};             // of leaky_relu
  void fields(auto f) {
    f("stages", stages);
    f("residual", residual);
    for (size_t i = 0; i < stage.size(); ++i) {
      auto numbered = [&](std::string_view name, auto& slot) { f(std::string(name) + "_" + std::to_string(i), slot); };
      stage[i].fields(numbered);
      numbered("function", function[i]);
      numbered("alpha", alpha[i]);
    }
  }
};

// As conv2d's or conv_chain's rule where Fusion::chains asks.
std::optional<Absorbed> absorb_stage(const Fusion&);

}  // namespace miniten
