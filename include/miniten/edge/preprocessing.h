#pragma once
#include "miniten/nn/graph_module.h"
#include "miniten/utils/transforms.h"

namespace miniten::edge {

// The model behind the transforms that its pictures go through: takes pictures as they are loaded, (n, height, width, channels)
// of `input` (uint8, uint16, or float32 in [0, 1]), and goes into every file with them. The model, float or quantised, takes
// floats (n, channels, height, width) and stays as it is; the result has weights of its own.
// Equal to the transforms followed by the model: to 1e-5 without Resize, which on integers may round a pixel to the other
// side (1 of its range). Throws ErrorKind::unsupported for transforms that draw.
Ref<nn::GraphModule> with_preprocessing(nn::Module& model, const utils::vision::Transform& transforms, const Spec& input);

}  // namespace miniten::edge
