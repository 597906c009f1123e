#include "base/json.h"
#include "edge/models.h"
#include "miniten/edge/utils.h"
#include "miniten/graph/passes.h"

namespace miniten::edge {

uint64_t planned_arena(Graph g, DType dtype) {
  std::vector<bool> prepared;
  for (const Node& n : g.nodes) {
    prepared.push_back(false);
    if (!n.op->prepare) continue;
    std::vector<View> constants;
    for (int id : n.in) constants.push_back(g.is_constant(id) ? g.values[size_t(id)].constant.view() : View{});
    auto in = g.specs(n.in), out = g.specs(n.out);
    prepared.back() = n.op->prepare({.op = *n.op, .attrs = n.attributes(), .in = in, .out = out, .exact = false}, constants, nullptr) > 0;
  }
  if (dtype != DType::f32) for (Value& v : g.values) if (v.spec.dtype == DType::f32) v.spec.dtype = dtype;
  return plan(g, 1, prepared).arena_bytes;
}

MemoryEstimate estimate_memory(nn::Module& m, const std::vector<Spec>& inputs, DType dtype) {
  if (dtype == DType::boolean) throw Error(ErrorKind::value, "estimate_memory", "a dtype of numbers", "bool");
  Graph g = bound_graph("estimate_memory", m, inputs);
  if (!g.is_static())
    throw Error(ErrorKind::unsupported, "estimate_memory", "a graph whose sizes are known", "one with sizes known at run time", "run it and read session.dynamic_bytes");
  auto bytes = [&](const Spec& s) { return int64_t(bytes_of(s.dtype == DType::f32 ? dtype : s.dtype, s.shape.count())); };
  MemoryEstimate e;
  for (int id : parameters_of(g)) e.parameter += bytes(g.values[size_t(id)].spec);
  for (const Weight& w : weights_of(g)) if (w.quantized) e.parameter += int64_t(4 * w.quantized->scale.size());
  for (int id : g.inputs) e.input += bytes(g.values[size_t(id)].spec);
  optimize(g);
  e.activation = int64_t(planned_arena(std::move(g), dtype));
  return e;
}

std::string MemoryEstimate::to_json() const {
  nlohmann::ordered_json j;
  for (auto [name, bytes] : {std::pair{"parameter", parameter}, {"input", input}, {"activation", activation}, {"total", total()}}) {
    j[std::string(name) + "_memory_bytes"] = bytes;
    j[std::string(name) + "_memory_mb"] = double(bytes) / 1048576;
  }
  return j.dump();
}

}  // namespace miniten::edge
