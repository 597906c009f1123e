#pragma once
#include "miniten/graph/session.h"

namespace miniten {

// A graph as C99: one header, one source, no allocation, of the standard library only memcpy and, for floats, libm.

struct CPort {                                   // an input or output of the C functions
  std::string name;
  Spec spec;                                     // as C has it, row-major
  std::shared_ptr<const Quantized> quantized;    // null: what the model takes itself
};
struct CSource {
  std::string name;
  std::string header, source;                    // <name>.h and <name>.c
  Graph graph;                                   // what was written: a Session of it gives the same bytes
  std::vector<CPort> inputs, outputs;
  uint64_t arena_bytes = 0;                      // the planner's figure
  size_t state_bytes = 0, weight_bytes = 0;      // static variables; const arrays
  size_t dense_weight_bytes = 0;                 // const arrays, were clustered and block-sparse weights not packed
  int64_t macs = 0;
  int steps = 0;
  bool streams = false;                          // <name>_step and <name>_reset instead of <name>_run
};

// Floats at the boundary that a quantize or dequantize node turns into 8-bit integers become those integers: the ports tell
// scale and zero point. Elementwise functions of one 8-bit value become tables of 256 entries. Throws, naming layer and
// mend, for symbolic sizes, ops without a C form and names that C cannot have. streaming: recurrent layers go on where the
// call before ended; throws where nothing does.
// carried: ports of the graph that become states, by carrying_graph.
struct CarriedValue { int input, output; Tensor first; };  // numbers of its ports, and what the first call begins with
CSource c_source(const Graph&, const std::string& name = "model", bool streaming = false, const std::vector<CarriedValue>& carried = {});

// A stream with what its recurrent layers hand on as further inputs and outputs: as it can be quantised. Throws where no layer
// begins with constants.
struct CarryingGraph { Graph graph; std::vector<CarriedValue> carried; };
CarryingGraph carrying_graph(const Graph&);

// <name>_self_test.c: runs given inputs (one list a call, in order) and compares with given outputs: integers must be equal,
// floats within tolerance * max(1, largest output).
std::string c_self_test(const CSource&, const std::vector<std::vector<Tensor>>& inputs, const std::vector<std::vector<Tensor>>& outputs, double tolerance = 1e-5);

// Throws unless C and its file names can have it.
void check_c_name(std::string_view name);

}  // namespace miniten
