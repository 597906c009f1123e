#include <tuple>
#include "base/json.h"
#include "edge/pruning/choose.h"
#include "miniten/interchange/native.h"

namespace miniten::edge {

NativeFile PrunedModel::file() const {
  NativeFile f;
  f.graph = held();
  f.has_graph = true;
  f.kind = "pruned";
  nlohmann::ordered_json extra{{"wanted", wanted_}, {"method", options_.method}, {"scope", options_.scope}, {"seed", options_.seed}};
  if (options_.m) extra["pattern"] = {options_.n, options_.m};
  if (options_.rows != 1 || options_.cols > 1) extra["block"] = {options_.rows, options_.cols};
  if (cut_.given_bytes) {
    extra["given_bytes"] = cut_.given_bytes;
    extra["kept"] = nlohmann::ordered_json::array();
    for (const KeptIndices& k : cut_.kept) extra["kept"].push_back({{"axes", k.axes}, {"size", k.size}, {"kept", k.kept}});
  }
  if (quantization_) extra["quantization"] = parse_json(quantization_->to_json());
  f.extra = extra.dump();
  return f;
}
size_t PrunedModel::size_bytes() const {
  graph();                                                   // throws where there is nothing to save yet
  return native_bytes(file()).size();
}
size_t PrunedModel::save(const std::string& path) const {
  graph();
  return save_native(file(), path);
}
Ref<PrunedModel> PrunedModel::from_file(const NativeFile& f) {
  if (f.kind != "pruned" || !f.has_graph)
    throw Error(ErrorKind::value, "PrunedModel.load", "a file of a pruned model", f.kind.empty() ? "one without a kind" : "one of kind \"" + f.kind + "\"");
  PruneOptions o;
  double wanted = 0;
  std::shared_ptr<QuantizationReport> quantization;
  ChannelCut cut;
  try {
    auto extra = parse_json(f.extra);
    wanted = extra.at("wanted");
    o.method = extra.at("method");
    o.scope = extra.at("scope");
    o.seed = extra.at("seed");
    if (extra.contains("pattern")) std::tie(o.n, o.m) = extra["pattern"].get<std::pair<int64_t, int64_t>>();
    if (extra.contains("block")) std::tie(o.rows, o.cols) = extra["block"].get<std::pair<int64_t, int64_t>>();
    o = checked(o);
    if (extra.contains("kept")) {
      cut.given_bytes = extra.at("given_bytes");
      for (const auto& k : extra["kept"]) {
        cut.kept.push_back({k.at("axes"), k.at("size"), k.at("kept")});
        if (cut.kept.back().kept.empty()) throw Error(ErrorKind::value, "PrunedModel.load", "channels that stay", "none", "the file may be damaged");
      }
    }
    if (extra.contains("quantization")) quantization = std::make_shared<QuantizationReport>(QuantizationReport::from_json(extra["quantization"].dump()));
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::value, "PrunedModel.load", "a sound report", e.what(), "the file may be damaged");
  }
  auto m = make<PrunedModel>(f.graph, wanted, o, std::move(quantization), std::move(cut));
  m->eval();
  return m;
}
Ref<PrunedModel> PrunedModel::load(const std::string& path) { return from_file(load_native(path)); }

}  // namespace miniten::edge
