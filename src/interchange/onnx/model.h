#pragma once
#include <map>
#include <memory>
#include <span>
#include "miniten/core/op.h"
#include "miniten/core/foreign.h"

// An ONNX file as it stands: names and tensors, nothing of it run yet.
namespace miniten::onnx_model {

struct Graph;
struct Attribute {
  int64_t i = 0;
  float f = 0;
  std::string s, refers;                       // refers: in a function, the caller's attribute to take
  std::vector<int64_t> ints;
  std::vector<float> floats;
  std::vector<std::string> strings;
  Tensor t;
  std::string unread;                          // why t is null although the file has one
  std::shared_ptr<const Graph> g;
};
using Attributes = std::map<std::string, Attribute, std::less<>>;

// How a node is read: by a rule, as an op with the same attribute names, or by a function of the model.
struct Reader { const OpDef* op = nullptr; ReadRule rule = nullptr; uint32_t states = 0; };

struct Node {
  std::string type, name, domain;
  std::vector<std::string> in, out;
  Attributes attributes;
  mutable Reader reader;                       // found once
  std::string key() const { return domain.empty() || domain == "ai.onnx" ? type : domain + "." + type; }
};
struct Initializer { std::string name; Tensor tensor; };
struct Input { std::string name; Spec spec; bool typed = false; std::string other; };   // other: what it is if no tensor of numbers
struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<Initializer> initializers;
  std::vector<Input> inputs;
  std::vector<std::string> outputs;
};
using Opsets = std::map<std::string, int64_t, std::less<>>;
struct Function {
  std::string name, domain;
  std::vector<std::string> in, out;
  std::vector<Node> nodes;
  Attributes defaults;
  Opsets opsets;
};
struct Model {
  Graph graph;
  Opsets opsets;
  std::vector<Function> functions;
  std::map<std::string, std::string> metadata;
  int64_t ir_version = 0;
};

[[noreturn]] void refuse(std::string want, std::string got, std::string hint = "");

// folder: where external data lies; empty where the model came as bytes.
Model parse(std::span<const std::byte>, const std::string& folder, uint64_t largest_file);

}  // namespace miniten::onnx_model
