#pragma once
#include <map>
#include "miniten/core/foreign_tflite.h"

namespace miniten::tflite_file {

// Where the values of a sparse tensor stand: rows of its last axis, compressed.
struct Sparsity {
  Shape shape;                                   // of the tensor; FileTensor's is of the values
  std::vector<int32_t> segments{0};
  std::vector<uint16_t> indices;
};

// A model as it will stand in the file.
struct FileTensor {
  std::string name;
  Spec spec;
  std::shared_ptr<const Quantized> quantized;
  std::shared_ptr<const Sparsity> sparse;
  Tensor data;                                   // of constants
  bool variable = false, resource = false;       // a state of its operator; the handle of a variable of the file
};
struct Operator {
  std::string type;
  std::vector<int> in, out;                      // -1: left out
  ForeignAttributes options;
};
struct Port { std::string name; int tensor; };
struct Variable { std::string name; Tensor initial; std::shared_ptr<const Quantized> quantized; };
struct Model {
  std::vector<FileTensor> tensors;
  std::vector<Operator> operators;
  std::vector<Port> inputs, outputs;
  std::vector<Variable> variables;               // written before the first run, by a graph of their own
  std::map<std::string, std::string> metadata;
  std::string name, description;
};

int version_of(const Model&, const Operator&);   // of the operator's meaning, as registered by LiteRT
std::string runtime_of(const Model&);            // the first release of the runtime that reads it
void remove_unused(Model&);                      // operators and tensors that no output needs
std::vector<std::byte> bytes_of(const Model&);

}  // namespace miniten::tflite_file
