// Builds for inference alone run graphs as they are (Session::save writes compiled ones): no pass but the required, no eager op.
#include <cstdlib>
#include "graph/tune.h"
#include "miniten/graph/passes.h"

namespace miniten {

void optimize(Graph& g, const std::vector<std::string>&) {
  verify(g);
  assign_layout(g);
  verify(g);
}

void narrow(Graph&, Precision precision) {
  if (precision != Precision::float32) throw Error(ErrorKind::unsupported, "session", "the precision that the graph was compiled for", "another");
}
TuningReport tune(Graph&, const std::string& path, int, bool) {
  throw Error(ErrorKind::unsupported, "session", "a graph that was tuned before it was saved", "tune \"" + path + "\"");
}

std::vector<Tensor> replay(const Graph& g, const std::vector<Tensor>&, const Replay&) {
  throw Error(ErrorKind::unsupported, "session", "a graph of known sizes without control flow", "\"" + g.name + "\"",
              "compile it for one input shape, or link the whole library");
}

}  // namespace miniten

// The handler this stands in for prints the type of what nobody caught: 47 KB of code where the C++ library is linked
// statically, and interchange/runner.h lets nothing out.
namespace __gnu_cxx {
void __verbose_terminate_handler() { std::abort(); }
}  // namespace __gnu_cxx
