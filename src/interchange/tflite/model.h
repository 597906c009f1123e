#pragma once
#include <map>
#include <memory>
#include <variant>
#include "interchange/tflite/schema.h"
#include "miniten/core/foreign.h"

// A TFLite file as it stands: tensors and operators by index, nothing of it run yet. Every index has been checked.
namespace miniten::tflite_model {

using Attribute = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<float>>;

struct TensorInfo {
  std::string name;
  Spec spec;                                   // sizes of the file
  Shape open;                                  // the same with what the file leaves open as symbols
  std::string other;                           // what it holds where MiniTen has no such numbers
  Tensor constant;                             // null: computed
  std::shared_ptr<const Quantized> quantized;
  bool variable = false;                       // a state of the operator that has it as input
};
struct Operator {
  std::string type, custom;                    // "CUSTOM", "TFLite_Detection_PostProcess"
  int version = 1;
  std::vector<int> in, out, intermediates;     // -1: left out
  std::map<std::string, Attribute, std::less<>> attributes;
  mutable ReadRule rule = nullptr;             // found once
};
struct Subgraph {
  std::string name;
  std::vector<TensorInfo> tensors;
  std::vector<Operator> operators;
  std::vector<int> in, out;
};
struct Entry { std::string name; int tensor; };
struct Signature { std::string key; std::vector<Entry> in, out; int subgraph; };
struct Model {
  std::vector<Subgraph> subgraphs;
  std::vector<Signature> signatures;
  std::string description;
  std::map<std::string, std::string> metadata;
};

[[noreturn]] void refuse(std::string want, std::string got, std::string hint = "");
Model parse(std::span<const std::byte>);

}  // namespace miniten::tflite_model
