#pragma once
#include "miniten/core/op.h"

namespace miniten {

// Compositions that one op computes as well. A pattern is shown a value and what it was computed from, and names the ops
// that stand in for it.
class PatternGraph {
 public:
  virtual ~PatternGraph() = default;
  virtual const OpDef* op(int value) const = 0;                 // that computes it, alone or first; null: an input, a constant, a later output
  virtual const void* attrs(int value) const = 0;
  virtual std::span<const int> in(int value) const = 0;
  virtual const Tensor* constant(int value) const = 0;          // null: computed
  virtual const Spec& spec(int value) const = 0;
  virtual int readers(int value) const = 0;                     // how often it is read, outputs included
};
struct StandIn {
  int value;                                                    // what it computes, or the first of it
  const OpDef* op;
  Attrs attrs;
  std::vector<int> in;
  std::vector<Tensor> constants;                                // inputs after those
};
using Pattern = std::vector<StandIn> (*)(const PatternGraph&, int value);      // none: no match

// Defined by ops. Products of constants that an op reads as they are, before they become one constant; functions that
// exporters write in small steps, as an op of every format; what only a session computes in one go, in graphs that
// overwrite no state and in those that do; what TFLite has an operator for, whose ops exist for this alone.
std::span<const Pattern> factor_patterns();
std::span<const Pattern> function_patterns();
std::span<const Pattern> session_patterns();
std::span<const Pattern> step_patterns();
std::span<const Pattern> tflite_patterns();

// What products with constant weights are computed in. bf16: x and weights, and what attention multiplies, rounded to bfloat16, float32
// sums, where the processor has instructions for it, else as bf16_weights. bf16_weights, int8_weights: only weights, of products of few
// rows, where reading them is what takes the time; int8 in blocks of 32 with a scale each.
enum class Precision : uint8_t { float32, bf16, bf16_weights, int8_weights };
std::optional<Lowered> narrow_form(const Call&, Precision);    // defined by ops; none: as it is

// Ops that do the same by other means, for a session to time: algorithms, splits between threads, dense for sparse.
// Defined by ops; exact ones alone where the call is exact. Only constant weights are read.
std::vector<const OpDef*> other_forms(const Call&);

// Ops told by where their attributes point. A permute's order; none: another op.
std::optional<Axes> turn_of(const OpDef&, const void* attrs);
// What op on x needs in order to give permute(op(permute(x, order)), inverse) with these attributes; null: it cannot.
Attrs turned(const OpDef&, const void* attrs, const Axes& order);

}  // namespace miniten
