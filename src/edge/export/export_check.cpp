#include "base/json.h"
#include "miniten/edge/export_check.h"
#include "edge/models.h"
#include "miniten/interchange/onnx.h"
#include "miniten/interchange/tflite_export.h"

namespace miniten::edge {

namespace {

constexpr int native = 0, tflite = -1;
int opset_of(const std::string& target) {               // or one of those
  if (target == "native") return native;
  if (target == "tflite") return tflite;
  if (target.starts_with("onnxruntime==")) return onnx_target(target).opset;
  if (target.starts_with("onnx-") && target.size() > 5 && target.size() < 8 && std::all_of(target.begin() + 5, target.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::stoi(target.substr(5));
  throw Error(ErrorKind::value, "export_check", "targets as \"onnx-13\", \"onnxruntime==1.14\", \"tflite\" or \"native\"", "\"" + target + "\"");
}

// One node as a graph of its own.
Graph alone(const Graph& g, const Node& n) {
  Graph one;
  Node copy = n;
  std::map<int, int> ids;
  for (int& id : copy.in) {
    auto [at, fresh] = ids.try_emplace(id, int(one.values.size()));
    if (fresh) {
      one.values.push_back(g.values[size_t(id)]);
      if (!g.is_constant(id)) {
        one.values.back().constant = {};
        one.inputs.push_back(at->second);
      }
    }
    id = at->second;
  }
  for (int& id : copy.out) {
    one.values.push_back(g.values[size_t(id)]);
    id = int(one.values.size()) - 1;
    one.outputs.push_back(id);
  }
  one.nodes.push_back(std::move(copy));
  return one;
}
std::string reason(const Graph& one, int opset) {
  if (opset == native) return "";
  try {
    if (opset == tflite) tflite_bytes(one);
    else onnx_bytes(one, {.opset = opset});
    return "";
  } catch (const Error& e) {
    return "needs " + e.want() + ", got " + e.got();
  }
}

}  // namespace

ExportCheck export_check(nn::Module& model, const std::vector<Spec>& inputs, std::vector<std::string> targets) {
  if (targets.empty()) targets = {"onnx-11", "onnx-13", "onnx-17", "onnx-21", "tflite", "native"};
  std::vector<int> opsets;
  for (const std::string& t : targets) opsets.push_back(opset_of(t));
  Graph g = bound_graph("export_check", model, inputs);
  ExportCheck check{targets, {}};
  for (const Node& n : g.nodes) {
    bool constant = !n.in.empty() && std::all_of(n.in.begin(), n.in.end(), [&](int id) { return g.is_constant(id); });
    if (constant && n.op->traits.converts == Conversion::none && !n.op->traits.random) continue;      // folded before it is written
    Graph one = alone(g, n);
    ExportCheckRow row{std::string(n.op->name), n.name, {}};
    for (int opset : opsets) row.reasons.push_back(reason(one, opset));
    bool known = std::any_of(check.rows.begin(), check.rows.end(), [&](const ExportCheckRow& r) {
      if (r.op != row.op) return false;
      for (size_t i = 0; i < r.reasons.size(); ++i) if (r.reasons[i].empty() != row.reasons[i].empty()) return false;
      return true;
    });
    if (!known) check.rows.push_back(std::move(row));
  }
  return check;
}

bool ExportCheck::ok(std::string_view target) const {
  auto at = std::find(targets.begin(), targets.end(), target);
  if (at == targets.end()) throw Error(ErrorKind::value, "export_check", "a target that was asked about", "\"" + std::string(target) + "\"");
  auto i = size_t(at - targets.begin());
  return std::all_of(rows.begin(), rows.end(), [&](const ExportCheckRow& r) { return r.reasons[i].empty(); });
}
std::string ExportCheck::to_text() const {
  std::string s, why;
  auto column = [&](std::string text, size_t width) { text.resize(std::max(width, text.size() + 1), ' '); s += text; };
  column("op", 20);
  for (const std::string& t : targets) column(t, 12);
  s += "\n";
  for (const ExportCheckRow& r : rows) {
    column(r.op, 20);
    for (size_t i = 0; i < targets.size(); ++i) {
      column(r.reasons[i].empty() ? "yes" : "no", std::max<size_t>(12, targets[i].size() + 1));
      if (!r.reasons[i].empty()) why += targets[i] + ": " + r.op + (r.layer.empty() ? "" : " in layer \"" + r.layer + "\"") + " " + r.reasons[i] + "\n";
    }
    s += "\n";
  }
  return s + why;
}
std::string ExportCheck::to_json() const {
  nlohmann::ordered_json j{{"targets", targets}, {"rows", nlohmann::ordered_json::array()}};
  for (const ExportCheckRow& r : rows) {
    nlohmann::ordered_json reasons;
    for (size_t i = 0; i < targets.size(); ++i) reasons[targets[i]] = r.reasons[i];
    j["rows"].push_back({{"op", r.op}, {"layer", r.layer}, {"reasons", reasons}});
  }
  return j.dump();
}

}  // namespace miniten::edge
