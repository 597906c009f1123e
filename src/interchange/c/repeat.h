#pragma once
#include "miniten/graph/plan.h"

namespace miniten {

// Attributes of a node that stands for consecutive ones which do the same several times, as a recurrent layer's steps do.
// C alone has it: as a loop. Its outputs are what the last time left, then what was joined of all times.
struct Repeat {
  Graph body;                              // one time
  int64_t times = 0;
  OutputPlan plan;                         // of the body; its arena is the node's scratch, its outputs lie where `outputs` says
  struct Read { int in; int64_t advance; };              // input of the node, its first element so many elements on each time
  std::vector<Read> reads;                 // by input of the body; behind them one input for each of `handed`
  std::vector<int> handed;                 // output of the node that is read as the time before left it
  struct Place { int to; int64_t first = 0, step = 0; }; // output of the node, from element first + step * time on
  std::vector<Place> outputs;              // by output of the body
  struct Start { int to, in; int64_t first; };           // what is written before: an input of the node
  std::vector<Start> starts;
  struct Joined { int from, to; int64_t first, step; };  // what output `from` of the node holds is written there as well each time
  std::vector<Joined> joined;
};
extern const OpDef repeat_op;
inline const Repeat& repeat_of(const Node& n) { return *static_cast<const Repeat*>(n.attributes()); }

// Law: what is computed stays, by the same ops on the same values. Of a static, laid out graph; verify does not know the result.
void roll_repeats(Graph&, const PlanOptions&);

}  // namespace miniten
