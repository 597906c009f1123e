#pragma once
#include "miniten/core/op.h"

namespace miniten {

// Compositions that one op computes as well. A pattern is shown a value and what it was computed from, and names the ops
// that stand in for it.
class PatternGraph {
 public:
  virtual ~PatternGraph() = default;
  virtual const OpDef* op(int value) const = 0;                 // that computes it; null: an input or a constant
  virtual const void* attrs(int value) const = 0;
  virtual std::span<const int> in(int value) const = 0;
  virtual const Tensor* constant(int value) const = 0;          // null: computed
  virtual const Spec& spec(int value) const = 0;
  virtual int readers(int value) const = 0;                     // how often it is read, outputs included
};
struct StandIn {
  int value;                                                    // what it computes
  const OpDef* op;
  Attrs attrs;
  std::vector<int> in;
  std::vector<Tensor> constants;                                // inputs after those
};
using Pattern = std::vector<StandIn> (*)(const PatternGraph&, int value);      // none: no match

// Defined by ops. Functions that exporters write in small steps, as an op of every format; what only a session computes
// in one go; what TFLite has an operator for, whose ops exist for this alone.
std::span<const Pattern> function_patterns();
std::span<const Pattern> session_patterns();
std::span<const Pattern> tflite_patterns();

// Ops told by where their attributes point. A permute's order; none: another op.
std::optional<Axes> turn_of(const OpDef&, const void* attrs);
// What op on x needs in order to give permute(op(permute(x, order)), inverse) with these attributes; null: it cannot.
Attrs turned(const OpDef&, const void* attrs, const Axes& order);

}  // namespace miniten
