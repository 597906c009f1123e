#include "interchange/tflite/schema.h"
#include <charconv>
#include <map>

namespace miniten::tflite_schema {

namespace {

struct Type { std::string_view name; int dtype; };             // -1: MiniTen has none
constexpr int of(DType t) { return int(t); }
constexpr Type types[] = {{"FLOAT32", of(DType::f32)}, {"FLOAT16", of(DType::f16)}, {"INT32", of(DType::i32)}, {"UINT8", of(DType::u8)}, {"INT64", of(DType::i64)},
    {"STRING", -1}, {"BOOL", of(DType::boolean)}, {"INT16", of(DType::i16)}, {"COMPLEX64", -1}, {"INT8", of(DType::i8)}, {"FLOAT64", of(DType::f64)},
    {"COMPLEX128", -1}, {"UINT64", of(DType::u64)}, {"RESOURCE", -1}, {"VARIANT", -1}, {"UINT32", of(DType::u32)}, {"UINT16", of(DType::u16)},
    {"INT4", of(DType::i4)}, {"BFLOAT16", of(DType::bf16)}, {"INT2", -1}, {"UINT4", of(DType::u4)}, {"FLOAT8_E4M3FN", -1}, {"FLOAT8_E5M2", -1}};

constexpr std::string_view builtins[] = {                      // the number is the place
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED",
    "HASHTABLE_LOOKUP", "L2_NORMALIZATION", "L2_POOL_2D", "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION", "LSTM", "MAX_POOL_2D", "MUL", "RELU",
    "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF", "TANH", "CONCAT_EMBEDDINGS",
    "SKIP_GRAM", "CALL", "CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD", "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE",
    "MEAN", "SUB", "DIV", "SQUEEZE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP", "TOPK_V2", "SPLIT",
    "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM", "ARG_MAX", "MINIMUM", "LESS", "NEG",
    "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE", "SIN", "TRANSPOSE_CONV", "SPARSE_TO_DENSE", "TILE",
    "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT", "RSQRT", "SHAPE", "POW", "ARG_MIN",
    "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT", "LOGICAL_AND", "LOGICAL_NOT", "UNPACK", "REDUCE_MIN",
    "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL", "FLOOR_MOD", "RANGE", "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE",
    "MIRROR_PAD", "ABS", "SPLIT_V", "UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE",
    "RANK", "ELU", "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF", "WHILE",
    "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "SCATTER_ND", "SELECT_V2", "DENSIFY", "SEGMENT_SUM", "BATCH_MATMUL", "", "CUMSUM", "CALL_ONCE",
    "BROADCAST_TO", "RFFT2D", "CONV_3D", "IMAG", "REAL", "COMPLEX_ABS", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE",
    "REDUCE_ALL", "CONV_3D_TRANSPOSE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "BROADCAST_ARGS", "RANDOM_STANDARD_NORMAL", "BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL",
    "GELU", "DYNAMIC_UPDATE_SLICE", "RELU_0_TO_1", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM", "ATAN2", "UNSORTED_SEGMENT_MIN", "SIGN", "BITCAST",
    "BITWISE_XOR", "RIGHT_SHIFT", "STABLEHLO_LOGISTIC", "STABLEHLO_ADD", "STABLEHLO_DIVIDE", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM", "STABLEHLO_RESHAPE", "STABLEHLO_CLAMP", "STABLEHLO_CONCATENATE",
    "STABLEHLO_BROADCAST_IN_DIM", "STABLEHLO_CONVOLUTION", "STABLEHLO_SLICE", "STABLEHLO_CUSTOM_CALL", "STABLEHLO_REDUCE", "STABLEHLO_ABS", "STABLEHLO_AND", "STABLEHLO_COSINE", "STABLEHLO_EXPONENTIAL", "STABLEHLO_FLOOR",
    "STABLEHLO_LOG", "STABLEHLO_MINIMUM", "STABLEHLO_NEGATE", "STABLEHLO_OR", "STABLEHLO_POWER", "STABLEHLO_REMAINDER", "STABLEHLO_RSQRT", "STABLEHLO_SELECT", "STABLEHLO_SUBTRACT", "STABLEHLO_TANH",
    "STABLEHLO_SCATTER", "STABLEHLO_COMPARE", "STABLEHLO_CONVERT", "STABLEHLO_DYNAMIC_SLICE", "STABLEHLO_DYNAMIC_UPDATE_SLICE", "STABLEHLO_PAD", "STABLEHLO_IOTA", "STABLEHLO_DOT_GENERAL", "STABLEHLO_REDUCE_WINDOW", "STABLEHLO_SORT",
    "STABLEHLO_WHILE", "STABLEHLO_GATHER", "STABLEHLO_TRANSPOSE", "DILATE", "STABLEHLO_RNG_BIT_GENERATOR", "REDUCE_WINDOW", "STABLEHLO_COMPOSITE", "STABLEHLO_SHIFT_LEFT", "STABLEHLO_CBRT", "STABLEHLO_CASE"};

// Number in the union BuiltinOptions; operators that have this table; fields by id as name:type, =default where not 0.
struct Row { int number; std::string_view operators, fields; };
constexpr Row rows[] = {
    {1, "CONV_2D", "padding:byte stride_w:int stride_h:int fused_activation_function:byte dilation_w_factor:int=1 dilation_h_factor:int=1 quantized_bias_type:byte"},
    {2, "DEPTHWISE_CONV_2D", "padding:byte stride_w:int stride_h:int depth_multiplier:int fused_activation_function:byte dilation_w_factor:int=1 dilation_h_factor:int=1"},
    {5, "AVERAGE_POOL_2D MAX_POOL_2D L2_POOL_2D", "padding:byte stride_w:int stride_h:int filter_width:int filter_height:int fused_activation_function:byte"},
    {6, "SVDF", "rank:int fused_activation_function:byte asymmetric_quantize_inputs:bool"},
    {7, "RNN", "fused_activation_function:byte asymmetric_quantize_inputs:bool"},
    {8, "FULLY_CONNECTED", "fused_activation_function:byte weights_format:byte keep_num_dims:bool asymmetric_quantize_inputs:bool quantized_bias_type:byte quant_spec:bytes"},
    {9, "SOFTMAX", "beta:float"},
    {10, "CONCATENATION", "axis:int fused_activation_function:byte"},
    {11, "ADD", "fused_activation_function:byte pot_scale_int16:bool=1"},
    {12, "L2_NORMALIZATION", "fused_activation_function:byte"},
    {13, "LOCAL_RESPONSE_NORMALIZATION", "radius:int bias:float alpha:float beta:float"},
    {14, "LSTM", "fused_activation_function:byte cell_clip:float proj_clip:float kernel_type:byte asymmetric_quantize_inputs:bool"},
    {15, "RESIZE_BILINEAR", "new_height:int new_width:int align_corners:bool half_pixel_centers:bool"},
    {16, "CALL", "subgraph:uint"},
    {17, "RESHAPE", "new_shape:ints"},
    {18, "SKIP_GRAM", "ngram_size:int max_skip_size:int include_all_ngrams:bool"},
    {19, "SPACE_TO_DEPTH", "block_size:int"},
    {21, "MUL", "fused_activation_function:byte"},
    {22, "PAD", ""},
    {23, "GATHER", "axis:int batch_dims:int"},
    {24, "BATCH_TO_SPACE_ND", ""},
    {25, "SPACE_TO_BATCH_ND", ""},
    {26, "TRANSPOSE", ""},
    {27, "MEAN SUM REDUCE_PROD REDUCE_MAX REDUCE_MIN REDUCE_ANY REDUCE_ALL", "keep_dims:bool"},
    {28, "SUB", "fused_activation_function:byte pot_scale_int16:bool=1"},
    {29, "DIV", "fused_activation_function:byte"},
    {30, "SQUEEZE", "squeeze_dims:ints"},
    {31, "UNIDIRECTIONAL_SEQUENCE_RNN", "time_major:bool fused_activation_function:byte asymmetric_quantize_inputs:bool"},
    {32, "STRIDED_SLICE", "begin_mask:int end_mask:int ellipsis_mask:int new_axis_mask:int shrink_axis_mask:int offset:bool"},
    {33, "EXP", ""},
    {34, "TOPK_V2", ""},
    {35, "SPLIT", "num_splits:int"},
    {36, "LOG_SOFTMAX", ""},
    {37, "CAST", "in_data_type:byte out_data_type:byte"},
    {38, "DEQUANTIZE", ""},
    {39, "MAXIMUM MINIMUM", ""},
    {40, "ARG_MAX", "output_type:byte"},
    {41, "LESS", ""},
    {42, "NEG", ""},
    {43, "PADV2", ""},
    {44, "GREATER", ""},
    {45, "GREATER_EQUAL", ""},
    {46, "LESS_EQUAL", ""},
    {47, "SELECT", ""},
    {48, "SLICE", ""},
    {49, "TRANSPOSE_CONV", "padding:byte stride_w:int stride_h:int fused_activation_function:byte quantized_bias_type:byte"},
    {50, "SPARSE_TO_DENSE", "validate_indices:bool"},
    {51, "TILE", ""},
    {52, "EXPAND_DIMS", ""},
    {53, "EQUAL", ""},
    {54, "NOT_EQUAL", ""},
    {55, "SHAPE", "out_type:byte"},
    {56, "POW", ""},
    {57, "ARG_MIN", "output_type:byte"},
    {58, "FAKE_QUANT", "min:float max:float num_bits:int narrow_range:bool"},
    {59, "PACK", "values_count:int axis:int"},
    {60, "LOGICAL_OR", ""},
    {61, "ONE_HOT", "axis:int"},
    {62, "LOGICAL_AND", ""},
    {63, "LOGICAL_NOT", ""},
    {64, "UNPACK", "num:int axis:int"},
    {65, "FLOOR_DIV", ""},
    {66, "SQUARE", ""},
    {67, "ZEROS_LIKE", ""},
    {68, "FILL", ""},
    {69, "BIDIRECTIONAL_SEQUENCE_LSTM", "fused_activation_function:byte cell_clip:float proj_clip:float merge_outputs:bool time_major:bool=1 asymmetric_quantize_inputs:bool"},
    {70, "BIDIRECTIONAL_SEQUENCE_RNN", "time_major:bool fused_activation_function:byte merge_outputs:bool asymmetric_quantize_inputs:bool"},
    {71, "UNIDIRECTIONAL_SEQUENCE_LSTM", "fused_activation_function:byte cell_clip:float proj_clip:float time_major:bool asymmetric_quantize_inputs:bool diagonal_recurrent_tensors:bool"},
    {72, "FLOOR_MOD", ""},
    {73, "RANGE", ""},
    {74, "RESIZE_NEAREST_NEIGHBOR", "align_corners:bool half_pixel_centers:bool"},
    {75, "LEAKY_RELU", "alpha:float"},
    {76, "SQUARED_DIFFERENCE", ""},
    {77, "MIRROR_PAD", "mode:byte"},
    {78, "ABS", ""},
    {79, "SPLIT_V", "num_splits:int"},
    {80, "UNIQUE", "idx_out_type:byte=2"},
    {81, "REVERSE_V2", ""},
    {82, "ADD_N", ""},
    {83, "GATHER_ND", ""},
    {84, "COS", ""},
    {85, "WHERE", ""},
    {86, "RANK", ""},
    {87, "REVERSE_SEQUENCE", "seq_dim:int batch_dim:int"},
    {88, "MATRIX_DIAG", ""},
    {89, "QUANTIZE", ""},
    {90, "MATRIX_SET_DIAG", ""},
    {91, "HARD_SWISH", ""},
    {92, "IF", "then_subgraph_index:int else_subgraph_index:int"},
    {93, "WHILE", "cond_subgraph_index:int body_subgraph_index:int"},
    {94, "DEPTH_TO_SPACE", "block_size:int"},
    {95, "NON_MAX_SUPPRESSION_V4", ""},
    {96, "NON_MAX_SUPPRESSION_V5", ""},
    {97, "SCATTER_ND", ""},
    {98, "SELECT_V2", ""},
    {99, "DENSIFY", ""},
    {100, "SEGMENT_SUM", ""},
    {101, "BATCH_MATMUL", "adj_x:bool adj_y:bool asymmetric_quantize_inputs:bool"},
    {102, "CUMSUM", "exclusive:bool reverse:bool"},
    {103, "CALL_ONCE", "init_subgraph_index:int"},
    {104, "BROADCAST_TO", ""},
    {105, "RFFT2D", ""},
    {106, "CONV_3D CONV_3D_TRANSPOSE", "padding:byte stride_d:int stride_w:int stride_h:int fused_activation_function:byte dilation_d_factor:int=1 dilation_w_factor:int=1 dilation_h_factor:int=1"},
    {107, "HASHTABLE", "table_id:int key_dtype:byte value_dtype:byte"},
    {108, "HASHTABLE_FIND", ""},
    {109, "HASHTABLE_IMPORT", ""},
    {110, "HASHTABLE_SIZE", ""},
    {111, "VAR_HANDLE", "container:text shared_name:text"},
    {112, "READ_VARIABLE", ""},
    {113, "ASSIGN_VARIABLE", ""},
    {114, "RANDOM_STANDARD_NORMAL RANDOM_UNIFORM MULTINOMIAL", "seed:long seed2:long"},
    {115, "BUCKETIZE", "boundaries:floats"},
    {116, "GELU", "approximate:bool"},
    {117, "DYNAMIC_UPDATE_SLICE", ""},
    {118, "UNSORTED_SEGMENT_PROD", ""},
    {119, "UNSORTED_SEGMENT_MAX", ""},
    {120, "UNSORTED_SEGMENT_MIN", ""},
    {121, "UNSORTED_SEGMENT_SUM", ""},
    {122, "ATAN2", ""},
    {123, "SIGN", ""},
    {124, "BITCAST", ""},
    {125, "BITWISE_XOR", ""},
    {126, "RIGHT_SHIFT", ""}};

// The next word of s, up to `stop`; s loses both.
std::string_view next(std::string_view& s, char stop) {
  size_t n = s.find(stop);
  std::string_view word = s.substr(0, n);
  s = n == s.npos ? std::string_view() : s.substr(n + 1);
  return word;
}
FieldType type_named(std::string_view name) {
  constexpr std::string_view names[] = {"byte", "bool", "int", "uint", "long", "float", "ints", "floats", "bytes", "text"};
  size_t i = 0;
  while (names[i] != name) ++i;
  return FieldType(i);
}

}  // namespace

bool from_type(int number, DType& t) {
  if (number < 0 || number >= int(std::size(types)) || types[number].dtype < 0) return false;
  t = DType(types[number].dtype);
  return true;
}
int type_of(DType t) {
  for (int i = 0; i < int(std::size(types)); ++i) if (types[i].dtype == int(t)) return i;
  return -1;
}
std::string_view type_name(int number) { return number >= 0 && number < int(std::size(types)) ? types[number].name : "an unknown type"; }

std::string_view builtin_name(int number) { return number >= 0 && number < int(std::size(builtins)) ? builtins[number] : std::string_view(); }
int builtin_number(std::string_view name) {
  for (int i = 0; i < int(std::size(builtins)); ++i) if (!name.empty() && builtins[i] == name) return i;
  return -1;
}

const Options& options_of(std::string_view builtin) {
  static const std::map<std::string_view, Options> all = [] {
    std::map<std::string_view, Options> m;
    for (const Row& row : rows) {
      Options o{row.number, {}};
      for (std::string_view rest = row.fields; !rest.empty();) {
        std::string_view word = next(rest, ' '), name = next(word, ':'), type = next(word, '=');
        o.fields.push_back({name, type_named(type), word.empty() ? 0.0 : double(word[0] - '0')});
      }
      for (std::string_view rest = row.operators; !rest.empty();) m[next(rest, ' ')] = o;
    }
    return m;
  }();
  static const Options none;
  auto found = all.find(builtin);
  return found == all.end() ? none : found->second;
}

const std::vector<Field>& custom_options_of(std::string_view custom) {
  static const std::vector<Field> transposed{{"padding", FieldType::int32, 0}, {"stride_w", FieldType::int32, 0}, {"stride_h", FieldType::int32, 0}}, none;
  return custom == "Convolution2DTransposeBias" ? transposed : none;
}

}  // namespace miniten::tflite_schema
