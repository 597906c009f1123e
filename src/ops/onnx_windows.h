#pragma once
#include "ops/onnx_rules.h"

// Windows of ONNX's convolutions and pools over any number of spatial axes.
namespace miniten::onnx {

struct Windows { Ints kernel, stride, dilation, before, after; };         // by spatial axis; auto_pad is worked out
Windows windows_of(const ForeignNode&, const Shape& x, const Ints& kernel);
Tensors max_pool_at_once(const ForeignNode&);                             // values and places
Tensors avg_pool_at_once(const ForeignNode&);

}  // namespace miniten::onnx
