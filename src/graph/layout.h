#pragma once
#include "miniten/graph/graph.h"

namespace miniten {

// Where every value's elements lie: strides, and for views the value whose memory it is and the offset into it.
struct Layouts {
  std::vector<Strides> strides;
  std::vector<int> owner;
  std::vector<int64_t> offset;                 // elements
};
Layouts layouts_of(const Graph&);              // of a static graph

}  // namespace miniten
