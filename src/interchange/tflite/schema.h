#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include "miniten/base/dtype.h"

// The TFLite file format (schema version 3) as facts: ids of the fields of each FlatBuffers table, numbers of operators,
// element types and options. Readers and writers take them from here.
namespace miniten::tflite_schema {

inline constexpr const char* identifier = "TFL3";
inline constexpr uint32_t version = 3;

enum Model { model_version, operator_codes, subgraphs, description, buffers, metadata_buffer, metadata, signature_defs };
enum SubGraph { tensors, graph_inputs, graph_outputs, operators, graph_name };
enum TensorField { shape, type, buffer, tensor_name, quantization, is_variable, sparsity, shape_signature, has_rank, variant_tensors };
enum QuantizationField { min, max, scale, zero_point, details_type, details, quantized_dimension };
enum QuantizationDetails { no_details, custom_quantization, blockwise_quantization };
enum BlockwiseField { scales_tensor, zero_points_tensor, block_size };
enum SparsityField { traversal_order, block_map, dim_metadata };
enum DimensionField { format, dense_size, array_segments_type, array_segments, array_indices_type, array_indices };
enum DimensionFormat { dense, sparse_csr };
enum IndexVector { no_indices, int32_vector, uint16_vector, uint8_vector };        // the table's one field, 0, holds the values
enum VariantField { variant_shape, variant_type, variant_has_rank };
enum BufferField { data, data_offset, data_size };                                 // offset and size: of bytes behind the FlatBuffer
enum OperatorCodeField { deprecated_builtin_code, custom_code, operator_version, builtin_code };
enum OperatorField { opcode_index, inputs, outputs, builtin_options_type, builtin_options, custom_options, custom_options_format,
                     mutating_variable_inputs, intermediates, large_custom_options_offset, large_custom_options_size,
                     builtin_options_2_type, builtin_options_2 };
enum SignatureField { signature_inputs, signature_outputs, signature_key, deprecated_tag, subgraph_index };
enum TensorMapField { map_name, tensor_index };
enum MetadataField { metadata_name, metadata_buffer_index };

// deprecated_builtin_code, one byte, holds the number too, or this where it does not fit.
inline constexpr int placeholder_builtin = 127;

// Values of options.
enum Padding { same, valid };
enum Activation { no_activation, relu, relu_n1_to_1, relu6, tanh, sign_bit };
enum MirrorPad { reflect, symmetric };
enum WeightsFormat { default_format, shuffled_4x16_int8 };
enum LstmKernel { lstm_full, lstm_basic };

// Element types by their numbers; false and -1 where MiniTen or the format has none. The name is for messages.
bool from_type(int number, DType&);
int type_of(DType);
std::string_view type_name(int number);
inline constexpr int string_type = 5, resource_type = 13;

// Builtin operators: "CONV_2D" is 3. Empty and -1 for what is none.
std::string_view builtin_name(int number);
int builtin_number(std::string_view name);

// The options table of an operator: its number in the union, and its fields in the order of their ids.
enum class FieldType : uint8_t { byte, boolean, int32, uint32, int64, float32, ints, floats, bytes, text };
struct Field { std::string_view name; FieldType type; double otherwise; };
struct Options { int number = 0; std::vector<Field> fields; };
const Options& options_of(std::string_view builtin);           // number 0: it has none
const std::vector<Field>& custom_options_of(std::string_view custom);      // int32 one behind the other

}  // namespace miniten::tflite_schema
