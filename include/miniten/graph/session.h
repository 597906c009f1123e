#pragma once
#include "miniten/core/pattern.h"
#include "miniten/graph/graph.h"

namespace miniten {

struct Buffer { uint64_t bytes = 0, offset = 0; int first = 0, last = 0; int value = -1; };   // alive from step first to last; value -1: scratch
struct Place {                                                   // where a value lives
  enum Kind { arena, constant, input } kind = arena;
  int root = -1;                                                 // buffer, or the value that owns the memory
  Strides strides;
  int64_t offset = 0;                                            // elements, of a view
};
struct Plan {
  std::vector<Buffer> buffers;
  std::vector<Place> places;                                     // by value
  std::vector<int> steps, scratch;                               // nodes that compute; each one's scratch buffer, or -1
  std::vector<Work> work;
  uint64_t arena_bytes = 0, bytes_without_reuse = 0;
  std::string to_text(const Graph&) const;                       // a table of buffers
};

struct CompileOptions {
  int threads = 0;                                               // 0: get_num_threads()
  bool exact = false;                                            // no algorithm that rounds differently from the direct form
  std::vector<std::string> passes{"all"};
  std::string tune = {};                                         // empty: choices by the cost model
  Precision precision = Precision::float32;                      // of products with constant weights; profiles and to_text name the ops that changed
  bool keep_constants = true;                                    // false: weights that are packed are let go where the graph alone holds them; those of graph() have no values then
};

// tune: a file of choices by machine and shape. What it does not know is timed when the session is made and added to it; a
// file that cannot be read or written is told in `warning`, and the session works without.
std::string default_tuning_file();                               // choices in XDG_CACHE_HOME/miniten or ~/.cache/miniten
struct TuningReport { std::string path, warning; int timed = 0, remembered = 0, changed = 0; };   // nodes; changed: not what the cost model chose

struct StepProfile { std::string name, op; std::vector<Spec> in, out; Cost cost; double nanoseconds = 0; };

// A compiled graph that runs in one planned arena without allocating. Values whose size is known only at run time, and
// control flow, run through `replay` and live in a region of their own (dynamic_bytes).
class Session {
 public:
  Session(Graph, const CompileOptions& = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  std::vector<Tensor> run(std::span<const Tensor> inputs);       // results are copies
  void run(std::span<const Tensor> inputs, std::span<const Tensor> outputs);   // results go to these, of output_specs()
  std::vector<Tensor> outputs_for(std::span<const Tensor> inputs) const;       // zeros to run into; nothing is run, but refused what run would
  void run_into(std::span<const Tensor> inputs);                 // results stay in the arena: output(i), until the next run
  View output(int i) const;
  std::vector<Spec> input_specs() const;
  std::vector<Spec> output_specs() const;
  std::vector<std::string> input_names() const;
  std::vector<std::string> output_names() const;

  size_t arena_bytes() const;                                    // planned
  size_t measured_arena_bytes(std::span<const Tensor> inputs);   // high-water mark of a run; runs twice
  size_t dynamic_bytes() const;                                  // of the last run, outside the arena
  size_t weight_bytes() const;                                   // constants, packed forms included
  std::vector<StepProfile> profile(std::span<const Tensor> inputs, int runs = 10);   // medians
  const TuningReport& tuning() const;
  Session clone() const;                                         // shares weights, has its own arena and states
  const Graph& graph() const;
  const Plan& plan() const;
  std::string to_text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Plan plan(const Graph&, int workers, const std::vector<bool>& prepared, bool exact = false);   // prepared: by node

}  // namespace miniten
