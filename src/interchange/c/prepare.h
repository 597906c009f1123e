#pragma once
#include "miniten/interchange/c.h"

namespace miniten {

// The compiled graph as C runs it, and what its ports stand for.
struct PreparedForC {
  Graph graph;
  std::vector<CPort> inputs, outputs;
};
PreparedForC prepare_for_c(const Graph&, bool streaming, std::vector<CarriedValue> carried);

void make_tables(Graph&);                       // dequantize -> elementwise functions of one value -> quantize becomes a look-up

// Identifiers.
std::string c_identifier(std::string_view);     // letters, digits and _; not empty
std::string upper_case(std::string_view);

// A const array, lines of at most 120 characters. `values` lie in memory order.
std::string c_array(std::string_view qualifiers, std::string_view name, const Tensor& values);
std::vector<std::byte> bytes_in_memory_order(const Tensor&, int64_t& count);

}  // namespace miniten
