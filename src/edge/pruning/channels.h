#pragma once
#include "edge/models.h"
#include "miniten/edge/pruning.h"

// Channels of a graph that can be cut out: which indices of which axes exist only together, by the ops' axis rules.
namespace miniten::edge {

struct Slice { int value, axis; int64_t index; };
struct Channel { std::vector<Slice> slices; };               // all that goes with it
struct ChannelSet {                                          // channels that run along the same axes
  std::vector<Channel> channels;                             // in ascending order of their first index
  std::vector<std::pair<int, int>> axes;                     // value and axis
  std::vector<Weight> weights;                               // whose outputs they are, in the order of the nodes
  std::vector<std::pair<int, int>> outputs;                  // of these weights: the value that the op reads, and its axis of outputs
  std::vector<int> scales;                                   // constants that multiply each channel: batch norm's gamma
  std::string name;                                          // of the first layer
};
std::vector<ChannelSet> find_channels(const Graph&);

// Takes away everything along an axis but the kept indices, ascending. `removed`: of each value, axis -> indices that go.
using Removed = std::map<std::pair<int, int>, std::vector<int64_t>>;
Graph cut(const Graph&, const Removed&);

// The constant's elements that stay.
Tensor take(const Tensor&, int axis, const std::vector<int64_t>& kept);
std::vector<int64_t> kept_of(int64_t size, const std::vector<int64_t>& removed);

}  // namespace miniten::edge
