#pragma once
#include "miniten/core/op.h"

namespace miniten {

// How one op is written in C99. The rules stand with the op (OpDef::c.rules); interchange/c implements CWriter and knows
// no op. OpDef::c.name is what its rule takes from the row: a C expression for elementwise ops, else the op's name.

struct COperand {
  Spec spec;
  Strides strides;                       // of the memory that the code reads or writes, in elements
  Tensor constant;                       // its values where they are known
  int value = -1;                        // of the graph
};

class CWriter {
 public:
  virtual ~CWriter() = default;
  // A static function or type: written once for each name, after those it was registered behind.
  virtual void define(std::string_view name, std::string_view source) = 0;
  virtual void include(std::string_view header) = 0;                       // "math.h"
  virtual void line(std::string_view code) = 0;                            // of the step; braces indent
  virtual std::string pointer(const COperand&) = 0;                        // its first element; a constant is stored as it lies
  virtual std::string constant(const Tensor&, std::string_view hint) = 0;  // a const array, row-major; equal ones are one
  virtual std::string record(std::string_view type, std::string_view hint, std::string_view fields) = 0;   // a const struct's address
  virtual std::string scratch(std::string_view type) = 0;                  // the step's own memory, as a pointer to type
  virtual void saved(size_t bytes) = 0;                                    // that constants take less than their values as they are
};
struct CCall {
  Call call;                             // call.known gives constants
  std::span<const COperand> in, out;
  std::string_view layer;                // for messages
  // Throws unsupported, naming op and layer.
  [[noreturn]] void refuse(std::string want, std::string got, std::string hint = "") const;
};
// A call that hands something on, as it is in a stream: what it began with is kept in states from one call to the next.
struct CStream {
  Attrs attrs;
  std::vector<int> in;                   // what it reads then: an input of the call, or ~k for state k
  struct Carried { int out; Tensor first; };
  std::vector<Carried> carried;          // state k: before the first call, and the output that it becomes; none: nothing is handed on
};
struct CRules {
  void (*write)(CWriter&, const CCall&) = nullptr;
  uint64_t (*scratch)(const Call&) = nullptr;                              // bytes the step works in; null: none
  CStream (*stream)(const CCall&) = nullptr;                               // throws where it cannot
};

std::string c_type(DType);                                                 // "int8_t"; bool is uint8_t; "" where C has none
std::string c_number(double value, DType);                                 // a literal: "0.5f", "-128"

}  // namespace miniten
