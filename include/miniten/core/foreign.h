#pragma once
#include "miniten/core/op.h"

namespace miniten {

// Element types as ONNX numbers them (TensorProto.DataType); 0 and false where there is none.
int64_t onnx_type(DType);
bool from_onnx_type(int64_t, DType&);

// How one op is read from and written to a foreign format (ONNX, TFLite). The rules stand with the op; the
// interchange of the format implements these two interfaces and knows no op.

// A node of a foreign model while it is read. Reading is tracing: a rule calls op functions on the inputs.
class ForeignNode {
 public:
  virtual ~ForeignNode() = default;
  virtual std::string_view type() const = 0;
  virtual std::string_view name() const = 0;
  virtual int version() const = 0;                        // opset of the node's domain
  virtual int inputs() const = 0;
  virtual int outputs() const = 0;
  virtual bool training() const { return false; }         // statistics are the batch's, and move
  virtual Tensor input(int i) const = 0;                  // null where it is left out
  virtual bool open(int) const { return false; }          // input i holds sizes that are symbols, as a traced Shape gives them
  virtual bool has(std::string_view attribute) const = 0;
  virtual int64_t integer(std::string_view attribute, int64_t otherwise) const = 0;
  virtual double number(std::string_view attribute, double otherwise) const = 0;
  virtual std::string text(std::string_view attribute, std::string otherwise) const = 0;
  virtual std::vector<int64_t> integers(std::string_view attribute, std::vector<int64_t> otherwise) const = 0;
  virtual std::vector<float> numbers(std::string_view attribute, std::vector<float> otherwise) const = 0;
  virtual Tensor tensor(std::string_view attribute) const = 0;   // null where absent
  virtual std::vector<std::string> texts(std::string_view) const { return {}; }
  // Control flow: the graph that an attribute holds, applied to tensors here and now. It sees the values around the node.
  virtual int body_inputs(std::string_view) const { return 0; }
  virtual std::vector<Tensor> body(std::string_view attribute, std::span<const Tensor>) const { fail("a graph as attribute", std::string(attribute)); }
  // Formats that write down beside a tensor what its integers stand for; null: plain numbers.
  virtual const Quantized* quantized_input(int) const { return nullptr; }
  virtual const Quantized* quantized_output(int) const { return nullptr; }
  virtual const Quantized* quantized_intermediate(int) const { return nullptr; }
  virtual Spec output_spec(int) const { return {}; }      // as the file says it
  virtual std::string_view arithmetic() const { return {}; }     // whose rounding integers follow; empty: MiniTen's
  // Input i, a weight of the file, stored with its axes in another order from now on; null where it is none.
  virtual Tensor weight(int, const Axes&) const { return {}; }
  // A variable that keeps its value from run to run, zeros at first; one of each name. `once` runs a graph before the first.
  virtual Tensor variable(std::string_view name, const Spec&) const { fail("variables", std::string(name)); }
  virtual void once(std::string_view attribute) const { fail("a graph as attribute", std::string(attribute)); }

  Tensor required(int i) const;                           // throws naming node and input
  Tensor constant(int i) const;                           // input i, whose values must be known while reading
  std::vector<int64_t> constant_integers(int i) const;    // its values, from int32 or int64
  std::vector<int64_t> sizes(int i) const;                // the same, where symbols may stand among them
  [[noreturn]] void fail(std::string want, std::string got, std::string hint = "") const;   // unsupported, names type, version and node
};
// What a node of such sizes is while tracing: of known values, or traced, as other nodes are; or these outputs.
struct OpenSizes { enum { none, known, traced, given } how = none; std::vector<Tensor> out; };
OpenSizes read_open_sizes(const ForeignNode&);            // defined by ops
using ReadRule = std::vector<Tensor> (*)(const ForeignNode&);

using ForeignAttribute = std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>, std::vector<std::string>, Tensor>;
using ForeignAttributes = std::vector<std::pair<std::string, ForeignAttribute>>;

// Where a rule writes the nodes that stand for one application. Values are names.
class ForeignWriter {
 public:
  virtual ~ForeignWriter() = default;
  virtual int version() const = 0;
  virtual bool integer_operators() const { return false; }   // integer ops as such, not as float ops between conversions
  // type: "com.microsoft.QGemm" where the domain is not the format's own.
  virtual std::vector<std::string> emit(std::string_view type, std::vector<std::string> inputs, ForeignAttributes, int outputs = 1) = 0;
  virtual std::string constant(const Tensor&, std::string_view hint = "constant") = 0;
  virtual std::string sizes(const Shape&) { throw Error(ErrorKind::unsupported, "export", "known sizes", "open ones", "export with a fixed shape"); }   // as (rank,) int64, reckoned where they are symbols
  std::string emit_one(std::string_view type, std::vector<std::string> inputs, ForeignAttributes attributes = {}) {
    return emit(type, std::move(inputs), std::move(attributes), 1)[0];
  }
};
struct ForeignCall {
  Call call;                                              // call.known gives constants
  std::span<const std::string> in;                        // names of the inputs
  std::string_view node;                                  // name of the layer, for messages
};
using WriteRule = std::vector<std::string> (*)(ForeignWriter&, const ForeignCall&);   // names of the outputs

struct ForeignRules {
  WriteRule write = nullptr;                              // null: one node, attribute fields by name
  ReadRule read = nullptr;                                // null: attributes by name
  uint32_t states = 0;                                    // bit i: input i is a state that training moves, no parameter
};

// Foreign ops that have no op of their own and are read as a composition. type: "com.microsoft.Gelu" where the domain is
// not the format's own.
struct ForeignComposition { std::string_view format, type; ReadRule read; };
std::span<const ForeignComposition> foreign_compositions();   // defined by ops

}  // namespace miniten
