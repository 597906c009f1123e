#include "interchange/tflite/write.h"

namespace miniten::tflite_file {

namespace {

// Versions by the element type of the first input that counts, and by what else raises them.
struct Row { std::string_view types; int i8, i16; };
constexpr Row rows[] = {
    {"AVERAGE_POOL_2D MAX_POOL_2D SOFTMAX MEAN REDUCE_MAX REDUCE_MIN RELU6 RSQRT TANH LOGISTIC RELU PAD PADV2 CONCATENATION BATCH_MATMUL MIRROR_PAD", 2, 3},
    {"ADD", 2, 3}, {"SUB", 2, 5}, {"MUL", 2, 4}, {"MAXIMUM MINIMUM", 2, 4}, {"RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR", 2, 4},
    {"TRANSPOSE", 2, 5}, {"SLICE", 2, 4}, {"GATHER", 2, 4}, {"ARG_MAX ARG_MIN STRIDED_SLICE LOG_SOFTMAX", 2, 2}, {"SPLIT", 2, 4}, {"SUM", 2, 2},
    {"EQUAL", 2, 5}, {"NOT_EQUAL", 2, 4}, {"LESS LESS_EQUAL GREATER GREATER_EQUAL", 2, 2}, {"ABS", 2, 3}, {"TILE", 3, 1}, {"LEAKY_RELU", 1, 2}, {"EXP LOG", 2, 2},
    {"SPACE_TO_DEPTH DEPTH_TO_SPACE", 2, 2}, {"REVERSE_V2", 3, 1}, {"PACK", 2, 3}, {"UNPACK", 2, 4}};

bool listed(std::string_view types, std::string_view type) {
  for (size_t at = 0; (at = types.find(type, at)) != types.npos; ++at) {
    bool begins = at == 0 || types[at - 1] == ' ';
    size_t end = at + type.size();
    if (begins && (end == types.size() || types[end] == ' ')) return true;
  }
  return false;
}
bool is_set(const Operator& op, std::string_view option) {
  for (auto& [name, value] : op.options)
    if (name == option)
      if (auto* v = std::get_if<int64_t>(&value)) return *v != 0;
  return false;
}

int weighted_version(const Model& m, const Operator& op) {          // convolutions and products with a weight
  const FileTensor &x = m.tensors[size_t(op.in[0])], &w = m.tensors[size_t(op.in[1])];
  bool hybrid = x.spec.dtype == DType::f32 && w.spec.dtype == DType::i8, by_channel = w.quantized && w.quantized->scale.size() > 1;
  if (op.type == "FULLY_CONNECTED") {
    if (hybrid && by_channel) return 12;
    if (x.spec.dtype == DType::i16) return 7;
    if (op.in.size() < 3 || op.in[2] < 0) return 6;
    if (is_set(op, "keep_num_dims")) return 5;
    return x.spec.dtype == DType::i8 ? 4 : hybrid ? is_set(op, "asymmetric_quantize_inputs") ? 9 : 3 : 1;
  }
  bool depthwise = op.type == "DEPTHWISE_CONV_2D", dilated = false;
  for (auto& [name, value] : op.options) if (name.starts_with("dilation")) dilated |= std::get<int64_t>(value) != 1;
  if (!depthwise && x.spec.shape[3] != w.spec.shape[3]) return 6;
  if (x.spec.dtype == DType::i16) return depthwise ? 5 : 4;
  if (x.spec.dtype == DType::i8) return 3;
  if (hybrid) return depthwise ? by_channel ? 6 : 4 : by_channel ? 5 : 2;
  return depthwise && dilated ? 2 : 1;
}

// The first release 2.minor that knows a version; what is not listed came before 2.0.
struct Release { std::string_view types; int version, minor; };
constexpr Release releases[] = {
    {"FULLY_CONNECTED", 5, 0}, {"FULLY_CONNECTED", 6, 1}, {"FULLY_CONNECTED", 7, 3}, {"FULLY_CONNECTED", 12, 17}, {"DEPTH_TO_SPACE", 1, 1}, {"DEPTH_TO_SPACE", 2, 5},
    {"DEPTHWISE_CONV_2D", 4, 2}, {"DEPTHWISE_CONV_2D", 5, 3}, {"CONV_2D", 4, 3}, {"CONV_2D", 5, 4}, {"CONV_2D", 6, 9}, {"TRANSPOSE_CONV", 2, 2}, {"TRANSPOSE_CONV", 3, 3},
    {"AVERAGE_POOL_2D MAX_POOL_2D SOFTMAX TANH LOGISTIC CONCATENATION", 3, 3}, {"SELECT_V2", 1, 2}, {"DENSIFY", 1, 2}, {"BATCH_MATMUL", 1, 3}, {"BATCH_MATMUL", 3, 4},
    {"ADD", 3, 4}, {"ADD", 4, 6}, {"SUB", 3, 3}, {"SUB", 4, 4}, {"MUL", 4, 3}, {"MUL", 5, 6}, {"DIV", 2, 3}, {"MAXIMUM MINIMUM", 3, 3}, {"MEAN", 3, 4},
    {"REDUCE_MAX REDUCE_MIN RELU6", 3, 5}, {"PAD PADV2", 3, 4}, {"PAD PADV2", 4, 6}, {"TRANSPOSE", 4, 3}, {"TRANSPOSE", 5, 4}, {"TRANSPOSE", 6, 12}, {"GATHER", 4, 4},
    {"STRIDED_SLICE", 3, 1}, {"STRIDED_SLICE", 4, 2}, {"SLICE", 4, 4}, {"SLICE", 5, 5}, {"SPLIT", 4, 3}, {"BROADCAST_TO", 2, 5}, {"DEQUANTIZE", 5, 7}, {"QUANTIZE", 2, 2},
    {"RESIZE_BILINEAR", 3, 2}, {"RESIZE_BILINEAR", 4, 5}, {"RESIZE_NEAREST_NEIGHBOR", 3, 3}, {"RESIZE_NEAREST_NEIGHBOR", 4, 4}, {"CUMSUM", 1, 4}, {"GELU", 1, 9},
    {"ATAN2", 1, 10}, {"SIGN", 1, 11}, {"LEAKY_RELU", 2, 3}, {"EXP LOG", 2, 14}, {"BITWISE_XOR RIGHT_SHIFT", 1, 12}, {"CALL_ONCE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE", 1, 6}};

}  // namespace

std::string runtime_of(const Model& m) {
  int minor = -1;
  for (const Operator& op : m.operators)
    for (const Release& r : releases)
      if (listed(r.types, op.type) && version_of(m, op) >= r.version) minor = std::max(minor, r.minor);
  return minor < 0 ? "1.15.0" : "2." + std::to_string(minor) + ".0";
}

int version_of(const Model& m, const Operator& op) {
  auto spec = [&](size_t i) -> const FileTensor& { return m.tensors[size_t(op.in[i])]; };
  if (op.type == "CONV_2D" || op.type == "DEPTHWISE_CONV_2D" || op.type == "FULLY_CONNECTED") return weighted_version(m, op);
  if (op.type == "TRANSPOSE_CONV") return op.in.size() > 3 && op.in[3] >= 0 ? 3 : spec(1).spec.dtype == DType::i8 ? 2 : 1;
  if (op.in.empty()) return 1;
  const FileTensor& first = op.type == "SPLIT" ? spec(1) : spec(0);
  DType t = first.spec.dtype;
  int rank = first.spec.shape.rank;
  bool broadcasts = op.in.size() > 1 && op.in[1] >= 0 && spec(1).spec.shape != first.spec.shape;
  if (op.type == "DEQUANTIZE") return t == DType::i16 || t == DType::f16 ? 3 : t == DType::i8 ? first.quantized && first.quantized->scale.size() > 1 ? 5 : 2 : 1;
  if (op.type == "QUANTIZE") return m.tensors[size_t(op.out[0])].spec.dtype == DType::i16 ? 2 : 1;
  if ((op.type == "RESIZE_BILINEAR" || op.type == "RESIZE_NEAREST_NEIGHBOR") && t != DType::i16 && (is_set(op, "half_pixel_centers") || is_set(op, "align_corners"))) return 3;
  if (op.type == "MUL" && t == DType::i8 && first.quantized && spec(1).quantized && m.tensors[size_t(op.out[0])].quantized) {
    float scale = first.quantized->scale[0] * spec(1).quantized->scale[0] / m.tensors[size_t(op.out[0])].quantized->scale[0];
    if (scale >= 1) return 3;
  }
  if (t == DType::i64 && (op.type == "ADD" || op.type == "SUB")) return 4;
  if (t == DType::i64 && op.type == "MUL") return 5;
  if (op.type == "TRANSPOSE" && rank > 4) return rank > 5 ? 6 : 4;
  if (op.type == "SLICE" && rank > 4) return 5;
  if ((op.type == "PAD" || op.type == "PADV2" || op.type == "STRIDED_SLICE") && rank > 4) return 4;
  if ((op.type == "MAXIMUM" || op.type == "MINIMUM" || op.type == "SUB") && t == DType::f32 && broadcasts && rank > 4) return 3;
  if (op.type == "DIV" && broadcasts && rank > 4) return 2;
  if (t == DType::boolean && (op.type == "TRANSPOSE" || op.type == "STRIDED_SLICE" || op.type == "GATHER")) return 3;
  if (op.type == "BROADCAST_TO") return t == DType::i8 || t == DType::i16 ? 3 : 2;
  if (op.type == "SIGN" && t == DType::i32) return 2;
  for (const Row& row : rows)
    if (listed(row.types, op.type)) return t == DType::i8 || t == DType::u8 ? row.i8 : t == DType::i16 ? row.i16 : 1;
  return 1;
}

}  // namespace miniten::tflite_file
