#pragma once
#include "miniten/core/op.h"

namespace miniten {

// Which indices along the axes of one application's operands exist only together: what cutting channels out of a graph
// takes away at once. A row's rule says so for its op.
struct Axis {
  int operand, axis;                         // operand: input i, or result - i for output i
  static constexpr int result = -1;
};
struct AxisLinks {
  virtual ~AxisLinks() = default;
  virtual void join(Axis a, int64_t i, Axis b, int64_t j) = 0;          // index i of a and j of b
  virtual void keep(Axis, int64_t i) = 0;                               // an index that has to stay
  virtual bool is_kept(Axis) const = 0;                                 // all of them have to stay
  virtual int64_t size(Axis) const = 0;
  virtual int split(int axis, int options) = 0;                         // input 0's axis becomes several: along which one it may be cut
  void keep(Axis a) { for (int64_t i = 0; i < size(a); ++i) keep(a, i); }
  void join(Axis a, Axis b) {                                           // of equal sizes: index by index
    if (size(a) != size(b)) { keep(a); keep(b); return; }
    for (int64_t i = 0; i < size(a); ++i) join(a, i, b, i);
  }
};
using KeptIndices = std::function<std::vector<int64_t>(Axis)>;          // ascending
struct AxisRule {
  void (*link)(const Call&, AxisLinks&) = nullptr;                      // axes of the result that it says nothing of stay as they are
  Attrs (*shrink)(const Call&, const KeptIndices&) = nullptr;           // attributes once indices are gone; null: as they were
  int scale = 0;                                                        // the input that multiplies each channel; 0: none
  int weight = -1, weight_axis = 0;                                     // the input, and its axis, that gives the result its channels; where traits.weights names none
};
const AxisRule* axis_rule(const OpDef&);     // null: everything that it reads and gives has to stay

}  // namespace miniten
