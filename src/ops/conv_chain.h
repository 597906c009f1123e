#pragma once
#include <array>
#include "miniten/core/op.h"
#include "miniten/ops/attrs.h"

namespace miniten {

// Two or three convolutions, each read by the next alone.
struct ConvChainAttrs {
  int64_t stages = 2;
  bool residual = false;                     // the last input is added to the last stage
  std::array<Conv2dAttrs, 3> stage;
  void fields(auto f) {
    f("stages", stages);
    f("residual", residual);
    for (size_t i = 0; i < stage.size(); ++i)
      stage[i].fields([&](std::string_view name, auto& slot) { f(std::string(name) + "_" + std::to_string(i), slot); });
  }
};

// As conv2d's or conv_chain's rule where Fusion::chains asks.
std::optional<Absorbed> absorb_stage(const Fusion&);

}  // namespace miniten
