#pragma once
#include "miniten/core/pattern.h"

namespace miniten {

// Ops of sessions alone: what a graph computes in several nodes, in one that goes row by row.

struct AttentionAttrs {                      // softmax(scale * q k + mask) v
  double scale = 1;
  int64_t mask = 0;                          // its input 3: 0 there is none, 1 added, 2 keeps where true
  void fields(auto f) { f("scale", scale); f("mask", mask); }
};
struct LayerNormAttrs {
  int64_t axes = 1;                          // the last ones, normalised together
  double eps = 1e-5;
  void fields(auto f) { f("axes", axes); f("eps", eps); }
};

std::vector<StandIn> attention_pattern(const PatternGraph&, int value);
std::vector<StandIn> layer_norm_pattern(const PatternGraph&, int value);
std::vector<StandIn> gather_pixels_pattern(const PatternGraph&, int value);
std::vector<StandIn> matmul_turned_pattern(const PatternGraph&, int value);
std::vector<StandIn> sparse_product_pattern(const PatternGraph&, int value);
std::vector<StandIn> factored_pattern(const PatternGraph&, int value);

}  // namespace miniten
