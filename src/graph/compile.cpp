#include "miniten/graph/passes.h"

namespace miniten {

static constexpr Pass in_order[] = {
    {"keep_factors", keep_factors, Pass::session},
    {"fold_constants", fold_constants},
    {"sink_moves", sink_moves},
    {"cancel_moves", cancel_moves},
    {"fold_batch_norm", fold_batch_norm},
    {"recognise_functions", recognise_functions},
    {"fuse_rows", fuse_rows, Pass::session},
    {"fuse", fuse},
    {"lower_quantized", lower_quantized},
    {"fuse_sums", fuse_sums, Pass::session},
    {"fuse_chains", fuse_chains, Pass::session},
    {"remove_dead", remove_dead},
    {"assign_layout", assign_layout, Pass::required},
};
std::span<const Pass> passes() { return in_order; }
std::vector<std::string> layer_passes() {
  std::vector<std::string> names;
  for (const Pass& p : in_order) if (p.use != Pass::session) names.emplace_back(p.name);
  return names;
}

void optimize(Graph& g, const std::vector<std::string>& names) {
  bool all = names.size() == 1 && names[0] == "all", none = names.empty() || (names.size() == 1 && names[0] == "none");
  for (const std::string& name : names) {
    bool known = all || none;
    for (const Pass& p : in_order) known |= p.name == name;
    if (!known) {
      std::string list = "all, none";
      for (const Pass& p : in_order) list += ", " + std::string(p.name);
      throw Error(ErrorKind::value, "passes", "names among " + list, name);
    }
  }
  verify(g);
  for (const Pass& p : in_order) {
    if (!all && p.use != Pass::required && std::count(names.begin(), names.end(), p.name) == 0) continue;
    p.run(g);
    verify(g);
  }
}

}  // namespace miniten
