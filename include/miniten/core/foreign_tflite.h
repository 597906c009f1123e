#pragma once
#include "miniten/core/foreign.h"

namespace miniten {

// How one op is written to a .tflite file. The rules stand with the op (OpDef::tflite.rules is a TfliteRules); the
// interchange of the format implements TfliteWriter and knows no op.

// A value as it lies in the file: cut into pieces (row-major, each axis a run of pieces), stored in another order. A picture
// (N, C, H, W) that a convolution gave has the pieces N C H W and the order 0 2 3 1; flattened to (N, C * H * W) it keeps
// both. So axes that are moved and reshaped cost nothing until someone needs them in place.
struct TfliteValue {
  int tensor = -1;                               // -1: a constant that is not in the file yet
  Shape pieces;
  Axes order;
  static TfliteValue plain(int tensor, const Shape& shape) { return {tensor, shape, Dims::iota(shape.rank)}; }
};
// Cuts at the boundaries of `shape`, as many elements, too; false where a piece cannot be cut so.
bool refine(TfliteValue&, const Shape& shape);
bool is_stored(const TfliteValue&, const Shape& shape, const Axes& order);      // the axes of `shape` in this order
// Where the axes of `shape` lie, if each is whole: the stored order of axes. Axes of one element stand anywhere.
std::optional<Axes> stored_axes(const TfliteValue&, const Shape& shape);

class TfliteWriter {
 public:
  virtual ~TfliteWriter() = default;
  // An operator of the format by its name and options; tensor -1 as an input is left out. Gives its outputs.
  virtual std::vector<int> emit(std::string_view type, std::vector<int> inputs, ForeignAttributes, std::vector<Spec> outputs, std::shared_ptr<const Quantized> = nullptr) = 0;
  int emit_one(std::string_view type, std::vector<int> inputs, ForeignAttributes options, const Spec& out, std::shared_ptr<const Quantized> q = nullptr) {
    return emit(type, std::move(inputs), std::move(options), {out}, std::move(q))[0];
  }
  virtual int constant(const Tensor&, std::string_view hint, std::shared_ptr<const Quantized> = nullptr) = 0;
  virtual int variable(const Spec&, std::string_view hint) = 0;                      // keeps its value from run to run, zeros at first
  virtual const Spec& spec(int tensor) const = 0;
  virtual std::shared_ptr<const Quantized> quantized(int tensor) const = 0;
  virtual int reshaped(int tensor, const Shape&) = 0;                       // the tensor itself where it has the shape

  // Of the node that is written. Input i cut as `shape` (as many elements) with its axes stored in `order`. Of constants:
  // `to` is the shape in the file, and with `as` floats become those integers, or integers get that meaning.
  virtual int stored(int i, const Shape& shape, const Axes& order, std::shared_ptr<const Quantized> as = nullptr, std::optional<Shape> to = {}) = 0;
  // Input i so that it broadcasts against a result cut as `pieces` and stored in `order`; `shape` is the result's own. A
  // float constant becomes integers where `as` is given.
  virtual int broadcast(int i, const Shape& shape, const TfliteValue& result, std::shared_ptr<const Quantized> as = nullptr) = 0;
};

struct TfliteCall {
  Call call;                                     // call.known gives constants
  std::span<const TfliteValue> in;
  std::string_view node;                         // name of the layer, for messages
  // Where a rule that has a form on integers is asked for it: what the inputs and the result stand for. Null: floats.
  std::span<const std::shared_ptr<const Quantized>> q_in;
  std::shared_ptr<const Quantized> q_out;
  uint32_t used = 1;                             // bit i: output i is read
  bool unroll = false;                           // recurrent layers step by step
  bool is_used(int i) const { return used >> i & 1; }
  const Shape& shape(int i) const { return call.in[size_t(i)].shape; }
  const Shape& out() const { return call.out[0].shape; }
  bool is_constant(int i) const { return in[size_t(i)].tensor < 0; }
  [[noreturn]] void refuse(std::string want, std::string got, std::string hint = "") const;
};
// The outputs. None: this has no form on integers, asked in floats it will have one.
using TfliteWriteRule = std::vector<TfliteValue> (*)(TfliteWriter&, const TfliteCall&);

struct TfliteRules {
  TfliteWriteRule write = nullptr;
  enum Integers : uint8_t { none, i8, i8_and_i16 } integers = none;       // widths that the builtin computes on
  enum Range : uint8_t { free, unit, both_sides } range = free;           // of an integer result: the format fixes 0..1 or -1..1
};

}  // namespace miniten
