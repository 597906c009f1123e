#pragma once
#include "interchange/tflite/table.h"
#include "miniten/core/tensor.h"

namespace miniten::tflite_model {

// A sparse tensor made dense: axes in traversal order, each dense or by segments and indices, the last ones perhaps blocks.
Tensor dense_of(const tflite_schema::Table& sparsity, std::span<const std::byte> values, const Spec&, const std::string& name);

}  // namespace miniten::tflite_model
