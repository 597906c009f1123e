#pragma once
#include <cstdint>

// Field numbers of the ONNX messages that are read and written (onnx.proto, IR version 3 and later).
namespace miniten::onnx_proto {

enum Model { ir_version = 1, producer_name = 2, producer_version = 3, domain = 4, model_version = 5, doc_string = 6, graph = 7, opset_import = 8, metadata_props = 14, functions = 25 };
enum OpsetId { opset_domain = 1, opset_version = 2 };
enum StringEntry { entry_key = 1, entry_value = 2 };
enum GraphField { node = 1, graph_name = 2, initializer = 5, input = 11, output = 12, value_info = 13, sparse_initializer = 15 };
enum NodeField { node_input = 1, node_output = 2, node_name = 3, op_type = 4, attribute = 5, node_domain = 7 };
enum AttributeField { attribute_name = 1, f = 2, i = 3, s = 4, t = 5, g = 6, floats = 7, ints = 8, strings = 9, attribute_type = 20, ref_attr_name = 21, sparse_tensor = 22 };
enum AttributeType { type_float = 1, type_int = 2, type_string = 3, type_tensor = 4, type_graph = 5, type_floats = 6, type_ints = 7, type_strings = 8 };
enum TensorField { dims = 1, data_type = 2, float_data = 4, int32_data = 5, int64_data = 7, tensor_name = 8, raw_data = 9, double_data = 10, uint64_data = 11, external_data = 13, data_location = 14 };
enum SparseField { sparse_values = 1, sparse_indices = 2, sparse_dims = 3 };
enum ValueInfo { value_name = 1, value_type = 2 };
enum TypeField { tensor_type = 1 };
enum TensorType { elem_type = 1, shape = 2 };
enum ShapeField { dim = 1 };
enum DimField { dim_value = 1, dim_param = 2 };
enum FunctionField { function_name = 1, function_input = 4, function_output = 5, function_node = 7, function_opset = 9, function_domain = 10, function_default = 11 };

}  // namespace miniten::onnx_proto
