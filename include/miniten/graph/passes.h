#pragma once
#include "miniten/core/pattern.h"
#include "miniten/graph/graph.h"

namespace miniten {

// Graph -> Graph; each keeps the law in its comment, and verify holds after it.
void keep_factors(Graph&);               // weights that are products of constants stay two where their op takes them so
void fold_constants(Graph&);             // nodes of constants alone (and of sizes) become constants; states, randomness and writes stay
void sink_moves(Graph&);                 // ops whose operands are turned the same way work on what lies there; the result is turned
void cancel_moves(Graph&);               // views that lead back to an earlier value give it, also from behind an elementwise op
void fold_batch_norm(Graph&);            // a convolution or product whose only reader is a batch norm takes it up in its weights
void recognise_functions(Graph&);        // what exporters write in small steps becomes the function: gelu, silu
void fuse_rows(Graph&);                  // attention and layer normalisation become one op each, which goes row by row; so do products with sparse constants
void fuse(Graph&);                       // a producer absorbs its only reader where its row allows; no node crosses a write
void lower_quantized(Graph&);            // dequantize -> op -> quantize becomes the op's integer form, same integers
using IntegerForm = std::function<bool(const Node& floats, const OpDef& integers)>;
void lower_quantized_to(Graph&, const IntegerForm& wanted);          // the same, where it is wanted
void fuse_sums(Graph&);                  // as fuse, and a convolution absorbs the sum that reads it: after integers found their patterns
void fuse_chains(Graph&);                // convolutions that read one another alone become one node that goes by bands of rows; same values
void narrow(Graph&, Precision);          // products with constant weights, and attention, are computed as the precision allows
void recognise(Graph&, std::span<const Pattern>);        // values are computed by what a pattern names for them
void defer_writes(Graph&);               // states are overwritten at the end; who read them after that reads what they get
void remove_dead(Graph&);                // what no output, state or write needs
void assign_layout(Graph&);              // copies in front of ops that want another memory order; adjacent ones cancel

struct Pass {
  std::string_view name;
  void (*run)(Graph&);
  enum Use : uint8_t { usual, required, session } use = usual;         // required: nothing runs without it; session: no format has what it makes
};
std::span<const Pass> passes();          // in the order that compile runs them
std::vector<std::string> layer_passes(); // all but those of sessions: each layer stays a node of its own, to be measured or written

// verify, then the required passes and those named ("all", "none" or a list) with verify after each; throws for an unknown name.
void optimize(Graph&, const std::vector<std::string>& names = {"all"});

}  // namespace miniten
